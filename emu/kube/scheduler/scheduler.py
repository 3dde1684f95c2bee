# SPDX-License-Identifier: GPL-2.0-only
"""The scheduler: which pod is next, and what becomes of it.

        new pod --> queue --turn--> bound to a node
                      ^        |
                      |        +----> set aside: no node will do
                      |                  |
                      +---- back-off <---+  a node or pod changed, or five minutes went by

Pods of a higher priority come first, then those that were there earlier. A pod
that was set aside waits 1 s, doubled each time up to 10 s, before it tries again.

Source: pkg/scheduler/schedule_one.go, pkg/scheduler/backend/queue/scheduling_queue.go.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects import Node, Pod
from emu.kube.conditions import made, placed
from emu.kube.controller import Key
from emu.kube.events import NORMAL, WARNING, record
from emu.kube.scheduler.cycle import Cycle
from emu.kube.scheduler.filters import NOT_NEAR
from emu.kube.scheduler.occupancy import Occupancy
from emu.kube.scheduler.plugins import UNMODELLED
from emu.sim.time import SECOND, Instant, later

if TYPE_CHECKING:
    from emu.kube.api.store import Change, Store
    from emu.kube.scheduler.cycle import Decision
    from emu.sim.loop import Event
    from emu.sim.rng import Streams
    from emu.sim.time import Duration

NAME: Final = "default-scheduler"
SCHEDULED: Final = "PodScheduled"
DEFAULT_VERSION: Final = (1, 35)

FIRST_BACKOFF: Final[Duration] = SECOND
LONGEST_BACKOFF: Final[Duration] = 10 * SECOND
FLUSH: Final[Duration] = 300 * SECOND

_GATED: Final = "Scheduling is blocked due to non-empty scheduling gates"


@attrs.define
class _Aside:
    """A pod that found no node: how often it tried, when last, and when it is to try again."""

    attempts: int
    last: Instant
    heeds_pods: bool  # whether other pods, not only nodes, may change that
    timer: Event | None = None


class Scheduler:
    """Gives pods their nodes.

    `notes` says what of the pods so far is not modelled, each thing once.

    Args:
        store: the API; pods without a node that are in it already come first.
        streams: for the draw between nodes that are equally good.
        version: of Kubernetes, for the words of messages.
    """

    def __init__(self, store: Store, streams: Streams, version: tuple[int, int] = DEFAULT_VERSION) -> None:
        self.notes: dict[str, None] = {}
        self._store = store
        self._view = Occupancy(store, version)
        self._cycle = Cycle(self._view, streams)
        self._number = 0
        self._heap: list[tuple[int, int, Key]] = []
        self._numbers: dict[Key, int] = {}  # of the pods that were seen without a node
        self._queued: set[Key] = set()
        self._aside: dict[Key, _Aside] = {}
        self._is_drain_scheduled = False
        store.watch(Node, self._node_changed)
        store.watch(Pod, self._pod_changed)
        for pod in store.each(Pod):
            self._take(pod)

    @property
    def is_waiting(self) -> bool:
        """Whether a pod will soon try again, because something has changed that may help it."""
        timers = (aside.timer for aside in self._aside.values())
        return bool(self._queued) or any(timer is not None and not timer.periodic for timer in timers)

    # --- changes ---

    def _node_changed(self, change: Change) -> None:
        old, new = change
        assert old is None or isinstance(old, Node)
        if isinstance(new, Node):
            if old is not None and _places_alike(old, new):
                return
            self._view.set_node(new)
        elif old is not None:
            self._view.remove_node(old.metadata.name)
        self._wake(only_heeding_pods=False)

    def _pod_changed(self, change: Change) -> None:
        matters = self._view.pod_changed(change)
        old, new = change
        if isinstance(new, Pod):
            if not new.spec.node_name:
                self._take(new, is_changed=_asks_anew(old, new))
        elif old is not None:
            self._forget(Key(old.metadata.namespace, old.metadata.name))
        if matters and self._aside:
            self._wake(only_heeding_pods=True)

    def _take(self, pod: Pod, *, is_changed: bool = True) -> None:
        """Queue a pod that waits for a node."""
        if pod.spec.node_name or pod.spec.scheduler_name != NAME:
            return
        key = Key(pod.metadata.namespace, pod.metadata.name)
        if pod.is_finished or pod.metadata.is_terminating:
            self._forget(key)
        elif key not in self._numbers:
            self._number += 1
            self._numbers[key] = self._number
            self._push(key, pod.spec.priority or 0)
        elif is_changed and key in self._aside:
            self._retry(key)

    def _forget(self, key: Key) -> None:
        self._numbers.pop(key, None)
        aside = self._aside.pop(key, None)
        if aside is not None and aside.timer is not None:
            self._store.loop.cancel(aside.timer)
        self._queued.discard(key)

    def _push(self, key: Key, priority: int) -> None:
        if key not in self._queued:
            self._queued.add(key)
            heapq.heappush(self._heap, (-priority, self._numbers[key], key))
        if not self._is_drain_scheduled:
            self._is_drain_scheduled = True
            self._store.loop.after(0, self._drain)

    # --- pods that were set aside ---

    def _wake(self, *, only_heeding_pods: bool) -> None:
        """Have pods try again, each after its back-off."""
        now = self._store.loop.now
        for key, aside in list(self._aside.items()):
            if only_heeding_pods and not aside.heeds_pods:
                continue
            backoff = min(FIRST_BACKOFF << min(aside.attempts - 1, 10), LONGEST_BACKOFF)
            due = later(aside.last, backoff)
            if due <= now:
                self._retry(key)
            elif aside.timer is None or aside.timer.periodic:
                if aside.timer is not None:
                    self._store.loop.cancel(aside.timer)
                aside.timer = self._store.loop.at(due, self._retry, key)

    def _retry(self, key: Key) -> None:
        aside = self._aside.get(key)
        pod = self._store.find(Pod, key.name, key.namespace)
        if aside is None or pod is None:
            return
        if aside.timer is not None:
            self._store.loop.cancel(aside.timer)
            aside.timer = None
        self._push(key, pod.spec.priority or 0)

    # --- turns ---

    def _drain(self) -> None:
        self._is_drain_scheduled = False
        while self._heap:
            _, number, key = heapq.heappop(self._heap)
            if self._numbers.get(key) != number or key not in self._queued:
                continue
            self._queued.discard(key)
            pod = self._store.find(Pod, key.name, key.namespace)
            if pod is not None and not pod.spec.node_name and not pod.metadata.is_terminating:
                self._schedule(key, pod)

    def _schedule(self, key: Key, pod: Pod) -> None:
        self._note(pod)
        if pod.spec.rest.get("schedulingGates"):
            self._set_aside(key, heeds_pods=False)
            self._write_condition(pod, "SchedulingGated", _GATED)
            return
        decision = self._cycle.decide(pod)
        if decision.node is not None:
            self._bind(key, pod, decision.node.name)
            return
        self._set_aside(key, heeds_pods=_heeds_pods(decision))
        record(self._store, pod, WARNING, "FailedScheduling", decision.message, NAME)
        self._write_condition(pod, "Unschedulable", decision.message)

    def _bind(self, key: Key, pod: Pod, node: str) -> None:
        self._forget(key)
        condition = made(SCHEDULED, "True", "", "", self._store.now)
        bound = attrs.evolve(
            pod,
            spec=attrs.evolve(pod.spec, node_name=node),
            status=attrs.evolve(pod.status, conditions=placed(pod.status.conditions, condition)),
        )
        self._store.put(bound)
        text = f"Successfully assigned {key.namespace}/{key.name} to {node}"
        record(self._store, pod, NORMAL, "Scheduled", text, NAME)

    def _set_aside(self, key: Key, *, heeds_pods: bool) -> None:
        known = self._aside.get(key)
        attempts = 1 if known is None else known.attempts + 1
        now = self._store.loop.now
        aside = self._aside[key] = _Aside(attempts, now, heeds_pods)
        aside.timer = self._store.loop.periodic_at(later(now, FLUSH), self._retry, key)

    def _write_condition(self, pod: Pod, reason: str, message: str) -> None:
        condition = made(SCHEDULED, "False", reason, message, self._store.now)
        conditions = placed(pod.status.conditions, condition)
        self._store.put(attrs.evolve(pod, status=attrs.evolve(pod.status, conditions=conditions)))

    def _note(self, pod: Pod) -> None:
        if UNMODELLED not in self.notes and any("resources" in each.rest for each in pod.spec.containers):
            self.notes[UNMODELLED] = None


def _places_alike(old: Node, new: Node) -> bool:
    """Return whether a changed node takes the same pods as before: status comes often."""
    return (
        old.spec.taints == new.spec.taints
        and old.spec.unschedulable == new.spec.unschedulable
        and old.metadata.labels == new.metadata.labels
        and old.status.allocatable == new.status.allocatable
    )


def _asks_anew(old: object, new: Pod) -> bool:
    """Return whether somebody changed what a waiting pod asks for."""
    return isinstance(old, Pod) and (old.spec != new.spec or old.metadata.labels != new.metadata.labels)


def _heeds_pods(decision: Decision) -> bool:
    return any(not refusal.is_final or refusal.reason == NOT_NEAR for refusal in decision.refusals)
