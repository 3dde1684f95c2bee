# SPDX-License-Identifier: GPL-2.0-only
"""Targets that change the packet, or its mark, or how it is tracked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel import inetdev
from emu.kernel.netfilter.conntrack.entry import CtInfo
from emu.kernel.netfilter.targets.connmark import RestoreMark, SaveMark, SetConnmark
from emu.kernel.netfilter.targets.ct import Notrack, Track, Zone, ZoneScope
from emu.kernel.netfilter.targets.tcpmss import SetMss
from emu.kernel.netfilter.targets.tos import SetDscp, SetTos
from emu.kernel.netfilter.targets.ttl import Change, ChangeTtl
from emu.kernel.netfilter.targets.without_effect import Classify, FillChecksum, Trace
from emu.kernel.netfilter.verdict import Verdict
from emu.wire import ipv4, tcp
from emu.wire.addresses import Interface
from emu.wire.checksum import verifies
from tests.unit.kernel.netfilter.packets import (
    CLIENT,
    SERVER,
    at,
    connect,
    datagram,
    fragment,
    node,
    segment,
    short,
)

MSS_1460 = bytes((2, 4, 0x05, 0xB4))


def options_of(packet: bytes) -> tcp.TcpOptions:
    """Return the options of a segment whose checksums and lengths are right."""
    header = ipv4.Ipv4.parse(packet)
    assert verifies(packet[:20])
    assert header.total_length == len(packet)
    assert tcp.checksum_holds(header.src, header.dst, packet[20:])
    return tcp.TcpOptions.parse(packet[40 : 20 + tcp.Tcp.parse(packet[20:]).header_length])


@pytest.mark.parametrize(
    ("target", "ttl"),
    [
        (ChangeTtl(Change.SET, 5), 5),
        (ChangeTtl(Change.SET, 64), 64),
        (ChangeTtl(Change.INCREASE, 1), 65),
        (ChangeTtl(Change.INCREASE, 255), 255),
        (ChangeTtl(Change.DECREASE, 1), 63),
        (ChangeTtl(Change.DECREASE, 200), 0),
    ],
)
def test_the_ttl_is_changed_within_its_octet(target: ChangeTtl, ttl: int) -> None:
    """The header's checksum stays right."""
    packet = at(datagram())
    assert target.apply(packet) is None
    assert packet.skb.header.ttl == ttl
    assert verifies(packet.skb.packet[:20])


@given(tos=st.integers(0, 255), value=st.integers(0, 255), mask=st.integers(0, 255))
def test_the_tos_is_cleared_under_the_mask_and_then_flipped(tos: int, value: int, mask: int) -> None:
    """The header's checksum stays right, whatever is done."""
    packet = at(ipv4.build(17, CLIENT, SERVER, bytes(8), tos=tos))
    assert SetTos(value, mask).apply(packet) is None
    assert packet.skb.header.tos == (tos & ~mask) ^ value
    assert verifies(packet.skb.packet[:20])


def test_a_dscp_leaves_the_congestion_bits_alone() -> None:
    """They are the octet's lower two."""
    packet = at(ipv4.build(17, CLIENT, SERVER, bytes(8), tos=0x03))
    SetDscp(46).apply(packet)
    assert packet.skb.header.tos == 46 << 2 | 3


def test_marks_go_from_packet_to_connection_and_back() -> None:
    """Each under its masks; without a connection nothing happens."""
    packet = at(datagram())
    packet.skb.mark = 0xABCD
    for target in (SetConnmark(1), SaveMark(), RestoreMark()):
        assert target.apply(packet) is None
    assert packet.skb.mark == 0xABCD
    connection = connect(packet)
    SetConnmark(0x1, 0xF).apply(packet)
    assert connection.mark == 0x1
    SaveMark(0xFF00, 0xFF00).apply(packet)
    assert connection.mark == 0xAB01
    packet.skb.mark = 0xF0
    RestoreMark(0x0F, 0x0F).apply(packet)
    assert packet.skb.mark == 0xF1


@pytest.mark.parametrize("target", [Notrack(), Track(untracked=True)])
def test_an_untracked_packet_is_left_alone_unless_it_has_a_connection(target: Notrack | Track) -> None:
    """That it brought along over the loopback."""
    packet = at(datagram())
    assert target.apply(packet) is None
    assert packet.skb.ctinfo is CtInfo.UNTRACKED
    known = at(datagram())
    connect(known)
    target.apply(known)
    assert known.skb.ctinfo is CtInfo.NEW


@pytest.mark.parametrize(
    ("zone", "zones"),
    [
        (Zone(5), (5, 5)),
        (Zone(5, ZoneScope.ORIGINAL), (5, 0)),
        (Zone(5, ZoneScope.REPLY), (0, 5)),
        (Zone(None), (0x2345, 0x2345)),
    ],
)
def test_a_zone_counts_for_one_direction_or_both(zone: Zone, zones: tuple[int, int]) -> None:
    """Its number may be the packet's mark; the first rule that says one decides."""
    packet = at(datagram())
    packet.skb.mark = 0x12345
    Track(zone).apply(packet)
    assert packet.skb.zones == zones
    Track(Zone(9)).apply(packet)
    assert packet.skb.zones == zones


def test_helpers_and_timeouts_are_unknown() -> None:
    """What becomes of the packet then, nobody knows."""
    assert Track(helper="ftp").apply(at(segment())) is Verdict.UNKNOWN
    assert Track(timeout="short").apply(at(segment())) is Verdict.UNKNOWN


def test_the_mss_is_lowered_and_never_raised() -> None:
    """All checksums stay right."""
    packet = at(segment(options=MSS_1460))
    assert SetMss(1400).apply(packet) is None
    assert options_of(packet.skb.packet).mss == 1400
    SetMss(1450).apply(packet)
    assert options_of(packet.skb.packet).mss == 1400


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_the_mss_is_found_wherever_it_is(before: int) -> None:
    """Behind any number of paddings, at odd places too."""
    packet = at(segment(options=bytes([1] * before) + MSS_1460 + bytes([1] * (-before % 4))))
    SetMss(536).apply(packet)
    assert options_of(packet.skb.packet).mss == 536


@given(mss=st.integers(0, 65515))
def test_an_mss_is_added_where_there_is_none(mss: int) -> None:
    """Of 536 octets at most, which is what a segment without it means; other options follow it."""
    packet = at(segment(options=tcp.TcpOptions(window_scale=7).build()))
    SetMss(mss).apply(packet)
    options = options_of(packet.skb.packet)
    assert (options.mss, options.window_scale) == (min(mss, 536), 7)


def test_no_mss_is_added_to_a_segment_with_data_or_without_room() -> None:
    """It goes on as it is."""
    for octets in (segment(payload=b"data"), segment(options=bytes([1] * 40))):
        packet = at(octets)
        assert SetMss(500).apply(packet) is None
        assert packet.skb.packet == octets


def test_the_mss_is_clamped_to_the_narrower_of_both_ways() -> None:
    """Here the one back to the client, by eth0."""
    net = node()
    for name, address, mtu in (("eth0", "10.0.0.254/24", 1300), ("eth1", "10.1.0.254/24", 1500)):
        device = net.devices[name]
        inetdev.add_address(net.fib, device, Interface.parse(address))
        device.mtu, device.up = mtu, True
        inetdev.device_up(net.fib, device)
    packet = at(segment(options=MSS_1460), net=net)
    SetMss().apply(packet)
    assert options_of(packet.skb.packet).mss == 1260


def test_a_malformed_segment_is_dropped_and_a_fragment_passed_by() -> None:
    """A header that is cut short cannot be rewritten."""
    assert SetMss(1400).apply(at(short(segment(), 19))) is Verdict.DROP
    broken = bytearray(segment())
    broken[32] = 0xF0
    assert SetMss(1400).apply(at(bytes(broken))) is Verdict.DROP
    assert SetMss(1400).apply(at(fragment(segment()))) is None


def test_what_only_tells_goes_on() -> None:
    """And changes nothing."""
    packet = at(datagram())
    before = packet.skb.packet
    assert [target.apply(packet) for target in (Classify(1, 0x10), FillChecksum(), Trace())] == [None] * 3
    assert packet.skb.packet == before
