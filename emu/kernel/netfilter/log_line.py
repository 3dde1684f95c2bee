# SPDX-License-Identifier: GPL-2.0-only
"""A packet in the words of the kernel's log, as `-j LOG` writes it. Source: net/netfilter/nf_log_syslog.c.

The octets of the frame's header (`MAC=`) are left out: a packet is not told all of them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import HeaderError
from emu.wire import ipv4, tcp
from emu.wire.addresses import IpAddress
from emu.wire.icmp import (
    ECHO,
    ECHO_REPLY,
    FRAGMENTATION_NEEDED,
    PARAMETER_PROBLEM,
    REDIRECT,
    SOURCE_QUENCH,
    TIME_EXCEEDED,
    UNREACHABLE,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.packet import Packet
    from emu.wire.ipv4 import Ipv4

_UDP_LITE: Final = 136
_FLAGS: Final = (
    (tcp.CWR, "CWR"),
    (tcp.ECE, "ECE"),
    (tcp.URG, "URG"),
    (tcp.ACK, "ACK"),
    (tcp.PSH, "PSH"),
    (tcp.RST, "RST"),
    (tcp.SYN, "SYN"),
    (tcp.FIN, "FIN"),
)
_QUOTING: Final = frozenset((UNREACHABLE, SOURCE_QUENCH, REDIRECT, TIME_EXCEEDED))
_UDP: Final = struct.Struct("!HHH")


@attrs.frozen
class LogFields:
    """What a line tells beyond the usual.

    Attributes:
        tcp_sequence: `SEQ` and `ACK`.
        tcp_options: the octets of TCP's options.
        ip_options: the octets of IP's options.
        owner: the user and group of the sending socket.
        macs: the addresses of the frame; accepted, and left out of the line.
    """

    tcp_sequence: bool = False
    tcp_options: bool = False
    ip_options: bool = False
    owner: bool = False
    macs: bool = False


def render(packet: Packet, fields: LogFields) -> str:
    """Return the line about `packet`, without a prefix. Source: `nf_log_ip_packet`."""
    words = [f"IN={packet.iif}", f"OUT={packet.oif}"]
    if packet.physin and packet.physin != packet.iif:
        words.append(f"PHYSIN={packet.physin}")
    if packet.physout and packet.physout != packet.oif:
        words.append(f"PHYSOUT={packet.physout}")
    words += _packet(packet.skb.packet, fields, is_quoted=False)
    if fields.owner and packet.skb.socket > 0:
        words.append("UID=0 GID=0")
    if packet.skb.mark:
        words.append(f"MARK=0x{packet.skb.mark:x}")
    return " ".join(words)


def _packet(octets: bytes, fields: LogFields, *, is_quoted: bool) -> Iterator[str]:
    """Yield the words about an IP packet. Source: `dump_ipv4_packet`."""
    try:
        header = ipv4.Ipv4.parse(octets)
    except HeaderError:
        yield "TRUNCATED"
        return
    yield f"SRC={IpAddress(header.src)} DST={IpAddress(header.dst)}"
    yield f"LEN={header.total_length} TOS=0x{header.tos & 0x1E:02X} PREC=0x{header.tos & 0xE0:02X}"
    yield f"TTL={header.ttl} ID={header.identification}"
    for bit, name in ((0x8000, "CE"), (ipv4.DF, "DF"), (ipv4.MF, "MF")):
        if header.fragment & bit:
            yield name
    if header.fragment & ipv4.OFFSET_MASK:
        yield f"FRAG:{header.fragment & ipv4.OFFSET_MASK}"
    options = octets[ipv4.MIN_HEADER : header.header_length]
    if fields.ip_options and options:
        yield f"OPT ({options.hex().upper()})"
    payload = octets[header.header_length :]
    if header.protocol == ipv4.TCP:
        yield from _tcp(header, payload, fields)
    elif header.protocol in {ipv4.UDP, _UDP_LITE}:
        yield from _udp(header, payload)
    elif header.protocol == ipv4.ICMP:
        yield from _icmp(header, payload, fields, is_quoted=is_quoted)
    else:
        yield f"PROTO={header.protocol}"


def _tcp(header: Ipv4, payload: bytes, fields: LogFields) -> Iterator[str]:
    yield "PROTO=TCP"
    if header.fragment & ipv4.OFFSET_MASK:
        return
    if len(payload) < tcp.MIN_HEADER:
        yield f"INCOMPLETE [{len(payload)} bytes]"
        return
    segment = tcp.Tcp.parse(payload)
    yield f"SPT={segment.sport} DPT={segment.dport}"
    if fields.tcp_sequence:
        yield f"SEQ={segment.seq} ACK={segment.ack}"
    yield f"WINDOW={segment.window} RES=0x{(segment.offset_reserved & 0xF) << 2:02x}"
    yield from (name for bit, name in _FLAGS if segment.flags & bit)
    yield f"URGP={segment.urgent}"
    options = payload[tcp.MIN_HEADER : segment.header_length]
    if fields.tcp_options and options:
        yield f"OPT ({options.hex().upper()})"


def _udp(header: Ipv4, payload: bytes) -> Iterator[str]:
    yield "PROTO=UDP" if header.protocol == ipv4.UDP else "PROTO=UDPLITE"
    if header.fragment & ipv4.OFFSET_MASK:
        return
    if len(payload) < 8:
        yield f"INCOMPLETE [{len(payload)} bytes]"
        return
    sport, dport, length = _UDP.unpack_from(payload)
    yield f"SPT={sport} DPT={dport} LEN={length}"


def _icmp(header: Ipv4, payload: bytes, fields: LogFields, *, is_quoted: bool) -> Iterator[str]:
    yield "PROTO=ICMP"
    if header.fragment & ipv4.OFFSET_MASK:
        return
    if len(payload) < 8:
        yield f"INCOMPLETE [{len(payload)} bytes]"
        return
    kind, code = payload[:2]
    yield f"TYPE={kind} CODE={code}"
    first, second = int.from_bytes(payload[4:6], "big"), int.from_bytes(payload[6:8], "big")
    if kind in {ECHO, ECHO_REPLY}:
        yield f"ID={first} SEQ={second}"
    elif kind == PARAMETER_PROBLEM:
        yield f"PARAMETER={payload[4]}"
    elif kind in _QUOTING:
        if kind == REDIRECT:
            yield f"GATEWAY={IpAddress(payload[4:8])}"
        if not is_quoted:
            yield f"[{' '.join(_packet(payload[8:], fields, is_quoted=True))} ]"
        if (kind, code) == (UNREACHABLE, FRAGMENTATION_NEEDED):
            yield f"MTU={second}"
