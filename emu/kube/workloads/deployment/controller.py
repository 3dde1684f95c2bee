# SPDX-License-Identifier: GPL-2.0-only
"""The Deployment controller: one step at a time, as its ReplicaSets change.

Source: pkg/controller/deployment/deployment_controller.go `syncDeployment`,
rolling.go, recreate.go, sync.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube import conditions
from emu.kube.api.deletion import delete
from emu.kube.api.objects import Deployment, Pod, ReplicaSet
from emu.kube.api.objects.field import NOTHING
from emu.kube.api.selectors import selects
from emu.kube.controller import Key, Queue
from emu.kube.events import NORMAL, record
from emu.kube.workloads.children import rarest
from emu.kube.workloads.deployment import revisions, rollout, status
from emu.kube.workloads.deployment.lost import recovered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects.workload import WorkloadStatus
    from emu.kube.api.store import Change, Store
    from emu.kube.workloads.children import Children

COMPONENT: Final = "deployment-controller"


class DeploymentController:
    """Makes, scales and removes ReplicaSets.

    Args:
        store: the API.
        sets: ReplicaSets by controller.
        pods: by controller.
    """

    def __init__(self, store: Store, sets: Children[ReplicaSet], pods: Children[Pod]) -> None:
        self._store = store
        self._sets = sets
        self._pods = pods
        self._looking: dict[Key, None] = {}  # Deployments that have not looked for sets to adopt
        self.queue: Final = Queue(store, self)
        sets.notify(Deployment.KIND, self.queue, self._on_lone)
        for each in store.each(Deployment):
            self._look(each)
        store.watch(Deployment, self._changed)
        store.watch(Pod, self._pod_changed)

    def reconcile(self, key: Key) -> None:
        """Take the next step of a Deployment, and write its status."""
        deployment = self._store.find(Deployment, key.name, key.namespace)
        if deployment is None:
            return
        if key in self._looking:
            del self._looking[key]
            self._claim(deployment)
        deployment = self._note_pause(deployment)
        sets = self._sets.of(deployment)
        if deployment.metadata.is_terminating:
            self._write_status(deployment, *self._divide(deployment, sets))
        elif deployment.spec.paused or rollout.is_scaled(deployment, sets):
            self._resize(deployment, sets)
        elif deployment.spec.strategy.type == rollout.RECREATE:
            self._recreate(deployment, sets)
        else:
            self._roll(deployment, sets)

    # --- the three ways of a step ---

    def _resize(self, deployment: Deployment, sets: Sequence[ReplicaSet]) -> None:
        """Follow a new wanted number; a paused Deployment does nothing else."""
        new, old = self._divide(deployment, sets)
        if new is not None:
            deployment, new = self._renumber(deployment, new, old)
        for scale in rollout.scaled(deployment, new, old):
            self._scale(deployment, scale)
        self._finish(deployment)

    def _roll(self, deployment: Deployment, sets: Sequence[ReplicaSet]) -> None:
        deployment, new, old = self._with_new(deployment, sets)
        steps = rollout.rolling(deployment, new, old)
        for scale in steps:
            self._scale(deployment, scale)
        if not steps:
            self._clean_up(deployment, old)
        self._finish(deployment)

    def _recreate(self, deployment: Deployment, sets: Sequence[ReplicaSet]) -> None:
        new, old = self._divide(deployment, sets)
        steps = rollout.down(old)
        for scale in steps:
            self._scale(deployment, scale)
        if not steps and not any(self._is_running(each) for each in old):
            deployment, new, old = self._with_new(deployment, sets)
            if new.spec.replicas != deployment.spec.replicas:
                self._scale(deployment, rollout.Scale(new, deployment.spec.replicas))
            self._clean_up(deployment, old)
        self._finish(deployment)

    def _is_running(self, replica_set: ReplicaSet) -> bool:
        return any(not pod.is_finished for pod in self._pods.of(replica_set))

    # --- sets ---

    def _divide(
        self, deployment: Deployment, sets: Sequence[ReplicaSet]
    ) -> tuple[ReplicaSet | None, list[ReplicaSet]]:
        new = revisions.find_new(deployment, sets)
        return new, [each for each in rollout.by_age(sets) if each is not new]

    def _with_new(
        self, deployment: Deployment, sets: Sequence[ReplicaSet]
    ) -> tuple[Deployment, ReplicaSet, list[ReplicaSet]]:
        """Return the Deployment with its new set, which is made if it is not there, and the old ones."""
        new, old = self._divide(deployment, sets)
        if new is not None:
            return *self._renumber(deployment, new, old), old
        made = revisions.new_set(deployment, old)
        while self._store.find(ReplicaSet, made.metadata.name, made.metadata.namespace) is not None:
            count = (deployment.status.collision_count or 0) + 1
            deployment = attrs.evolve(
                deployment, status=attrs.evolve(deployment.status, collision_count=count)
            )
            made = revisions.new_set(deployment, old)
        new = self._store.put(made)
        if new.spec.replicas:
            self._tell(deployment, new, 0)
        text = f'Created new replica set "{new.metadata.name}"'
        now = self._store.now
        noted = status.noted(deployment.status, status.CREATED, text, now)
        return self._number(attrs.evolve(deployment, status=noted), new), new, old

    def _renumber(
        self, deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]
    ) -> tuple[Deployment, ReplicaSet]:
        """Give the new set the highest revision, and the Deployment the same."""
        numbered = revisions.numbered(new, deployment, revisions.next_revision(old))
        if numbered.spec.min_ready_seconds != deployment.spec.min_ready_seconds:
            spec = attrs.evolve(numbered.spec, min_ready_seconds=deployment.spec.min_ready_seconds)
            numbered = attrs.evolve(numbered, spec=spec)
        new = self._store.put(numbered)
        if conditions.find(deployment.status.conditions, status.PROGRESSING) is None:
            text = f'Found new replica set "{new.metadata.name}"'
            noted = status.noted(deployment.status, status.FOUND, text, self._store.now)
            deployment = attrs.evolve(deployment, status=noted)
        return self._number(deployment, new), new

    def _number(self, deployment: Deployment, new: ReplicaSet) -> Deployment:
        known = deployment.metadata.annotations
        number = new.metadata.annotations.get(revisions.REVISION, "")
        if known.get(revisions.REVISION) != number:
            metadata = attrs.evolve(deployment.metadata, annotations={**known, revisions.REVISION: number})
            deployment = attrs.evolve(deployment, metadata=metadata)
        return self._store.put(deployment)

    def _scale(self, deployment: Deployment, scale: rollout.Scale) -> None:
        before = scale.replica_set
        after = revisions.sized(before, deployment)
        if scale.replicas != before.spec.replicas:
            generation = (before.metadata.generation or 0) + 1
            after = attrs.evolve(
                after,
                metadata=attrs.evolve(after.metadata, generation=generation),
                spec=attrs.evolve(before.spec, replicas=scale.replicas),
            )
        after = self._store.put(after)
        if scale.replicas != before.spec.replicas:
            self._tell(deployment, after, before.spec.replicas)

    def _tell(self, deployment: Deployment, replica_set: ReplicaSet, before: int) -> None:
        after = replica_set.spec.replicas
        way = "up" if after > before else "down"
        text = f"Scaled {way} replica set {replica_set.metadata.name} from {before} to {after}"
        record(self._store, deployment, NORMAL, "ScalingReplicaSet", text, COMPONENT)

    def _clean_up(self, deployment: Deployment, old: Sequence[ReplicaSet]) -> None:
        """Remove old sets beyond the history's limit, once the rollout is through."""
        if status.is_complete(deployment, self._counted(deployment)):
            for each in revisions.surplus_history(old, deployment.spec.revision_history_limit):
                delete(self._store, each)

    # --- status ---

    def _counted(self, deployment: Deployment) -> WorkloadStatus:
        sets = self._sets.of(deployment)
        return status.counted(deployment, revisions.find_new(deployment, sets), sets, self._store.now)

    def _finish(self, deployment: Deployment) -> None:
        sets = self._sets.of(deployment)
        self._write_status(deployment, *self._divide(deployment, sets))

    def _write_status(
        self, deployment: Deployment, new: ReplicaSet | None, old: Iterable[ReplicaSet]
    ) -> None:
        store = self._store
        sets = list(old) if new is None else [*old, new]
        found = status.counted(deployment, new, sets, store.now)
        if not deployment.spec.paused:
            found = status.progressed(deployment, found, new, store.now, store.epoch)
            left = status.until_deadline(deployment, found, store.now, store.epoch)
            if left is not None and left > 0:
                key = Key(deployment.metadata.namespace, deployment.metadata.name)
                self.queue.add_after(key, left, periodic=True)
        store.put(attrs.evolve(deployment, status=found))

    def _note_pause(self, deployment: Deployment) -> Deployment:
        noted = status.paused(deployment, self._store.now)
        if noted == deployment.status.conditions:
            return deployment
        return self._store.put(
            attrs.evolve(deployment, status=attrs.evolve(deployment.status, conditions=noted))
        )

    # --- adoption ---

    def _claim(self, deployment: Deployment) -> None:
        """Adopt sets without a controller that match, and those that a dump does not have."""
        namespace = deployment.metadata.namespace
        selector = deployment.spec.selector
        self._sets.claim(
            deployment, NOTHING, lambda each: selects(selector, each.spec.template.metadata.labels)
        )
        if not self._sets.of(deployment):
            lone = self._pods.lone(namespace, rarest(selector.match_labels))
            pods = self._pods.strays(namespace) + lone
            for each in recovered(deployment, pods):
                self._store.put(each)

    def _on_lone(self, replica_set: ReplicaSet) -> None:
        labels = replica_set.spec.template.metadata.labels
        for each in self._store.each(Deployment):
            is_near = each.metadata.namespace == replica_set.metadata.namespace
            if is_near and selects(each.spec.selector, labels):
                self._look(each)

    # --- changes ---

    def _look(self, deployment: Deployment) -> None:
        key = Key(deployment.metadata.namespace, deployment.metadata.name)
        self._looking[key] = None
        self.queue.add(key)

    def _changed(self, change: Change) -> None:
        old, new = change
        assert not isinstance(new, Pod)
        if new is not None and old is None:
            self._look(new)  # type: ignore[arg-type]  # of the kind that is watched
        elif new is not None:
            self.queue.add(Key(new.metadata.namespace, new.metadata.name))

    def _pod_changed(self, change: Change) -> None:
        """A Deployment that waits for the end of its old pods goes on when one is gone."""
        if change.new is not None and not (isinstance(change.new, Pod) and change.new.is_finished):
            return
        owner = change.object.metadata.controller
        if owner is None or owner.kind != ReplicaSet.KIND:
            return
        found = self._store.find(ReplicaSet, owner.name, change.object.metadata.namespace)
        above = None if found is None else found.metadata.controller
        if above is not None and above.kind == Deployment.KIND:
            self.queue.add(Key(change.object.metadata.namespace, above.name))
