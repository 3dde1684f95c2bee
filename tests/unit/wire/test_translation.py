# SPDX-License-Identifier: GPL-2.0-only
"""A packet with another end: its octets are those of a packet that was made with that end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.sctp import SCTP, SCTPChunkInit
from scapy.packet import Packet, Raw

from emu.testing.checks import sums_up
from emu.testing.strategies import ip_addresses, ip_options
from emu.wire import icmp, ipv4, tcp, udp
from emu.wire.addresses import IpAddress
from emu.wire.crc32c import sctp_checksum
from emu.wire.ipv4 import Ipv4
from emu.wire.translation import translated

U16 = st.integers(0, 0xFFFF)
PAYLOADS = st.binary(max_size=60)
A, B, C = (IpAddress(bytes((10, 0, 0, number))) for number in (1, 2, 3))
UDP_LITE, DCCP = 136, 33


def layers(kind: str, sport: int, dport: int, payload: bytes) -> Packet:
    """Return what Scapy makes of a transport; of an echo, `sport` is the identifier."""
    match kind:
        case "TCP":
            return TCP(sport=sport, dport=dport, seq=7, ack=8, flags="PA") / Raw(payload)
        case "UDP":
            return UDP(sport=sport, dport=dport) / Raw(payload)
        case "SCTP":
            return SCTP(sport=sport, dport=dport, tag=9) / SCTPChunkInit(init_tag=10)
        case _:
            return ICMP(type=8, id=sport, seq=3) / Raw(payload)


@given(
    kind=st.sampled_from(("TCP", "UDP", "SCTP", "ICMP")),
    ends=st.tuples(ip_addresses(), ip_addresses(), ip_addresses()),
    ports=st.tuples(U16, U16, U16),
    payload=PAYLOADS,
    is_source=st.booleans(),
)
def test_translation_makes_the_packet_that_scapy_makes(
    kind: str,
    ends: tuple[IpAddress, IpAddress, IpAddress],
    ports: tuple[int, int, int],
    payload: bytes,
    *,
    is_source: bool,
) -> None:
    """Every octet is that of a packet built with the new end, all checksums among them.

    Caught, planted: the pseudo header's part left out of TCP's checksum; the
    identifier of an echo changed without its checksum.
    """
    src, dst, new = ends
    sport, dport, new_port = ports

    def built(src: IpAddress, dst: IpAddress, sport: int, dport: int) -> bytes:
        return bytes(IP(src=str(src), dst=str(dst), id=5) / layers(kind, sport, dport, payload))

    changed = translated(built(src, dst, sport, dport), new, new_port, is_source=is_source)
    if kind == "ICMP":  # an identifier belongs to both ends
        assert changed == built(*((new, dst) if is_source else (src, new)), new_port, dport)
    elif is_source:
        assert changed == built(new, dst, new_port, dport)
    else:
        assert changed == built(src, new, sport, new_port)


@given(ip_options(), U16, PAYLOADS)
def test_options_are_stepped_over(options: bytes, port: int, payload: bytes) -> None:
    """The ports stand behind them, and they stay."""
    packet = ipv4.build(17, A, B, udp.build(A, B, 1, 2, payload), options=options)
    wanted = ipv4.build(17, A, C, udp.build(A, C, 1, port, payload), options=options)
    assert translated(packet, C, port, is_source=False) == wanted


def test_a_datagram_without_checksum_gets_none() -> None:
    """Nought means that there is none (RFC 768)."""
    packet = ipv4.build(17, A, B, udp.build(A, B, 1, 2, b"x", with_checksum=False))
    wanted = ipv4.build(17, C, B, udp.build(C, B, 9, 2, b"x", with_checksum=False))
    assert translated(packet, C, 9, is_source=True) == wanted


def test_a_checksum_that_becomes_nought_is_written_as_all_ones() -> None:
    """Of all ports one makes the sum so: it is not taken for a datagram without checksum."""
    packet = ipv4.build(17, A, B, udp.build(A, B, 1, 2, b""))
    sums: dict[bytes, int] = {}
    for port in range(0x10000):
        changed = translated(packet, B, port, is_source=True)
        assert changed is not None
        sums.setdefault(changed[26:28], port)
    assert b"\0\0" not in sums
    assert len(sums) == 0xFFFF
    fresh = ipv4.build(17, B, B, udp.build(B, B, sums[b"\xff\xff"], 2, b""))
    assert translated(packet, B, sums[b"\xff\xff"], is_source=True) == fresh


@pytest.mark.parametrize("protocol", [UDP_LITE, DCCP])
def test_udp_lite_and_dccp_have_their_sum_where_udp_has_it(protocol: int) -> None:
    """What summed up with its pseudo header still does."""

    def transport(src: IpAddress, sport: int) -> bytes:
        body = sport.to_bytes(2, "big") + b"\0\2\0\x10\0\0" + bytes(range(8))
        pseudo = bytes(src) + bytes(B) + bytes((0, protocol, 0, len(body)))
        total = sum(int.from_bytes((pseudo + body)[at : at + 2], "big") for at in range(0, 28, 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return body[:6] + (total ^ 0xFFFF).to_bytes(2, "big") + body[8:]

    packet = ipv4.build(protocol, A, B, transport(A, 1))
    changed = translated(packet, C, 700, is_source=True)
    assert changed == ipv4.build(protocol, C, B, transport(C, 700))
    assert sums_up(changed[12:20] + bytes((0, protocol, 0, 16)) + changed[20:])


def test_a_wrong_checksum_stays_wrong() -> None:
    """It is updated, so damage stays visible; only SCTP's is made anew, as in Linux."""
    segment = tcp.build(A, B, 1, 2, seq=1, ack=1, flags=16, window=1, payload=b"data")
    packet = ipv4.build(6, A, B, segment[:-1] + b"X")
    changed = translated(packet, C, 9, is_source=True)
    assert changed is not None
    assert not sums_up(changed[12:20] + b"\0\6\0\x18" + changed[20:])
    broken = ipv4.build(132, A, B, b"\0\1\0\2" + bytes(12))
    mended = translated(broken, C, 9, is_source=True)
    assert mended is not None
    assert mended[28:32] == sctp_checksum(mended[20:])


@pytest.mark.parametrize("protocol", [6, 17, 33, 132, 136, 1])
@pytest.mark.parametrize("length", range(13))
def test_eight_octets_of_a_transport_header_are_enough(protocol: int, length: int) -> None:
    """An ICMP error quotes no more; below that nothing is changed, and the packet is refused."""
    packet = ipv4.build(protocol, A, B, b"\x08\0\0\2\0\3\0\4\0\5\0\6"[:length])
    changed = translated(packet, C, 9, is_source=True)
    if length < 8:
        assert changed is None
        return
    assert changed is not None
    assert sums_up(changed[:20])
    at = 24 if protocol == 1 else 20
    assert changed[at : at + 2] == b"\0\x09"


@pytest.mark.parametrize("kind", sorted(icmp.ERRORS))
def test_an_icmp_error_has_no_identifier(kind: int) -> None:
    """Only its address changes."""
    message = icmp.build(kind, 1, bytes(28), word1=3, word2=4)
    packet = ipv4.build(1, A, B, message)
    assert translated(packet, C, 9, is_source=True) == ipv4.build(1, C, B, message)


def test_gre_needs_eight_octets() -> None:
    """As many as a header of PPTP has before its sequence numbers; a shorter packet is not translated."""
    assert translated(ipv4.build(47, A, B, bytes(7)), C, 9, is_source=True) is None
    assert translated(ipv4.build(47, A, B, bytes(8)), C, 9, is_source=True) == ipv4.build(47, C, B, bytes(8))


@given(st.sampled_from((2, 4, 41, 50, 51, 255)), PAYLOADS, ip_addresses())
def test_what_has_no_ports_changes_its_address(protocol: int, payload: bytes, new: IpAddress) -> None:
    """However short it is."""
    changed = translated(ipv4.build(protocol, A, B, payload), new, 9, is_source=False)
    assert changed == ipv4.build(protocol, A, new, payload)
    assert Ipv4.parse(changed).dst == new
