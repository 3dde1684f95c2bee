# SPDX-License-Identifier: GPL-2.0-only
"""A packet in a few words: protocol, kind, and between whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.observe.lines import LinePrinter
from emu.observe.record import CapturedFrame
from emu.verify import fivetuple
from emu.wire.ethernet import IPV4
from emu.wire.ipv4 import ICMP, MIN_HEADER, SCTP, TCP, UDP, Ipv4

if TYPE_CHECKING:
    from emu.verify.story import Packet

_FLAGS: Final = ((2, "SYN"), (4, "RST"), (1, "FIN"), (16, "ACK"))  # in the order in which people say them
_FLAGS_AT: Final = 13
_NO_MACS: Final = bytes(12) + IPV4.to_bytes(2, "big")
_LENGTH: Final = ", length "


def summary(packet: Packet) -> str:
    """Return what a packet is at its birth, as in `TCP SYN 10.0.0.1:4242 > 10.0.0.2:80`."""
    octets = fivetuple.packet_of(packet.birth.step)
    there = fivetuple.read(octets)
    if there is None:
        return "a packet"
    return f"{_kind(octets, there.protocol)}{there}"


def _kind(octets: bytes, protocol: int) -> str:
    try:
        payload = octets[max(Ipv4.parse(octets).header_length, MIN_HEADER) :]
    except HeaderError:
        return ""
    if protocol == TCP:
        flags = payload[_FLAGS_AT] if len(payload) > _FLAGS_AT else 0
        return f"TCP {'-'.join(name for bit, name in _FLAGS if flags & bit) or 'segment'} "
    if protocol == ICMP:
        _, _, words = LinePrinter().line(CapturedFrame(0, 0, _NO_MACS + octets)).partition(": ICMP ")
        return f"ICMP {words.partition(_LENGTH)[0].partition(', id ')[0]}  " if words else "ICMP "
    return {UDP: "UDP ", SCTP: "SCTP "}.get(protocol, f"protocol {protocol} ")
