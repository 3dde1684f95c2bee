# SPDX-License-Identifier: GPL-2.0-only
"""The VXLAN header (RFC 7348 §5)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, NewType, Self

from emu.errors import HeaderError
from emu.wire import craft

Vni = NewType("Vni", int)

HEADER_LENGTH: Final = 8
FLAG_VNI: Final = 0x08  # the I flag: the VNI is valid

_LAYOUT: Final = struct.Struct("!B3sI")


class Vxlan(NamedTuple):
    """Flags and network identifier, 24 bits."""

    flags: int
    vni: Vni

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of `octets`.

        Raises:
            HeaderError: fewer than 8 octets.
        """
        if len(octets) < HEADER_LENGTH:
            raise HeaderError(f"{len(octets)} octets hold no VXLAN header")
        flags, _, word = _LAYOUT.unpack_from(octets)
        return cls(flags, Vni(word >> 8))


def build(vni: Vni, frame: bytes) -> bytes:
    """Return the payload of the outer UDP datagram: the header, then the inner `frame`."""
    header = bytearray(craft.template("vxlan"))
    header[4:7] = vni.to_bytes(3, "big")
    return bytes(header) + frame
