# SPDX-License-Identifier: GPL-2.0-only
"""The event loop: one clock for everything, and what is to happen when.

        at --> later: a heap of (instant, number) --+
           |                                        | the clock comes to that instant
           +--> now: a queue  <---------------------+ --> run

Events of one instant run in the order in which they were scheduled. With frames
that cross a cable in no time this is also the order in which Linux works: a veth
puts a frame at the end of its CPU's backlog, which is emptied from the front.
"""

from __future__ import annotations

import heapq
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from emu.errors import StormError
from emu.sim.time import START, Duration, Instant, later, to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEFAULT_BUDGET: Final = 10_000_000
_FOREVER: Final = Instant(1 << 63)


class Event:
    """Something scheduled for `instant`. `EventLoop.cancel` has it passed over."""

    __slots__ = ("arguments", "callback", "instant", "periodic")

    def __init__(self, instant: Instant, callback: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.instant = instant
        self.callback: Callable[..., None] | None = callback
        self.arguments = arguments
        self.periodic = False

    @property
    def is_cancelled(self) -> bool:
        """Whether `EventLoop.cancel` took it back, or it has run."""
        return self.callback is None


class EventLoop:
    """Runs callbacks at their instants.

    `budget` events may happen before `replenish` is called, else `StormError`:
    a bridge loop forwards one broadcast for ever.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, budget: int = DEFAULT_BUDGET, start: Instant = START) -> None:
        self.now = start
        self.budget = budget
        self.events_run = 0
        self._limit = budget  # of `events_run`
        self._ready: deque[Event] = deque()  # for the present instant, in the order of scheduling
        self._heap: list[tuple[Instant, int, Event]] = []  # for later ones
        self._number = 0
        self._lasting = 0  # events that keep the loop busy: neither periodic nor cancelled

    def at(self, instant: Instant, callback: Callable[..., None], *arguments: object) -> Event:
        """Run `callback(*arguments)` at `instant` (now, if that is past) and return the event."""
        if instant <= self.now:
            event = Event(self.now, callback, arguments)
            self._ready.append(event)
        else:
            event = Event(instant, callback, arguments)
            self._number += 1
            heapq.heappush(self._heap, (instant, self._number, event))
        self._lasting += 1
        return event

    def after(self, delay: Duration, callback: Callable[..., None], *arguments: object) -> Event:
        """Run `callback(*arguments)` `delay` from now and return the event."""
        return self.at(later(self.now, delay), callback, *arguments)

    def periodic_at(self, instant: Instant, callback: Callable[..., None], *arguments: object) -> Event:
        """Like `at`, for upkeep (ageing, resync) that no one waits for."""
        event = self.at(instant, callback, *arguments)
        event.periodic = True
        self._lasting -= 1
        return event

    def cancel(self, event: Event) -> None:
        """Take `event` back; one that has run or is cancelled already is left alone."""
        if event.callback is not None:
            event.callback = None
            self._lasting -= not event.periodic

    @property
    def is_idle(self) -> bool:
        """Whether nothing but periodic upkeep is scheduled."""
        return self._lasting == 0

    @property
    def next_instant(self) -> Instant | None:
        """When the next event is due, None if there is none."""
        ready = self._ready
        while ready and ready[0].callback is None:
            ready.popleft()
        if ready:
            return self.now
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def replenish(self) -> None:
        """Allow another `budget` of events: somebody asked for something new."""
        self._limit = self.events_run + self.budget

    def step(self, until: Instant = _FOREVER) -> bool:
        """Run the next event and return True, or return False if there is none by `until` (not before now).

        Raises:
            StormError: the budget of events is spent.
        """
        ready = self._ready
        while ready or self._advance(until):
            event = ready.popleft()
            callback = event.callback
            if callback is None:
                continue
            event.callback = None
            self._lasting -= not event.periodic
            self.events_run += 1
            if self.events_run > self._limit:
                raise self._storm()
            callback(*event.arguments)
            return True
        return False

    def _advance(self, until: Instant) -> bool:
        """Let the clock come to the next event; return False if none is due by `until`."""
        ready, heap = self._ready, self._heap
        while heap and not ready and heap[0][0] <= until:
            instant, _, event = heapq.heappop(heap)
            if event.callback is not None:
                self.now = instant
                ready.append(event)
        while heap and heap[0][0] == self.now:
            ready.append(heapq.heappop(heap)[2])
        return bool(ready)

    def run_until(self, instant: Instant) -> None:
        """Run all events up to and including `instant`; the clock then stands there.

        Raises:
            StormError: the budget of events is spent.
        """
        if instant < self.now:
            return
        while self.step(instant):
            pass
        self.now = instant

    def run_until_idle(self) -> None:
        """Run events until only periodic ones are left."""
        while self._lasting:
            self.step()

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Have nothing scheduled inside the block; afterwards the clock and all events are as they were."""
        before = (
            self.now,
            self.events_run,
            self._limit,
            self._ready,
            self._heap,
            self._number,
            self._lasting,
        )
        self._ready, self._heap, self._lasting = deque(), [], 0
        try:
            yield
        finally:
            self.now, self.events_run, self._limit, self._ready, self._heap, self._number, self._lasting = (
                before
            )

    def _storm(self) -> StormError:
        return StormError(
            f"{self.budget} events and no end, at {to_seconds(self.now):.6f} s: "
            "frames go round in circles (is there a bridge loop?)"
        )
