# SPDX-License-Identifier: GPL-2.0-only
"""A TCP segment as connection tracking reads it, and sequence numbers compared."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.conntrack.tcp_table import Kind
from emu.wire import tcp
from emu.wire.tcp import ACK, FIN, MIN_HEADER, RST, SYN, URG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.skb import Skb

WORD: Final = 0xFFFFFFFF
_HALF: Final = 0x80000000
_MAX_SCALE: Final = 14  # RFC 7323 §2.3
_END, _NOP, _WINDOW_SCALE, _SACK_PERMITTED, _SACK = 0, 1, 3, 4, 5

_LAYOUT: Final = struct.Struct("!HHIIBBH")
_ONE_NUMBER_EACH: Final = SYN | FIN
_TELLING: Final = SYN | FIN | RST | ACK | URG
"""The flags that tell what a segment is; PSH, ECE and CWR go with each."""

_POSSIBLE: Final = {
    flags: Kind.of(flags)
    for flags in (SYN, SYN | URG, SYN | ACK, RST, RST | ACK, FIN | ACK, FIN | ACK | URG, ACK, ACK | URG)
}
"""The combinations of these flags that a segment may have, and what it is with them."""


def before(first: int, second: int) -> bool:
    """Return whether the sequence number `first` comes before `second`. Source: include/net/tcp.h."""
    return (first - second) & WORD >= _HALF


def after(first: int, second: int) -> bool:
    """Return whether the sequence number `first` comes after `second`."""
    return (second - first) & WORD >= _HALF


class Offer(NamedTuple):
    """What the options of a SYN offer: the shift of the window (None without), and SACK."""

    scale: int | None = None
    sack_permitted: bool = False


class Segment(NamedTuple):
    """What is asked of a segment.

    Attributes:
        kind: what it does.
        flags: its flags.
        seq: its first sequence number.
        end: the sequence number behind it; SYN and FIN take one each.
        ack: what it acknowledges; of no meaning without ACK.
        window: as it stands in the header, not scaled.
        options: the octets of its options.
    """

    kind: Kind
    flags: int
    seq: int
    end: int
    ack: int
    window: int
    options: bytes

    def offer(self) -> Offer | None:
        """Return what its options offer, None if it has no options at all."""
        if not self.options:
            return None
        scale: int | None = None
        permitted = False
        for kind, value in _walk(self.options):
            if kind == _SACK_PERMITTED and not value:
                permitted = True
            elif kind == _WINDOW_SCALE and len(value) == 1:
                scale = min(value[0], _MAX_SCALE)
        return Offer(scale, permitted)

    def highest_sack(self) -> int:
        """Return the right end of what it acknowledges: of the SACK block that reaches furthest, or `ack`."""
        highest = self.ack
        for kind, value in _walk(self.options):
            if kind == _SACK and value and len(value) % 8 == 0:
                for at in range(4, len(value), 8):
                    right = int.from_bytes(value[at : at + 4], "big")
                    if after(right, highest):
                        highest = right
                break  # Linux reads the first such option
        return highest


def _walk(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and value of each option; a malformed one ends the list."""
    at, end = 0, len(options)
    while at < end and options[at] != _END:
        if options[at] == _NOP:
            at += 1
            continue
        if at + 1 >= end or options[at + 1] < 2 or at + options[at + 1] > end:
            return
        yield options[at], options[at + 2 : at + options[at + 1]]
        at += options[at + 1]


def read(skb: Skb, *, verify_checksum: bool) -> Segment | str:
    """Return the segment in `skb`, or what is wrong with it. Source: `tcp_error`."""
    packet, start = skb.packet, skb.header.header_length
    size = len(packet) - start
    if size < MIN_HEADER:
        return "short packet"
    _, _, seq, ack, offset, flags, window = _LAYOUT.unpack_from(packet, start)
    length = (offset >> 4) * 4
    if length < MIN_HEADER or size < length:
        return "truncated packet"
    if verify_checksum and not tcp.checksum_holds(skb.header.src, skb.header.dst, packet[start:]):
        return "bad checksum"
    told = flags & _TELLING
    if told not in _POSSIBLE:
        return "invalid tcp flag combination"
    end = seq + size - length
    if flags & _ONE_NUMBER_EACH:
        end += bool(flags & SYN) + bool(flags & FIN)
    options = packet[start + MIN_HEADER : start + length] if length > MIN_HEADER else b""
    return Segment(_POSSIBLE[told], flags, seq, end & WORD, ack, window, options)
