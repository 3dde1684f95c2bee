# SPDX-License-Identifier: GPL-2.0-only
"""`-m ecn`: congestion bits of IP and TCP. Source: net/netfilter/xt_ecn.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.wire import tcp
from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Ecn:
    """Congestion bits; what is None is not asked.

    Attributes:
        ect: the two bits of the IP header.
        ect_inverted: they are any others.
        ece: whether TCP's ECE is set.
        cwr: whether TCP's CWR is set.
    """

    ect: int | None = None
    ect_inverted: bool = False
    ece: bool | None = None
    cwr: bool | None = None

    def holds(self, packet: Packet) -> bool:
        """Return whether all bits are so; a packet without a TCP header fails what is asked of TCP."""
        header = packet.skb.header
        if self.ect is not None and (header.tos & 3 == self.ect) is self.ect_inverted:
            return False
        if self.ece is None and self.cwr is None:
            return True
        if header.fragment & OFFSET_MASK or len(packet.skb.payload) < tcp.MIN_HEADER:
            return False
        flags = packet.skb.payload[13]
        return self.ece in {None, bool(flags & tcp.ECE)} and self.cwr in {None, bool(flags & tcp.CWR)}
