# SPDX-License-Identifier: GPL-2.0-only
"""Another address and another port in a packet that is there, all checksums kept as right as they were.

Source: RFC 3022 §4.1, RFC 1624; net/netfilter/nf_nat_proto.c `l4proto_manip_pkt`.
"""

from __future__ import annotations

from typing import Final

from emu.wire.crc32c import sctp_checksum
from emu.wire.icmp import ECHO, ECHO_REPLY

_ICMP, _TCP, _UDP, _DCCP, _SCTP, _UDP_LITE = 1, 6, 17, 33, 132, 136
_CHECKSUM_AT: Final = {_TCP: 16, _UDP: 6, _UDP_LITE: 6, _DCCP: 6}
_MAY_BE_ABSENT: Final = frozenset((_UDP, _UDP_LITE))
"""Protocols whose checksum field is 0 where there is no checksum (RFC 768)."""
_WHOLE: Final = {_TCP: 20, _UDP: 8, _UDP_LITE: 8, _DCCP: 12, _SCTP: 12}
_GRE: Final = 47
_LEAST: Final = 8
"""Octets of a transport header that have to be there, of GRE's too; an ICMP error may quote no more."""
_WITH_IDENTIFIER: Final = frozenset((ECHO_REPLY, ECHO, 13, 14, 15, 16, 17, 18))


def translated(packet: bytes, address: bytes, port: int, *, is_source: bool) -> bytes | None:
    """Return `packet` with another source or destination; None if it is too short for that.

    Args:
        packet: an IPv4 packet with whole IP header: a whole packet, or the part
            of one that an ICMP error quotes.
        address: the new address.
        port: the new port, or ICMP identifier; not asked where the protocol has none.
        is_source: which end is to be replaced.
    """
    protocol, at = packet[9], (packet[0] & 15) * 4
    old = packet[12:16] if is_source else packet[16:20]
    change = _change(old, address)
    total = _changed(packet[10:12], change)
    if is_source:
        head = b"".join((packet[:10], total, address, packet[16:at]))
    else:
        head = b"".join((packet[:10], total, packet[12:16], address, packet[20:at]))
    if protocol == _ICMP:
        return _with_identifier(head, packet[at:], port)
    length = len(packet) - at
    if protocol not in _WHOLE:
        return None if protocol == _GRE and length < _LEAST else head + packet[at:]
    if length < _LEAST:
        return None
    old_port, new_port = (
        packet[at : at + 2] if is_source else packet[at + 2 : at + 4],
        port.to_bytes(2, "big"),
    )
    ports = new_port + packet[at + 2 : at + 4] if is_source else packet[at : at + 2] + new_port
    if length < _WHOLE[protocol]:
        return head + ports + packet[at + 4 :]
    if protocol == _SCTP:
        body = ports + packet[at + 4 :]
        return head + body[:8] + sctp_checksum(body) + body[12:]
    sum_at = at + _CHECKSUM_AT[protocol]
    field = packet[sum_at : sum_at + 2]
    if field == b"\0\0" and protocol in _MAY_BE_ABSENT:
        return head + ports + packet[at + 4 :]
    total = _changed(field, change + _change(old_port, new_port))
    if total == b"\0\0" and protocol in _MAY_BE_ABSENT:
        total = b"\xff\xff"
    return b"".join((head, ports, packet[at + 4 : sum_at], total, packet[sum_at + 2 :]))


def _with_identifier(head: bytes, message: bytes, identifier: int) -> bytes | None:
    """Put `identifier` into an ICMP message that has one. Source: `icmp_manip_pkt`."""
    if len(message) < _LEAST:
        return None
    if message[0] not in _WITH_IDENTIFIER:
        return head + message
    new = identifier.to_bytes(2, "big")
    total = _changed(message[2:4], _change(message[4:6], new))
    return head + message[:2] + total + new + message[6:]


def _change(old: bytes, new: bytes) -> int:
    """Return what replacing `old` by `new` adds to the one's complement sum of a packet."""
    return 65535 - int.from_bytes(old, "big") % 65535 + int.from_bytes(new, "big") % 65535


def _changed(field: bytes, change: int) -> bytes:
    """Return a checksum field after the sum has changed. Source: RFC 1624 §3 (equation 3)."""
    total = 0xFFFF - int.from_bytes(field, "big") + change
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (0xFFFF - total).to_bytes(2, "big")
