# SPDX-License-Identifier: GPL-2.0-only
"""Matches that look at the headers of a packet alone."""

from __future__ import annotations

import pytest

from emu.kernel.netfilter.matches.ecn import Ecn
from emu.kernel.netfilter.matches.icmp import Icmp
from emu.kernel.netfilter.matches.iprange import AddressRange, IpRange
from emu.kernel.netfilter.matches.length import Length
from emu.kernel.netfilter.matches.multiport import Multiport, Side
from emu.kernel.netfilter.matches.ports import PortRange
from emu.kernel.netfilter.matches.sctp import Chunk, Chunks, Extent, Sctp
from emu.kernel.netfilter.matches.tcpmss import SegmentSize
from emu.kernel.netfilter.matches.tos import Dscp, Tos
from emu.kernel.netfilter.matches.ttl import Comparison, Ttl
from emu.wire import ipv4, tcp
from emu.wire.addresses import IpAddress
from tests.unit.kernel.netfilter.packets import (
    CLIENT,
    SERVER,
    at,
    datagram,
    drops,
    echo,
    fragment,
    segment,
    short,
)


def test_an_icmp_type_holds_for_all_its_codes_unless_one_is_said() -> None:
    """Type 3 is any reason of being unreachable, 3/1 one of them."""
    assert Icmp(3).holds(at(echo(3, 1)))
    assert Icmp(3, 1, 1).holds(at(echo(3, 1)))
    assert not Icmp(3, 1, 1).holds(at(echo(3, 4)))
    assert not Icmp(8).holds(at(echo(0)))
    assert Icmp(8, inverted=True).holds(at(echo(0)))


def test_any_icmp_type_holds_for_every_message_and_inverted_for_none() -> None:
    """255 is no type but a sign for all."""
    assert Icmp().holds(at(echo(13)))
    assert not Icmp(inverted=True).holds(at(echo(13)))


@pytest.mark.parametrize(
    ("match", "octets"),
    [
        (Icmp(inverted=True), echo()),
        (Multiport(Side.EITHER, ((1, 2),), inverted=True), datagram()),
        (Sctp(), ipv4.build(132, CLIENT, SERVER, bytes(40))),
    ],
    ids=("icmp", "multiport", "sctp"),
)
def test_later_fragments_have_no_transport_header(match: Icmp | Multiport | Sctp, octets: bytes) -> None:
    """They fail every match of one, its inversion too, and are not dropped."""
    assert not drops(match, at(fragment(octets)))


@pytest.mark.parametrize(
    ("match", "octets"),
    [
        (Icmp(inverted=True), echo()),
        (Multiport(Side.EITHER, ((1, 2),)), datagram()),
        (Sctp(), ipv4.build(132, CLIENT, SERVER, bytes(40))),
    ],
    ids=("icmp", "multiport", "sctp"),
)
def test_a_packet_that_ends_in_its_transport_header_is_dropped(
    match: Icmp | Multiport | Sctp, octets: bytes
) -> None:
    """Nobody can tell what was asked for."""
    assert drops(match, at(short(octets, 3)))


@pytest.mark.parametrize(
    ("side", "holds"), [(Side.SOURCE, False), (Side.DESTINATION, True), (Side.EITHER, True)]
)
def test_multiport_looks_at_the_port_it_is_told(side: Side, *, holds: bool) -> None:
    """The datagram goes from 1000 to 53."""
    assert Multiport(side, ((22, 22), (50, 60))).holds(at(datagram())) is holds
    assert Multiport(side, ((22, 22), (50, 60)), inverted=True).holds(at(datagram())) is not holds


def test_sctp_asks_for_ports() -> None:
    """Source and destination, each with a range that may be inverted."""
    packet = at(ipv4.build(132, CLIENT, SERVER, bytes((0, 80, 0, 90)) + bytes(8)))
    assert Sctp(PortRange(80, 80), PortRange(1, 89, inverted=True)).holds(packet)
    assert not Sctp(PortRange(81, 90)).holds(packet)


def sctp(*chunks: tuple[int, int]) -> bytes:
    """Return a packet with chunks of so many types and flags, 5 octets each and padded."""
    body = b"".join(bytes((kind, flags, 0, 5)) + bytes(4) for kind, flags in chunks)
    return ipv4.build(132, CLIENT, SERVER, bytes(12) + body)


@pytest.mark.parametrize(
    ("extent", "present", "holds"),
    [
        (Extent.ANY, (0,), True),
        (Extent.ANY, (3,), False),
        (Extent.ALL, (0, 1), True),
        (Extent.ALL, (0, 1, 3), True),
        (Extent.ALL, (0,), False),
        (Extent.ONLY, (0,), True),
        (Extent.ONLY, (0, 3), False),
    ],
)
def test_chunk_types_are_any_all_or_only(extent: Extent, present: tuple[int, ...], *, holds: bool) -> None:
    """DATA and INIT are wanted."""
    packet = at(sctp(*((kind, 0) for kind in present)))
    chunks = (Chunk(0), Chunk(1))
    assert Sctp(chunks=Chunks(extent, chunks)).holds(packet) is holds
    assert Sctp(chunks=Chunks(extent, chunks, inverted=True)).holds(packet) is not holds


def test_flags_of_a_chunk_count() -> None:
    """DATA:Be is the beginning of a message and not its end."""
    wanted = Sctp(chunks=Chunks(Extent.ANY, (Chunk(0, 0x02, 0x03),)))
    assert wanted.holds(at(sctp((0, 0x02))))
    assert not wanted.holds(at(sctp((0, 0x03))))


def test_a_chunk_without_length_has_the_packet_dropped() -> None:
    """Else the walk over the chunks would never end."""
    packet = at(ipv4.build(132, CLIENT, SERVER, bytes(16)))
    Sctp(chunks=Chunks(Extent.ALL, (Chunk(1),))).holds(packet)
    assert packet.hotdrop


def test_address_ranges_hold_both_ends() -> None:
    """From 10.0.0.1 to 10.0.0.5; the wrong way round there are none."""
    first, last = IpAddress.parse("10.0.0.1"), IpAddress.parse("10.0.0.5")
    assert IpRange(AddressRange(first, last)).holds(at(datagram()))
    assert not IpRange(AddressRange(last, first)).holds(at(datagram()))
    assert not IpRange(AddressRange(first, last), AddressRange(first, last)).holds(at(datagram()))
    assert IpRange(destination=AddressRange(first, last, inverted=True)).holds(at(datagram()))


def test_the_segment_size_is_that_of_the_option() -> None:
    """Without one nothing is in any range; a header that is too short for itself is dropped."""
    announced = segment(options=b"\1\1\1\2\4\5\xb4\0")
    assert SegmentSize(1460, 1460).holds(at(announced))
    assert not SegmentSize(0, 1459).holds(at(announced))
    assert SegmentSize(0, 1459, inverted=True).holds(at(announced))
    assert not SegmentSize(0, 0xFFFF).holds(at(segment()))
    assert SegmentSize(0, 0xFFFF, inverted=True).holds(at(segment()))
    malformed = at(segment())
    octets = bytearray(malformed.skb.packet)
    octets[32] = 0x40
    malformed.skb.replace(bytes(octets))
    assert not SegmentSize(0, 0xFFFF, inverted=True).holds(malformed)
    assert malformed.hotdrop


def test_the_length_is_that_of_the_ip_packet() -> None:
    """28 octets of headers and 5 of data."""
    assert Length(33, 33).holds(at(datagram()))
    assert not Length(0, 32).holds(at(datagram()))
    assert Length(0, 32, inverted=True).holds(at(datagram()))


@pytest.mark.parametrize(
    ("comparison", "value", "holds"),
    [
        (Comparison.EQUAL, 64, True),
        (Comparison.NOT_EQUAL, 64, False),
        (Comparison.LESS, 64, False),
        (Comparison.LESS, 65, True),
        (Comparison.GREATER, 64, False),
        (Comparison.GREATER, 63, True),
    ],
)
def test_the_ttl_is_compared(comparison: Comparison, value: int, *, holds: bool) -> None:
    """It is 64."""
    assert Ttl(comparison, value).holds(at(datagram())) is holds


def test_tos_and_dscp_look_at_the_same_octet() -> None:
    """0xb9 is DSCP 46 and ECT(1)."""
    packet = at(ipv4.build(17, CLIENT, SERVER, bytes(8), tos=0xB9))
    assert Tos(0xB8, 0xFC).holds(packet)
    assert not Tos(0xB8).holds(packet)
    assert Dscp(46).holds(packet)
    assert not Dscp(46, inverted=True).holds(packet)
    assert Ecn(ect=1).holds(packet)
    assert not Ecn(ect=1, ect_inverted=True).holds(packet)


def test_congestion_bits_of_tcp_are_asked_one_by_one() -> None:
    """What is not asked may be anything; a datagram too short for them fails."""
    packet = at(segment(flags=tcp.SYN | tcp.ECE))
    assert Ecn(ece=True, cwr=False).holds(packet)
    assert not Ecn(ece=True, cwr=True).holds(packet)
    assert not Ecn(ece=False).holds(packet)
    assert not drops(Ecn(cwr=False), at(short(segment(), 10)))
