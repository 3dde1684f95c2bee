# SPDX-License-Identifier: GPL-2.0-only
"""The event loop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from emu.errors import StormError
from emu.sim.loop import Event, EventLoop
from emu.sim.time import SECOND, START, Instant


def nothing() -> None:
    """Be an event that does nothing."""


class TestOrder:
    """When callbacks run."""

    def test_events_run_in_the_order_of_their_instants(self) -> None:
        """Whatever the order in which they were scheduled; the clock shows each one's instant."""
        loop, seen = EventLoop(), list[tuple[str, int]]()
        for instant, name in ((30, "c"), (10, "a"), (20, "b")):
            loop.at(Instant(instant), lambda name: seen.append((name, loop.now)), name)
        loop.run_until_idle()
        assert seen == [("a", 10), ("b", 20), ("c", 30)]

    def test_events_of_one_instant_run_in_the_order_of_scheduling(self) -> None:
        """Those scheduled long before come first, those scheduled by one of them last."""
        loop, seen = EventLoop(), list[str]()

        def first() -> None:
            seen.append("first")
            loop.at(loop.now, seen.append, "scheduled by first")

        loop.at(Instant(5), first)
        loop.at(Instant(5), seen.append, "second")
        loop.run_until_idle()
        assert seen == ["first", "second", "scheduled by first"]

    def test_an_instant_that_is_past_means_now(self) -> None:
        """The clock never goes back."""
        loop, seen = EventLoop(), list[int]()
        loop.run_until(Instant(100))
        loop.at(Instant(1), lambda: seen.append(loop.now))
        loop.run_until_idle()
        assert seen == [100]

    def test_after_counts_from_now(self) -> None:
        """A delay of zero is an event of this instant."""
        loop = EventLoop()
        loop.run_until(Instant(SECOND))
        assert loop.after(5, nothing).instant == SECOND + 5
        assert loop.after(0, nothing).instant == SECOND

    @given(st.lists(st.tuples(st.integers(0, 20), st.lists(st.integers(-5, 5), max_size=3)), max_size=20))
    def test_the_order_is_that_of_a_stable_sort(self, plan: list[tuple[int, list[int]]]) -> None:
        """The obvious slow loop, sorting all events each time, runs the same at the same instants."""
        assert ran(EventLoop(), plan) == ran(SlowLoop(), plan)


class SlowLoop:
    """What `EventLoop` should do, without a heap."""

    def __init__(self) -> None:
        self.now = START
        self.events: list[tuple[int, int, object, tuple[object, ...]]] = []
        self.count = 0

    def at(self, instant: Instant, callback: object, *arguments: object) -> None:
        """Schedule."""
        self.count += 1
        self.events.append((max(instant, self.now), self.count, callback, arguments))

    def run_until_idle(self) -> None:
        """Run everything."""
        while self.events:
            first = min(self.events, key=lambda event: event[:2])
            self.events.remove(first)
            self.now = Instant(first[0])
            assert callable(first[2])
            first[2](*first[3])


def ran(loop: EventLoop | SlowLoop, plan: list[tuple[int, list[int]]]) -> list[tuple[int, int, int]]:
    """Schedule what `plan` says, each event with events of its own; return what ran, and when."""
    seen: list[tuple[int, int, int]] = []

    def run(number: int, child: int, offsets: list[int]) -> None:
        seen.append((number, child, loop.now))
        for index, offset in enumerate(offsets):
            loop.at(Instant(loop.now + offset), run, number, index, [])

    for number, (instant, offsets) in enumerate(plan):
        loop.at(Instant(instant), run, number, -1, offsets)
    loop.run_until_idle()
    return seen


class TestCancelling:
    """`cancel`, and what it leaves."""

    def test_a_cancelled_event_does_not_run(self) -> None:
        """Nor does it keep the loop busy or count as the next one."""
        loop, seen = EventLoop(), list[str]()
        event = loop.at(Instant(5), seen.append, "x")
        loop.cancel(event)
        assert event.is_cancelled
        assert loop.is_idle
        assert loop.next_instant is None
        loop.run_until(Instant(9))
        assert seen == []

    def test_cancelling_twice_or_too_late_does_nothing(self) -> None:
        """The loop does not think itself idle before it is."""
        loop = EventLoop()
        event, done = loop.at(Instant(5), nothing), loop.at(Instant(1), nothing)
        loop.step()
        loop.cancel(done)
        loop.cancel(event)
        loop.cancel(event)
        loop.at(Instant(7), nothing)
        assert not loop.is_idle

    def test_an_event_may_cancel_another_of_its_instant(self) -> None:
        """The second of two is not run when the first takes it back."""
        loop, seen = EventLoop(), list[str]()
        later: list[Event] = []
        loop.at(Instant(1), lambda: loop.cancel(later[0]))
        later.append(loop.at(Instant(1), seen.append, "x"))
        loop.run_until_idle()
        assert seen == []


class TestIdling:
    """`run_until`, `run_until_idle` and periodic upkeep."""

    def test_run_until_includes_its_instant_and_stands_there(self) -> None:
        """Later events stay."""
        loop, seen = EventLoop(), list[int]()
        for instant in (1, 5, 6):
            loop.at(Instant(instant), seen.append, instant)
        loop.run_until(Instant(5))
        assert (seen, loop.now, loop.next_instant) == ([1, 5], 5, 6)

    def test_upkeep_alone_leaves_the_loop_idle(self) -> None:
        """An ageing timer that sets itself again does not keep `run_until_idle` going."""
        loop, ticks = EventLoop(), list[int]()

        def tick() -> None:
            ticks.append(loop.now)
            loop.periodic_at(Instant(loop.now + 10), tick)

        loop.periodic_at(Instant(10), tick)
        loop.at(Instant(25), nothing)
        loop.run_until_idle()
        assert (ticks, loop.now) == ([10, 20], 25)
        assert loop.is_idle

    def test_cancelled_upkeep_is_not_counted_twice(self) -> None:
        """A loop with one event left is busy."""
        loop = EventLoop()
        loop.cancel(loop.periodic_at(Instant(1), nothing))
        loop.at(Instant(2), nothing)
        assert not loop.is_idle

    def test_step_without_events_says_so(self) -> None:
        """It returns False and the clock stays."""
        loop = EventLoop()
        assert loop.step() is False
        assert (loop.now, loop.events_run) == (0, 0)


class TestBudget:
    """Storms end."""

    def test_a_storm_is_stopped_by_the_budget(self) -> None:
        """Events that cause events without end raise, with the time in the message."""
        loop = EventLoop(budget=100)

        def echo() -> None:
            loop.after(1000, echo)

        loop.after(0, echo)
        with pytest.raises(StormError, match=r"100 events and no end, at 0\.000100 s.*bridge loop"):
            loop.run_until_idle()
        assert loop.events_run == 101

    def test_replenishing_allows_as_many_again(self) -> None:
        """The budget is for each thing asked, not for the whole run."""
        loop = EventLoop(budget=3)
        for _ in range(4):
            loop.replenish()
            for _ in range(3):
                loop.after(1, nothing)
            loop.run_until_idle()
        assert loop.events_run == 12


class LoopMachine(RuleBasedStateMachine):
    """Schedule, cancel and run in any order; count what is left by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = EventLoop()
        self.pending: dict[int, tuple[Event, bool]] = {}
        self.number = 0

    def finish(self, number: int) -> None:
        """Be an event."""
        del self.pending[number]

    @rule(delay=st.integers(0, 10), periodic=st.booleans())
    def schedule(self, delay: int, *, periodic: bool) -> None:
        """Schedule an event."""
        self.number += 1
        schedule = self.loop.periodic_at if periodic else self.loop.at
        event = schedule(Instant(self.loop.now + delay), self.finish, self.number)
        self.pending[self.number] = (event, periodic)

    @precondition(lambda self: self.pending)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel one, twice."""
        number = data.draw(st.sampled_from(sorted(self.pending)))
        event, _ = self.pending.pop(number)
        self.loop.cancel(event)
        self.loop.cancel(event)

    @rule()
    def step(self) -> None:
        """Run one event."""
        expected = bool(self.pending)
        assert self.loop.step() == expected

    @rule(delay=st.integers(0, 10))
    def run_until(self, delay: int) -> None:
        """Let time pass."""
        until = Instant(self.loop.now + delay)
        self.loop.run_until(until)
        assert all(event.instant > until for event, _ in self.pending.values())

    @invariant()
    def idle_means_only_upkeep_is_left(self) -> None:
        """`is_idle` and `next_instant` tell what is pending."""
        assert self.loop.is_idle == all(periodic for _, periodic in self.pending.values())
        due = min((event.instant for event, _ in self.pending.values()), default=None)
        assert self.loop.next_instant == due


TestLoopMachine = LoopMachine.TestCase
