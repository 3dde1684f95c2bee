# SPDX-License-Identifier: GPL-2.0-only
"""The UDP header (RFC 768)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Self

from emu.errors import HeaderError
from emu.wire import craft
from emu.wire.checksum import checksum, pseudo_header, verifies

HEADER_LENGTH: Final = 8
PROTOCOL: Final = 17

_LAYOUT: Final = struct.Struct("!HHHH")


class Udp(NamedTuple):
    """The fields of a UDP header. `length` counts header and payload; checksum 0 means none."""

    sport: int
    dport: int
    length: int
    checksum: int

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of `octets`.

        Raises:
            HeaderError: fewer than 8 octets.
        """
        if len(octets) < HEADER_LENGTH:
            raise HeaderError(f"{len(octets)} octets hold no UDP header")
        return cls._make(_LAYOUT.unpack_from(octets))


def build(
    src: bytes, dst: bytes, sport: int, dport: int, payload: bytes, *, with_checksum: bool = True
) -> bytes:
    """Return a datagram, header and payload.

    Args:
        src: source address, for the pseudo header.
        dst: destination address, of the same family.
        sport: source port.
        dport: destination port.
        payload: at most 65507 octets over IPv4.
        with_checksum: False stores 0, "no checksum".
    """
    length = HEADER_LENGTH + len(payload)
    header = bytearray(craft.template("udp"))
    _LAYOUT.pack_into(header, 0, sport, dport, length, 0)
    if with_checksum:
        total = checksum(bytes(header) + payload, pseudo_header(src, dst, PROTOCOL, length))
        header[6:8] = (total or 0xFFFF).to_bytes(2, "big")  # RFC 768: a computed zero is sent as all ones
    return bytes(header) + payload


def checksum_holds(src: bytes, dst: bytes, datagram: bytes) -> bool:
    """Return whether `datagram` (header and payload, nothing behind) has no checksum or a right one."""
    if datagram[6:8] == b"\0\0":
        return True
    return verifies(datagram, pseudo_header(src, dst, PROTOCOL, len(datagram)))
