# SPDX-License-Identifier: GPL-2.0-only
"""Sets and maps: found, changed by packets and commands, forgotten."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.nftables.expressions import CATCH_ALL, Range
from emu.kernel.netfilter.nftables.lookup import Index
from emu.kernel.netfilter.verdict import Verdict
from emu.sim.choice import branches
from emu.sim.time import START
from emu.tools.nft.faults import NftError
from emu.tools.nft.loading import load
from emu.wire import ipv4, udp
from tests.unit.kernel.netfilter.nftables.rules import chain, listing, tables, verdict
from tests.unit.kernel.netfilter.packets import CLIENT, SERVER, at, datagram, node, pass_time, segment

if TYPE_CHECKING:
    from emu.sim.time import Instant

_ACCEPT, _DROP = Verdict.ACCEPT, Verdict.DROP


class Item:
    """Something to be found."""

    def lives(self, _now: Instant) -> bool:
        """Return that it does."""
        return True


@given(
    ranges=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), max_size=8),
    default=st.booleans(),
    value=st.integers(0, 70),
)
def test_bisection_finds_what_a_search_finds(
    ranges: list[tuple[int, int]], value: int, *, default: bool
) -> None:
    """The range that holds the value, else the catch-all element, else nothing."""
    items: dict[object, Item] = {}
    taken: set[int] = set()
    for low, size in ranges:
        if not taken & set(range(low, low + size + 1)):
            taken |= set(range(low, low + size + 1))
            items[Range(low, low + size) if size else low] = Item()
    if default:
        items[CATCH_ALL] = Item()
    index = Index(items, interval=True, concat=False)  # type: ignore[arg-type]  # keys of one kind
    holding = [
        key for key in items if key == value or (isinstance(key, Range) and key.low <= value <= key.high)
    ]
    wanted = items[holding[0]] if holding else items.get(CATCH_ALL)
    assert index.find(value, START) is wanted


def test_a_packet_enters_itself_and_is_forgotten_in_time() -> None:
    """`update` renews, `add` does not, and the set says how long is left."""
    beside = "set s {\ntype ipv4_addr\nflags dynamic,timeout\ntimeout 10s\n}\n"
    nft = chain("udp dport 53 update @s { ip saddr }", "ip saddr @s accept", beside=beside)
    packet = at(segment())
    assert verdict(nft, packet) is _DROP
    knock = at(datagram(), net=packet.net)
    assert verdict(nft, knock) is _ACCEPT
    pass_time(packet, 9)
    assert verdict(nft, packet) is _ACCEPT
    verdict(nft, knock)
    pass_time(packet, 9)
    assert verdict(nft, packet) is _ACCEPT
    assert "10.0.0.1 expires 1s" in listing(nft, packet)
    pass_time(packet, 1)
    assert verdict(nft, packet) is _DROP


def test_add_does_not_renew() -> None:
    """An element that is there keeps its time."""
    beside = "set s {\ntype ipv4_addr\nflags dynamic,timeout\ntimeout 10s\n}\n"
    nft = chain("add @s { ip saddr timeout 5s } accept", beside=beside)
    packet = at(segment())
    verdict(nft, packet)
    pass_time(packet, 2)
    verdict(nft, packet)
    assert "10.0.0.1 timeout 5s expires 3s" in listing(nft, packet)


def test_a_full_set_takes_nothing_and_ends_the_rule() -> None:
    """As `nft_dynset` breaks."""
    beside = "set s {\ntype ipv4_addr . inet_service\nsize 1\nflags dynamic\n}\n"
    nft = chain("add @s { ip saddr . tcp dport } accept", beside=beside)
    assert verdict(nft, at(segment())) is _ACCEPT
    assert verdict(nft, at(segment(dport=81))) is _DROP
    assert verdict(nft, at(segment())) is _ACCEPT


def test_each_element_has_its_own_limit() -> None:
    """A limit in an element is that of its key alone."""
    beside = "set s {\ntype inet_service\nflags dynamic\n}\n"
    nft = chain("add @s { tcp dport limit rate 1/second burst 2 packets } accept", beside=beside)
    assert [verdict(nft, at(segment())) for _ in range(3)] == [_ACCEPT, _ACCEPT, _DROP]
    assert verdict(nft, at(segment(dport=81))) is _ACCEPT


@pytest.mark.parametrize(("over", "first"), [("", _ACCEPT), ("over ", _DROP)])
def test_a_limit_holds_for_so_many_packets_in_a_time(over: str, first: Verdict) -> None:
    """A burst at once, then one in each part of the unit; `over` is the opposite."""
    nft = chain(f"limit rate {over}2/second burst 3 packets accept")
    packet = at(segment())
    second = _DROP if first is _ACCEPT else _ACCEPT
    assert [verdict(nft, packet) for _ in range(4)] == [first, first, first, second]
    pass_time(packet, 0.5)
    assert [verdict(nft, packet) for _ in range(2)] == [first, second]


def test_numbers_at_random_are_equally_likely() -> None:
    """Each of n branches has exactly 1/n."""
    found: dict[int, Fraction] = {}
    for choice in branches():
        net = node()
        net.choice = choice
        packet = at(segment(), net=net)
        verdict(chain("meta mark set numgen random mod 3 offset 5"), packet)
        found[packet.skb.mark] = choice.probability
    assert found == {5: Fraction(1, 3), 6: Fraction(1, 3), 7: Fraction(1, 3)}


def test_numbers_in_turn_are_state() -> None:
    """The first is the offset; a namespace has its own."""
    nft = chain("meta mark set numgen inc mod 3 offset 5")
    marks = []
    for _ in range(4):
        packet = at(segment())
        verdict(nft, packet)
        marks.append(packet.skb.mark)
    assert marks == [5, 6, 7, 5]


@pytest.mark.parametrize("hashed", ["jhash ip saddr . tcp sport", "symhash"])
def test_a_hash_without_a_seed_draws_one(hashed: str) -> None:
    """The same key gets the same number again, others get others, and nothing is kept of each."""
    nft, net = chain(f"meta mark set {hashed} mod 1000000"), node()
    marks = []
    for sport in (*range(40000, 40100), *range(40000, 40100)):
        packet = at(segment(sport=sport), net=net)
        verdict(nft, packet)
        marks.append(packet.skb.mark)
    assert marks[:100] == marks[100:]
    assert len(set(marks)) > 90
    (rule,) = nft.tables["ip", "t"].chains["base"].rules
    (sequence,) = rule.sequences.values()
    assert (sequence.seed is None, sequence.decided) == (False, {})


@pytest.mark.parametrize("hashed", ["jhash ip saddr", "symhash"])
def test_an_exploration_follows_each_number_of_a_hash(hashed: str) -> None:
    """All alike, and a key keeps its own on a branch."""
    found: dict[int, Fraction] = {}
    for choice in branches():
        nft, net = chain(f"meta mark set {hashed} mod 2 offset 5"), node()
        net.choice = choice
        for _ in range(2):
            packet = at(segment(), net=net)
            verdict(nft, packet)
            found[packet.skb.mark] = choice.probability
    assert found == {5: Fraction(1, 2), 6: Fraction(1, 2)}


def test_both_directions_of_a_flow_have_one_symhash() -> None:
    """Whoever sends."""
    nft, net = chain("meta mark set symhash mod 1000000"), node()
    marks = set()
    there = datagram(sport=1000, dport=53)
    back = ipv4.build(17, SERVER, CLIENT, udp.build(SERVER, CLIENT, 53, 1000, b""))
    for octets in (there, back):
        packet = at(octets, net=net)
        verdict(nft, packet)
        marks.add(packet.skb.mark)
    assert len(marks) == 1


def test_elements_come_and_go_by_commands() -> None:
    """Without a flush, and with what rules use kept."""
    nft = tables(
        "table ip t {\nmap m {\ntype inet_service : verdict\n}\nchain c {\n}\nchain b {\n"
        "type filter hook forward priority 0; policy drop;\ntcp dport vmap @m\n}\n}\n"
    )
    assert verdict(nft, at(segment())) is _DROP
    load(nft, "add element ip t m { 80 : accept, 81 : jump c }", START)
    assert verdict(nft, at(segment())) is _ACCEPT
    with pytest.raises(NftError, match="Device or resource busy"):
        load(nft, "delete chain ip t c", START)
    load(nft, "delete element ip t m { 80, 81 }\ndelete chain ip t c", START)
    assert verdict(nft, at(segment())) is _DROP


def test_a_change_keeps_what_rules_have_counted() -> None:
    """Rules that are not touched go on counting."""
    nft = chain("counter", "tcp dport 80 accept")
    packet = at(segment())
    verdict(nft, packet)
    load(nft, "insert rule ip t base tcp dport 81 drop", START)
    verdict(nft, packet)
    assert "counter packets 2 bytes 80" in listing(nft, packet)


def test_rules_are_placed_by_handle_and_by_index() -> None:
    """Behind, before, in the place of, and away."""
    nft = tables("table ip t {\nchain c {\ntcp dport 1\ntcp dport 2\n}\n}\n")
    load(nft, "add rule ip t c handle 2 tcp dport 3", START)
    load(nft, "insert rule ip t c index 1 tcp dport 4", START)
    load(nft, "replace rule ip t c handle 3 tcp dport 5", START)
    chains = nft.snapshot(START).tables[0].chains
    assert [rule.statements[-1].right for rule in chains[0].rules] == [1, 4, 3, 5]  # type: ignore[union-attr]
    load(nft, f"delete rule ip t c handle {chains[0].rules[1].handle}", START)
    assert len(nft.snapshot(START).tables[0].chains[0].rules) == 3
