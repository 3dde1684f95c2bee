# SPDX-License-Identifier: GPL-2.0-only
"""TCP's part of a socket, and what `ss` shows of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import attrs

if TYPE_CHECKING:
    from emu.kernel.tcp.states import State
    from emu.kernel.tcp.table import Entry, Listener
    from emu.sim.time import Duration
    from emu.wire.addresses import IpAddress

Timer: TypeAlias = "tuple[str, Duration, int]"
"""Name, time left, how often it has fired without an answer."""


@attrs.define(eq=False)
class TcpSocket:
    """What the `tcp` member of a socket holds; a fresh one is a closed socket.

    Attributes:
        nodelay: TCP_NODELAY; set it with `tcp.set_nodelay`.
        keepalive: SO_KEEPALIVE; set it with `tcp.set_keepalive`.
        linger: SO_LINGER, None if it is off; 0 makes `close` send RST.
        entry: the connection, None before there is one.
        listener: the queues of a listening socket, None of others.
    """

    nodelay: bool = False
    keepalive: bool = False
    linger: Duration | None = None
    entry: Entry | None = None
    listener: Listener | None = None


class SocketInfo(NamedTuple):
    """One line of `ss -tan`.

    For a listener `recv_q` counts connections to be accepted, and `send_q` is its
    backlog; else they are octets that were not read, and not acknowledged.
    `socket` is 0 where no program holds it.
    """

    state: State
    recv_q: int
    send_q: int
    local: IpAddress
    local_port: int
    remote: IpAddress
    remote_port: int
    timer: Timer | None
    socket: int
