# SPDX-License-Identifier: GPL-2.0-only
"""Each scheduler against a slow and obvious model of it, and what they have in common."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.ipvs.schedulers import (
    BY_HISTORY,
    SCHEDULERS,
    Client,
    Request,
    changed,
    hash_32,
)
from emu.kernel.netfilter.ipvs.usage import Load, Usage
from emu.kernel.netfilter.ipvs.virtual import Destination, DestinationKey, ServiceKey, VirtualService
from emu.sim.choice import branches
from emu.wire.ipv4 import TCP
from tests.unit.kernel.netfilter.ipvs.balanced import VIP, Balanced
from tests.unit.kernel.netfilter.nat_gateway import ip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WEIGHTS = st.lists(st.integers(0, 5), min_size=1, max_size=5)
LOADS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 300)), min_size=5, max_size=5)


def service(scheduler: str, weights: Sequence[int], **words: frozenset[str]) -> VirtualService:
    """Return a service whose destinations have these weights, in the kernel's order."""
    destinations = [
        Destination(DestinationKey(ip(f"10.2.0.{number}"), 8080), weight)
        for number, weight in enumerate(weights, 2)
    ]
    return VirtualService(
        ServiceKey(TCP, VIP, 80),
        scheduler,
        destinations=tuple(destinations),
        flags=words.get("flags", frozenset()),
    )


def rounds(found: VirtualService, count: int, loads: Sequence[Load] | None = None) -> list[int | None]:
    """Return the places of the destinations that so many connections get, loads as they are."""
    usage = Usage()
    changed(found, None, usage)
    loads = loads or [Load() for _ in found.destinations]
    client = Client(ip("10.1.0.2"), 1000, VIP)
    request = Request(found, usage, loads, client)
    chosen = [SCHEDULERS[found.scheduler](request) for _ in range(count)]
    return [found.destinations.index(each) if each is not None else None for each in chosen]


@given(WEIGHTS)
def test_round_robin_gives_each_its_turn(weights: list[int]) -> None:
    """All that have weight, one after the other, whatever the weight."""
    able = [place for place, weight in enumerate(weights) if weight]
    expected = [able[turn % len(able)] if able else None for turn in range(12)]
    assert rounds(service("rr", weights), 12) == expected


@given(WEIGHTS)
def test_weighted_round_robin_gives_each_as_many_turns_as_it_has_weight(weights: list[int]) -> None:
    """In any stretch as long as the sum of the weights, from the beginning on."""
    found, total = service("wrr", weights), sum(weights)
    turns = rounds(found, 3 * total or 3)
    if not total:
        assert turns == [None] * 3
        return
    for start in range(0, 3 * total, total):
        counts = Counter(turns[start : start + total])
        assert [counts[place] for place in range(len(weights))] == weights


def test_weighted_round_robin_mixes_the_turns_as_linux_does() -> None:
    """The example of the LVS documents: weights 4, 3 and 2 make A A B A B C A B C."""
    assert rounds(service("wrr", [4, 3, 2]), 9) == [0, 0, 1, 0, 1, 2, 0, 1, 2]


COSTS: dict[str, Callable[[int, int, int], Fraction]] = {
    "lc": lambda active, inactive, _weight: Fraction(active * 256 + inactive),
    "wlc": lambda active, inactive, weight: Fraction(active * 256 + inactive, weight),
    "sed": lambda active, _inactive, weight: Fraction(active + 1, weight),
}


@pytest.mark.parametrize("scheduler", sorted(COSTS))
@given(weights=WEIGHTS, loads=LOADS)
def test_those_that_count_connections_take_the_least(
    scheduler: str, weights: list[int], loads: list[tuple[int, int]]
) -> None:
    """The first of equals, and never one without weight."""
    held = [Load(*load) for load in loads[: len(weights)]]
    costs = [
        (COSTS[scheduler](load.active, load.inactive, weight), place)
        for place, (weight, load) in enumerate(zip(weights, held, strict=True))
        if weight
    ]
    expected = min(costs)[1] if costs else None
    assert rounds(service(scheduler, weights), 1, held) == [expected]


@given(weights=WEIGHTS, loads=LOADS)
def test_never_queue_takes_an_idle_one_before_all(weights: list[int], loads: list[tuple[int, int]]) -> None:
    """The first without active connections; without one it is `sed`."""
    held = [Load(*load) for load in loads[: len(weights)]]
    idle = [place for place, load in enumerate(held) if weights[place] and not load.active]
    expected = [idle[0]] if idle else rounds(service("sed", weights), 1, held)
    assert rounds(service("nq", weights), 1, held) == expected


@given(WEIGHTS, st.integers(1, 254))
def test_source_hashing_gives_a_client_the_same_one_always(weights: list[int], host: int) -> None:
    """And a client whose own one has no weight none at all, though others have some."""
    found = service("sh", weights)
    table = [place for place, weight in enumerate(weights) for _ in range(max(1, weight))]
    bucket = hash_32(int.from_bytes(ip(f"10.1.0.{host}"), "big"))
    own = table[bucket % len(table)]
    request = Request(found, Usage(), [Load() for _ in weights], Client(ip(f"10.1.0.{host}"), 1, VIP))
    chosen = {SCHEDULERS["sh"](request) for _ in range(3)}
    assert chosen == {found.destinations[own] if weights[own] else None}


@given(WEIGHTS)
def test_source_hashing_with_fallback_finds_one_if_there_is_any(weights: list[int]) -> None:
    """The flag `sh-fallback` looks at further buckets."""
    (chosen,) = rounds(service("sh", weights, flags=frozenset(("sh-fallback",))), 1)
    assert (chosen is None) is not any(weights)
    assert chosen is None or weights[chosen]


@given(WEIGHTS)
def test_destination_hashing_asks_the_virtual_address_alone(weights: list[int]) -> None:
    """One service, one destination, as long as that has weight."""
    own = hash_32(int.from_bytes(VIP, "big")) % len(weights)
    assert rounds(service("dh", weights), 2) == [own if weights[own] else None] * 2


@given(weights=WEIGHTS, loads=LOADS)
def test_failover_and_overflow_go_by_weight(weights: list[int], loads: list[tuple[int, int]]) -> None:
    """The highest weight, and with `ovf` the highest that has no more active connections than that."""
    held = [Load(*load) for load in loads[: len(weights)]]
    highest = weights.index(max(weights)) if any(weights) else None
    assert rounds(service("fo", weights), 1, held) == [highest]
    able = [weight if weight and held[place].active <= weight else -1 for place, weight in enumerate(weights)]
    expected = able.index(max(able)) if max(able) > 0 else None
    assert rounds(service("ovf", weights), 1, held) == [expected]


@pytest.mark.parametrize("scheduler", sorted(SCHEDULERS))
@given(weights=WEIGHTS)
def test_nobody_offers_one_that_is_overloaded_or_without_weight(scheduler: str, weights: list[int]) -> None:
    """Whatever the scheduler is."""
    held = [Load(is_overloaded=place % 2 == 0) for place in range(len(weights))]
    for chosen in rounds(service(scheduler, weights), 6, held):
        assert chosen is None or (weights[chosen] and chosen % 2)


@pytest.mark.parametrize("scheduler", sorted(BY_HISTORY))
def test_a_question_follows_each_destination_that_may_have_its_turn(scheduler: str) -> None:
    """With its share in the long run: by weight where the scheduler asks weights, else the same for all."""
    found = {}
    for choice in branches():
        balanced = Balanced(scheduler, "10.2.0.2=3", "10.2.0.3=1", "10.2.0.4=0", choice=choice)
        reached = balanced.chosen(1000)
        found[str(reached)] = choice.probability
    heavy = Fraction(3, 4) if BY_HISTORY[scheduler] else Fraction(1, 2)
    assert found == {"10.2.0.2": heavy, "10.2.0.3": 1 - heavy}


def test_a_destination_s_limits_keep_new_connections_away() -> None:
    """At the upper one it gets no more, until it has fewer than three quarters of that."""
    balanced = Balanced("rr", "10.2.0.2", "10.2.0.3")
    key = DestinationKey(ip("10.2.0.2"), 8080)
    balanced.ipvs.edit_destination(balanced.key, Destination(key, upper=2))
    assert [str(balanced.chosen(port)) for port in range(1, 6)] == [
        "10.2.0.2",
        "10.2.0.3",
        "10.2.0.2",
        "10.2.0.3",
        "10.2.0.3",
    ]
    load = balanced.ipvs.load(balanced.key, key)
    assert load.is_overloaded
    for entry in tuple(balanced.ipvs.connections):
        if entry.destination == key:
            balanced.ipvs.expire(entry)
            break
    assert not load.is_overloaded


def test_whose_turn_it_is_survives_changes() -> None:
    """A destination that goes leaves the turn to the one behind it; a new one comes first in the list."""
    balanced = Balanced("rr", "10.2.0.2", "10.2.0.3", "10.2.0.4")
    assert [str(balanced.chosen(port)) for port in (1, 2)] == ["10.2.0.2", "10.2.0.3"]
    balanced.remove("10.2.0.3")
    assert str(balanced.chosen(3)) == "10.2.0.4"
    balanced.add("10.2.0.5")
    assert [str(balanced.chosen(port)) for port in (4, 5, 6)] == ["10.2.0.5", "10.2.0.2", "10.2.0.4"]
