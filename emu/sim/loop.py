# SPDX-License-Identifier: GPL-2.0-only
"""The event loop: a heap of (instant, number), one clock for everything.

Events of one instant run in the order in which they were scheduled. With frames
that cross a cable in no time this is also the order in which Linux works: a veth
puts a frame at the end of its CPU's backlog, which is emptied from the front.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from emu.errors import StormError
from emu.sim.time import START, Duration, Instant, later, to_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_BUDGET: Final = 10_000_000


class Event:
    """Something scheduled. `cancel` it to have it passed over."""

    __slots__ = ("arguments", "callback", "instant", "number", "periodic")

    def __init__(
        self, instant: Instant, number: int, callback: Callable[..., None], arguments: tuple[Any, ...]
    ) -> None:
        self.instant = instant
        self.number = number
        self.callback: Callable[..., None] | None = callback
        self.arguments = arguments
        self.periodic = False

    def __lt__(self, other: Event) -> bool:
        if self.instant != other.instant:
            return self.instant < other.instant
        return self.number < other.number

    @property
    def is_cancelled(self) -> bool:
        """Whether `EventLoop.cancel` took it back, or it has run."""
        return self.callback is None


class EventLoop:
    """Runs callbacks at their instants.

    `budget` events may happen before `replenish` is called, else `StormError`:
    a bridge loop forwards one broadcast for ever.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET, start: Instant = START) -> None:
        self.now = start
        self.budget = budget
        self.events_run = 0
        self._left = budget
        self._heap: list[Event] = []
        self._ready: deque[Event] = deque()  # what is due now already: no heap is needed for order
        self._number = 0
        self._lasting = 0  # events that keep the loop busy: neither periodic nor cancelled

    def at(self, instant: Instant, callback: Callable[..., None], *arguments: object) -> Event:
        """Run `callback(*arguments)` at `instant` (now, if that is past) and return the event."""
        self._number += 1
        if instant <= self.now:
            event = Event(self.now, self._number, callback, arguments)
            self._ready.append(event)
        else:
            event = Event(instant, self._number, callback, arguments)
            heapq.heappush(self._heap, event)
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
        first = self._first()
        return None if first is None else first.instant

    def _first(self) -> Event | None:
        """Return the next event, dropping cancelled ones before it."""
        ready, heap = self._ready, self._heap
        while ready and ready[0].callback is None:
            ready.popleft()
        while heap and heap[0].callback is None:
            heapq.heappop(heap)
        if ready and (not heap or ready[0] < heap[0]):
            return ready[0]
        return heap[0] if heap else None

    def replenish(self) -> None:
        """Allow another `budget` of events: somebody asked for something new."""
        self._left = self.budget

    def step(self) -> bool:
        """Run the next event and return True, or return False if there is none.

        Raises:
            StormError: the budget of events is spent.
        """
        event = self._first()
        if event is None:
            return False
        self._run(event)
        return True

    def run_until(self, instant: Instant) -> None:
        """Run all events up to and including `instant`; the clock then stands there.

        Raises:
            StormError: the budget of events is spent.
        """
        event = self._first()
        while event is not None and event.instant <= instant:
            self._run(event)
            event = self._first()
        self.now = max(self.now, instant)

    def _run(self, event: Event) -> None:
        """Run `event`, which is what `_first` returned."""
        ready = self._ready
        if ready and event is ready[0]:
            ready.popleft()
        else:
            heapq.heappop(self._heap)
        callback = event.callback
        assert callback is not None, "_first drops cancelled events"
        event.callback = None
        self.now = event.instant
        self._lasting -= not event.periodic
        self.events_run += 1
        self._left -= 1
        if self._left < 0:
            raise StormError(
                f"{self.budget} events and no end, at {to_seconds(self.now):.6f} s: "
                "frames go round in circles (is there a bridge loop?)"
            )
        callback(*event.arguments)

    def run_until_idle(self) -> None:
        """Run events until only periodic ones are left."""
        while not self.is_idle:
            self.step()
