# SPDX-License-Identifier: GPL-2.0-only
"""ReplicaSets that are missing, put together again from their pods.

A dump may have a Deployment and its pods, but not what is between them. The
label `pod-template-hash` says which pods are of one set, and the set's name
follows from it; the pods made last are taken for those of the present template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import PodTemplateSpec
from emu.kube.api.selectors import selects
from emu.kube.workloads.deployment.revisions import HASH, numbered, set_of, sized
from emu.kube.workloads.names import without

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects import Deployment, Pod, ReplicaSet


def recovered(deployment: Deployment, pods: Iterable[Pod]) -> list[ReplicaSet]:
    """Return the sets that `pods` must have come from, oldest first, with as many replicas as there are pods.

    Args:
        deployment: whose sets they were; it has none that is there.
        pods: those in its namespace that nobody who is there controls.
    """
    groups: dict[str, list[Pod]] = {}
    for pod in pods:
        digest = pod.metadata.labels.get(HASH)
        if digest and not pod.is_finished and selects(deployment.spec.selector, pod.metadata.labels):
            groups.setdefault(digest, []).append(pod)
    ordered = sorted(groups, key=lambda digest: (_youngest(groups[digest]), len(groups[digest]), digest))
    newest = ordered[-1] if ordered else ""
    found = []
    for number, digest in enumerate(ordered, 1):
        members = groups[digest]
        template = deployment.spec.template if digest == newest else _template(members[0])
        made = sized(numbered(set_of(deployment, digest, template), deployment, number), deployment)
        reference = members[0].metadata.controller
        metadata = made.metadata
        if reference is not None and reference.name == metadata.name:
            metadata = attrs.evolve(metadata, uid=reference.uid)
        metadata = attrs.evolve(metadata, creation_timestamp=members[0].metadata.creation_timestamp)
        spec = attrs.evolve(made.spec, replicas=len(members))
        found.append(attrs.evolve(made, metadata=metadata, spec=spec))
    return found


def _youngest(pods: Sequence[Pod]) -> str:
    return max(pod.metadata.creation_timestamp or "" for pod in pods)


def _template(pod: Pod) -> PodTemplateSpec:
    """Return what a pod must have been made from, nearly: what admission added stays."""
    labels = dict(without(pod.metadata.labels, HASH))
    return PodTemplateSpec(Meta(labels=labels), attrs.evolve(pod.spec, node_name=""))
