# SPDX-License-Identifier: GPL-2.0-only
"""ICMP errors about packets of balanced connections.

An error quotes the packet that it is about, as whoever sends it has seen that.

Source: ip_vs_core.c `ip_vs_in_icmp`, `ip_vs_out_icmp`, `ip_vs_nat_icmp`, ip_vs_xmit.c `ip_vs_icmp_xmit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.facts import Unbalanced
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.ipvs import transmit
from emu.kernel.netfilter.ipvs.connection import Ends
from emu.kernel.netfilter.ipvs.states import Way
from emu.kernel.netfilter.ipvs.virtual import PROTOCOLS
from emu.kernel.netfilter.verdict import Verdict
from emu.wire import checksum
from emu.wire.addresses import IpAddress
from emu.wire.icmp import HEADER_LENGTH, TIME_EXCEEDED, UNREACHABLE
from emu.wire.ipv4 import ICMP, MIN_HEADER, OFFSET_MASK

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.netfilter.ipvs.connection import Connection
    from emu.kernel.netfilter.packet import Packet

_ACCEPT: Final = Verdict.ACCEPT
_DROP: Final = Verdict.DROP
_STOLEN: Final = Verdict.STOLEN
_SOURCE_QUENCH: Final = 4
_ERRORS: Final = (UNREACHABLE, _SOURCE_QUENCH, TIME_EXCEEDED)
_PORTS: Final = 4


def forwarded(packet: Packet) -> Verdict:
    """Take a client's error that is passed on. Source: `ip_vs_forward_icmp`."""
    is_error = packet.skb.header.protocol == ICMP and not packet.skb.is_balanced
    return from_client(packet) if is_error else _ACCEPT


def from_client(packet: Packet) -> Verdict:
    """Send an error about an answer on to the destination that answered."""
    ipvs = packet.net.netfilter.ipvs
    connection = _concerned(packet, ipvs.connections.find)
    if isinstance(connection, Verdict):
        return connection
    ipvs.count(connection, len(packet.skb.packet), Way.IN)
    decision = transmit.route(packet, connection, may_be_local=packet.hook is not Hook.FORWARD)
    if decision is None:
        return _STOLEN
    _rewrite(packet, bytes(connection.destination.address), connection.port, to_destination=True)
    return transmit.send_or_continue(packet, connection, decision)


def from_destination(packet: Packet) -> Verdict:
    """Have an error about a client's packet come from the virtual service that the client has addressed."""
    net, skb = packet.net, packet.skb
    ipvs = net.netfilter.ipvs
    connection = _concerned(packet, ipvs.connections.find_answer)
    if isinstance(connection, Verdict):
        return connection
    _rewrite(packet, connection.ends.dst, connection.ends.dport, to_destination=False)
    if not transmit.reroute(packet):
        return _DROP
    ipvs.count(connection, len(skb.packet), Way.OUT)
    skb.is_balanced = True
    transmit.follow(skb, connection, to_destination=False)
    if net.recorder is not None:
        net.note(skb, "ipvs", f"an error about {_named(connection)}")
    return _ACCEPT


def _concerned(packet: Packet, find: Callable[[Ends], Connection | None]) -> Connection | Verdict:
    """Return the connection that an error is about, else what is to happen to the packet."""
    quoted = _quoted(packet)
    connection = None if quoted is None else find(quoted.reverse())
    if connection is None:
        return _ACCEPT
    if not checksum.verifies(packet.skb.payload):
        packet.because = Unbalanced("IPVS: wrong ICMP checksum")
        return _DROP
    return connection


def _named(connection: Connection) -> str:
    ends = connection.ends
    return f"{IpAddress(ends.src)}:{ends.sport} > {IpAddress(ends.dst)}:{ends.dport}"


def _quoted(packet: Packet) -> Ends | None:
    """Return the ends of the packet that an error quotes; None if it is no error about such a packet."""
    message = packet.skb.payload
    inner = message[HEADER_LENGTH:]
    if len(message) < HEADER_LENGTH or message[0] not in _ERRORS or len(inner) < MIN_HEADER:
        return None
    protocol, at = inner[9], (inner[0] & 15) * 4
    is_later = int.from_bytes(inner[6:8], "big") & OFFSET_MASK
    if protocol not in PROTOCOLS or is_later or len(inner) < at + _PORTS:
        return None
    sport, dport = inner[at] << 8 | inner[at + 1], inner[at + 2] << 8 | inner[at + 3]
    return Ends(protocol, inner[12:16], sport, inner[16:20], dport)


def _rewrite(packet: Packet, address: bytes, port: int, *, to_destination: bool) -> None:
    """Change the error's own address and, the other way round, the quoted packet's.

    A checksum in the quoted packet's transport header stays what it was.
    """
    skb = packet.skb
    message = skb.payload
    inner = bytearray(message[HEADER_LENGTH:])
    at = (inner[0] & 15) * 4
    place, port_at = (12, at) if to_destination else (16, at + 2)
    inner[place : place + 4], inner[port_at : port_at + 2] = address, port.to_bytes(2, "big")
    inner[10:12] = b"\0\0"
    inner[10:12] = checksum.checksum(bytes(inner[:at])).to_bytes(2, "big")
    body = message[:2] + b"\0\0" + message[4:HEADER_LENGTH] + bytes(inner)
    total = checksum.checksum(body).to_bytes(2, "big")
    skb.replace(skb.packet[: skb.header.header_length] + body[:2] + total + body[4:])
    skb.translate(address, 0, is_source=not to_destination)
