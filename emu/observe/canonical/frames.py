# SPDX-License-Identifier: GPL-2.0-only
"""A frame as a tree of plain values, everything in it that may differ made anonymous."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from emu.errors import HeaderError
from emu.observe.canonical.labels import Context
from emu.wire import arp, checksum, ethernet, icmp, ipv4, tcp, udp, vxlan
from emu.wire.addresses import IpAddress, MacAddress
from emu.wire.ethernet import Ethernet
from emu.wire.icmp import Icmp
from emu.wire.ipv4 import Ipv4
from emu.wire.tcp import Tcp
from emu.wire.udp import Udp
from emu.wire.vxlan import Vxlan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Tree = dict[str, Any]
"""A canonical frame or a part of it: JSON's own types."""

VXLAN_PORTS: Final = (4789, 8472)
_FLAGS: Final = "FSRPAUEC"
_TEXT_LENGTH: Final = 48
_ICMP_NAMES: Final = {
    0: "echo-reply",
    3: "unreachable",
    4: "source-quench",
    5: "redirect",
    8: "echo",
    11: "time-exceeded",
    12: "parameter-problem",
    13: "timestamp",
    14: "timestamp-reply",
}


def canonical_frames(
    frames: Iterable[tuple[bytes, str]], *, random_ports: bool = False, known_ports: Collection[int] = ()
) -> list[Tree]:
    """Return the canonical form of one capture's frames.

    Args:
        frames: octets and direction (`in` or `out`) of each, in order.
        random_ports: make ports that are not in `known_ports` anonymous.
        known_ports: ports that the scenario fixes.
    """
    context = Context(random_ports, known_ports)
    return [{"dir": direction, **_ethernet(octets, context)} for octets, direction in frames]


def _data(octets: bytes) -> Tree:
    if octets and len(octets) <= _TEXT_LENGTH and all(32 <= octet < 127 for octet in octets):
        return {"len": len(octets), "text": octets.decode("ascii")}
    if octets:
        return {"len": len(octets), "sha256": hashlib.sha256(octets).hexdigest()[:16]}
    return {"len": 0}


def _ethernet(octets: bytes, context: Context) -> Tree:
    if len(octets) < ethernet.HEADER_LENGTH:
        return {"eth": {"malformed": len(octets)}}
    try:
        header = Ethernet.parse(octets)
    except HeaderError:  # a tag that is cut off is not interpreted
        header = Ethernet(MacAddress(octets[:6]), MacAddress(octets[6:12]), ethernet.VLAN, 14, None)
    names = {ethernet.IPV4: "ip", ethernet.ARP: "arp"}
    eth: Tree = {"dst": str(header.dst), "src": str(header.src)}
    if header.vlan is not None:
        eth["vlan"] = header.vlan
    eth["type"] = names.get(header.ethertype, f"0x{header.ethertype:04x}")
    body = octets[header.payload :]
    tree: Tree = {"eth": eth}
    if header.ethertype == ethernet.ARP and len(body) >= arp.LENGTH:
        tree["arp"] = _arp(body)
        if len(body) > arp.LENGTH:
            tree["pad"] = len(body) - arp.LENGTH
    elif header.ethertype == ethernet.IPV4:
        tree.update(_packet(body, context, quoted=False))
        if len(body) >= ipv4.MIN_HEADER:
            total = int.from_bytes(body[2:4], "big")
            if len(body) > total:
                tree["pad"] = len(body) - total
    else:
        tree["data"] = _data(body)
    return tree


def _arp(body: bytes) -> Tree:
    operation = int.from_bytes(body[6:8], "big")
    names = {arp.REQUEST: "request", arp.REPLY: "reply"}
    return {
        "op": names.get(operation, operation),
        "sha": body[8:14].hex(":"),
        "spa": str(IpAddress(body[14:18])),
        "tha": body[18:24].hex(":"),
        "tpa": str(IpAddress(body[24:28])),
    }


def _packet(octets: bytes, context: Context, *, quoted: bool) -> Tree:
    """Return an IPv4 packet; a `quoted` one stands in an ICMP error and may be cut short."""
    if len(octets) < ipv4.MIN_HEADER or octets[0] >> 4 != 4:
        return {"ip": {"malformed": True}, "data": _data(octets)}
    header = Ipv4.parse(octets)
    length = header.header_length
    body = octets[length : header.total_length]
    ip: Tree = {
        "src": str(IpAddress(header.src)),
        "dst": str(IpAddress(header.dst)),
        "ttl": header.ttl,
        "proto": header.protocol,
        "len": header.total_length,
        "id": context.identification(header.identification),
        "tos": header.tos,
        "df": header.df,
        "mf": header.mf,
        "frag": header.offset,
        "csum": "ok" if checksum.verifies(octets[:length]) else "bad",
    }
    if length > ipv4.MIN_HEADER:
        ip["opts"] = octets[ipv4.MIN_HEADER : length].hex()
    is_whole = len(octets) >= header.total_length
    if quoted and not is_whole:
        ip["quoted"] = len(octets)
    tree: Tree = {"ip": ip}
    if header.offset:
        tree["data"] = _data(body)
        return tree
    is_whole = is_whole and not header.mf
    tree.update(_transport(header, body, context, is_whole=is_whole, quoted=quoted))
    return tree


def _transport(header: Ipv4, body: bytes, context: Context, *, is_whole: bool, quoted: bool) -> Tree:
    if header.protocol == ipv4.UDP and len(body) >= udp.HEADER_LENGTH:
        return _udp(header, body, context, is_whole=is_whole, quoted=quoted)
    if header.protocol == ipv4.TCP and len(body) >= tcp.MIN_HEADER:
        return _tcp(header, body, context, is_whole=is_whole, quoted=quoted)
    if header.protocol == ipv4.TCP and quoted and len(body) >= 8:
        return _cut_tcp(header, body, context)
    if header.protocol == ipv4.ICMP and len(body) >= icmp.HEADER_LENGTH:
        return _icmp(body, context, is_whole=is_whole, quoted=quoted)
    return {"data": _data(body)}


def _state(*, is_whole: bool, holds: bool) -> str:
    if not is_whole:
        return "partial"
    return "ok" if holds else "bad"


def _udp(header: Ipv4, body: bytes, context: Context, *, is_whole: bool, quoted: bool) -> Tree:
    found = Udp.parse(body)
    datagram = body[: found.length]
    state = "zero"
    if found.checksum:
        pseudo = checksum.pseudo_header(header.src, header.dst, ipv4.UDP, len(datagram))
        state = _state(is_whole=is_whole, holds=checksum.verifies(datagram, pseudo))
    is_tunnel = found.dport in VXLAN_PORTS
    tree: Tree = {
        "udp": {
            "sport": context.tunnels.of(found.sport) if is_tunnel else context.port(found.sport),
            "dport": found.dport if is_tunnel else context.port(found.dport),
            "len": found.length,
            "csum": state,
        }
    }
    payload = body[udp.HEADER_LENGTH : found.length]
    has_vni = len(payload) >= vxlan.HEADER_LENGTH and payload[0] & vxlan.FLAG_VNI
    if is_tunnel and is_whole and not quoted and has_vni:
        outer = Vxlan.parse(payload)
        tree["vxlan"] = {"flags": outer.flags, "vni": outer.vni}
        tree["inner"] = _ethernet(payload[vxlan.HEADER_LENGTH :], context)
    elif is_tunnel and not is_whole:
        tree["data"] = {"len": len(body) - udp.HEADER_LENGTH}  # it holds an inner identification
    else:
        tree["data"] = _data(body[udp.HEADER_LENGTH :] if quoted else payload)
    return tree


def _tcp(header: Ipv4, body: bytes, context: Context, *, is_whole: bool, quoted: bool) -> Tree:
    found = Tcp.parse(body)
    length = found.header_length
    sequences = context.sequences
    ends = (header.src, found.sport, header.dst, found.dport)
    back = (header.dst, found.dport, header.src, found.sport)
    is_first = not sequences.knows(ends) and sequences.find(found.seq, ends) is None
    if not quoted and (found.flags & tcp.SYN or (is_first and not found.flags & tcp.RST)):
        sequences.learn(ends, found.seq)
    segment: Tree = {
        "sport": context.port(found.sport),
        "dport": context.port(found.dport),
        "flags": "".join(letter for bit, letter in enumerate(_FLAGS) if found.flags >> bit & 1),
        "seq": sequences.text(found.seq, ends),
    }
    if found.flags & tcp.ACK:
        segment["ack"] = sequences.text(found.ack, back)
    elif found.ack:
        segment["ack"] = "set-without-flag"
    segment["win"] = found.window
    segment["opts"] = _tcp_options(body[tcp.MIN_HEADER : length])
    pseudo = checksum.pseudo_header(header.src, header.dst, ipv4.TCP, len(body))
    segment["csum"] = _state(is_whole=is_whole, holds=checksum.verifies(body, pseudo))
    return {"tcp": segment, "data": _data(body[length:])}


def _cut_tcp(header: Ipv4, body: bytes, context: Context) -> Tree:
    """Return the eight octets of a segment that an old router quotes."""
    sport, dport = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
    ends = (header.src, sport, header.dst, dport)
    number = context.sequences.find(int.from_bytes(body[4:8], "big"), ends)
    ports: Tree = {"sport": context.port(sport), "dport": context.port(dport)}
    return {"tcp": {**ports, "seq": "other" if number is None else number}}


def _tcp_options(octets: bytes) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(octets):
        kind = octets[at]
        if kind == 0:
            found.append("eol")
            break
        if kind == 1:
            found.append("nop")
            at += 1
            continue
        if at + 1 >= len(octets) or octets[at + 1] < 2:
            found.append("malformed")
            break
        found.append(_tcp_option(kind, octets[at + 2 : at + octets[at + 1]]))
        at += octets[at + 1]
    return found


def _tcp_option(kind: int, value: bytes) -> str:
    if kind == 2 and len(value) == 2:
        return f"mss={int.from_bytes(value, 'big')}"
    if kind == 3 and len(value) == 1:
        return f"wscale={value[0]}"
    if kind == 5:
        return f"sack{len(value) // 8}"
    return {4: "sackok", 8: "ts"}.get(kind, f"opt{kind}:{value.hex()}")


def _icmp(body: bytes, context: Context, *, is_whole: bool, quoted: bool) -> Tree:
    found = Icmp.parse(body)
    state = _state(is_whole=is_whole, holds=checksum.verifies(body))
    name = _ICMP_NAMES.get(found.type, f"type{found.type}")
    message: Tree = {"type": found.type, "code": found.code, "name": name, "csum": state}
    tree: Tree = {"icmp": message}
    rest = body[icmp.HEADER_LENGTH :]
    if found.type in (icmp.ECHO, icmp.ECHO_REPLY):
        message["id"], message["seq"] = context.port(found.word1), found.word2
        tree["data"] = _data(rest)
    elif found.type in icmp.ERRORS and not quoted:
        if (found.type, found.code) == (icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED):
            message["mtu"] = found.word2
        if found.type == icmp.REDIRECT:
            message["gw"] = str(IpAddress(body[4:8]))
        tree["quoted"] = _packet(rest, context, quoted=True)
    else:
        tree["data"] = _data(rest)
    return tree
