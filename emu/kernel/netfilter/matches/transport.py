# SPDX-License-Identifier: GPL-2.0-only
"""The transport header, as matches are given it. Source: `skb_header_pointer`, include/linux/skbuff.h."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


def first_octets(packet: Packet, length: int) -> bytes | None:
    """Return the first `length` octets behind the IP header.

    None for any fragment but the first, and for a packet that ends before:
    that one has `hotdrop` set, as all matches of ports and types do.
    """
    header, octets = packet.skb.header, packet.skb.packet
    if header.fragment & OFFSET_MASK:
        return None
    at = (header.version_ihl & 15) * 4
    if len(octets) < at + length:
        packet.hotdrop = True
        return None
    return octets[at : at + length]
