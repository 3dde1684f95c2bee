# SPDX-License-Identifier: GPL-2.0-only
"""Between whom a packet travels, read from its octets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.errors import HeaderError
from emu.wire import ethernet, icmp, udp, vxlan
from emu.wire.addresses import IpAddress
from emu.wire.arp import Arp
from emu.wire.icmp import Icmp
from emu.wire.ipv4 import ICMP, IPIP, MIN_HEADER, SCTP, TCP, UDP, Ipv4
from emu.wire.udp import Udp

if TYPE_CHECKING:
    from emu.observe.recording import Step

_IPV4: Final = ethernet.IPV4.to_bytes(2, "big")
_ARP: Final = ethernet.ARP.to_bytes(2, "big")
_COMPLAINTS: Final = icmp.ERRORS - {icmp.REDIRECT, icmp.SOURCE_QUENCH}
_WITH_PORTS: Final = frozenset((TCP, UDP, SCTP))
_PROTOCOL_AT: Final = 9  # in the header of IPv4


class FiveTuple(NamedTuple):
    """Protocol, addresses and ports.

    An ICMP echo has its identifier for one port and its type for the other, so
    that the reverse of a request's tuple is that of its reply. Other messages
    and protocols have the ports 0.
    """

    protocol: int
    src: IpAddress
    sport: int
    dst: IpAddress
    dport: int

    @property
    def reverse(self) -> FiveTuple:
        """The tuple of what answers."""
        return FiveTuple(self.protocol, self.dst, self.dport, self.src, self.sport)

    @property
    def has_ports(self) -> bool:
        """Whether the protocol has ports."""
        return self.protocol in _WITH_PORTS

    def __str__(self) -> str:
        if self.has_ports:
            return f"{self.src}:{self.sport} > {self.dst}:{self.dport}"
        return f"{self.src} > {self.dst}"


def packet_of(step: Step) -> bytes:
    """Return the IPv4 packet that `step` is about, nothing if it is about something else."""
    packet = step.octets
    if step.framed:
        packet = packet[ethernet.HEADER_LENGTH :] if packet[12:14] == _IPV4 else b""
    return packet if packet[:1] and packet[0] >> 4 == 4 else b""


def arp_of(step: Step) -> Arp | None:
    """Return the ARP packet that `step` is about, None if it is about something else."""
    if not step.framed or step.octets[12:14] != _ARP:
        return None
    try:
        return Arp.parse(step.octets[ethernet.HEADER_LENGTH :])
    except HeaderError:
        return None


def read(packet: bytes) -> FiveTuple | None:
    """Return the tuple of an IPv4 packet, None where a header is missing (as in a later fragment)."""
    try:
        header = Ipv4.parse(packet)
        payload = packet[max(header.header_length, MIN_HEADER) :]
        if header.offset:
            return None
        sport, dport = _ports(header.protocol, payload)
    except HeaderError:
        return None
    return FiveTuple(header.protocol, IpAddress(header.src), sport, IpAddress(header.dst), dport)


def _ports(protocol: int, payload: bytes) -> tuple[int, int]:
    if protocol in _WITH_PORTS:
        ports = Udp.parse(payload)  # TCP and SCTP begin with their ports, too
        return ports.sport, ports.dport
    if protocol == ICMP:
        message = Icmp.parse(payload)
        if message.type == icmp.ECHO:
            return message.word1, icmp.ECHO
        if message.type == icmp.ECHO_REPLY:
            return icmp.ECHO, message.word1
    return 0, 0


def read_quoted(packet: bytes) -> FiveTuple | None:
    """Return the tuple of the packet that an ICMP error ends, None for all other packets.

    A redirect quotes a packet, too, but that one goes on.
    """
    try:
        header = Ipv4.parse(packet)
        message = packet[header.header_length :]
        if header.protocol != ICMP or Icmp.parse(message).type not in _COMPLAINTS:
            return None
    except HeaderError:
        return None
    return read(message[icmp.HEADER_LENGTH :])


def carried(packet: bytes) -> bytes:
    """Return the IPv4 packet inside a packet of VXLAN or IPIP, nothing if there is none."""
    try:
        header = Ipv4.parse(packet)
        datagram = packet[header.header_length :]
        if header.protocol == IPIP and not header.offset:
            return datagram
        if header.protocol != UDP or header.offset:
            return b""
        tunnel = vxlan.Vxlan.parse(datagram[udp.HEADER_LENGTH :])
    except HeaderError:
        return b""
    frame = datagram[udp.HEADER_LENGTH + vxlan.HEADER_LENGTH :]
    is_carrier = tunnel.flags == vxlan.FLAG_VNI and frame[12:14] == _IPV4
    return frame[ethernet.HEADER_LENGTH :] if is_carrier else b""


def request_tuple(protocol: str, dst: IpAddress, port: int) -> tuple[int, IpAddress, int]:
    """Return protocol, destination and destination port in the tuple of a question.

    Args:
        protocol: `TCP`, `UDP`, `SCTP` or `ICMP`.
        dst: whom it asks.
        port: the destination port; of ICMP it does not count.
    """
    number = {"TCP": TCP, "UDP": UDP, "SCTP": SCTP, "ICMP": ICMP}[protocol]
    return number, dst, icmp.ECHO if number == ICMP else port


def is_unreachable(packet: bytes) -> bool:
    """Return whether an IPv4 packet is an ICMP *destination unreachable*."""
    try:
        header = Ipv4.parse(packet)
        return header.protocol == ICMP and Icmp.parse(packet[header.header_length :]).type == icmp.UNREACHABLE
    except HeaderError:
        return False


def repeats(first: Step, other: Step) -> bool:
    """Return whether a packet says again what an earlier one between the same two ports said.

    A resolver sends two questions from one port: of datagrams it is what they carry that counts.
    """
    one, two = packet_of(first), packet_of(other)
    return one[_PROTOCOL_AT] != UDP or one[(one[0] & 15) * 4 :] == two[(two[0] & 15) * 4 :]
