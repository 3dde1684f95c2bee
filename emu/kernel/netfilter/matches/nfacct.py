# SPDX-License-Identifier: GPL-2.0-only
"""`-m nfacct`: count into a named object. Source: net/netfilter/xt_nfacct.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Accounting:
    """The object `name` counts the packet: without a quota this always holds. It is not kept itself."""

    name: str

    def holds(self, packet: Packet) -> bool:  # noqa: ARG002 - any match's signature
        """Return True."""
        return True
