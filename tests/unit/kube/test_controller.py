# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random

import pytest

from emu.kube.api.store import Store
from emu.kube.controller import Key, Queue
from emu.sim.loop import EventLoop
from emu.sim.time import EPOCH, SECOND, Instant, to_seconds

A, B = Key("default", "a"), Key("default", "b")


class Noting:
    """A reconciler that notes when it was called for whom."""

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.calls: list[tuple[float, str]] = []
        self.queue: Queue | None = None

    def reconcile(self, key: Key) -> None:
        """Note it; `b` has more to do when `a` was looked at."""
        self.calls.append((to_seconds(self.loop.now), key.name))
        if key == A and self.queue is not None:
            self.queue.add(B)


@pytest.fixture
def store() -> Store:
    """An API server without objects."""
    return Store(EventLoop(), EPOCH, random.Random(1))


@pytest.fixture
def noting(store: Store) -> Noting:
    """Who is called."""
    return Noting(store.loop)


def test_a_name_that_waits_is_not_added_again(store: Store, noting: Noting) -> None:
    """Many changes of one instant cost one look; the first one decides the order."""
    queue = Queue(store, noting)
    queue.add(B, A)
    queue.add_all([A, B, A])
    assert noting.calls == []
    store.loop.run_until(Instant(0))
    assert noting.calls == [(0, "b"), (0, "a")]


def test_a_name_that_was_looked_at_may_wait_again(store: Store, noting: Noting) -> None:
    """What is added during the work is done after it, at the same instant."""
    noting.queue = queue = Queue(store, noting)
    queue.add(A, B)
    store.loop.run_until(Instant(0))
    assert noting.calls == [(0, "a"), (0, "b"), (0, "b")]


def test_a_delay_gathers_what_comes_meanwhile(store: Store, noting: Noting) -> None:
    """It begins with the first change of a quiet time."""
    queue = Queue(store, noting, delay=2 * SECOND)
    queue.add(A)
    store.loop.after(SECOND, queue.add, A)
    store.loop.run_until(Instant(10 * SECOND))
    assert noting.calls == [(2, "a")]


def test_a_later_look_replaces_one_that_was_asked_for_before(store: Store, noting: Noting) -> None:
    """One timer for each name."""
    queue = Queue(store, noting)
    queue.add_after(A, 5 * SECOND)
    queue.add_after(A, 3 * SECOND)
    queue.add_after(B, 4 * SECOND)
    store.loop.run_until(Instant(10 * SECOND))
    assert noting.calls == [(3, "a"), (4, "b")]


def test_nothing_added_is_nothing_done(store: Store, noting: Noting) -> None:
    """An empty list wakes nobody."""
    Queue(store, noting).add_all([])
    assert store.loop.next_instant is None
