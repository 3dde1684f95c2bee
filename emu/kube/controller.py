# SPDX-License-Identifier: GPL-2.0-only
"""What all controllers are: a queue of names, and one function that makes one of them right.

        store --Change--> keys() --> queue (each name once) --now or later--> reconcile(key)

The queue is emptied by the event loop at the same instant, behind what is
already scheduled there, so many changes of one instant cost one reconciliation.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, NamedTuple, Protocol

from emu.sim.time import later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.store import Store
    from emu.sim.loop import Event
    from emu.sim.time import Duration


class Key(NamedTuple):
    """The name of an object; `namespace` is empty for what belongs to none."""

    namespace: str
    name: str


class Reconciler(Protocol):
    """Makes what belongs to one object as it should be; twice is the same as once."""

    @abstractmethod
    def reconcile(self, key: Key) -> None:
        """Look at the object `key` as it is now, and do what is left to do."""


class Queue:
    """Names that wait for a reconciler.

    Args:
        store: whose clock is used.
        reconciler: what is called for each name.
        delay: how long after the first change of a quiet time the work begins, ns.
    """

    def __init__(self, store: Store, reconciler: Reconciler, *, delay: Duration = 0) -> None:
        self._loop = store.loop
        self._reconciler = reconciler
        self._delay = delay
        self._waiting: dict[Key, None] = {}
        self._timers: dict[Key, Event] = {}
        self._scheduled = False

    def add(self, *keys: Key) -> None:
        """Have `keys` reconciled soon; each that waits already waits on."""
        for key in keys:
            self._waiting[key] = None
        if self._waiting and not self._scheduled:
            self._scheduled = True
            self._loop.after(self._delay, self._drain)

    def add_all(self, keys: Iterable[Key]) -> None:
        """Have each of `keys` reconciled soon."""
        self.add(*keys)

    def add_after(self, key: Key, delay: Duration, *, periodic: bool = False) -> None:
        """Have `key` reconciled `delay` from now; an earlier request of this kind is replaced.

        Args:
            key: whose turn it is.
            delay: ns from now.
            periodic: it is upkeep that nobody waits for.
        """
        known = self._timers.pop(key, None)
        if known is not None:
            self._loop.cancel(known)
        at = self._loop.periodic_at if periodic else self._loop.at
        self._timers[key] = at(later(self._loop.now, delay), self._due, key)

    def _due(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def _drain(self) -> None:
        self._scheduled = False
        waiting, self._waiting = self._waiting, {}
        for key in waiting:
            self._reconciler.reconcile(key)
