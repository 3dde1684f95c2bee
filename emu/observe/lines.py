# SPDX-License-Identifier: GPL-2.0-only
"""Frames as lines of text, the lines of `tcpdump -n` (4.99).

What Kubernetes networks carry is printed in tcpdump's words to the letter: ARP,
IPv4, IPv6, ICMP, TCP, UDP, SCTP, VXLAN, IP in IP, 802.1Q, DNS and the first
line of HTTP. A known difference: protocols that tcpdump knows besides (NTP,
SMTP, LLDP, ...) are printed here as the UDP, TCP or frame that carries them.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.observe.record import LINK_TYPE_RAW
from emu.observe.tcpdump import arp, dns, icmp, icmp6, sctp, tcp, vxlan
from emu.observe.tcpdump.hexdump import hexdump
from emu.observe.tcpdump.part import Cut, Part
from emu.wire import ethernet, ipv4, udp
from emu.wire import vxlan as vxlan_header
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from emu.observe.record import CapturedFrame

_ETHERTYPES: Final = {
    ethernet.IPV4: "IPv4",
    ethernet.ARP: "ARP",
    ethernet.IPV6: "IPv6",
    ethernet.VLAN: "802.1Q",
    0x88A8: "802.1Q-QinQ",
    0x88CC: "LLDP",
}
_TAGS: Final = (ethernet.VLAN, 0x88A8)
_MAX_802_3_LENGTH: Final = 1500

_IPV6_IN_IP, _IPV6_FRAGMENT, _NO_NEXT_HEADER = 41, 44, 59
_IPV6_HEADER: Final = 40
_MAX_HEADERS: Final = 32
_WITH_PORTS: Final = (ipv4.TCP, ipv4.UDP, sctp.PROTOCOL)


class _Packet(NamedTuple):
    """The IP packet that a payload is in; `split` is whether its addresses stand apart from its ports."""

    src: bytes
    dst: bytes
    fragmented: bool = False
    split: bool = False

    def ports(self, part: Part) -> str:
        """Return the end points of the payload `part`, whose ports are there."""
        sport, dport = part.number(0, 2), part.number(2, 2)
        if self.split:
            return f"{sport} > {dport}: "
        return f"{IpAddress(self.src)}.{sport} > {IpAddress(self.dst)}.{dport}: "

    def __str__(self) -> str:
        return f"{IpAddress(self.src)} > {IpAddress(self.dst)}: "


class LinePrinter:
    """Prints frames one after the other, as tcpdump does those of one file.

    It remembers TCP connections, so that their sequence numbers can be
    relative: print frames in their order, and each once.

    Args:
        link_header: print MAC addresses, ethertype and length, as `-e` does.
        nanoseconds: print nine digits of a second instead of six, as `--nano` does.
        vxlan_ports: UDP ports of VXLAN. tcpdump takes port 8472 for OTV, whose
            header is the same in other words, and so does this unless 8472 is
            among them.
    """

    def __init__(
        self,
        *,
        link_header: bool = False,
        nanoseconds: bool = False,
        vxlan_ports: Collection[int] = (vxlan.PORT,),
    ) -> None:
        self._link_header = link_header
        self._nanoseconds = nanoseconds
        self._vxlan_ports = vxlan_ports
        self._conversations = tcp.Conversations()
        self._headers = 0  # link and IP headers of the frame at hand so far

    def line(self, frame: CapturedFrame) -> str:
        """Return the time of day (UTC) and what `text` returns, without a newline at the end."""
        length = len(frame.octets) if frame.wire_length is None else frame.wire_length
        text = self.packet_text if frame.link_type == LINK_TYPE_RAW else self.text
        return f"{self._time_of_day(frame.time_ns)} {text(frame.octets, length)}"

    def text(self, octets: bytes, length: int | None = None) -> str:
        """Return what an Ethernet frame says.

        There is more than one line where a frame is inside another one, or is
        printed as hexadecimal because nobody understands it.

        Args:
            octets: the frame, or what was captured of it.
            length: octets it had on the cable; None: those that are there.
        """
        return self._told(self._ethernet, Part(octets, len(octets) if length is None else length, "ether"))

    def packet_text(self, octets: bytes, length: int | None = None) -> str:
        """Return what a packet without link header says, as `text` does."""
        return self._told(self._raw, Part(octets, len(octets) if length is None else length, "ip"))

    def _raw(self, part: Part) -> Iterator[str]:
        if self._link_header:
            yield "ip: "
        yield from self._ipv4(part)

    def _told(self, words: Callable[[Part], Iterator[str]], part: Part) -> str:
        pieces = []
        self._headers = 0
        try:
            for piece in words(part):
                pieces.append(piece)  # noqa: PERF402 - what came before a cut counts
        except Cut as cut:
            pieces.append(f" [|{cut.protocol}]")
        return "".join(pieces)

    def _time_of_day(self, time_ns: int) -> str:
        seconds, fraction = divmod(time_ns, 1_000_000_000)
        clock = f"{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{clock}.{fraction:09}" if self._nanoseconds else f"{clock}.{fraction // 1000:06}"

    def _enter(self, protocol: str) -> None:
        """Count a header, and raise `Cut` where there are more inside one another than anybody sends."""
        self._headers += 1
        if self._headers > _MAX_HEADERS:
            raise Cut(protocol)

    def _ethernet(self, part: Part) -> Iterator[str]:
        self._enter(part.protocol)
        header = part.take(0, ethernet.HEADER_LENGTH)
        ethertype, at = int.from_bytes(header[12:], "big"), ethernet.HEADER_LENGTH
        tagged = part._replace(protocol="vlan")
        if self._link_header:
            yield _addresses(header)
            if ethertype in _TAGS:
                tagged.take(at, 4)
            yield _announcement(ethertype, part.length)
        while ethertype in _TAGS:
            tag, ethertype = struct.unpack("!HH", tagged.take(at, 4))
            at += 4
            if self._link_header:
                yield f"vlan {tag & 0xFFF}, p {tag >> 13}, {'DEI, ' if tag & 0x1000 else ''}"
                yield f"ethertype {_ETHERTYPES.get(ethertype, 'Unknown')} (0x{ethertype:04x}), "
        match ethertype:
            case ethernet.IPV4:
                yield from self._ipv4(part.after(at, "ip"))
            case ethernet.IPV6:
                yield from self._ipv6(part.after(at, "ip6"))
            case ethernet.ARP:
                words = arp.words(part.after(at, "arp"))
                first = next(words)
                yield first if self._link_header else f"ARP, {first}"
                yield from words
            case _:
                if not self._link_header:
                    yield _addresses(header) + _announcement(ethertype, part.length)
                yield hexdump(part.octets[at:])

    def _ipv4(self, part: Part) -> Iterator[str]:
        self._enter(part.protocol)
        version = part.number(0, 1) >> 4
        if version != 4:
            yield "IP6, wrong link-layer encapsulation" if version == 6 else f"IP{version}"
            yield " (invalid)"
            return
        if not self._link_header:
            yield "IP "
        header = ipv4.Ipv4.parse(part.take(0, ipv4.MIN_HEADER))
        header_length, total_length = header.header_length, header.total_length
        if header_length < ipv4.MIN_HEADER:
            yield f"bad-hlen {header_length}"
            return
        if total_length > part.length:
            yield f"truncated-ip - {total_length - part.length} bytes missing! "
        if total_length < header_length:
            yield f"bad-len {total_length}"
            return
        packet = _Packet(header.src, header.dst, header.mf)
        if header.offset:
            yield f"{packet}ip-proto-{header.protocol}"
            return
        if header.protocol not in _WITH_PORTS:
            yield str(packet)
        whole = part.within(total_length)
        if len(whole.octets) < header_length:
            yield f" [remaining caplen({len(whole.octets)}) < header length({header_length})]"
            raise Cut(part.protocol)
        yield from self._payload(whole.after(header_length, ""), header.protocol, packet)

    def _ipv6(self, part: Part) -> Iterator[str]:
        self._enter(part.protocol)
        version = part.number(0, 1) >> 4
        header = part.take(0, _IPV6_HEADER)
        if not self._link_header:
            yield "IP6 "
        if version != 6:
            yield f"version error: {version} != 6"
            return
        length = _IPV6_HEADER + int.from_bytes(header[4:6], "big")
        if length > part.length:
            yield f"truncated-ip6 - {length - part.length} bytes missing!"
        protocol = header[6]
        packet = _Packet(header[8:24], header[24:40])
        if protocol not in _WITH_PORTS:
            yield str(packet)
        payload = part.within(length).after(_IPV6_HEADER, "frag6")
        if protocol == _IPV6_FRAGMENT:  # RFC 8200 §4.5
            protocol, offset = payload.number(0, 1), payload.number(2, 2) & 0xFFF8
            yield f"frag ({offset}|{payload.length - 8})"
            if offset:
                return
            yield " "
            packet = packet._replace(fragmented=True, split=True)
            payload = payload.after(8, "")
        yield from self._payload(payload, protocol, packet)

    def _payload(self, part: Part, protocol: int, packet: _Packet) -> Iterator[str]:
        """Yield what an IP packet carries, with the ports if it has such."""
        family = 4 if len(packet.src) == 4 else 6
        match protocol:
            case ipv4.TCP | ipv4.UDP | sctp.PROTOCOL:
                yield from self._transport(part, protocol, packet)
            case ipv4.ICMP if family == 6:
                yield "[ICMP requires IPv4] (invalid)"
            case ipv4.ICMP:
                yield from icmp.words(part._replace(protocol="icmp"))
            case icmp6.PROTOCOL if family == 4:
                yield "[ICMPv6 requires IPv6] (invalid)"
            case icmp6.PROTOCOL:
                yield from icmp6.words(part._replace(protocol="icmp6"))
            case ipv4.IPIP:
                yield from self._ipv4(part._replace(protocol="ip"))
            case _ if protocol == _IPV6_IN_IP:
                yield from self._ipv6(part._replace(protocol="ip6"))
            case _ if protocol == _NO_NEXT_HEADER:
                yield "no next header"
            case _:
                yield f" ip-proto-{protocol} {part.length}"

    def _transport(self, part: Part, protocol: int, packet: _Packet) -> Iterator[str]:
        match protocol:
            case ipv4.TCP if len(part.octets) < 4:
                yield f"{packet}[|tcp]"
            case ipv4.TCP:
                yield packet.ports(part)
                segment = part._replace(protocol="tcp")
                yield from tcp.words(segment, packet.src, packet.dst, self._conversations)
            case ipv4.UDP if len(part.octets) < 4:
                yield str(packet)
                raise Cut("udp")
            case ipv4.UDP:
                yield packet.ports(part)
                yield from self._udp(part._replace(protocol="udp"), packet)
            case _ if part.length < sctp.HEADER_LENGTH:
                yield f"truncated-sctp - {sctp.HEADER_LENGTH - part.length} bytes missing!"
            case _:
                chunks = part._replace(protocol="sctp")
                chunks.take(0, sctp.HEADER_LENGTH)
                yield packet.ports(part)
                yield from sctp.words(chunks)

    def _udp(self, part: Part, packet: _Packet) -> Iterator[str]:
        """Yield what a datagram says behind its ports."""
        header = udp.Udp.parse(part.take(0, udp.HEADER_LENGTH))
        if header.length < udp.HEADER_LENGTH:
            yield f"truncated-udplength {header.length}"
            return
        size, there = header.length - udp.HEADER_LENGTH, part.length - udp.HEADER_LENGTH
        payload = part.within(min(header.length, part.length)).after(udp.HEADER_LENGTH, "")
        ports = {header.sport, header.dport}
        if dns.PORT in ports:
            yield from dns.words(payload._replace(protocol="domain"))
        elif dns.MULTICAST_PORT in ports:
            yield from dns.words(payload._replace(protocol="domain"), multicast=True)
        elif not ports.isdisjoint(self._vxlan_ports):
            yield from self._tunnel(vxlan.words(payload._replace(protocol="vxlan")), payload)
        elif vxlan.OTV_PORT in ports:
            yield from self._tunnel(vxlan.words_as_otv(payload._replace(protocol="otv")), payload)
        elif size > there and not packet.fragmented:
            yield f"UDP, bad length {size} > {there}"
        else:
            yield f"UDP, length {size}"

    def _tunnel(self, header: Iterator[str], payload: Part) -> Iterator[str]:
        yield from header
        if payload.length >= vxlan_header.HEADER_LENGTH:
            yield from self._ethernet(payload.after(vxlan_header.HEADER_LENGTH, "ether"))


def _addresses(header: bytes) -> str:
    """Return who sent a frame to whom, given its first 12 octets or more."""
    return f"{header[6:12].hex(':')} > {header[:6].hex(':')}, "


def _announcement(ethertype: int, length: int) -> str:
    """Return what a frame of `length` octets on the cable says to carry."""
    if ethertype <= _MAX_802_3_LENGTH:
        return f"802.3, length {ethertype}: "
    return f"ethertype {_ETHERTYPES.get(ethertype, 'Unknown')} (0x{ethertype:04x}), length {length}: "
