# SPDX-License-Identifier: GPL-2.0-only
"""Sets asked and changed by rules."""

from __future__ import annotations

from typing import Any, cast

import attrs
import pytest

from emu.kernel.link.dummy import Dummy
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.ipset.base import Comparison
from emu.kernel.netfilter.ipset.element import Addresses, Entry, Extensions, Ports, SkbInfo
from emu.kernel.netfilter.ipset.lookup import Direction
from emu.kernel.netfilter.ipset.spec import SetSpec
from emu.kernel.netfilter.ipset.types import TYPES
from emu.kernel.netfilter.matches.set import SetMatch
from emu.kernel.netfilter.packet import Packet
from emu.kernel.netfilter.targets.set import SetTarget, Use
from emu.kernel.skb import PacketType, Skb
from emu.sim.time import SECOND, START, Instant
from emu.wire.addresses import MacAddress
from tests.unit.kernel.netfilter.packets import CLIENT, SERVER, datagram, echo, fragment, node, segment, short

SRC, DST = Direction.SRC, Direction.DST
MAC = MacAddress.parse("02:00:00:00:00:09")


@pytest.fixture
def packet() -> Packet:
    """A datagram from the client to port 53 of the server, come by `eth0`, leaving by `eth1`."""
    net = node()
    devices = {name: net.devices[name] for name in ("eth0", "eth1")}
    skb = Skb(datagram(1000, 53), 1, device=devices["eth0"], src_mac=MAC)
    return Packet(net, skb, Hook.FORWARD, in_device=devices["eth0"], out_device=devices["eth1"])


def made(packet: Packet, kind: str, *entries: Entry, name: str = "s", **options: int) -> None:
    """Make a set in the packet's namespace, filled with `entries`."""
    spec = SetSpec(TYPES[kind], 4 if TYPES[kind].has_family else 0)
    sets = packet.net.netfilter.ipsets
    sets.create(name, attrs.evolve(spec, **cast("dict[str, Any]", options)))
    for entry in entries:
        sets.find(name).add(entry, packet.net.now, exist=False)


CLIENT_NUMBER, SERVER_NUMBER = int(CLIENT), int(SERVER)
ENTRIES = {
    "hash:ip": (Entry(Addresses(CLIENT_NUMBER)), (SRC,), (DST,)),
    "hash:net": (Entry(Addresses(SERVER_NUMBER & ~0xFF, cidr=24)), (DST,), (SRC,)),
    "hash:ip,port": (Entry(Addresses(CLIENT_NUMBER), Ports(17, 53)), (SRC, DST), (SRC, SRC)),
    "hash:net,port": (Entry(Addresses(SERVER_NUMBER, cidr=8), Ports(17, 1000)), (DST, SRC), (DST, DST)),
    "hash:ip,port,ip": (
        Entry(Addresses(CLIENT_NUMBER), Ports(17, 53), Addresses(SERVER_NUMBER)),
        (SRC, DST, DST),
        (DST, DST, SRC),
    ),
    "hash:ip,port,net": (
        Entry(Addresses(CLIENT_NUMBER), Ports(17, 53), Addresses(SERVER_NUMBER, cidr=16)),
        (SRC, DST, DST),
        (SRC, DST, SRC),
    ),
    "hash:net,net": (
        Entry(Addresses(CLIENT_NUMBER, cidr=16), second=Addresses(SERVER_NUMBER, cidr=30)),
        (SRC, DST),
        (DST, SRC),
    ),
    "hash:net,port,net": (
        Entry(Addresses(CLIENT_NUMBER, cidr=16), Ports(17, 53), Addresses(SERVER_NUMBER, cidr=30)),
        (SRC, DST, DST),
        (SRC, SRC, DST),
    ),
    "hash:net,iface": (Entry(Addresses(0, cidr=0), iface="eth1"), (SRC, DST), (SRC, SRC)),
    "hash:mac": (Entry(mac=MAC), (SRC,), (DST,)),
    "bitmap:ip": (Entry(Addresses(CLIENT_NUMBER)), (SRC,), (DST,)),
    "bitmap:port": (Entry(ports=Ports(6, 53)), (DST,), (SRC,)),
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_each_dimension_is_taken_from_where_the_rule_says(packet: Packet, kind: str) -> None:
    """The right ends are in the set, others not; a direction too few is never in, one too many is ignored."""
    entry, right, other = ENTRIES[kind]
    options = {"first": 1, "last": 0xFFFF} if kind == "bitmap:port" else {}
    if kind == "bitmap:ip":
        options = {"first": CLIENT_NUMBER - 5, "last": CLIENT_NUMBER + 5}
    made(packet, kind, entry, name="s", **options)
    assert SetMatch("s", right).holds(packet)
    assert not SetMatch("s", right, inverted=True).holds(packet)
    assert not SetMatch("s", other).holds(packet)
    assert not SetMatch("s", right[:-1]).holds(packet)
    assert SetMatch("s", (*right, SRC)).holds(packet)


def test_a_set_that_is_not_there_or_of_the_other_family_holds_nothing(packet: Packet) -> None:
    """A rule that names it is refused when it is loaded; asked anyway, it does not match."""
    made(packet, "hash:ip", family=6)
    assert not SetMatch("s", (SRC,)).holds(packet)
    assert not SetMatch("nobody", (SRC,)).holds(packet)


@pytest.mark.parametrize(
    ("octets", "element"),
    [
        (echo(), Ports(1, 0x0800)),
        (segment(dport=80), Ports(6, 80)),
        (datagram(dport=53), Ports(17, 53)),
    ],
)
def test_the_port_of_a_packet_is_that_of_its_protocol(octets: bytes, element: Ports) -> None:
    """Of ICMP it is type and code; a later fragment and a packet that ends before have none."""
    net = node()
    packet = Packet(net, Skb(octets, 1), Hook.INPUT)
    made(packet, "hash:ip,port", Entry(Addresses(CLIENT_NUMBER), element))
    assert SetMatch("s", (SRC, DST)).holds(packet)
    for broken in (fragment(octets), short(octets)):
        assert not SetMatch("s", (SRC, DST)).holds(Packet(net, Skb(broken, 1), Hook.INPUT))


def test_a_destination_mac_is_known_of_frames_for_us_and_for_all(packet: Packet) -> None:
    """A packet of this host has none at all."""
    own = packet.net.devices["eth0"].mac
    made(packet, "hash:mac", Entry(mac=own), Entry(mac=b"\xff" * 6))
    match = SetMatch("s", (DST,))
    assert match.holds(packet)
    packet.skb.packet_type = PacketType.BROADCAST
    assert match.holds(packet)
    packet.skb.packet_type = PacketType.OTHERHOST
    assert not match.holds(packet)
    packet.skb.src_mac = b""
    assert not match.holds(packet)


class TestNomatch:
    """`--return-nomatch`."""

    def test_it_asks_for_what_is_taken_out(self, packet: Packet) -> None:
        """And for nothing else."""
        inside = Entry(Addresses(CLIENT_NUMBER, cidr=24), nomatch=True)
        made(packet, "hash:net", Entry(Addresses(CLIENT_NUMBER, cidr=8)), inside)
        assert not SetMatch("s", (SRC,)).holds(packet)
        assert SetMatch("s", (SRC,), return_nomatch=True).holds(packet)
        assert not SetMatch("s", (DST,), return_nomatch=True).holds(packet)

    def test_it_changes_nothing_for_sets_without_networks(self, packet: Packet) -> None:
        """What is in is in."""
        made(packet, "hash:ip", Entry(Addresses(CLIENT_NUMBER)))
        assert SetMatch("s", (SRC,), return_nomatch=True).holds(packet)


class TestCounters:
    """Elements that count."""

    def counts(self, packet: Packet, name: str = "s") -> list[tuple[int, int]]:
        """Return the counters of the elements of a set."""
        known = packet.net.netfilter.ipsets.find(name)
        return [(member.packets, member.octets) for member in known.listed(START)]

    def test_a_match_counts_before_it_compares(self, packet: Packet) -> None:
        """The third packet is the first that is beyond 2."""
        made(packet, "hash:ip", Entry(Addresses(CLIENT_NUMBER)), counters=True)
        match = SetMatch("s", (SRC,), packets=Comparison("gt", 2))
        assert [match.holds(packet) for _ in range(3)] == [False, False, True]
        assert self.counts(packet) == [(3, 3 * len(packet.skb.packet))]

    def test_a_match_may_leave_them_alone(self, packet: Packet) -> None:
        """`! --update-counters`."""
        made(packet, "hash:ip", Entry(Addresses(CLIENT_NUMBER)), counters=True)
        assert SetMatch("s", (SRC,), update_counters=False).holds(packet)
        assert self.counts(packet) == [(0, 0)]

    @pytest.mark.parametrize(("subcounters", "below"), [(True, 1), (False, 0)])
    def test_a_list_counts_with_the_set_that_has_the_packet(
        self, packet: Packet, *, subcounters: bool, below: int
    ) -> None:
        """Unless it is told not to; what is compared is the counter of the list."""
        made(packet, "hash:ip", name="empty", counters=True)
        made(packet, "hash:ip", Entry(Addresses(CLIENT_NUMBER)), name="full", counters=True)
        members = (Entry(member="empty"), Entry(member="full"))
        made(packet, "list:set", *members, name="list", counters=True)
        match = SetMatch("list", (SRC,), update_subcounters=subcounters, packets=Comparison("eq", 1))
        assert match.holds(packet)
        assert [count for count, _ in self.counts(packet, "list")] == [0, 1]
        assert [count for count, _ in self.counts(packet, "full")] == [below]


class TestTarget:
    """`-j SET`."""

    def test_what_a_packet_adds_is_found_until_its_time_is_over(self, packet: Packet) -> None:
        """And counts the packet that added it."""
        made(packet, "hash:ip,port", timeout=60, counters=True)
        target = SetTarget(Use("s", (SRC, DST)), timeout=5)
        target.apply(packet)
        (member,) = packet.net.netfilter.ipsets.find("s").listed(START)
        assert (member.packets, member.octets) == (1, len(packet.skb.packet))
        match = SetMatch("s", (SRC, DST))
        packet.net.now = Instant(5 * SECOND)
        assert match.holds(packet)
        packet.net.now = Instant(6 * SECOND)
        assert not match.holds(packet)

    def test_exist_begins_the_time_anew(self, packet: Packet) -> None:
        """Without it, an element that is there stays as it is."""
        made(packet, "hash:ip", timeout=5)
        for exist, last in ((False, 5), (True, 8)):
            packet.net.now = START
            packet.net.netfilter.ipsets.find("s").flush()
            SetTarget(Use("s", (SRC,))).apply(packet)
            packet.net.now = Instant(3 * SECOND)
            SetTarget(Use("s", (SRC,)), exist=exist).apply(packet)
            packet.net.now = Instant(last * SECOND)
            assert SetMatch("s", (SRC,)).holds(packet)
            packet.net.now = Instant(last * SECOND + 1)
            assert not SetMatch("s", (SRC,)).holds(packet)

    def test_networks_are_added_as_long_as_the_longest_of_the_set(self, packet: Packet) -> None:
        """In an empty set, the address alone."""
        made(packet, "hash:net")
        target = SetTarget(Use("s", (SRC,)))
        known = packet.net.netfilter.ipsets.find("s")
        target.apply(packet)
        assert [m.element[:2] for m in known.listed(START)] == [(CLIENT_NUMBER, 32)]
        known.flush()
        known.add(Entry(Addresses(0x01000000, cidr=8)), START, exist=False)
        target.apply(packet)
        assert [m.element[:2] for m in known.listed(START)][1:] == [(0x0A000000, 8)]

    def test_a_list_adds_to_the_first_set_that_takes_it(self, packet: Packet) -> None:
        """And deletes from the first that has it."""
        made(packet, "hash:ip", name="full", maxelem=0)
        made(packet, "hash:ip", name="free")
        made(packet, "list:set", Entry(member="full"), Entry(member="free"), name="list")
        SetTarget(Use("list", (SRC,))).apply(packet)
        assert SetMatch("free", (SRC,)).holds(packet)
        SetTarget(delete=Use("list", (SRC,))).apply(packet)
        assert not SetMatch("free", (SRC,)).holds(packet)

    @pytest.mark.parametrize(("asks", "mark"), [(True, 0xF1), (False, 0xFF)])
    def test_a_mark_is_mapped_where_it_is_asked_for(self, packet: Packet, *, asks: bool, mark: int) -> None:
        """The bits of the mask are replaced; a packet that is in no set keeps its own."""
        info = Extensions(skbinfo=SkbInfo(0x1, 0xF))
        made(packet, "hash:ip", Entry(Addresses(CLIENT_NUMBER), extensions=info), skbinfo=True)
        packet.skb.mark = 0xFF
        SetTarget(map=Use("s", (DST,)), map_mark=True).apply(packet)
        assert packet.skb.mark == 0xFF
        SetTarget(map=Use("s", (SRC,)), map_mark=asks, map_queue=not asks).apply(packet)
        assert packet.skb.mark == mark

    def test_what_is_not_there_is_passed_over(self, packet: Packet) -> None:
        """No set, too few directions, no port: nothing happens, and the next rule is asked."""
        made(packet, "hash:ip,port")
        device = packet.net.add_device("d", Dummy(), MAC, mtu=1500)
        later = Packet(packet.net, Skb(fragment(datagram()), 1), Hook.INPUT, in_device=device)
        for name, ends in (("nobody", (SRC,)), ("s", (SRC,)), ("s", (SRC, DST))):
            target = SetTarget(Use(name, ends), Use(name, ends))
            target.apply(later)
        assert list(packet.net.netfilter.ipsets.find("s").listed(START)) == []
        assert target.set_names == ("s", "s")
