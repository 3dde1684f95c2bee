# SPDX-License-Identifier: GPL-2.0-only
"""Another address and another port in a packet that is there, all checksums kept as right as they were.

Source: RFC 3022 §4.1, RFC 1624; net/netfilter/nf_nat_proto.c `l4proto_manip_pkt`.
"""

from __future__ import annotations

from typing import Final

from emu.wire.checksum import update
from emu.wire.crc32c import sctp_checksum
from emu.wire.icmp import ECHO, ECHO_REPLY

_SOURCE: Final = slice(12, 16)
_DESTINATION: Final = slice(16, 20)
_ICMP, _TCP, _UDP, _DCCP, _SCTP, _UDP_LITE = 1, 6, 17, 33, 132, 136
_CHECKSUM_AT: Final = {_TCP: 16, _UDP: 6, _UDP_LITE: 6, _DCCP: 6}
_WHOLE: Final = {_TCP: 20, _UDP: 8, _UDP_LITE: 8, _DCCP: 12, _SCTP: 12}
_LEAST: Final = 8
"""Octets of a transport header that have to be there; what is quoted in an ICMP error has no more."""
_WITH_IDENTIFIER: Final = frozenset((ECHO_REPLY, ECHO, 13, 14, 15, 16, 17, 18))
_SCTP_CHECKSUM: Final = slice(8, 12)


def translated(packet: bytes, address: bytes, port: int, *, is_source: bool) -> bytes | None:
    """Return `packet` with another source or destination; None if it is too short for that.

    Args:
        packet: an IPv4 packet with whole IP header: a whole packet, or the part
            of one that an ICMP error quotes.
        address: the new address.
        port: the new port, or ICMP identifier; not asked where the protocol has none.
        is_source: which end is to be replaced.
    """
    octets = bytearray(packet)
    at = (octets[0] & 15) * 4
    protocol = octets[9]
    place = _SOURCE if is_source else _DESTINATION
    old = bytes(octets[place])
    octets[place] = bytes(address)  # an address is a number too, which a bytearray refuses
    octets[10:12] = _updated(octets[10:12], old, address)
    if protocol == _ICMP:
        return _with_identifier(octets, at, port)
    if protocol not in _WHOLE:
        return bytes(octets)
    length = len(octets) - at
    if length < _LEAST:
        return None
    port_at = at if is_source else at + 2
    old_port, new_port = bytes(octets[port_at : port_at + 2]), port.to_bytes(2, "big")
    octets[port_at : port_at + 2] = new_port
    if length < _WHOLE[protocol]:
        return bytes(octets)
    if protocol == _SCTP:
        body = bytes(octets[at:])
        octets[at + _SCTP_CHECKSUM.start : at + _SCTP_CHECKSUM.stop] = sctp_checksum(body)
        return bytes(octets)
    sum_at = at + _CHECKSUM_AT[protocol]
    field = octets[sum_at : sum_at + 2]
    if protocol in (_UDP, _UDP_LITE) and not any(field):
        return bytes(octets)  # RFC 768: no checksum
    total = _updated(field, old + old_port, address + new_port)
    if protocol in (_UDP, _UDP_LITE) and not any(total):
        total = b"\xff\xff"
    octets[sum_at : sum_at + 2] = total
    return bytes(octets)


def _with_identifier(octets: bytearray, at: int, identifier: int) -> bytes | None:
    """Put `identifier` into an ICMP message that has one. Source: `icmp_manip_pkt`."""
    if len(octets) < at + _LEAST:
        return None
    if octets[at] in _WITH_IDENTIFIER:
        new = identifier.to_bytes(2, "big")
        octets[at + 2 : at + 4] = _updated(octets[at + 2 : at + 4], bytes(octets[at + 4 : at + 6]), new)
        octets[at + 4 : at + 6] = new
    return bytes(octets)


def _updated(field: bytes | bytearray, old: bytes, new: bytes) -> bytes:
    """Return a checksum field after `old` became `new`."""
    total = update(int.from_bytes(field, "big"), int.from_bytes(old, "big"), int.from_bytes(new, "big"))
    return total.to_bytes(2, "big")
