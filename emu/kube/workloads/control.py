# SPDX-License-Identifier: GPL-2.0-only
"""How controllers carry out what they decided: pods made from templates, pods deleted, events told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.admission import admit, priorities_of
from emu.kube.api.deletion import delete
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import Pod, PodStatus
from emu.kube.api.uids import new_uid
from emu.kube.events import NORMAL, record
from emu.kube.workloads.children import owned_by
from emu.kube.workloads.names import generated

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

    from emu.kube.api.objects import Known
    from emu.kube.api.objects.field import Labels
    from emu.kube.api.objects.pod import PodTemplateSpec
    from emu.kube.api.store import Store
    from emu.sim.rng import Streams

AT_ONCE: Final = 500
"""Pods that one reconciliation makes or deletes at the most."""

MAX_HOSTNAME: Final = 63


@attrs.define
class PodControl:
    """Makes and deletes the pods of one kind of owner.

    The name and UID of a pod come from a stream of its owner's, so that no
    other object changes them. Pods of one template share its labels and its
    spec, which is admitted once.

    Args:
        store: where pods are kept.
        streams: where names and UIDs are drawn.
        component: who tells about it, such as `replicaset-controller`.
    """

    store: Store
    streams: Streams
    component: str
    _prototypes: dict[str, tuple[PodTemplateSpec, Pod]] = attrs.field(factory=dict, init=False)

    def create(self, owner: Known, template: PodTemplateSpec) -> Pod:
        """Make a pod of `owner` from `template`, under a name of its own."""
        prototype = self.prototype(owner, template)
        base = f"{owner.metadata.name}-"
        name = generated(base, self.stream(owner))
        while self.store.find(Pod, name, owner.metadata.namespace) is not None:
            name = generated(base, self.stream(owner))
        return self.keep(owner, prototype, name, generate_name=base)

    def keep(
        self, owner: Known, prototype: Pod, name: str, *, generate_name: str = "", is_told: bool = True
    ) -> Pod:
        """Make a pod of `owner` that is like `prototype`, and tell unless somebody else does."""
        metadata = attrs.evolve(
            prototype.metadata, name=name, generate_name=generate_name, uid=new_uid(self.stream(owner))
        )
        pod = self.store.put(Pod(metadata, prototype.spec, prototype.status))
        if is_told:
            record(self.store, owner, NORMAL, "SuccessfulCreate", f"Created pod: {name}", self.component)
        return pod

    def prototype(self, owner: Known, template: PodTemplateSpec) -> Pod:
        """Return what all pods of `owner` made from `template` have in common; the same object each time."""
        kept = self._prototypes.get(owner.metadata.uid)
        if kept is None or kept[0] is not template:
            metadata = Meta(
                namespace=owner.metadata.namespace,
                labels=template.metadata.labels,
                annotations=template.metadata.annotations,
                owner_references=(owned_by(owner),),
                finalizers=template.metadata.finalizers,
            )
            pod = admit(Pod(metadata, template.spec, PodStatus()), priorities_of(self.store))
            kept = self._prototypes[owner.metadata.uid] = template, pod
        return kept[1]

    def stream(self, owner: Known) -> random.Random:
        """Return the stream from which names of an owner's children are drawn."""
        metadata = owner.metadata
        return self.streams.stream(f"children of {owner.KIND} {metadata.namespace}/{metadata.name}")

    def delete(self, owner: Known, pod: Pod) -> None:
        """Delete a pod of `owner`, and tell."""
        self.remove(pod)
        text = f"Deleted pod: {pod.metadata.name}"
        record(self.store, owner, NORMAL, "SuccessfulDelete", text, self.component)

    def remove(self, pod: Pod) -> None:
        """Delete a pod."""
        delete(self.store, pod)

    def delete_all(self, owner: Known, pods: Iterable[Pod]) -> None:
        """Delete pods of `owner`, one after the other."""
        for pod in pods:
            self.delete(owner, pod)

    def forget(self, uid: str) -> None:
        """Let go of what is kept for an owner that is gone."""
        self._prototypes.pop(uid, None)


def labelled(pod: Pod, labels: Labels, annotations: Labels | None = None) -> Pod:
    """Return `pod` with more labels and annotations."""
    metadata = attrs.evolve(
        pod.metadata,
        labels={**pod.metadata.labels, **labels},
        annotations={**pod.metadata.annotations, **(annotations or {})},
    )
    return attrs.evolve(pod, metadata=metadata)
