# SPDX-License-Identifier: GPL-2.0-only
"""The DaemonSet controller: it follows nodes as well as pods.

Source: pkg/controller/daemon/daemon_controller.go `syncDaemonSet`, update.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.numbers import MOST_GENERATIONS, whole
from emu.kube.api.objects import DaemonSet, Node, Pod
from emu.kube.api.selectors import selects
from emu.kube.controller import Key, Queue
from emu.kube.workloads.control import PodControl, labelled
from emu.kube.workloads.daemonset.plan import (
    Fit,
    Plan,
    bound_for,
    daemon_spec,
    fit,
    limits,
    node_of,
    spread,
    update,
)
from emu.kube.workloads.history import LABEL, History
from emu.kube.workloads.names import generated
from emu.kube.workloads.pods import until_available

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.api.objects.pod import PodTemplateSpec
    from emu.kube.api.objects.workload import DaemonSetStatus
    from emu.kube.api.store import Change, Store
    from emu.kube.workloads.children import Children
    from emu.sim.rng import Streams

COMPONENT: Final = "daemonset-controller"
GENERATION: Final = "pod-template-generation"
TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"


class DaemonSetController:
    """Keeps a pod of each DaemonSet on each node that takes it.

    Args:
        store: the API.
        streams: for names of pods.
        pods: by controller.
    """

    def __init__(self, store: Store, streams: Streams, pods: Children[Pod]) -> None:
        self._store = store
        self._pods = pods
        self._control = PodControl(store, streams, COMPONENT)
        self._history = History(store)
        self._templates: dict[str, tuple[PodTemplateSpec, PodTemplateSpec]] = {}
        self._known_fits: dict[str, tuple[PodTemplateSpec, dict[str, Fit]]] = {}  # until a node changes
        self.queue: Final = Queue(store, self)
        pods.notify(DaemonSet.KIND, self.queue, self._on_lone)
        self.queue.add_all(_key(each) for each in store.each(DaemonSet))
        store.watch(DaemonSet, self._changed)
        store.watch(Node, self._node_changed)

    def reconcile(self, key: Key) -> None:
        """Give nodes their pods, take the next step of an update, and write the status."""
        store = self._store
        owner = store.find(DaemonSet, key.name, key.namespace)
        if owner is None:
            return
        self._claim(owner)
        owner = self._numbered(owner)
        template = self._template(owner)
        fits = self._fits(owner, template)
        pods = self._by_node(owner)
        digest = self._history.current(owner, _presumed(pods)).digest
        if not owner.metadata.is_terminating:
            desired = sum(each.runs for each in fits.values())
            allowed = limits(owner, desired)
            todo = spread(fits, pods, surges=bool(allowed.surge))
            self._carry_out(owner, template, todo, digest)
            if not any(todo) and owner.spec.update_strategy.type == "RollingUpdate":
                todo = update(fits, pods, self._available(owner, pods), digest, allowed)
                self._carry_out(owner, template, todo, digest)
            pods = self._by_node(owner)
        available = self._available(owner, pods)
        status = counted(owner, fits, pods, available, digest)
        store.put(attrs.evolve(owner, status=status))
        self._history.trim(owner, {digest, *(_label(pod) for each in pods.values() for pod in each)})
        self._wait(owner, pods)

    def _wait(self, owner: DaemonSet, pods: Mapping[str, Sequence[Pod]]) -> None:
        store, seconds = self._store, owner.spec.min_ready_seconds
        waits = [
            wait
            for present in pods.values()
            for pod in present
            if (wait := until_available(pod, seconds, store.loop.now, store.epoch))
        ]
        if waits:
            self.queue.add_after(_key(owner), min(waits))

    def _template(self, owner: DaemonSet) -> PodTemplateSpec:
        """Return the set's template with what daemons tolerate; the same object while it stays."""
        template = owner.spec.template
        known = self._templates.get(owner.metadata.uid)
        if known is None or known[0] is not template:
            known = template, attrs.evolve(template, spec=daemon_spec(template.spec))
            self._templates[owner.metadata.uid] = known
        return known[1]

    def _fits(self, owner: DaemonSet, template: PodTemplateSpec) -> dict[str, Fit]:
        known = self._known_fits.get(owner.metadata.uid)
        if known is None or known[0] is not template:
            nodes = self._store.list(Node)
            known = template, {node.metadata.name: fit(template.spec, node) for node in nodes}
            self._known_fits[owner.metadata.uid] = known
        return known[1]

    def _numbered(self, owner: DaemonSet) -> DaemonSet:
        """Count up the template's generation, which is an annotation, when it changes."""
        number = owner.metadata.annotations.get(TEMPLATE_GENERATION)
        known = self._history.of(owner)
        is_changed = bool(known) and known[-1].template != owner.spec.template
        if number is not None and not is_changed:
            return owner
        following = str((whole(number or "", MOST_GENERATIONS) or 0) + 1)
        annotations = {**owner.metadata.annotations, TEMPLATE_GENERATION: following}
        metadata = attrs.evolve(owner.metadata, annotations=annotations)
        return self._store.put(attrs.evolve(owner, metadata=metadata))

    def _by_node(self, owner: DaemonSet) -> dict[str, list[Pod]]:
        found: dict[str, list[Pod]] = {}
        for pod in self._pods.of(owner):
            found.setdefault(node_of(pod), []).append(pod)
        return found

    def _available(self, owner: DaemonSet, pods: Mapping[str, Sequence[Pod]]) -> frozenset[str]:
        now, epoch, seconds = self._store.loop.now, self._store.epoch, owner.spec.min_ready_seconds
        return frozenset(
            pod.metadata.name
            for present in pods.values()
            for pod in present
            if until_available(pod, seconds, now, epoch) == 0
        )

    def _carry_out(self, owner: DaemonSet, template: PodTemplateSpec, todo: Plan, digest: str) -> None:
        self._control.delete_all(owner, todo.delete)
        labels = {LABEL: digest, GENERATION: owner.metadata.annotations.get(TEMPLATE_GENERATION, "1")}
        for node in todo.create:
            prototype = labelled(self._control.prototype(owner, template), labels)
            pod = attrs.evolve(prototype, spec=bound_for(prototype.spec, node))
            base = f"{owner.metadata.name}-"
            name = generated(base, self._control.stream(owner))
            while self._store.find(Pod, name, owner.metadata.namespace) is not None:
                name = generated(base, self._control.stream(owner))
            self._control.keep(owner, pod, name, generate_name=base)

    def _claim(self, owner: DaemonSet) -> None:
        selector = owner.spec.selector
        self._pods.claim(owner, selector.match_labels, lambda pod: selects(selector, pod.metadata.labels))

    def _on_lone(self, pod: Pod) -> None:
        for owner in self._store.each(DaemonSet):
            is_near = owner.metadata.namespace == pod.metadata.namespace
            if is_near and selects(owner.spec.selector, pod.metadata.labels):
                self.queue.add(_key(owner))

    def _changed(self, change: Change) -> None:
        old, new = change
        if isinstance(new, DaemonSet):
            self.queue.add(_key(new))
        elif isinstance(old, DaemonSet):
            self._history.forget(old)
            self._control.forget(old.metadata.uid)
            self._templates.pop(old.metadata.uid, None)
            self._known_fits.pop(old.metadata.uid, None)

    def _node_changed(self, change: Change) -> None:
        """All sets look again at what nodes there are; a node's status does not matter to them."""
        old, new = change
        if isinstance(old, Node) and isinstance(new, Node):
            is_same = old.spec == new.spec and old.metadata.labels == new.metadata.labels
            if is_same:
                return
        self._known_fits.clear()
        self.queue.add_all(_key(each) for each in self._store.each(DaemonSet))


def _key(owner: DaemonSet) -> Key:
    return Key(owner.metadata.namespace, owner.metadata.name)


def _label(pod: Pod) -> str:
    return pod.metadata.labels.get(LABEL, "")


def _presumed(pods: Mapping[str, Sequence[Pod]]) -> str:
    """Return the hash of the youngest pod, which in a dump is that of the template."""
    known = [pod for present in pods.values() for pod in present if _label(pod)]
    youngest = max(known, key=lambda pod: pod.metadata.creation_timestamp or "", default=None)
    return "" if youngest is None else _label(youngest)


def counted(
    owner: DaemonSet,
    fits: Mapping[str, Fit],
    pods: Mapping[str, Sequence[Pod]],
    available: frozenset[str],
    digest: str,
) -> DaemonSetStatus:
    """Return the numbers of a DaemonSet: of nodes, counted by the oldest pod of each.

    Args:
        owner: the set.
        fits: what it means for each node.
        pods: its pods by node.
        available: names of pods that are available.
        digest: hash of the present template.
    """
    running = {
        name: sorted(present, key=lambda pod: (pod.metadata.creation_timestamp or "", pod.metadata.name))
        for name, present in pods.items()
        if present
    }
    desired = [name for name, found in fits.items() if found.runs]
    scheduled = [running[name] for name in desired if name in running]
    ready = sum(any(pod.is_ready for pod in present) for present in scheduled)
    serving = sum(any(pod.metadata.name in available for pod in present) for present in scheduled)
    updated = sum(any(_label(pod) == digest for pod in present) for present in scheduled)
    return attrs.evolve(
        owner.status,
        desired_number_scheduled=len(desired),
        current_number_scheduled=len(scheduled),
        number_misscheduled=sum(not found.runs and name in running for name, found in fits.items()),
        number_ready=ready,
        number_available=serving or None,
        number_unavailable=(len(desired) - serving) or None,
        updated_number_scheduled=updated or None,
        observed_generation=owner.metadata.generation,
    )
