# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import datetime as dt
import re
import struct
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.observe.lines import LinePrinter
from emu.observe.pcap import read_pcap
from emu.observe.record import CapturedFrame
from emu.wire import icmp, ipv4, tcp, udp, vxlan
from emu.wire.addresses import IpAddress
from emu.wire.vxlan import Vni

RECORDED = Path(__file__).parent / "tcpdump"

MACS = bytes.fromhex("020000000002 020000000001")
CLIENT, SERVER = IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.1.2")


class Options(TypedDict, total=False):
    """What a printer can be told."""

    link_header: bool
    nanoseconds: bool


def frame(packet: bytes, ethertype: int = 0x0800) -> bytes:
    """Return an Ethernet frame of `packet`."""
    return MACS + ethertype.to_bytes(2, "big") + packet


def segment(src: IpAddress, dst: IpAddress, seq: int, ack: int, flags: int, payload: bytes = b"") -> bytes:
    """Return a frame with a TCP segment from port 4000 of the client or port 9000 of the server."""
    sport, dport = (4000, 9000) if src == CLIENT else (9000, 4000)
    octets = tcp.build(src, dst, sport, dport, seq=seq, ack=ack, flags=flags, window=512, payload=payload)
    return frame(ipv4.build(ipv4.TCP, src, dst, octets))


def datagram(dport: int, payload: bytes) -> bytes:
    """Return a frame with a UDP datagram from port 4000 of the client."""
    return frame(ipv4.build(ipv4.UDP, CLIENT, SERVER, udp.build(CLIENT, SERVER, 4000, dport, payload)))


def dns_messages() -> st.SearchStrategy[bytes]:
    """Queries and answers with any octets in names and pointers to anywhere; shrinks to `A? .`."""
    labels = st.binary(min_size=1, max_size=6).map(lambda label: bytes((len(label),)) + label)
    ends = st.just(b"\0") | st.integers(0, 40).map(lambda target: bytes((0xC0, target)))
    names = st.tuples(st.lists(labels, max_size=3).map(b"".join), ends).map(b"".join)
    queries = names.map(lambda name: b"\0\7\1\0\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1")
    kinds = st.sampled_from([1, 5, 15, 16, 28, 33, 41]) | st.integers(0, 0xFFFF)

    def answer(name: bytes, kind: int, data: bytes) -> bytes:
        record = name + struct.pack("!HHIH", kind, 1, 5, len(data)) + data
        return b"\0\7\x81\x80\0\0\0\1\0\0\0\0" + record

    return queries | st.builds(answer, names, kinds, names | st.binary(max_size=20))


def http_messages() -> st.SearchStrategy[bytes]:
    """Payloads that begin like HTTP; shrinks to a bare method."""
    rests = st.text(st.characters(max_codepoint=255), max_size=10).map(lambda text: text.encode("latin-1"))
    starts = st.sampled_from([b"GET", b"GET ", b"HTTP/1.1 200 ", b"hello"])
    return st.tuples(starts, rests, st.sampled_from([b"", b"\r\n", b"\n", b"\r"])).map(b"".join)


def request(port: int, payload: bytes) -> bytes:
    """Return a frame with a TCP segment from port 4000 of the client."""
    octets = tcp.build(CLIENT, SERVER, 4000, port, seq=1, ack=1, flags=24, window=1, payload=payload)
    return frame(ipv4.build(ipv4.TCP, CLIENT, SERVER, octets))


def frames() -> st.SearchStrategy[bytes]:
    """Any octets, most of them behind headers that lead deep into the printer."""
    octets = st.binary(max_size=80)
    ethertypes = st.sampled_from([0x0800, 0x0806, 0x8100, 0x86DD]) | st.integers(0, 0xFFFF)
    protocols = st.sampled_from([1, 4, 6, 17, 41, 44, 58, 132]) | st.integers(0, 255)
    ports = st.sampled_from([4789, 5353, 8472]) | st.integers(0, 0xFFFF)

    def packet(protocol: int, payload: bytes) -> bytes:
        return frame(ipv4.build(protocol, CLIENT, SERVER, payload))

    def packet6(protocol: int, payload: bytes) -> bytes:
        head = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
        return frame(head + bytes(32) + payload, 0x86DD)

    return st.one_of(
        octets,
        st.builds(frame, octets, ethertypes),
        st.builds(packet, protocols, octets),
        st.builds(packet6, protocols, octets),
        st.builds(datagram, ports, octets),
        st.builds(request, st.just(53), octets),
    )


@pytest.mark.parametrize(
    ("recording", "options"),
    [
        ("plain.txt", Options()),
        ("e.txt", Options(link_header=True)),
        ("nano.txt", Options(nanoseconds=True)),
    ],
)
def test_lines_are_those_of_tcpdump(recording: str, options: Options) -> None:
    """Every line is to the letter what tcpdump printed of the same file."""
    printer = LinePrinter(**options)
    with (RECORDED / "frames.pcap").open("rb") as stream:
        lines = [printer.line(captured) for captured in read_pcap(stream)]
    wanted = (RECORDED / recording).read_text(encoding="ascii")
    assert "\n".join(lines).split("\n") == wanted.removesuffix("\n").split("\n")


class TestAnyFrame:
    """Whatever is on a cable can be printed."""

    @given(octets=frames(), link_header=st.booleans(), data=st.data())
    def test_any_frame_is_printed_in_printable_ascii(
        self, octets: bytes, *, link_header: bool, data: st.DataObject
    ) -> None:
        """Nothing is raised, and no octet of a frame reaches the terminal as a control character."""
        missing = data.draw(st.integers(0, 2) | st.integers(0, 100))
        text = LinePrinter(link_header=link_header).text(octets, len(octets) + missing)
        assert re.fullmatch(r"[\t\n -~]*", text)

    @given(message=dns_messages(), multicast=st.booleans())
    def test_any_dns_message_is_printed_in_printable_ascii(self, message: bytes, *, multicast: bool) -> None:
        """Names are what a stranger made them, and pointers never lead in circles."""
        text = LinePrinter().text(datagram(5353 if multicast else 53, message))
        assert re.fullmatch(r"[ -~]*", text)

    @given(message=http_messages())
    def test_any_http_message_is_printed_in_printable_ascii(self, message: bytes) -> None:
        """The first line is printed where it is text and only then."""
        text = LinePrinter().text(request(80, message))
        assert re.fullmatch(r"[\t -~]*", text)
        assert ": HTTP" in text

    @given(octets=frames(), data=st.data())
    def test_frame_cut_short_is_printed_as_far_as_it_goes(self, octets: bytes, data: st.DataObject) -> None:
        """What was not captured is missing from the line, and the lengths are those of the whole frame."""
        kept = data.draw(st.integers(0, len(octets)))
        text = LinePrinter(link_header=True).text(octets[:kept], len(octets))
        if kept < 14:
            assert text == " [|ether]"
        else:
            whole = LinePrinter(link_header=True).text(octets)
            assert text.split(", ", 1)[0] == whole.split(", ", 1)[0]

    def test_headers_without_end_are_cut(self) -> None:
        """Packets inside packets are followed some way, not until the stack is full."""
        packet = b""
        for _ in range(3000):
            packet = ipv4.build(ipv4.IPIP, CLIENT, SERVER, packet)
        text = LinePrinter().text(frame(packet))
        assert text.count("10.0.0.1 > 10.0.1.2: ") == 31
        assert text.endswith(" [|ip]")


class TestTime:
    """The time of day in front of a line."""

    @given(time_ns=st.integers(0, 2**63))
    def test_time_of_day_is_that_of_utc(self, time_ns: int) -> None:
        """Hours to microseconds are those of the calendar, wherever the machine is."""
        shown = LinePrinter().line(CapturedFrame(time_ns, 0, b"")).split(" ")[0]
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        moment = epoch + dt.timedelta(microseconds=time_ns // 1000)
        assert shown == moment.strftime("%H:%M:%S.%f")

    @given(time_ns=st.integers(0, 2**63))
    def test_nanoseconds_are_the_same_time_with_more_digits(self, time_ns: int) -> None:
        """Six digits are the first six of nine."""
        captured = CapturedFrame(time_ns, 0, b"")
        short, long = LinePrinter().line(captured), LinePrinter(nanoseconds=True).line(captured)
        assert short == long[:15] + long[18:]
        assert int(long[9:18]) == time_ns % 10**9


class TestTcp:
    """Sequence numbers that people can follow."""

    @given(
        client=st.integers(0, 2**32 - 1),
        server=st.integers(0, 2**32 - 1),
        sizes=st.lists(st.tuples(st.booleans(), st.integers(1, 100)), max_size=10),
    )
    def test_numbers_count_octets_since_the_handshake(
        self, client: int, server: int, sizes: list[tuple[bool, int]]
    ) -> None:
        """Both directions count from 1, whatever the initial numbers and however often they wrap."""
        printer = LinePrinter()
        printer.text(segment(CLIENT, SERVER, client, 0, tcp.SYN))
        opening = segment(SERVER, CLIENT, server, (client + 1) % 2**32, tcp.SYN | tcp.ACK)
        assert f", seq {server}, ack {(client + 1) % 2**32}," in printer.text(opening)
        sent = {True: 1, False: 1}
        origin = {True: client, False: server}
        for from_client, size in sizes:
            src, dst = (CLIENT, SERVER) if from_client else (SERVER, CLIENT)
            seq = (origin[from_client] + sent[from_client]) % 2**32
            ack = (origin[not from_client] + sent[not from_client]) % 2**32
            text = printer.text(segment(src, dst, seq, ack, tcp.ACK, bytes(size)))
            begin, end = sent[from_client], sent[from_client] + size
            assert f", seq {begin}:{end}, ack {sent[not from_client]}," in text
            sent[from_client] = end

    def test_new_connection_of_the_same_ports_counts_anew(self) -> None:
        """A handshake forgets the numbers of an older connection."""
        printer = LinePrinter()
        for server in (1000, 70000):
            printer.text(segment(SERVER, CLIENT, server, 500, tcp.SYN | tcp.ACK))
            assert ", ack 1," in printer.text(segment(CLIENT, SERVER, 500, server + 1, tcp.ACK))

    def test_sack_edges_are_relative_too(self) -> None:
        """The edges of SACK blocks count like the numbers they are about."""
        printer = LinePrinter()
        printer.text(segment(SERVER, CLIENT, 1000, 500, tcp.SYN | tcp.ACK))
        options = tcp.TcpOptions(sack=((1101, 1201),)).build()
        octets = tcp.build(
            CLIENT, SERVER, 4000, 9000, seq=500, ack=1001, flags=tcp.ACK, window=512, options=options
        )
        text = printer.text(frame(ipv4.build(ipv4.TCP, CLIENT, SERVER, octets)))
        assert "options [nop,nop,sack 1 {101:201}]" in text


class TestTunnels:
    """Frames inside frames."""

    def test_vxlan_at_the_port_of_linux_is_called_otv_unless_told(self) -> None:
        """Port 8472 is OTV's to tcpdump; who knows better can say so."""
        inner = datagram(9000, b"hello")
        outer = datagram(8472, vxlan.build(Vni(1), inner))
        body = "IP 10.0.0.1.4000 > 10.0.1.2.9000: UDP, length 5"
        head = "IP 10.0.0.1.4000 > 10.0.1.2.8472: "
        as_otv = LinePrinter().text(outer)
        assert as_otv == f"{head}OTV, flags [I] (0x08), overlay 0, instance 1\n{body}"
        as_vxlan = LinePrinter(vxlan_ports=(4789, 8472)).text(outer)
        assert as_vxlan == f"{head}VXLAN, flags [I] (0x08), vni 1\n{body}"


@given(octets=st.binary(max_size=28), kind=st.sampled_from(sorted(icmp.ERRORS)), code=st.integers(0, 20))
def test_icmp_error_about_a_broken_packet_is_printed(octets: bytes, kind: int, code: int) -> None:
    """An error may quote anything, whole or not."""
    message = icmp.build(kind, code, octets)
    text = LinePrinter().text(frame(ipv4.build(ipv4.ICMP, SERVER, CLIENT, message)))
    assert re.fullmatch(r"IP 10\.0\.1\.2 > 10\.0\.0\.1: (ICMP .*, length [0-9]+| \[\|icmp\])", text)
