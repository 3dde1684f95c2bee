# SPDX-License-Identifier: GPL-2.0-only
"""The pod garbage collector: pods of nodes that are gone, and too many that have ended.

It works every twenty seconds, but only while there may be something to collect.

Source: pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube import conditions
from emu.kube.api import deletion
from emu.kube.api.objects import Node, Pod
from emu.kube.nodes.eviction import with_condition
from emu.kube.nodes.taints import OUT_OF_SERVICE
from emu.sim.time import SECOND, Duration, Instant, later

if TYPE_CHECKING:
    from emu.kube.api.store import Change, Store

INTERVAL: Final[Duration] = 20 * SECOND
QUARANTINE: Final[Duration] = 40 * SECOND
MOST_FINISHED: Final = 12500


class PodGarbage:
    """Takes away what nobody else does.

    Args:
        store: the API server.
        most_finished: pods that may have ended before the oldest are taken away.
    """

    def __init__(self, store: Store, *, most_finished: int = MOST_FINISHED) -> None:
        self._store = store
        self._most_finished = most_finished
        self._began = store.loop.now
        self._missed: dict[str, Instant] = {}  # nodes that are gone, and since when we know
        self._is_due = False
        store.watch(Node, self._node_changed)
        store.watch(Pod, self._pod_changed)
        self._work_later()

    def _node_changed(self, change: Change) -> None:
        out_of_service = isinstance(change.new, Node) and _is_out_of_service(change.new)
        if change.new is None or out_of_service:
            self._work_later()

    def _pod_changed(self, change: Change) -> None:
        pod = change.new
        if not isinstance(pod, Pod):
            return
        name = pod.spec.node_name
        node = self._store.find(Node, name) if name else None
        if (
            (name and node is None)
            or (node is not None and pod.metadata.is_terminating and _is_out_of_service(node))
            or (pod.is_finished and self._store.count(Pod) > self._most_finished)
        ):
            self._work_later()

    def _work_later(self) -> None:
        if not self._is_due:
            self._is_due = True
            loop = self._store.loop
            turns = (loop.now - self._began) // INTERVAL + 1
            loop.periodic_at(later(self._began, turns * INTERVAL), self._work)

    def _work(self) -> None:
        self._is_due = False
        pods = self._store.list(Pod)
        self._collect_finished([pod for pod in pods if pod.is_finished])
        self._collect_out_of_service(pods)
        if self._collect_orphans(pods):
            self._work_later()

    def _collect_finished(self, pods: list[Pod]) -> None:
        """Take the oldest of too many pods that have ended away."""
        surplus = len(pods) - self._most_finished
        if surplus > 0:
            pods.sort(key=lambda pod: (pod.metadata.creation_timestamp or "", pod.metadata.name))
            for pod in pods[:surplus]:
                deletion.delete(self._store, pod, force=True)

    def _collect_out_of_service(self, pods: list[Pod]) -> None:
        """Take pods that are to end away from nodes that somebody has declared dead."""
        for pod in pods:
            node = self._store.find(Node, pod.spec.node_name) if pod.metadata.is_terminating else None
            if node is not None and not node.is_ready and _is_out_of_service(node):
                deletion.delete(self._store, pod, force=True)

    def _collect_orphans(self, pods: list[Pod]) -> bool:
        """Take pods of nodes that are long gone away; return whether some are still in quarantine."""
        now = self._store.loop.now
        orphans = [
            pod for pod in pods if pod.spec.node_name and self._store.find(Node, pod.spec.node_name) is None
        ]
        gone = {pod.spec.node_name for pod in orphans}
        self._missed = {name: self._missed.get(name, now) for name in sorted(gone)}
        is_waiting = False
        for pod in orphans:
            if now - self._missed[pod.spec.node_name] < QUARANTINE:
                is_waiting = True
                continue
            self._bury(pod)
        return is_waiting

    def _bury(self, pod: Pod) -> None:
        target = conditions.made(
            "DisruptionTarget", "True", "DeletionByPodGC", "PodGC: node no longer exists", self._store.now
        )
        marked = with_condition(self._store, pod, target)
        if not marked.is_finished:
            marked = self._store.put(attrs.evolve(marked, status=attrs.evolve(marked.status, phase="Failed")))
        deletion.delete(self._store, marked, force=True)


def _is_out_of_service(node: Node) -> bool:
    return any(each.key == OUT_OF_SERVICE for each in node.spec.taints)
