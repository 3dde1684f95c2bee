# SPDX-License-Identifier: GPL-2.0-only
"""Matches for TCP and UDP, and those for the mark."""

from __future__ import annotations

import attrs
import pytest

from emu.kernel.netfilter.matches.comment import Comment
from emu.kernel.netfilter.matches.mark import Mark
from emu.kernel.netfilter.matches.ports import PortRange
from emu.kernel.netfilter.matches.tcp import Tcp, TcpFlags, TcpOption
from emu.kernel.netfilter.matches.udp import Udp
from emu.kernel.netfilter.targets.mark import SetMark
from emu.wire import ipv4, tcp
from tests.unit.kernel.netfilter.packets import (
    CLIENT,
    SERVER,
    at,
    datagram,
    drops,
    fragment,
    node,
    segment,
    short,
)


@pytest.mark.parametrize("kind", [Tcp, Udp])
def test_ports_are_asked_in_ranges_and_both_have_to_fit(kind: type[Tcp | Udp]) -> None:
    """The ends of a range belong to it; inverted it is all the rest."""
    packet = at(segment(1000, 80) if kind is Tcp else datagram(1000, 80))
    here, other = PortRange(80, 90), PortRange(81, 90)
    assert kind(None, here).holds(packet)
    assert kind(PortRange(900, 1000), here).holds(packet)
    assert not kind(PortRange(900, 999), here).holds(packet)
    assert not kind(None, other).holds(packet)
    assert kind(None, PortRange(81, 90, inverted=True)).holds(packet)


@pytest.mark.parametrize(
    ("flags", "holds"),
    [
        (TcpFlags(0x17, 0x02), True),  # --syn
        (TcpFlags(0x17, 0x02, inverted=True), False),
        (TcpFlags(0x3F, 0x00), False),
        (TcpFlags(0x20, 0x00), True),
    ],
)
def test_only_the_flags_of_the_mask_are_compared(flags: TcpFlags, *, holds: bool) -> None:
    """Of a segment with SYN and PSH."""
    assert Tcp(flags=flags).holds(at(segment(flags=tcp.SYN | tcp.PSH))) is holds


@pytest.mark.parametrize(
    ("kind", "present"),
    [(1, True), (2, True), (3, True), (4, False), (5, False), (10, False)],
)
def test_an_option_is_found_behind_others(kind: int, *, present: bool) -> None:
    """Those of one octet, a length of zero, and a length that leads beyond the end are stepped over."""
    packet = at(segment(options=bytes((1, 2, 4, 10, 10, 3, 0, 5))[:7] + b"\x00"))
    assert Tcp(option=TcpOption(kind)).holds(packet) is present
    assert Tcp(option=TcpOption(kind, inverted=True)).holds(packet) is not present
    assert not packet.hotdrop


@pytest.mark.parametrize(("match", "whole"), [(Tcp(), segment()), (Udp(), datagram())])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_header_cut_short_has_the_packet_dropped(match: Tcp | Udp, whole: bytes, *, legacy: bool) -> None:
    """By both variants of iptables where nothing is asked, and by the older one always; a fragment is not."""
    net = node()
    net.netfilter.is_legacy = legacy
    assert drops(match, at(short(whole, 7), net=net))
    assert not drops(match, at(fragment(whole), net=net))
    asking = attrs.evolve(match, destination=PortRange(0, 1))
    assert drops(asking, at(short(whole, 3), net=net)) is legacy


@pytest.mark.parametrize(("match", "whole"), [(Tcp(), segment()), (Udp(), datagram())])
def test_iptables_nft_finds_ports_in_what_is_there(match: Tcp | Udp, whole: bytes) -> None:
    """In a header that ends behind them, and where they would be in a later fragment."""
    net = node()
    net.netfilter.is_legacy = False
    sport, dport = 1000, int.from_bytes(whole[22:24], "big")
    asking = attrs.evolve(match, source=PortRange(sport, sport), destination=PortRange(dport, dport))
    later = ipv4.build(whole[9], CLIENT, SERVER, whole[20:24], fragment=3)
    for octets in (short(whole, 4), later):
        assert asking.holds(at(octets, net=net))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_fragment_that_could_overwrite_the_flags_is_dropped(*, legacy: bool) -> None:
    """The one whose offset is eight octets: by iptables-legacy, and by both where options are asked."""
    net = node()
    net.netfilter.is_legacy = legacy
    header = ipv4.Ipv4.parse(segment())
    octets = ipv4.build(header.protocol, CLIENT, SERVER, bytes(8), fragment=1)
    assert drops(Tcp(source=PortRange(1, 1)), at(octets, net=net)) is legacy
    assert drops(Tcp(option=TcpOption(2)), at(octets, net=net))


def test_options_cut_short_have_the_packet_dropped() -> None:
    """A data offset below 5, or beyond the end, matters only to who asks for options."""
    for offset in (4, 15):
        octets = bytearray(segment())
        octets[32] = offset << 4
        assert drops(Tcp(option=TcpOption(2)), at(bytes(octets)))
        assert Tcp(flags=TcpFlags(2, 2)).holds(at(bytes(octets)))


def test_a_mark_is_compared_under_a_mask() -> None:
    """A value with bits outside its mask is never met."""
    packet = at(datagram())
    packet.skb.mark = 0x4012
    assert Mark(0x4000, 0x4000).holds(packet)
    assert not Mark(0x4000).holds(packet)
    assert Mark(0x4000, inverted=True).holds(packet)
    assert not Mark(0x4001, 0x4000).holds(packet)


def test_marking_clears_a_mask_and_flips_a_value() -> None:
    """And goes on with the next rule."""
    packet = at(datagram())
    packet.skb.mark = 0x4012
    assert SetMark(0x4001, 0xFF).apply(packet) is None
    assert packet.skb.mark == 0x0001


def test_a_comment_asks_for_nothing() -> None:
    """Whatever it says."""
    assert Comment("never").holds(at(datagram()))
