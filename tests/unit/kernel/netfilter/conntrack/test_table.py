# SPDX-License-Identifier: GPL-2.0-only
"""The connection table: who is in it, found by what, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.conntrack.entry import Connection, Direction, Status
from emu.kernel.netfilter.conntrack.table import ConnectionTable, EventKind
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.sim.time import SECOND, START, Instant

if TYPE_CHECKING:
    from random import Random

A, B, C = (bytes((10, 0, 0, number)) for number in (1, 2, 3))
LATER = Instant(START + 40 * SECOND)


def tuple_of(sport: int = 1000, *, src: bytes = A, dst: bytes = B) -> Tuple:
    """Return the tuple of a UDP flow."""
    return Tuple(src, dst, 17, sport, 53)


@pytest.fixture
def table() -> ConnectionTable:
    """Return an empty table."""
    return ConnectionTable()


def enter(
    table: ConnectionTable,
    original: Tuple | None = None,
    reply: Tuple | None = None,
    *,
    zones: tuple[int, int] = (0, 0),
    timeout: int = 30 * SECOND,
) -> Connection:
    """Confirm a connection and return it."""
    original = original or tuple_of()
    connection = table.begin(original, reply or original.invert(), zones=zones)
    connection.timeout = timeout
    connection.status |= Status.SRC_NAT_DONE
    assert table.confirm(connection, START) is None
    return connection


def test_a_connection_is_found_by_both_its_tuples(table: ConnectionTable) -> None:
    """And the direction is told."""
    reply = Tuple(C, A, 17, 5353, 1000)
    connection = enter(table, reply=reply)
    assert table.find(tuple_of(), START) == (connection, Direction.ORIGINAL)
    assert table.find(reply, START) == (connection, Direction.REPLY)
    assert table.find(tuple_of().invert(), START) is None


def test_before_it_is_confirmed_nobody_finds_it(table: ConnectionTable) -> None:
    """Its first packet may still be dropped."""
    connection = table.begin(tuple_of(), tuple_of().invert())
    assert table.find(tuple_of(), START) is None
    assert not connection.is_confirmed
    assert table.count == 0


def test_its_time_counts_from_its_confirmation(table: ConnectionTable) -> None:
    """What the tracker said before is how long."""
    connection = table.begin(tuple_of(), tuple_of().invert())
    connection.timeout = 5 * SECOND
    table.confirm(connection, LATER)
    assert connection.expires == LATER + 5 * SECOND


def test_who_meets_an_expired_one_deletes_it(table: ConnectionTable) -> None:
    """It is counted until then, and no longer listed."""
    connection = enter(table)
    assert table.entries(LATER) == []
    assert table.count == 1
    assert table.find(tuple_of(), LATER) is None
    assert table.count == 0
    assert connection.status & Status.DYING


def test_it_ends_at_the_very_instant(table: ConnectionTable) -> None:
    """Not a nanosecond before."""
    connection = enter(table)
    assert table.find(tuple_of(), Instant(connection.expires - 1)) is not None
    assert table.find(tuple_of(), connection.expires) is None


def test_of_two_that_clash_the_first_stays(table: ConnectionTable) -> None:
    """In either direction; the second is told whom it met."""
    first = enter(table)
    same = table.begin(tuple_of(), Tuple(C, A, 17, 53, 1000))
    assert table.confirm(same, START) == (first, Direction.ORIGINAL)
    answered = table.begin(tuple_of(src=C), tuple_of().invert())
    assert table.confirm(answered, START) == (first, Direction.REPLY)
    assert not same.is_confirmed
    assert table.entries(START) == [first]


def test_an_expired_one_clashes_with_nobody(table: ConnectionTable) -> None:
    """It gives way."""
    enter(table)
    second = table.begin(tuple_of(), tuple_of().invert())
    assert table.confirm(second, LATER) is None
    assert list(table) == [second]


def test_zones_are_apart(table: ConnectionTable) -> None:
    """The same tuple in another zone is another connection; each direction has its own zone."""
    first, second = enter(table), enter(table, zones=(7, 7))
    assert table.find(tuple_of(), START, 7) == (second, Direction.ORIGINAL)
    assert table.find(tuple_of(), START) == (first, Direction.ORIGINAL)
    third = enter(table, zones=(8, 9))
    assert table.find(tuple_of().invert(), START, 9) == (third, Direction.REPLY)
    assert table.find(tuple_of().invert(), START, 8) is None


def test_a_tuple_is_taken_by_others_only(table: ConnectionTable) -> None:
    """Nor by one that began with the same packet's tuple: both are the same flow under way twice."""
    connection = enter(table)
    assert table.is_taken(tuple_of(), START)
    assert not table.is_taken(tuple_of(), START, but=connection)
    twin = table.begin(tuple_of(), tuple_of().invert())
    assert not table.is_taken(tuple_of().invert(), START, but=twin)
    other = table.begin(tuple_of(src=C), tuple_of(src=C).invert())
    assert table.is_taken(tuple_of().invert(), START, but=other)


def test_sources_are_known_newest_first(table: ConnectionTable) -> None:
    """Those whose source was bound; deleted ones are forgotten, and the index with the last of them."""
    first = enter(table)
    second = enter(table, tuple_of(dst=C))
    assert table.of_source(tuple_of(), 0) == [second, first]
    assert table.of_source(tuple_of(), 1) == []
    table.delete(second, START)
    assert table.of_source(tuple_of(), 0) == [first]
    table.delete(first, START)
    assert not table._by_source


def test_deleting_twice_is_deleting_once(table: ConnectionTable) -> None:
    """Also where another has its tuples by now."""
    first = enter(table)
    table.delete(first, START)
    second = enter(table)
    table.delete(first, START)
    assert table.find(tuple_of(), START) == (second, Direction.ORIGINAL)


def test_flushing_forgets_all(table: ConnectionTable) -> None:
    """In every index."""
    for sport in range(5):
        enter(table, tuple_of(sport))
    table.flush(START)
    assert (table.count, table._found, table._by_source) == (0, {}, {})


def test_a_growing_table_is_swept(table: ConnectionTable) -> None:
    """What nobody meets does not stay for ever."""
    for number in range(2000):
        original = Tuple(A, B, 17, number, 53)
        connection = table.begin(original, original.invert())
        connection.timeout = SECOND
        table.confirm(connection, Instant(START + number * SECOND // 100))
    assert table.count < 1100


def test_room_is_made_of_what_is_over_or_not_assured(table: ConnectionTable) -> None:
    """First what has expired, then the oldest that is not ASSURED; the assured stay."""
    old = enter(table, tuple_of(1), timeout=SECOND)
    assured, loose, newer = (enter(table, tuple_of(number), timeout=50 * SECOND) for number in (2, 3, 4))
    assured.status |= Status.ASSURED
    assert table.make_room(LATER)
    assert old not in list(table)
    assert table.make_room(LATER)
    assert list(table) == [assured, newer]
    assert loose.status & Status.DYING
    assert table.make_room(LATER)
    assert not table.make_room(LATER)
    assert list(table) == [assured]
    assert table.stats["early_drop"] == 2


@given(st.lists(st.sampled_from(["new", "assure", "delete", "room"]), max_size=60), st.randoms())
def test_the_oldest_that_is_not_assured_makes_room(doings: list[str], random: Random) -> None:
    """Whatever came and went before, and whichever became ASSURED meanwhile."""
    table = ConnectionTable()
    for number, doing in enumerate(doings):
        there = list(table)
        if doing == "new":
            enter(table, tuple_of(number))
        elif doing == "room":
            loose = [one for one in there if not one.status & Status.ASSURED]
            assert table.make_room(START) is bool(loose)
            assert list(table) == [one for one in there if one is not next(iter(loose), None)]
        elif there and doing == "assure":
            random.choice(there).status |= Status.ASSURED
        elif there:
            table.delete(random.choice(there), START)


class Counting(ConnectionTable):
    """A table that knows how often it was looked through."""

    sweeps = 0

    def sweep(self, now: Instant) -> None:
        """Count, and do it."""
        self.sweeps += 1
        super().sweep(now)


def test_a_flood_does_not_look_through_a_full_table_for_each_packet() -> None:
    """Once at an instant, and seldom at many; what is over makes room within a second."""
    table = Counting()
    assured = [enter(table, tuple_of(number), timeout=50 * SECOND) for number in range(5000)]
    for one in assured[1:]:
        one.status |= Status.ASSURED
    table.sweeps = 0
    assert [table.make_room(START) for _ in range(3)] == [True, False, False]
    assert table.sweeps <= 1
    assured[-1].refresh(START, 10)
    assert [table.make_room(Instant(START + at)) for at in range(5, 105)].count(True) == 1
    assert table.sweeps < 7
    assured[-2].refresh(START, 1000)
    assert table.make_room(Instant(START + 2 * SECOND))


def test_masqueraded_ones_go_with_their_device_or_address(table: ConnectionTable) -> None:
    """And only those."""
    plain = enter(table, tuple_of(1))
    left, right = enter(table, tuple_of(2)), enter(table, tuple_of(3))
    left.masquerade, right.masquerade = "left", "right"
    table.forget_masqueraded("left", START, C)
    assert table.count == 3
    table.forget_masqueraded("left", START, A)
    assert list(table) == [plain, right]
    table.forget_masqueraded("right", START)
    assert list(table) == [plain]


def test_events_are_pictures_of_what_was(table: ConnectionTable) -> None:
    """Kept only while somebody listens."""
    enter(table, tuple_of(1))
    assert not table.events
    table.listening = True
    connection = enter(table)
    connection.status |= Status.ASSURED
    table.delete(connection, LATER)
    (new, gone) = table.events
    assert (new.kind, gone.kind, gone.time) == (EventKind.NEW, EventKind.DESTROY, LATER)
    assert not new.connection.status & Status.ASSURED
    assert gone.connection.status & Status.ASSURED
