# SPDX-License-Identifier: GPL-2.0-only
"""ReplicaSets and ReplicationControllers: as many pods as are wanted, no more.

Source: pkg/controller/replicaset/replica_set.go, replica_set_utils.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Generic, NamedTuple, TypeVar

import attrs

from emu.kube.api.objects import ReplicaSet, ReplicationController
from emu.kube.api.selectors import contains, selects
from emu.kube.controller import Key, Queue
from emu.kube.workloads.children import pairs, rarest, released
from emu.kube.workloads.control import AT_ONCE, PodControl
from emu.kube.workloads.pods import first_to_go, is_active, until_available

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.workload import WorkloadStatus
    from emu.kube.api.store import Change, Store
    from emu.kube.workloads.children import Children, Pair
    from emu.sim.rng import Streams
    from emu.sim.time import Duration, Instant

R = TypeVar("R", ReplicaSet, ReplicationController)


class Plan(NamedTuple):
    """What is to do: pods to make, and pods to delete, first to last."""

    create: int
    delete: tuple[Pod, ...]


def plan(replicas: int, pods: Sequence[Pod], siblings: Sequence[Pod], now: Instant, epoch: int) -> Plan:
    """Return what makes `replicas` of the active `pods`.

    Args:
        replicas: how many are wanted.
        pods: the active ones of the set.
        siblings: the active ones of all sets of the same owner.
        now: virtual time.
        epoch: nanoseconds since 1970 of the clock's zero.
    """
    missing = replicas - len(pods)
    if missing >= 0:
        return Plan(min(missing, AT_ONCE), ())
    surplus = min(-missing, AT_ONCE)
    if surplus == len(pods):
        return Plan(0, tuple(pods))
    return Plan(0, tuple(first_to_go(pods, siblings, now, epoch)[:surplus]))


class Standing(NamedTuple):
    """The state of a set, and how long until more of its pods are available (None: nobody waits)."""

    status: WorkloadStatus
    wait: Duration | None


def standing(owner: R, pods: Sequence[Pod], now: Instant, epoch: int) -> Standing:
    """Return the status that the active `pods` give to `owner`."""
    waits = [until_available(pod, owner.spec.min_ready_seconds, now, epoch) for pod in pods]
    labels = owner.spec.template.metadata.labels
    status = attrs.evolve(
        owner.status,
        replicas=len(pods),
        fully_labeled_replicas=sum(contains(pod.metadata.labels, labels) for pod in pods) or None,
        ready_replicas=sum(wait is not None for wait in waits) or None,
        available_replicas=sum(wait == 0 for wait in waits) or None,
        observed_generation=owner.metadata.generation,
    )
    return Standing(status, min((wait for wait in waits if wait), default=None))


class ReplicasController(Generic[R]):
    """Keeps the pods of one of both kinds.

    Args:
        store: the API.
        streams: for the names of pods.
        pods: by controller.
    """

    COMPONENTS: ClassVar = {
        ReplicaSet: "replicaset-controller",
        ReplicationController: "replication-controller",
    }

    def __init__(self, kind: type[R], store: Store, streams: Streams, pods: Children[Pod]) -> None:
        self._kind: type[R] = kind
        self._store = store
        self._pods = pods
        self._control = PodControl(store, streams, self.COMPONENTS[kind])
        self._families: dict[str, dict[str, R]] = {}
        self._by_label: dict[tuple[str, Pair], dict[str, None]] = {}  # names of sets that ask for a label
        self._looking: dict[Key, None] = {}  # sets that have not yet looked for pods to adopt
        self.queue: Final = Queue(store, self)
        pods.notify(kind.KIND, self.queue, self._on_lone)
        for each in store.each(kind):
            self._changed_one(None, each)
        store.watch(kind, self._changed)

    def reconcile(self, key: Key) -> None:
        """Make or delete pods until there are as many as are wanted, and write the status."""
        store = self._store
        owner = store.find(self._kind, key.name, key.namespace)
        if owner is None:
            return
        self._claim(key, owner)
        active = [pod for pod in self._pods.of(owner) if is_active(pod)]
        if not owner.metadata.is_terminating:
            todo = plan(
                owner.spec.replicas, active, self._siblings(owner, active), store.loop.now, store.epoch
            )
            for _ in range(todo.create):
                self._control.create(owner, owner.spec.template)
            self._control.delete_all(owner, todo.delete)
            if todo.create or todo.delete:
                active = [pod for pod in self._pods.of(owner) if is_active(pod)]
        found = standing(owner, active, store.loop.now, store.epoch)
        if found.wait:
            self.queue.add_after(key, found.wait)
        if found.status != owner.status:
            store.put(attrs.evolve(owner, status=found.status))

    def _siblings(self, owner: R, active: Sequence[Pod]) -> Sequence[Pod]:
        """Return the active pods of all sets that belong to the same Deployment."""
        if len(active) <= owner.spec.replicas:
            return active
        above = owner.metadata.controller
        family = [owner] if above is None else self._families.get(above.uid, {}).values()
        return [pod for each in family for pod in self._pods.of(each) if is_active(pod)]

    def _claim(self, key: Key, owner: R) -> None:
        """Adopt pods that match and nobody has, if there may be some; let go of others."""
        if key in self._looking:
            del self._looking[key]
            self._pods.claim(owner, plain_labels(owner), lambda pod: _belongs(owner, pod))
            return
        for pod in self._pods.of(owner):
            if is_active(pod) and not matches(owner, pod.metadata.labels):
                self._store.put(released(pod, owner))

    def _on_lone(self, pod: Pod) -> None:
        namespace, labels = pod.metadata.namespace, pod.metadata.labels
        for pair in pairs(labels):
            for name in list(self._by_label.get((namespace, pair), ())):
                owner = self._store.find(self._kind, name, namespace)
                if owner is not None and matches(owner, labels):
                    self._look(owner)

    def _changed(self, change: Change) -> None:
        self._changed_one(change.old, change.new)  # type: ignore[arg-type]  # of the kind that is watched

    def _changed_one(self, old: R | None, new: R | None) -> None:
        for each, is_there in ((old, False), (new, True)):
            if each is None:
                continue
            asking = self._by_label.setdefault((each.metadata.namespace, rarest(plain_labels(each))), {})
            if is_there:
                asking[each.metadata.name] = None
            else:
                asking.pop(each.metadata.name, None)
            above = each.metadata.controller
            if above is None:
                continue
            family = self._families.setdefault(above.uid, {})
            if is_there:
                family[each.metadata.name] = each
            else:
                family.pop(each.metadata.name, None)
        if new is None and old is not None:
            self._control.forget(old.metadata.uid)
        elif new is not None and (old is None or old.spec.selector != new.spec.selector):
            self._look(new)
        elif new is not None and old is not None and old.spec is not new.spec:
            self.queue.add(Key(new.metadata.namespace, new.metadata.name))

    def _look(self, owner: R) -> None:
        key = Key(owner.metadata.namespace, owner.metadata.name)
        self._looking[key] = None
        self.queue.add(key)


def plain_labels(owner: ReplicaSet | ReplicationController) -> Labels:
    """Return the labels that all pods of `owner` have to have."""
    if isinstance(owner, ReplicationController):
        return owner.spec.selector or owner.spec.template.metadata.labels
    return owner.spec.selector.match_labels


def matches(owner: ReplicaSet | ReplicationController, labels: Labels) -> bool:
    """Return whether a pod with `labels` may belong to `owner`."""
    if isinstance(owner, ReplicationController):
        plain = plain_labels(owner)
        return bool(plain) and contains(labels, plain)
    return selects(owner.spec.selector, labels)


def _belongs(owner: ReplicaSet | ReplicationController, pod: Pod) -> bool:
    return not pod.is_finished and matches(owner, pod.metadata.labels)
