# SPDX-License-Identifier: GPL-2.0-only
"""Matches that remember when packets came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.matches.hashlimit import HashLimit, Keys, TableOptions
from emu.kernel.netfilter.matches.limit import Limit
from emu.kernel.netfilter.matches.recent import Deed, Recent
from emu.kernel.netfilter.ruleset import Chain, Rule, Table
from emu.kernel.netfilter.verdict import Verdict
from emu.wire import ipv4
from emu.wire.addresses import IpAddress
from tests.unit.kernel.netfilter.packets import SERVER, at, datagram, node, pass_time

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.packet import Packet


def of(net: Namespace, src: str, ttl: int = 64) -> Packet:
    """Return a packet from `src`."""
    return at(ipv4.build(17, IpAddress.parse(src), SERVER, bytes(8), ttl=ttl), Hook.PREROUTING, net)


def test_a_limit_lets_a_burst_through_and_then_its_rate() -> None:
    """5 at once, and one more for each fifth of a second."""
    packet, match = at(datagram()), Limit(2000)
    assert [match.holds(packet) for _ in range(7)] == [True] * 5 + [False] * 2
    pass_time(packet, 0.19)
    assert not match.holds(packet)
    pass_time(packet, 0.01)
    assert match.holds(packet)
    assert not match.holds(packet)
    pass_time(packet, 100)
    assert [match.holds(packet) for _ in range(6)] == [True] * 5 + [False]


def test_two_rules_with_the_same_limit_count_apart() -> None:
    """Each has its own memory."""
    packet, match = at(datagram()), Limit(10_000, burst=1)
    assert match.holds(packet)
    packet.rule = 1
    assert match.holds(packet)
    assert not match.holds(packet)


def test_each_source_has_a_bucket_of_its_own() -> None:
    """Or each network, by the length of its prefix."""
    net = node()
    match = HashLimit("t", 1_000_000, 2, keys=Keys.SOURCE)
    assert [match.holds(of(net, "10.0.0.1")) for _ in range(3)] == [True, True, False]
    assert match.holds(of(net, "10.0.0.2"))
    wide = HashLimit("w", 1_000_000, 2, keys=Keys.SOURCE, source_length=24)
    assert [wide.holds(of(net, f"10.0.0.{last}")) for last in range(3)] == [True, True, False]


def test_above_holds_for_what_is_too_much() -> None:
    """The opposite of up to."""
    net = node()
    match = HashLimit("t", 1_000_000, 2, above=True)
    assert [match.holds(of(net, "10.0.0.1")) for _ in range(3)] == [False, False, True]


def test_rules_that_name_one_table_share_its_buckets() -> None:
    """What one rule took, another does not have."""
    net = node()
    first, second = HashLimit("t", 1_000_000, 1), HashLimit("t", 1_000_000, 1, above=True)
    assert first.holds(of(net, "10.0.0.1"))
    assert second.holds(of(net, "10.0.0.1"))


def test_the_first_rule_that_names_a_table_decides_on_its_rate() -> None:
    """As Linux has it for rules that are loaded while the older ones are still there."""
    net = node()
    generous, strict = HashLimit("t", 1_000_000, 3), HashLimit("t", 1_000_000, 1)
    assert generous.holds(of(net, "10.0.0.1"))
    assert [strict.holds(of(net, "10.0.0.1")) for _ in range(3)] == [True, True, False]


def test_lists_and_tables_are_forgotten_with_the_last_rule_that_names_them() -> None:
    """Those that are still named stay."""
    net = node()
    kept, gone = Recent(Deed.SET, "kept"), Recent(Deed.SET, "gone")
    limit = HashLimit("t", 1_000_000, 1)
    net.netfilter.table("filter")
    for match in (kept, gone, limit):
        match.holds(of(net, "10.0.0.1"))
    rules = (Rule((kept,)),)
    net.netfilter.replace(Table("filter", (Chain("INPUT", rules, Verdict.ACCEPT),)), {})
    assert Recent(Deed.CHECK, "kept").holds(of(net, "10.0.0.1"))
    assert not Recent(Deed.CHECK, "gone").holds(of(net, "10.0.0.1"))
    assert limit.holds(of(net, "10.0.0.1"))


def test_credit_comes_back_with_time() -> None:
    """One packet a second."""
    net = node()
    match = HashLimit("t", 1_000_000, 1, options=TableOptions(expire=60_000))
    assert match.holds(of(net, "10.0.0.1"))
    pass_time(of(net, "10.0.0.1"), 0.9)
    assert not match.holds(of(net, "10.0.0.1"))
    pass_time(of(net, "10.0.0.1"), 0.2)
    assert match.holds(of(net, "10.0.0.1"))


def test_a_bucket_that_is_not_used_is_forgotten_and_full_again() -> None:
    """After its time, when next somebody looks."""
    net = node()
    match = HashLimit("t", 3_600_000_000, 1, options=TableOptions(expire=1000, interval=1000))
    assert match.holds(of(net, "10.0.0.1"))
    pass_time(of(net, "10.0.0.1"), 0.5)
    assert not match.holds(of(net, "10.0.0.1"))
    pass_time(of(net, "10.0.0.1"), 3)
    assert match.holds(of(net, "10.0.0.1"))


def test_a_full_table_has_new_addresses_dropped() -> None:
    """Those that are in it go on."""
    net = node()
    match = HashLimit("t", 1, 100, keys=Keys.SOURCE, options=TableOptions(size=2, most=2))
    assert [match.holds(of(net, f"10.0.0.{last}")) for last in (1, 2, 1)] == [True] * 3
    packet = of(net, "10.0.0.3")
    assert not match.holds(packet)
    assert packet.hotdrop


def test_octets_are_counted_in_pieces_of_16() -> None:
    """160 octets a second: two packets of 60 octets (4 pieces each, and one more), and no third."""
    net = node()
    cost = 0xFFFFFFFF // 11
    match = HashLimit("t", cost, 0, counts_octets=True)
    packet = at(datagram(payload=bytes(32)), net=net)
    assert [match.holds(packet) for _ in range(3)] == [True, True, False]


def test_a_burst_of_octets_fills_the_bucket_again() -> None:
    """Twice; Linux 6.18 let 6 of 9 such packets through, with 160b/s and a burst of 320b."""
    net = node()
    match = HashLimit("t", 0xFFFFFFFF // 11, 2, counts_octets=True)
    packet = at(datagram(payload=bytes(32)), net=net)
    assert sum(match.holds(packet) for _ in range(9)) == 6


@pytest.mark.parametrize("inverted", [False, True])
def test_an_address_that_was_set_is_there(*, inverted: bool) -> None:
    """Setting holds whether it was there or not."""
    net = node()
    seen, check = Recent(Deed.SET, "l"), Recent(Deed.CHECK, "l", inverted=inverted)
    assert check.holds(of(net, "10.0.0.1")) is inverted
    assert seen.holds(of(net, "10.0.0.1"))
    assert seen.holds(of(net, "10.0.0.1"))
    assert check.holds(of(net, "10.0.0.1")) is not inverted
    assert check.holds(of(net, "10.0.0.2")) is inverted
    assert not Recent(Deed.CHECK, "other").holds(of(net, "10.0.0.1"))


def test_seconds_and_hits_count_what_was_seen_lately() -> None:
    """Three times within ten seconds; checking itself does not count."""
    net = node()
    seen, check = Recent(Deed.SET), Recent(Deed.CHECK, seconds=10, hits=3)
    for expected in (False, False, True):
        seen.holds(of(net, "10.0.0.1"))
        assert check.holds(of(net, "10.0.0.1")) is expected
        pass_time(of(net, "10.0.0.1"), 4)
    assert not check.holds(of(net, "10.0.0.1"))


def test_updating_notes_the_packet_where_it_holds() -> None:
    """So whoever keeps on trying stays locked out."""
    net = node()
    Recent(Deed.SET).holds(of(net, "10.0.0.1"))
    update = Recent(Deed.UPDATE, seconds=10)
    for _ in range(3):
        pass_time(of(net, "10.0.0.1"), 9)
        assert update.holds(of(net, "10.0.0.1"))
    pass_time(of(net, "10.0.0.1"), 11)
    assert not update.holds(of(net, "10.0.0.1"))


def test_a_removed_address_is_gone() -> None:
    """Removing holds if it was there."""
    net = node()
    remove = Recent(Deed.REMOVE)
    assert not remove.holds(of(net, "10.0.0.1"))
    Recent(Deed.SET).holds(of(net, "10.0.0.1"))
    assert remove.holds(of(net, "10.0.0.1"))
    assert not Recent(Deed.CHECK).holds(of(net, "10.0.0.1"))


def test_the_ttl_can_tell_a_forged_address_from_the_true_one() -> None:
    """It has to be that of the last packet."""
    net = node()
    Recent(Deed.SET).holds(of(net, "10.0.0.1", ttl=60))
    check = Recent(Deed.CHECK, same_ttl=True)
    assert check.holds(of(net, "10.0.0.1", ttl=60))
    assert not check.holds(of(net, "10.0.0.1", ttl=61))


def test_the_oldest_address_is_reaped_if_it_was_not_seen_lately() -> None:
    """One at each check."""
    net = node()
    Recent(Deed.SET).holds(of(net, "10.0.0.1"))
    pass_time(of(net, "10.0.0.1"), 20)
    Recent(Deed.SET).holds(of(net, "10.0.0.2"))
    assert Recent(Deed.CHECK, seconds=10, reap=True).holds(of(net, "10.0.0.2"))
    assert not Recent(Deed.CHECK).holds(of(net, "10.0.0.1"))


def test_a_full_list_forgets_whom_it_has_not_seen_for_the_longest_time() -> None:
    """It holds a hundred addresses."""
    net = node()
    for last in range(1, 102):
        Recent(Deed.SET).holds(of(net, f"10.0.0.{last}"))
    assert not Recent(Deed.CHECK).holds(of(net, "10.0.0.1"))
    assert Recent(Deed.CHECK).holds(of(net, "10.0.0.2"))


def test_a_mask_makes_one_entry_of_a_network() -> None:
    """And the destination can be looked up instead."""
    net = node()
    mask = b"\xff\xff\xff\0"
    Recent(Deed.SET, mask=mask).holds(of(net, "10.0.0.1"))
    assert Recent(Deed.CHECK, mask=mask).holds(of(net, "10.0.0.99"))
    Recent(Deed.SET, "d", is_destination=True).holds(of(net, "10.0.0.1"))
    assert Recent(Deed.CHECK, "d", is_destination=True).holds(of(net, "10.0.0.99"))
