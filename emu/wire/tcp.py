# SPDX-License-Identifier: GPL-2.0-only
"""The TCP header and its options (RFC 9293, RFC 7323, RFC 2018)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Self

from emu.errors import HeaderError
from emu.wire import craft
from emu.wire.checksum import checksum, pseudo_header, verifies

MIN_HEADER: Final = 20
PROTOCOL: Final = 6

FIN: Final = 0x01
SYN: Final = 0x02
RST: Final = 0x04
PSH: Final = 0x08
ACK: Final = 0x10
URG: Final = 0x20
ECE: Final = 0x40
CWR: Final = 0x80

_LAYOUT: Final = struct.Struct("!HHIIBBHHH")
_SACK_BLOCK: Final = struct.Struct("!II")

_END, _NOP, _MSS, _WINDOW_SCALE, _SACK_PERMITTED, _SACK, _TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8


class Tcp(NamedTuple):
    """The fields of a TCP header. `offset_reserved` is the raw octet of the data offset."""

    sport: int
    dport: int
    seq: int
    ack: int
    offset_reserved: int
    flags: int
    window: int
    checksum: int
    urgent: int

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of `octets`, its data offset unchecked.

        Raises:
            HeaderError: fewer than 20 octets.
        """
        if len(octets) < MIN_HEADER:
            raise HeaderError(f"{len(octets)} octets hold no TCP header")
        return cls._make(_LAYOUT.unpack_from(octets))

    @property
    def header_length(self) -> int:
        """Octets of the header, options included; below 20 it is malformed."""
        return (self.offset_reserved >> 4) * 4


class TcpOptions(NamedTuple):
    """The options that a stack acts on; None or empty where absent.

    `timestamps` is (value, echo reply); `sack` the blocks as (left, right) edges.
    """

    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    timestamps: tuple[int, int] | None = None
    sack: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the options in `octets` (the header behind its first 20 octets).

        Unknown options are passed over; a malformed one ends the list, as in
        the kernel. Source: RFC 9293 §3.1, net/ipv4/tcp_input.c `tcp_parse_options`.
        """
        mss: int | None = None
        scale: int | None = None
        permitted = False
        stamps: tuple[int, int] | None = None
        sack: tuple[tuple[int, int], ...] = ()
        at, end = 0, len(octets)
        while at < end and octets[at] != _END:
            if octets[at] == _NOP:
                at += 1
                continue
            if at + 1 >= end or octets[at + 1] < 2 or at + octets[at + 1] > end:
                break
            kind, value = octets[at], octets[at + 2 : at + octets[at + 1]]
            if kind == _MSS and len(value) == 2:
                mss = int.from_bytes(value, "big")
            elif kind == _WINDOW_SCALE and len(value) == 1:
                scale = min(value[0], 14)  # RFC 7323 §2.3
            elif kind == _SACK_PERMITTED and not value:
                permitted = True
            elif kind == _TIMESTAMPS and len(value) == 8:
                stamps = _SACK_BLOCK.unpack(value)
            elif kind == _SACK and value and len(value) % 8 == 0:
                sack = tuple(_SACK_BLOCK.iter_unpack(value))
            at += octets[at + 1]
        return cls(mss, scale, permitted, stamps, sack)

    def build(self) -> bytes:
        """Return the octets of these options, in the order and padding of Linux.

        Source: net/ipv4/tcp_output.c `tcp_options_write`.
        """
        parts: list[bytes] = []
        if self.mss is not None:
            parts.append(struct.pack("!BBH", _MSS, 4, self.mss))
        if self.timestamps is not None:
            lead = bytes((_SACK_PERMITTED, 2)) if self.sack_permitted else bytes((_NOP, _NOP))
            parts.append(lead + struct.pack("!BBII", _TIMESTAMPS, 10, *self.timestamps))
        elif self.sack_permitted:
            parts.append(bytes((_NOP, _NOP, _SACK_PERMITTED, 2)))
        if self.window_scale is not None:
            parts.append(bytes((_NOP, _WINDOW_SCALE, 3, self.window_scale)))
        if self.sack:
            blocks = b"".join(_SACK_BLOCK.pack(*block) for block in self.sack)
            parts.append(bytes((_NOP, _NOP, _SACK, 2 + len(blocks))) + blocks)
        return b"".join(parts)


def build(
    src: bytes,
    dst: bytes,
    sport: int,
    dport: int,
    *,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    options: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """Return a segment, header with checksum, options and payload.

    Args:
        src: source address, for the pseudo header.
        dst: destination address, of the same family.
        sport: source port.
        dport: destination port.
        seq: sequence number, modulo 2**32.
        ack: acknowledgement number; 0 where ACK is not among `flags`.
        flags: FIN to CWR, or-ed.
        window: as it stands in the header, already scaled.
        options: a multiple of 4 octets, at most 40.
        payload: what follows.
    """
    header = bytearray(craft.template("tcp"))
    header += options
    offset = header[12] + (len(options) // 4 << 4)
    _LAYOUT.pack_into(header, 0, sport, dport, seq, ack, offset, flags, window, 0, 0)
    segment = bytes(header) + payload
    total = checksum(segment, pseudo_header(src, dst, PROTOCOL, len(segment)))
    return segment[:16] + total.to_bytes(2, "big") + segment[18:]


def checksum_holds(src: bytes, dst: bytes, segment: bytes) -> bool:
    """Return whether the checksum of `segment` (nothing behind it) is right."""
    return verifies(segment, pseudo_header(src, dst, PROTOCOL, len(segment)))
