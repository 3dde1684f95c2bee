# SPDX-License-Identifier: GPL-2.0-only
"""The StatefulSet controller.

Claims of volumes are not made: nothing of them reaches the network.

Source: pkg/controller/statefulset/{stateful_set,stateful_set_control,stateful_set_utils}.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects import Pod, StatefulSet
from emu.kube.api.selectors import selects
from emu.kube.controller import Key, Queue
from emu.kube.events import NORMAL, WARNING, record
from emu.kube.workloads.control import PodControl, labelled
from emu.kube.workloads.history import LABEL, History
from emu.kube.workloads.pods import until_available
from emu.kube.workloads.statefulset.plan import Member, Plan, ordinals, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects.workload import WorkloadStatus
    from emu.kube.api.store import Change, Store
    from emu.kube.workloads.children import Children
    from emu.kube.workloads.history import Revision
    from emu.sim.rng import Streams
    from emu.sim.time import Duration

COMPONENT: Final = "statefulset-controller"
POD_NAME: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX: Final = "apps.kubernetes.io/pod-index"

_INDEX_SINCE: Final = (1, 28)
_ORDINAL: Final = re.compile(r"(.*)-(0|[1-9][0-9]*)")


class StatefulSetController:
    """Makes, deletes and updates the pods of StatefulSets.

    Args:
        store: the API.
        streams: for UIDs.
        pods: by controller.
        version: of Kubernetes, for the labels of pods.
    """

    def __init__(self, store: Store, streams: Streams, pods: Children[Pod], version: tuple[int, int]) -> None:
        self._store = store
        self._pods = pods
        self._version = version
        self._control = PodControl(store, streams, COMPONENT)
        self._history = History(store)
        self.queue: Final = Queue(store, self)
        pods.notify(StatefulSet.KIND, self.queue, self._on_lone)
        self.queue.add_all(_key(each) for each in store.each(StatefulSet))
        store.watch(StatefulSet, self._changed)

    def reconcile(self, key: Key) -> None:
        """Take the next step of a set, and write its status."""
        store = self._store
        owner = store.find(StatefulSet, key.name, key.namespace)
        if owner is None:
            return
        self._claim(owner)
        members = self._members(owner)
        update = self._history.current(owner, _presumed(owner, members))
        current = self._current(owner, update, members)
        if not owner.metadata.is_terminating:
            self._carry_out(owner, plan(owner, members, current.name, update.name), (current, update))
            members = self._members(owner)
        status = counted(owner, members, current.name, update.name)
        store.put(attrs.evolve(owner, status=status))
        self._history.trim(owner, {status.current_revision, update.name, *(m.revision for m in members)})
        wait = min((each.wait for each in members if each.wait), default=None)
        if wait is not None:
            self.queue.add_after(key, wait)

    def _current(self, owner: StatefulSet, update: Revision, members: Sequence[Member]) -> Revision:
        """Return the revision that the set came from: that of its status, or else of its oldest pods."""
        names = [owner.status.current_revision, *(each.revision for each in members)]
        known = {each.name: each for each in self._history.of(owner)}
        if not owner.status.current_revision and not members:
            return update
        return next((known[name] for name in names if name in known), update)

    def _members(self, owner: StatefulSet) -> list[Member]:
        store, seconds = self._store, owner.spec.min_ready_seconds
        found = []
        for pod in self._pods.of(owner):
            ordinal = ordinal_of(pod.metadata.name, owner.metadata.name)
            if ordinal is not None:
                wait = until_available(pod, seconds, store.loop.now, store.epoch)
                revision = pod.metadata.labels.get(LABEL, "")
                found.append(Member(pod, ordinal, revision, wait))
        return sorted(found, key=lambda each: each.ordinal)

    def _carry_out(self, owner: StatefulSet, todo: Plan, revisions: Sequence[Revision]) -> None:
        store, name = self._store, owner.metadata.name
        for pod in todo.delete:
            if pod.is_finished:
                whose = f"{pod.metadata.namespace}/{name}"
                text = f"StatefulSet {whose} is recreating failed Pod {pod.metadata.name}"
                record(store, owner, WARNING, "RecreatingFailedPod", text, COMPONENT)
            self._control.remove(pod)
            text = f"delete Pod {pod.metadata.name} in StatefulSet {name} successful"
            record(store, owner, NORMAL, "SuccessfulDelete", text, COMPONENT)
        for ordinal, revision in todo.create:
            made = self._pod(owner, ordinal, next(each for each in revisions if each.name == revision))
            self._control.keep(owner, made, f"{name}-{ordinal}", is_told=False)
            text = f"create Pod {name}-{ordinal} in StatefulSet {name} successful"
            record(store, owner, NORMAL, "SuccessfulCreate", text, COMPONENT)

    def _pod(self, owner: StatefulSet, ordinal: int, revision: Revision) -> Pod:
        """Return a pod with the identity of its number."""
        name = f"{owner.metadata.name}-{ordinal}"
        template = revision.template
        is_latest = template == owner.spec.template
        prototype = self._control.prototype(owner, owner.spec.template if is_latest else template)
        labels = {POD_NAME: name, LABEL: revision.name}
        if self._version >= _INDEX_SINCE:
            labels[POD_INDEX] = str(ordinal)
        spec = attrs.evolve(prototype.spec, hostname=name, subdomain=owner.spec.service_name)
        return labelled(attrs.evolve(prototype, spec=spec), labels)

    def _claim(self, owner: StatefulSet) -> None:
        def belongs(pod: Pod) -> bool:
            is_named = ordinal_of(pod.metadata.name, owner.metadata.name) is not None
            return is_named and selects(owner.spec.selector, pod.metadata.labels)

        self._pods.claim(owner, owner.spec.selector.match_labels, belongs)

    def _on_lone(self, pod: Pod) -> None:
        found = _ORDINAL.fullmatch(pod.metadata.name)
        if found is not None and self._store.find(StatefulSet, found[1], pod.metadata.namespace):
            self.queue.add(Key(pod.metadata.namespace, found[1]))

    def _changed(self, change: Change) -> None:
        old, new = change
        if isinstance(new, StatefulSet):
            self.queue.add(_key(new))
        elif isinstance(old, StatefulSet):
            self._history.forget(old)
            self._control.forget(old.metadata.uid)


def _key(owner: StatefulSet) -> Key:
    return Key(owner.metadata.namespace, owner.metadata.name)


def _presumed(owner: StatefulSet, members: Sequence[Member]) -> str:
    """Return the hash of the revision that a dump's set goes to, nothing if nobody says."""
    names = [owner.status.update_revision, *(each.revision for each in members)]
    start = f"{owner.metadata.name}-"
    return next((name.removeprefix(start) for name in names if name.startswith(start)), "")


def ordinal_of(pod_name: str, name: str) -> int | None:
    """Return the number of a pod of the set `name`, None if it is called otherwise."""
    found = _ORDINAL.fullmatch(pod_name)
    return int(found[2]) if found is not None and found[1] == name else None


def counted(owner: StatefulSet, members: Sequence[Member], current: str, update: str) -> WorkloadStatus:
    """Return the status of a set.

    When all pods are of the new revision and ready, that is the current one.
    """
    present = [each for each in members if not each.pod.is_finished]
    living = [each for each in present if not each.pod.metadata.is_terminating]
    updated = sum(each.revision == update for each in living)
    ready = sum(each.is_healthy for each in members)
    on_current = sum(each.revision == current for each in living)
    is_rolling = owner.spec.update_strategy.type == "RollingUpdate"
    if is_rolling and updated == len(present) == ready == len(ordinals(owner)):
        current, on_current = update, updated
    waits: list[Duration | None] = [each.wait for each in members if each.is_healthy]
    return attrs.evolve(
        owner.status,
        observed_generation=owner.metadata.generation,
        replicas=len(present),
        ready_replicas=ready or None,
        available_replicas=waits.count(0),
        current_replicas=on_current or None,
        updated_replicas=updated or None,
        current_revision=current,
        update_revision=update,
    )
