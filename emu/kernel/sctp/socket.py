# SPDX-License-Identifier: GPL-2.0-only
"""SCTP's part of a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.connections import AcceptQueue
    from emu.kernel.sctp.table import Entry
    from emu.sim.time import Duration


@attrs.define(eq=False)
class SctpSocket:
    """What the `sctp` member of a socket holds; a fresh one is a closed socket.

    Attributes:
        linger: SO_LINGER, None if it is off; 0 makes `close` send ABORT.
        entry: the association, None before there is one.
        listener: what a listening socket has, None of others.
    """

    linger: Duration | None = None
    entry: Entry | None = None
    listener: AcceptQueue | None = None
