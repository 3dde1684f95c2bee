# SPDX-License-Identifier: GPL-2.0-only
"""ARP, as tcpdump prints it. Source: RFC 826, RFC 903, RFC 2390."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.observe.tcpdump.hexdump import hexdump
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.observe.tcpdump.part import Part

_IPV4: Final = 0x0800
_HARDWARE: Final = {1: "Ethernet"}
_PROTOCOLS: Final = {_IPV4: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP"}


def words(part: Part) -> Iterator[str]:
    """Yield what an ARP packet says, from its operation on."""
    hardware, protocol = part.number(0, 2), part.number(2, 2)
    mac_length, ip_length = part.number(4, 1), part.number(5, 1)
    operation = part.number(6, 2)
    part.take(8, 2 * (mac_length + ip_length))
    if protocol != _IPV4 or ip_length != 4 or mac_length == 0:
        yield _HARDWARE.get(hardware, f"Unknown Hardware ({hardware})")
        yield f" (len {mac_length}), "
        yield _PROTOCOLS.get(protocol, f"Unknown Protocol (0x{protocol:04x})")
        yield f" (len {ip_length}), length {part.length}"
        return
    sender_mac = part.take(8, mac_length)
    sender_ip = IpAddress(part.take(8 + mac_length, 4))
    target_mac = part.take(12 + mac_length, mac_length)
    target_ip = IpAddress(part.take(12 + 2 * mac_length, 4))
    match operation:
        case 1:
            known = f" ({target_mac.hex(':')})" if any(target_mac) else ""
            yield f"Request who-has {target_ip}{known} tell {sender_ip}"
        case 2:
            yield f"Reply {sender_ip} is-at {sender_mac.hex(':')}"
        case 3:
            yield f"Reverse Request who-is {target_mac.hex(':')} tell {sender_mac.hex(':')}"
        case 4:
            yield f"Reverse Reply {target_mac.hex(':')} at {target_ip}"
        case 8:
            yield f"Inverse Request who-is {target_mac.hex(':')} tell {sender_mac.hex(':')}"
        case 9:
            yield f"Inverse Reply {sender_mac.hex(':')} at {sender_ip}"
        case _:
            yield f"Unknown ({operation}) "
            yield hexdump(part.octets)
            return
    yield f", length {part.length}"
