# SPDX-License-Identifier: GPL-2.0-only
"""`-m udp`: ports of UDP. Source: net/netfilter/xt_tcpudp.c `udp_mt`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.matches.ports import PortRange
    from emu.kernel.netfilter.packet import Packet

_HEADER: Final = 8  # octets


@attrs.frozen
class Udp:
    """What is asked of a datagram; None for what is not.

    One without a whole header is dropped by iptables-legacy. iptables-nft loads
    the ports itself, from what any fragment has in their place: without that the
    rule does not hold.
    """

    source: PortRange | None = None
    destination: PortRange | None = None

    def holds(self, packet: Packet) -> bool:
        """Return whether the datagram meets all that is asked."""
        header, octets = packet.skb.header, packet.skb.packet
        loaded = 4 if self.destination is not None else 2 * bool(self.source)
        drops = not loaded or packet.net.netfilter.is_legacy
        if drops and header.fragment & OFFSET_MASK:
            return False
        at = header.header_length
        if len(octets) < at + (_HEADER if drops else loaded):
            packet.hotdrop = drops
            return False
        if self.source is not None and not self.source.has(octets[at] << 8 | octets[at + 1]):
            return False
        return self.destination is None or self.destination.has(octets[at + 2] << 8 | octets[at + 3])
