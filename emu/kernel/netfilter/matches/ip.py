# SPDX-License-Identifier: GPL-2.0-only
"""What every rule can ask without `-m`: addresses, interfaces, protocol, fragments.

Source: net/ipv4/netfilter/ip_tables.c `ip_packet_match`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Source:
    """`-s`: the source address under a mask, which need not be contiguous."""

    address: bytes
    mask: bytes
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the masked source is `address`, or is not."""
        return _is_in(packet.skb.header.src, self.address, self.mask) is not self.inverted


@attrs.frozen
class Destination:
    """`-d`: the destination address under a mask."""

    address: bytes
    mask: bytes
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the masked destination is `address`, or is not."""
        return _is_in(packet.skb.header.dst, self.address, self.mask) is not self.inverted


def _is_in(address: bytes, wanted: bytes, mask: bytes) -> bool:
    if address == wanted:
        return True
    number = int.from_bytes(address, "big") & int.from_bytes(mask, "big")
    return number == int.from_bytes(wanted, "big")


@attrs.frozen
class InInterface:
    """`-i`: the device it came in by; a `+` at the end stands for any rest."""

    name: str
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the device has that name, or has not."""
        return matches_name(packet.iif, self.name) is not self.inverted


@attrs.frozen
class OutInterface:
    """`-o`: the device it leaves by; a `+` at the end stands for any rest."""

    name: str
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the device has that name, or has not."""
        return matches_name(packet.oif, self.name) is not self.inverted


def matches_name(name: str, pattern: str) -> bool:
    """Return whether a device is meant by `pattern`. Source: `ifname_compare_aligned`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


@attrs.frozen
class Protocol:
    """`-p`: the IP protocol number; 0 (all) is never written down."""

    number: int
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the packet is of that protocol, or is not."""
        return (packet.skb.header.protocol == self.number) is not self.inverted


@attrs.frozen
class Fragment:
    """`-f`: second and further fragments; `! -f`: whole packets and first fragments."""

    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the packet has a fragment offset, or has none."""
        return bool(packet.skb.header.fragment & OFFSET_MASK) is not self.inverted
