# SPDX-License-Identifier: GPL-2.0-only
"""The IPv4 header (RFC 791). Options are carried and never lost."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Self

from emu.errors import HeaderError
from emu.wire import craft
from emu.wire.checksum import checksum

MIN_HEADER: Final = 20
MAX_PACKET: Final = 65535

ICMP: Final = 1
IPIP: Final = 4
TCP: Final = 6
UDP: Final = 17
SCTP: Final = 132
UDP_LITE: Final = 136

DF: Final = 0x4000
MF: Final = 0x2000
OFFSET_MASK: Final = 0x1FFF

WITHOUT_OPTIONS: Final = 0x45
"""The first octet of most packets: version 4, a header of 20 octets."""

_LAYOUT: Final = struct.Struct("!BBHHHBBH4s4s")
_AFTER_VERSION: Final = struct.Struct("!BHHHBBH4s4s")


class Ipv4(NamedTuple):
    """The fields of an IPv4 header, as they stand there.

    Lengths are in octets, `fragment` is the raw word of flags and offset.
    `src` and `dst` are plain octets: they are looked up, not printed.
    """

    version_ihl: int
    tos: int
    total_length: int
    identification: int
    fragment: int
    ttl: int
    protocol: int
    checksum: int
    src: bytes
    dst: bytes

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of `octets`, its lengths unchecked.

        Raises:
            HeaderError: fewer than 20 octets.
        """
        if len(octets) < MIN_HEADER:
            raise HeaderError(f"{len(octets)} octets hold no IPv4 header")
        return cls._make(_LAYOUT.unpack_from(octets))

    @property
    def header_length(self) -> int:
        """Octets of the header, options included; below 20 it is malformed."""
        return (self.version_ihl & 15) * 4

    @property
    def version(self) -> int:
        """4, unless malformed."""
        return self.version_ihl >> 4

    @property
    def df(self) -> bool:
        """Don't fragment."""
        return bool(self.fragment & DF)

    @property
    def mf(self) -> bool:
        """More fragments follow."""
        return bool(self.fragment & MF)

    @property
    def offset(self) -> int:
        """Where this fragment's payload belongs, in octets."""
        return (self.fragment & OFFSET_MASK) * 8

    @property
    def is_fragment(self) -> bool:
        """Whether this is a part of a datagram."""
        return bool(self.fragment & (MF | OFFSET_MASK))


def build(
    protocol: int,
    src: bytes,
    dst: bytes,
    payload: bytes,
    *,
    ttl: int = 64,
    tos: int = 0,
    identification: int = 0,
    fragment: int = 0,
    options: bytes = b"",
) -> bytes:
    """Return a whole packet: header with checksum, then `payload`.

    Args:
        protocol: number of what `payload` is.
        src: source address, 4 octets.
        dst: destination address, 4 octets.
        payload: at most 65535 octets less the header.
        ttl: time to live, 0 to 255.
        tos: the octet of DSCP and ECN.
        identification: 0 to 65535.
        fragment: flags and offset, as in `Ipv4.fragment`.
        options: a multiple of 4 octets, at most 40.
    """
    header = bytearray(craft.template("ipv4"))
    header += options
    header[0] += len(options) // 4
    total = len(header) + len(payload)
    _AFTER_VERSION.pack_into(header, 1, tos, total, identification, fragment, ttl, protocol, 0, src, dst)
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header) + payload


def rechecksum(header: bytes) -> bytes:
    """Return `header` (20 octets or more, options included) with a right checksum."""
    blank = header[:10] + b"\0\0" + header[12:]
    return header[:10] + checksum(blank).to_bytes(2, "big") + header[12:]
