# SPDX-License-Identifier: GPL-2.0-only
"""The taint eviction controller: pods that do not tolerate a taint NoExecute are deleted, others later.

Source: pkg/controller/tainteviction/taint_eviction.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube import conditions
from emu.kube.api import deletion
from emu.kube.api.objects import Node, Pod
from emu.kube.controller import Key, Queue
from emu.kube.events import NORMAL, record
from emu.kube.nodes.taints import NO_EXECUTE
from emu.kube.scheduler.taints import tolerates
from emu.sim.time import SECOND, Duration, Instant, later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.objects.meta import Condition
    from emu.kube.api.objects.scheduling import Taint, Toleration
    from emu.kube.api.store import Change, Store
    from emu.sim.loop import Event

NAME: Final = "taint-eviction-controller"


def patience(taints: Iterable[Taint], tolerations: Iterable[Toleration]) -> Duration | None:
    """Return how long a pod may stay on a node with `taints`, ns; None is for ever.

    Each taint has to be tolerated; of the tolerations that are used the
    shortest time counts.
    """
    used: list[Toleration] = []
    tolerations = list(tolerations)
    for taint in taints:
        if taint.effect != NO_EXECUTE:
            continue
        found = [each for each in tolerations if tolerates(each, taint)]
        if not found:
            return 0
        used.append(found[0])
    seconds = [each.toleration_seconds for each in used if each.toleration_seconds is not None]
    return max(0, min(seconds)) * SECOND if seconds else None


class _Scheduled(NamedTuple):
    since: Instant
    due: Instant
    event: Event


class TaintEviction:
    """Deletes pods from nodes that drive them away.

    Args:
        store: the API server.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scheduled: dict[Key, _Scheduled] = {}
        self._queue = Queue(store, self)
        store.watch(Node, self._node_changed)
        store.watch(Pod, self._pod_changed)
        for node in store.each(Node):
            self._queue_pods_of(node)

    def reconcile(self, key: Key) -> None:
        """Delete a pod, see to it that it is deleted in time, or let it stay."""
        pod = self._store.find(Pod, key.name, key.namespace)
        node = self._store.find(Node, pod.spec.node_name) if pod is not None and pod.spec.node_name else None
        if pod is None or node is None or pod.metadata.is_terminating:
            self._cancel(key, None)
            return
        found = [each for each in node.spec.taints if each.effect == NO_EXECUTE]
        allowed = patience(found, pod.spec.tolerations) if found else None
        if allowed is None:
            self._cancel(key, pod)
        elif allowed == 0:
            self._cancel(key, None)
            self._evict(key)
        else:
            self._schedule(key, allowed)

    def _schedule(self, key: Key, allowed: Duration) -> None:
        """Delete a pod when its time is over, counted from when it was first seen to run out."""
        now = self._store.loop.now
        known = self._scheduled.get(key)
        since = known.since if known is not None else now
        due = later(since, allowed)
        if known is not None:
            if known.due <= due:
                return
            self._store.loop.cancel(known.event)
        event = self._store.loop.periodic_at(due, self._evict, key)
        self._scheduled[key] = _Scheduled(since, due, event)

    def _cancel(self, key: Key, pod: Pod | None) -> None:
        """Let a pod stay after all; `pod` is told if it is given."""
        known = self._scheduled.pop(key, None)
        if known is None:
            return
        self._store.loop.cancel(known.event)
        if pod is not None:
            words = f"Cancelling deletion of Pod {key.namespace}/{key.name}"
            record(self._store, pod, NORMAL, "TaintManagerEviction", words, NAME)

    def _evict(self, key: Key) -> None:
        self._scheduled.pop(key, None)
        pod = self._store.find(Pod, key.name, key.namespace)
        if pod is None or pod.metadata.is_terminating:
            return
        words = f"Marking for deletion Pod {key.namespace}/{key.name}"
        record(self._store, pod, NORMAL, "TaintManagerEviction", words, NAME)
        target = conditions.made(
            "DisruptionTarget",
            "True",
            "DeletionByTaintManager",
            "Taint manager: deleting due to NoExecute taint",
            self._store.now,
        )
        deletion.delete(self._store, with_condition(self._store, pod, target))

    def _node_changed(self, change: Change) -> None:
        old, new = change
        if not isinstance(new, Node):
            return
        before = old.spec.taints if isinstance(old, Node) else ()
        if before != new.spec.taints and any(
            each.effect == NO_EXECUTE for each in (*before, *new.spec.taints)
        ):
            self._queue_pods_of(new)

    def _queue_pods_of(self, node: Node) -> None:
        if any(each.effect == NO_EXECUTE for each in node.spec.taints) or self._scheduled:
            name = node.metadata.name
            self._queue.add_all(
                Key(pod.metadata.namespace, pod.metadata.name)
                for pod in self._store.list(Pod)
                if pod.spec.node_name == name
            )

    def _pod_changed(self, change: Change) -> None:
        old, new = change
        if isinstance(old, Pod) and isinstance(new, Pod) and old.spec is new.spec:
            is_news = old.metadata.is_terminating != new.metadata.is_terminating
        else:
            is_news = True
        if is_news:
            self._queue.add(Key(change.object.metadata.namespace, change.object.metadata.name))


def with_condition(store: Store, pod: Pod, condition: Condition) -> Pod:
    """Put `condition` into a pod's status, and return the pod."""
    found = conditions.placed(pod.status.conditions, condition)
    return store.put(attrs.evolve(pod, status=attrs.evolve(pod.status, conditions=found)))
