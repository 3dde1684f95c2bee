# SPDX-License-Identifier: GPL-2.0-only
"""The sets of a namespace: names, places, lists, bitmaps, and who holds on to what."""

from __future__ import annotations

import pytest

from emu.kernel.netfilter.ipset.element import Addresses, Entry, Ports
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.lookup import Direction
from emu.kernel.netfilter.ipset.sets import IpSets
from emu.kernel.netfilter.ipset.spec import SetSpec
from emu.kernel.netfilter.ipset.types import TYPES
from emu.kernel.netfilter.ipset.users import count_uses
from emu.kernel.netfilter.matches.set import SetMatch
from emu.kernel.netfilter.ruleset import Chain, Rule, Table
from emu.kernel.netfilter.targets.set import SetTarget, Use
from emu.sim.time import START

IP = SetSpec(TYPES["hash:ip"], family=4)
NET = SetSpec(TYPES["hash:net"], family=4)
LIST = SetSpec(TYPES["list:set"])


@pytest.fixture
def sets() -> IpSets:
    """Two sets of addresses, one of networks, and a list of the first."""
    made = IpSets()
    for name, spec in (("list", LIST), ("a", IP), ("b", IP), ("net", NET)):
        made.create(name, spec)
    made.find("list").add(Entry(member="a"), START, exist=False)
    return made


def refusal(caught: pytest.ExceptionInfo[IpSetError]) -> Refusal:
    """Return why something was refused."""
    return caught.value.refusal


def test_lists_are_shown_last_and_free_places_are_taken_first(sets: IpSets) -> None:
    """So that what is saved can be restored."""
    assert [known.name for known in sets] == ["a", "b", "net", "list"]
    sets.destroy("b")
    sets.create("c", NET)
    assert [known.name for known in sets] == ["a", "c", "net", "list"]


def test_what_is_used_can_be_neither_destroyed_nor_renamed(sets: IpSets) -> None:
    """Be it by a list or by a rule."""
    with pytest.raises(IpSetError) as caught:
        sets.destroy("a")
    assert refusal(caught) is Refusal.BUSY
    with pytest.raises(IpSetError) as caught:
        sets.rename("a", "z")
    assert refusal(caught) is Refusal.REFERENCED
    with pytest.raises(IpSetError) as caught:
        sets.destroy_all()
    assert refusal(caught) is Refusal.BUSY
    sets.find("list").flush()
    sets.users = lambda name: int(name == "net")
    assert sets.references("net") == 1
    with pytest.raises(IpSetError):
        sets.destroy("net")
    sets.users = lambda _name: 0
    sets.destroy_all()
    assert len(sets) == 0


def test_a_swap_leaves_lists_and_rules_with_the_names_they_know(sets: IpSets) -> None:
    """The list of `a` now holds what was in `b`."""
    sets.find("b").add(Entry(first=Addresses(7)), START, exist=False)
    sets.swap("a", "b")
    assert sets.find("a").test(Entry(first=Addresses(7)), START)
    assert sets.references("a") == 1
    assert [known.name for known in sets] == ["a", "b", "net", "list"]


def test_only_kindred_sets_are_swapped(sets: IpSets) -> None:
    """A bitmap of addresses is kin to a hash of addresses of IPv4, to nothing else here."""
    sets.create("map", SetSpec(TYPES["bitmap:ip"], first=0, last=255))
    sets.create("six", SetSpec(TYPES["hash:ip"], family=6))
    sets.swap("map", "b")
    for other in ("net", "six", "list"):
        with pytest.raises(IpSetError) as caught:
            sets.swap("a", other)
        assert refusal(caught) is Refusal.TYPE_MISMATCH
    with pytest.raises(IpSetError) as caught:
        sets.swap("a", "nobody")
    assert refusal(caught) is Refusal.EXIST_SETNAME2


def test_a_set_that_exists_is_made_again_only_if_it_is_alike(sets: IpSets) -> None:
    """The buckets of its hash do not count."""
    sets.create("a", SetSpec(TYPES["hash:ip"], family=4, hashsize=64), exist=True)
    for spec in (SetSpec(TYPES["hash:ip"], family=4, maxelem=1), NET):
        with pytest.raises(IpSetError) as caught:
            sets.create("a", spec, exist=True)
        assert refusal(caught) is Refusal.EXIST


def test_the_rules_of_tables_are_counted_by_the_sets_they_name() -> None:
    """Each mention counts."""
    ends = (Direction.SRC,)
    rules = (
        Rule((SetMatch("a", ends), SetMatch("b", ends))),
        Rule((), SetTarget(Use("a", ends), Use("a", ends))),
        Rule(),
    )
    table = Table("filter", (Chain("INPUT", rules),))
    assert [count_uses([table], name) for name in "abc"] == [3, 1, 0]


class TestLists:
    """Sets in their order."""

    def members(self, sets: IpSets) -> list[str]:
        """Return the names in the list."""
        return [member.element.iface for member in sets.find("list").listed(START)]

    def test_members_stand_where_they_are_put(self, sets: IpSets) -> None:
        """Before one, behind one, or at the end."""
        known = sets.find("list")
        known.add(Entry(member="b", before="a"), START, exist=False)
        known.add(Entry(member="net", after="b"), START, exist=False)
        assert self.members(sets) == ["b", "net", "a"]
        assert known.test(Entry(member="net", before="a"), START)
        assert not known.test(Entry(member="net", after="a"), START)

    @pytest.mark.parametrize(
        ("entry", "wanted"),
        [
            (Entry(member="nobody"), Refusal.NAME),
            (Entry(member="list"), Refusal.LOOP),
            (Entry(member="b", before="nobody"), Refusal.NAMEREF),
            (Entry(member="b", after="net"), Refusal.REF_EXIST),
            (Entry(member="a"), Refusal.EXIST),
        ],
    )
    def test_what_cannot_be_in_a_list_is_refused(self, sets: IpSets, entry: Entry, wanted: Refusal) -> None:
        """And the list stays as it was."""
        with pytest.raises(IpSetError) as caught:
            sets.find("list").add(entry, START, exist=False)
        assert refusal(caught) is wanted
        assert self.members(sets) == ["a"]

    def test_a_member_is_taken_out_only_from_where_it_is_said_to_be(self, sets: IpSets) -> None:
        """Without a place, from anywhere."""
        known = sets.find("list")
        with pytest.raises(IpSetError) as caught:
            known.delete(Entry(member="a", after="b"), START, exist=False)
        assert refusal(caught) is Refusal.REF_EXIST
        known.delete(Entry(member="a"), START, exist=False)
        known.delete(Entry(member="a"), START, exist=True)
        assert self.members(sets) == []


class TestBitmaps:
    """A bit for each address or port."""

    def test_elements_are_listed_in_order(self) -> None:
        """However they came."""
        sets = IpSets()
        sets.create("p", SetSpec(TYPES["bitmap:port"], first=100, last=1))
        known = sets.find("p")
        for first, last in ((80, 81), (7, None)):
            known.add(Entry(ports=Ports(6, first, last)), START, exist=False)
        assert [member.element.port for member in known.listed(START)] == [7, 80, 81]
        known.delete(Entry(ports=Ports(6, 81)), START, exist=False)
        with pytest.raises(IpSetError):
            known.delete(Entry(ports=Ports(6, 81)), START, exist=False)

    @pytest.mark.parametrize("entry", [Addresses(9), Addresses(256), Addresses(15, cidr=24)])
    def test_what_is_out_of_range_is_refused(self, entry: Addresses) -> None:
        """Also where only a part of it is."""
        sets = IpSets()
        sets.create("m", SetSpec(TYPES["bitmap:ip"], first=10, last=20))
        with pytest.raises(IpSetError) as caught:
            sets.find("m").add(Entry(first=entry), START, exist=False)
        assert refusal(caught) is Refusal.BITMAP_RANGE

    def test_a_netmask_makes_an_element_of_a_network(self) -> None:
        """All its addresses are in the set then."""
        sets = IpSets()
        sets.create("m", SetSpec(TYPES["bitmap:ip"], first=0x0A000000, last=0x0AFFFFFF, netmask=24))
        sets.find("m").add(Entry(first=Addresses(0x0A000005)), START, exist=False)
        assert sets.find("m").test(Entry(first=Addresses(0x0A0000FF)), START)
        with pytest.raises(IpSetError) as caught:
            sets.create("n", SetSpec(TYPES["bitmap:ip"], first=0, last=0x00FFFFFF))
        assert refusal(caught) is Refusal.BITMAP_RANGE_SIZE
