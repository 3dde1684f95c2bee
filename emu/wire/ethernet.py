# SPDX-License-Identifier: GPL-2.0-only
"""Ethernet II frames, with an IEEE 802.1Q tag read but not interpreted."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

from emu.errors import HeaderError
from emu.wire import craft
from emu.wire.addresses import MacAddress

HEADER_LENGTH: Final = 14

IPV4: Final = 0x0800
ARP: Final = 0x0806
VLAN: Final = 0x8100
IPV6: Final = 0x86DD


class Ethernet(NamedTuple):
    """The header of a frame.

    `ethertype` is the one behind the tag if there is a tag, `payload` the
    offset of what it announces; `vlan` is the VLAN identifier or None.
    """

    dst: MacAddress
    src: MacAddress
    ethertype: int
    payload: int
    vlan: int | None

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the header at the start of `octets`.

        Raises:
            HeaderError: fewer than 14 octets, or 18 with a tag.

        Source: IEEE 802.3 §3.2, IEEE 802.1Q §9.6.
        """
        if len(octets) < HEADER_LENGTH:
            raise HeaderError(f"{len(octets)} octets hold no Ethernet header")
        dst, src = MacAddress(octets[:6]), MacAddress(octets[6:12])
        ethertype = int.from_bytes(octets[12:14], "big")
        if ethertype != VLAN:
            return cls(dst, src, ethertype, HEADER_LENGTH, None)
        if len(octets) < HEADER_LENGTH + 4:
            raise HeaderError(f"{len(octets)} octets hold no 802.1Q tag")
        tag = int.from_bytes(octets[14:16], "big")
        return cls(dst, src, int.from_bytes(octets[16:18], "big"), HEADER_LENGTH + 4, tag & 0xFFF)


NO_HEADER: Final = bytes(12) + IPV4.to_bytes(2, "big")
"""What stands for a link header in front of packets of a device that has none."""


def header(dst: bytes, src: bytes, ethertype: int) -> bytes:
    """Return the 14 octets in front of a frame's payload."""
    octets = bytearray(craft.template("ethernet"))
    octets[0:6] = dst
    octets[6:12] = src
    octets[12:14] = ethertype.to_bytes(2, "big")
    return bytes(octets)
