# SPDX-License-Identifier: GPL-2.0-only
"""ARP for IPv4 over Ethernet (RFC 826)."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple, Self

from emu.errors import HeaderError
from emu.wire import craft
from emu.wire.addresses import IpAddress, MacAddress

REQUEST: Final = 1
REPLY: Final = 2

LENGTH: Final = 28
_LAYOUT: Final = struct.Struct("!HHBBH6s4s6s4s")
_ADDRESSES: Final = struct.Struct("!H6s4s6s4s")
_ETHERNET, _IEEE802, _IPV4 = 1, 6, 0x0800


class Arp(NamedTuple):
    """An ARP packet: who (`sender_*`) asks or tells whom (`target_*`)."""

    operation: int
    sender_mac: MacAddress
    sender_ip: IpAddress
    target_mac: MacAddress
    target_ip: IpAddress

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Return the ARP packet at the start of `octets` (padding is passed over).

        Hardware type 6 (IEEE 802) is as good as 1 (Ethernet), RFC 1042 and Linux say.

        Raises:
            HeaderError: too short, or not Ethernet and IPv4.
        """
        if len(octets) < LENGTH:
            raise HeaderError(f"{len(octets)} octets hold no ARP packet")
        hardware, protocol, hlen, plen, operation, sha, spa, tha, tpa = _LAYOUT.unpack_from(octets)
        if hardware not in {_ETHERNET, _IEEE802} or (protocol, hlen, plen) != (_IPV4, 6, 4):
            raise HeaderError("ARP for other than IPv4 over Ethernet")
        return cls(operation, MacAddress(sha), IpAddress(spa), MacAddress(tha), IpAddress(tpa))


def build(operation: int, sender_mac: bytes, sender_ip: bytes, target_mac: bytes, target_ip: bytes) -> bytes:
    """Return an ARP packet of 28 octets, without its Ethernet header."""
    octets = bytearray(craft.template("arp"))
    _ADDRESSES.pack_into(octets, 6, operation, sender_mac, sender_ip, target_mac, target_ip)
    return bytes(octets)
