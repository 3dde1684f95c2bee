# SPDX-License-Identifier: GPL-2.0-only
"""`-m tcp`: ports, flags and options of TCP. Source: net/netfilter/xt_tcpudp.c `tcp_mt`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.wire.ipv4 import OFFSET_MASK

if TYPE_CHECKING:
    from emu.kernel.netfilter.matches.ports import PortRange
    from emu.kernel.netfilter.packet import Packet

_HEADER: Final = 20  # octets


@attrs.frozen
class TcpFlags:
    """`--tcp-flags`: of the flags in `mask` exactly those in `value` are set, or inverted that not."""

    mask: int
    value: int
    inverted: bool = False

    def has(self, flags: int) -> bool:
        """Return whether a segment with these `flags` is meant."""
        return (flags & self.mask == self.value) is not self.inverted


@attrs.frozen
class TcpOption:
    """`--tcp-option`: an option of this kind is there, or inverted that not."""

    kind: int
    inverted: bool = False

    def is_in(self, options: bytes) -> bool:
        """Return whether the octets of a header's options meet this."""
        at = 0
        while at < len(options):
            kind = options[at]
            if kind == self.kind:
                return not self.inverted
            length = options[at + 1] if kind > 1 and at + 1 < len(options) else 1
            at += length or 1
        return self.inverted


@attrs.frozen
class Tcp:
    """What is asked of a segment; None for what is not.

    With iptables-legacy a segment without a whole header is dropped, as is a
    second fragment that would overwrite the flags (offset 1), whatever the
    rule's target. iptables-nft loads ports and flags itself, from what any
    fragment has in their place: without that the rule does not hold.
    """

    source: PortRange | None = None
    destination: PortRange | None = None
    flags: TcpFlags | None = None
    option: TcpOption | None = None

    def holds(self, packet: Packet) -> bool:
        """Return whether the segment meets all that is asked."""
        header, octets = packet.skb.header, packet.skb.packet
        loaded = 0 if packet.net.netfilter.is_legacy else self._loaded
        needed, drops = loaded or _HEADER, not loaded
        offset = header.fragment & OFFSET_MASK
        if offset and drops:
            packet.hotdrop |= offset == 1
            return False
        at = header.header_length
        if len(octets) < at + needed:
            packet.hotdrop = drops
            return False
        if self.source is not None and not self.source.has(octets[at] << 8 | octets[at + 1]):
            return False
        if self.destination is not None and not self.destination.has(octets[at + 2] << 8 | octets[at + 3]):
            return False
        if self.flags is not None and not self.flags.has(octets[at + 13]):
            return False
        return self.option is None or self._has_option(packet, at)

    @property
    def _loaded(self) -> int:
        """How many octets of the header iptables-nft loads, 0 if it does as iptables-legacy does."""
        if self.option is not None:
            return 0
        return 14 if self.flags is not None else 4 if self.destination is not None else 2 * bool(self.source)

    def _has_option(self, packet: Packet, at: int) -> bool:
        octets = packet.skb.packet
        length = (octets[at + 12] >> 4) * 4
        if length < _HEADER or len(octets) < at + length:
            packet.hotdrop = True
            return False
        assert self.option is not None
        return self.option.is_in(octets[at + _HEADER : at + length])
