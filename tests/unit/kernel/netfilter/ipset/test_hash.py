# SPDX-License-Identifier: GPL-2.0-only
"""Hashes, compared with sets that are obvious and slow."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.ipset import hash as hash_module
from emu.kernel.netfilter.ipset.base import Answer, Question
from emu.kernel.netfilter.ipset.element import Addresses, Element, Entry, Extensions, Ports
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.expansion import networks_of
from emu.kernel.netfilter.ipset.hash import HashSet
from emu.kernel.netfilter.ipset.netiface import NetIfaceSet
from emu.kernel.netfilter.ipset.spec import SetSpec, checked, prefix_mask
from emu.kernel.netfilter.ipset.types import TYPES
from emu.sim.time import SECOND, START, Instant

Net = tuple[int, int]


def made(kind: str, **options: int) -> HashSet:
    """Return an empty set of the type `kind`."""
    spec = attrs.evolve(SetSpec(TYPES[kind], family=4), **cast("dict[str, Any]", options))
    factory = NetIfaceSet if kind == "hash:net,iface" else HashSet
    return factory("s", checked("s", spec))


def net(address: int, length: int) -> Entry:
    """Return the entry for one network."""
    return Entry(first=Addresses(address, cidr=length))


def put(known: HashSet, entry: Entry, *, at: int = 0, exist: bool = False) -> None:
    """Add `entry` after `at` seconds."""
    known.add(entry, Instant(at * SECOND), exist=exist)


def nets(*, smallest: int = 1) -> st.SearchStrategy[Net]:
    """Networks near the end of the address space, so that they lie within each other."""
    base = 0xFFFFFF00
    pairs = st.tuples(st.integers(base, base + 255), st.integers(smallest, 32))
    return pairs.map(lambda pair: (pair[0] & prefix_mask(pair[1], 32), pair[1]))


ADDRESSES = st.integers(0xFFFFFF00, 0xFFFFFFFF)


class TestNetworks:
    """hash:net: longest prefix first."""

    @given(st.dictionaries(nets(), st.booleans(), max_size=12), ADDRESSES)
    def test_the_longest_network_that_holds_an_address_decides(
        self, known: dict[Net, bool], address: int
    ) -> None:
        """With `nomatch` it takes the address out, whatever shorter ones say."""
        hashed = made("hash:net")
        for (base, length), nomatch in known.items():
            put(hashed, attrs.evolve(net(base, length), nomatch=nomatch))
        holding = [one for one in known if address & prefix_mask(one[1], 32) == one[0]]
        longest = max(holding, key=lambda one: one[1], default=None)
        wanted = Answer.OUT if longest is None else Answer.NOMATCH if known[longest] else Answer.IN
        assert hashed.find(Element(address, 32), Question(START)) is wanted

    @given(st.lists(st.tuples(nets(), st.booleans()), max_size=30), nets())
    def test_a_network_is_in_the_set_if_it_was_added_itself(
        self, steps: list[tuple[Net, bool]], asked: Net
    ) -> None:
        """After any adding and deleting; one that merely lies within another is not."""
        hashed, model = made("hash:net"), set()
        for one, adds in steps:
            if adds:
                put(hashed, net(*one), exist=True)
                model.add(one)
            else:
                hashed.delete(net(*one), START, exist=True)
                model.discard(one)
        assert {(m.element.ip, m.element.cidr) for m in hashed.listed(START)} == model
        holders = [one for one in model if asked[0] & prefix_mask(one[1], 32) == one[0]]
        assert hashed.test(net(*asked), START) == (bool(holders) if asked[1] == 32 else asked in model)

    @given(ADDRESSES, ADDRESSES)
    def test_a_range_is_taken_apart_into_as_few_networks_as_can_be(self, one: int, two: int) -> None:
        """They lie side by side, and no two neighbours make a greater one."""
        low, high = sorted((one, two))
        found = list(networks_of(low, high))
        at = low
        for base, length in found:
            assert base == at
            assert base & prefix_mask(length, 32) == base
            at += 1 << (32 - length)
        assert at == high + 1
        for (base, length), (_, after) in pairwise(found):
            assert length != after or base & (1 << (32 - length))

    def test_the_whole_address_space_is_refused(self) -> None:
        """As a prefix and as a range, each in its own words."""
        with pytest.raises(IpSetError) as caught:
            put(made("hash:net"), net(0, 0))
        assert caught.value.refusal is Refusal.INVALID_CIDR
        with pytest.raises(IpSetError) as caught:
            put(made("hash:net"), Entry(first=Addresses(0, last=0xFFFFFFFF)))
        assert caught.value.refusal is Refusal.HASH_RANGE


@given(st.dictionaries(st.tuples(nets(), nets()), st.booleans(), max_size=10), ADDRESSES, ADDRESSES)
def test_of_two_networks_the_length_of_the_first_leads(
    known: dict[tuple[Net, Net], bool], one: int, two: int
) -> None:
    """hash:net,net: of the pairs that hold both, that with the longest first one decides, then the second."""
    hashed = made("hash:net,net")
    for (first, second), nomatch in known.items():
        entry = Entry(
            first=Addresses(first[0], cidr=first[1]),
            second=Addresses(second[0], cidr=second[1]),
            nomatch=nomatch,
        )
        put(hashed, entry)
    holding = [
        pair
        for pair in known
        if one & prefix_mask(pair[0][1], 32) == pair[0][0] and two & prefix_mask(pair[1][1], 32) == pair[1][0]
    ]
    best = max(holding, key=lambda pair: (pair[0][1], pair[1][1]), default=None)
    wanted = Answer.OUT if best is None else Answer.NOMATCH if known[best] else Answer.IN
    assert hashed.find(Element(one, 32, ip2=two, cidr2=32), Question(START)) is wanted


class TestInterfaces:
    """hash:net,iface."""

    def test_a_network_with_another_device_hides_shorter_ones(self) -> None:
        """As in Linux: the search ends where the network is, not where the device is."""
        hashed = made("hash:net,iface")
        put(hashed, attrs.evolve(net(0x0A000000, 8), iface="eth1"))
        put(hashed, attrs.evolve(net(0x0A010000, 16), iface="eth0"))
        assert hashed.find(Element(0x0A020000, 32, iface="eth1"), Question(START)) is Answer.IN
        assert hashed.find(Element(0x0A010001, 32, iface="eth1"), Question(START)) is Answer.OUT

    def test_0_0_0_0_0_holds_everything(self) -> None:
        """This type and hash:net,net know the shortest prefix."""
        hashed = made("hash:net,iface")
        put(hashed, attrs.evolve(net(0, 0), iface="eth0"))
        assert hashed.find(Element(0x01020304, 32, iface="eth0"), Question(START)) is Answer.IN

    def test_a_wildcard_is_the_beginning_of_names(self) -> None:
        """`veth` with it is every veth, and none is added beside it."""
        hashed = made("hash:net,iface")
        put(hashed, attrs.evolve(net(0x0A000000, 8), iface="veth", wildcard=True))
        assert hashed.find(Element(0x0A000001, 32, iface="veth9"), Question(START)) is Answer.IN
        with pytest.raises(IpSetError):
            put(hashed, attrs.evolve(net(0x0A000000, 8), iface="veth9"))

    def test_deleting_and_flushing_leaves_nothing(self) -> None:
        """Neither elements nor lengths that are tried."""
        hashed = made("hash:net,iface")
        for name in ("eth0", "eth1"):
            put(hashed, attrs.evolve(net(0x0A000000, 8), iface=name))
        hashed.delete(attrs.evolve(net(0x0A000000, 8), iface="eth0"), START, exist=False)
        assert [member.element.iface for member in hashed.listed(START)] == ["eth1"]
        hashed.flush()
        assert len(hashed) == 0
        assert hashed.longest == (32, 32)


class TestTime:
    """Elements that stay for a while."""

    def test_an_element_is_there_until_its_last_instant(self) -> None:
        """And can then be added again, without `-exist`."""
        hashed = made("hash:ip", timeout=10)
        put(hashed, Entry(first=Addresses(7)))
        entry = Entry(first=Addresses(7))
        assert hashed.test(entry, Instant(10 * SECOND))
        assert not hashed.test(entry, Instant(10 * SECOND + 1))
        assert list(hashed.listed(Instant(11 * SECOND))) == []
        put(hashed, entry, at=11)
        assert hashed.test(entry, Instant(21 * SECOND))

    def test_an_element_may_have_its_own_time_or_none(self) -> None:
        """0 is for ever."""
        hashed = made("hash:ip", timeout=10)
        put(hashed, Entry(first=Addresses(7), extensions=Extensions(timeout=0)))
        put(hashed, Entry(first=Addresses(8), extensions=Extensions(timeout=2)))
        assert [m.element.ip for m in hashed.listed(Instant(3 * SECOND))] == [7]
        assert [m.seconds_left(START) for m in hashed.listed(START)] == [0, 2]

    def test_adding_again_begins_the_time_anew(self) -> None:
        """With the set's own time, if nothing else is said."""
        hashed = made("hash:ip", timeout=10)
        put(hashed, Entry(first=Addresses(7), extensions=Extensions(timeout=100)))
        put(hashed, Entry(first=Addresses(7)), at=5, exist=True)
        assert not hashed.test(Entry(first=Addresses(7)), Instant(16 * SECOND))

    def test_room_is_made_of_elements_whose_time_is_over(self) -> None:
        """Only when the set is full are they looked for."""
        hashed = made("hash:ip", timeout=1, maxelem=1)
        put(hashed, Entry(first=Addresses(7)))
        with pytest.raises(IpSetError):
            put(hashed, Entry(first=Addresses(8)))
        put(hashed, Entry(first=Addresses(8)), at=2)
        assert [m.element.ip for m in hashed.listed(Instant(2 * SECOND))] == [8]


class TestRoom:
    """maxelem, forceadd, and ranges without measure."""

    def test_a_full_set_keeps_what_came_before(self) -> None:
        """A range is added up to the limit."""
        hashed = made("hash:ip", maxelem=3)
        with pytest.raises(IpSetError) as caught:
            put(hashed, Entry(first=Addresses(1, last=100)))
        assert caught.value.refusal is Refusal.HASH_FULL
        assert [m.element.ip for m in hashed.listed(START)] == [1, 2, 3]

    def test_forceadd_gives_up_the_oldest(self) -> None:
        """The new element is always taken."""
        hashed = made("hash:ip", maxelem=2, forceadd=True)
        put(hashed, Entry(first=Addresses(1, last=5)))
        assert [m.element.ip for m in hashed.listed(START)] == [4, 5]

    def test_a_set_without_room_takes_nothing(self) -> None:
        """Not even with forceadd."""
        with pytest.raises(IpSetError):
            put(made("hash:ip", maxelem=0, forceadd=True), Entry(first=Addresses(1)))

    @pytest.mark.parametrize("doing", ["add", "delete"])
    def test_a_range_beyond_measure_ends(self, doing: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Though the set would have room for all of it."""
        monkeypatch.setattr(hash_module, "LARGEST_EXPANSION", 1000)
        hashed = made("hash:ip,port", maxelem=0xFFFFFFFF)
        entry = Entry(first=Addresses(1, last=0xFFFFFFFF), ports=Ports(6, 0, 65535))
        with pytest.raises(IpSetError) as caught:
            getattr(hashed, doing)(entry, START, exist=True)
        assert caught.value.refusal is Refusal.RANGE_TOO_LARGE


class TestExpansion:
    """What one entry stands for."""

    def test_every_combination_is_an_element(self) -> None:
        """Addresses, ports and networks, the last quickest."""
        hashed = made("hash:ip,port,net")
        put(hashed, Entry(Addresses(1, last=2), Ports(17, 5, 6), Addresses(9, last=11)))
        assert [
            (m.element.ip, m.element.port, m.element.ip2, m.element.cidr2) for m in hashed.listed(START)
        ] == [(ip, port, *second) for ip in (1, 2) for port in (5, 6) for second in ((9, 32), (10, 31))]

    def test_protocols_without_ports_have_port_0(self) -> None:
        """Of ICMP the port is type and code; no protocol is refused."""
        hashed = made("hash:ip,port")
        put(hashed, Entry(Addresses(1), Ports(47, 5)))
        put(hashed, Entry(Addresses(1), Ports(1, 0x0800)))
        assert [(m.element.protocol, m.element.port) for m in hashed.listed(START)] == [(47, 0), (1, 0x0800)]
        with pytest.raises(IpSetError) as caught:
            put(hashed, Entry(Addresses(1), Ports(0, 0)))
        assert caught.value.refusal is Refusal.INVALID_PROTO

    def test_ranges_of_ipv6_are_refused(self) -> None:
        """A prefix of a network is not."""
        hashed = made("hash:net", family=6)
        put(hashed, net(1 << 127, 1))
        assert hashed.find(Element((1 << 127) + 5, 128), Question(START)) is Answer.IN
        with pytest.raises(IpSetError):
            put(hashed, Entry(first=Addresses(1, last=2)))

    def test_a_mac_address_of_zeros_is_no_element(self) -> None:
        """Any other is."""
        hashed = made("hash:mac", family=0)
        put(hashed, Entry(mac=b"\2\0\0\0\0\1"))
        assert hashed.find(Element(mac=b"\2\0\0\0\0\1"), Question(START)) is Answer.IN
        with pytest.raises(IpSetError):
            put(hashed, Entry(mac=bytes(6)))


@pytest.mark.parametrize(
    ("extensions", "refusal"),
    [
        (Extensions(timeout=1), Refusal.TIMEOUT),
        (Extensions(packets=1), Refusal.COUNTER),
        (Extensions(octets=1), Refusal.COUNTER),
        (Extensions(comment=""), Refusal.COMMENT),
    ],
)
def test_what_a_set_was_not_made_for_is_refused(extensions: Extensions, refusal: Refusal) -> None:
    """Each by its own name."""
    with pytest.raises(IpSetError) as caught:
        put(made("hash:ip"), Entry(first=Addresses(1), extensions=extensions))
    assert caught.value.refusal is refusal
