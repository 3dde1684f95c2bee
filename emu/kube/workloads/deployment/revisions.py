# SPDX-License-Identifier: GPL-2.0-only
"""Which ReplicaSet of a Deployment is the new one, and how they are numbered.

Source: pkg/controller/deployment/util/deployment_util.go (`FindNewReplicaSet`,
`SetNewReplicaSetAnnotations`, `EqualIgnoreHash`), sync.go `getNewReplicaSet`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.numbers import MOST_GENERATIONS, whole
from emu.kube.api.objects import ReplicaSet
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.workload import ReplicaSetSpec
from emu.kube.workloads.children import owned_by
from emu.kube.workloads.deployment.rollout import DESIRED, MAX, bounds, by_age, size_of_new
from emu.kube.workloads.names import template_hash, with_labels, without

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects import Deployment
    from emu.kube.api.objects.pod import PodTemplateSpec

HASH: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
HISTORY: Final = "deployment.kubernetes.io/revision-history"

_NOT_COPIED: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deprecated.deployment.rollback.to",
        REVISION,
        HISTORY,
        DESIRED,
        MAX,
    }
)


def is_same(one: PodTemplateSpec, other: PodTemplateSpec) -> bool:
    """Return whether two templates are alike but for the label of their hash."""
    if one.spec is not other.spec and one.spec != other.spec:
        return False
    plain = [
        attrs.evolve(each.metadata, labels=dict(without(each.metadata.labels, HASH))) for each in (one, other)
    ]
    return plain[0] == plain[1]


def find_new(deployment: Deployment, sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """Return the oldest of the sets that have the Deployment's template, None if none has."""
    template = deployment.spec.template
    return next((each for each in by_age(sets) if is_same(each.spec.template, template)), None)


def revision(replica_set: ReplicaSet) -> int:
    """Return the number of a set's revision, 0 if it has none."""
    text = replica_set.metadata.annotations.get(REVISION, "")
    return whole(text, MOST_GENERATIONS) or 0


def next_revision(old: Iterable[ReplicaSet]) -> int:
    """Return the number of the revision that follows those of `old` sets."""
    return max(map(revision, old), default=0) + 1


def name_of_new(deployment: Deployment) -> str:
    """Return the hash of the Deployment's template, which is the end of the new set's name."""
    return template_hash(deployment.spec.template, deployment.status.collision_count)


def new_set(deployment: Deployment, old: Sequence[ReplicaSet]) -> ReplicaSet:
    """Return the ReplicaSet that is to be made for the Deployment's template."""
    digest = name_of_new(deployment)
    made = set_of(deployment, digest, deployment.spec.template)
    made = numbered(made, deployment, next_revision(old))
    replicas = size_of_new(deployment, old, 0)
    return sized(attrs.evolve(made, spec=attrs.evolve(made.spec, replicas=replicas)), deployment)


def set_of(deployment: Deployment, digest: str, template: PodTemplateSpec) -> ReplicaSet:
    """Return a ReplicaSet of a Deployment without replicas: its `template` gets `digest` for a label."""
    labels = {**template.metadata.labels, HASH: digest}
    selector = deployment.spec.selector
    return ReplicaSet(
        Meta(
            name=f"{deployment.metadata.name}-{digest}",
            namespace=deployment.metadata.namespace,
            labels=labels,
            owner_references=(owned_by(deployment),),
            generation=1,
        ),
        ReplicaSetSpec(
            replicas=0,
            selector=LabelSelector({**selector.match_labels, HASH: digest}, selector.match_expressions),
            template=with_labels(template, labels),
            min_ready_seconds=deployment.spec.min_ready_seconds,
        ),
    )


def numbered(replica_set: ReplicaSet, deployment: Deployment, number: int) -> ReplicaSet:
    """Return a set with the Deployment's annotations and at least this revision.

    A set that comes back keeps the numbers it had in a list.
    """
    annotations = dict(replica_set.metadata.annotations)
    copied = {key: value for key, value in deployment.metadata.annotations.items() if key not in _NOT_COPIED}
    annotations |= copied
    was = revision(replica_set)
    if was < number:
        annotations[REVISION] = str(number)
        if was:
            history = annotations.get(HISTORY, "")
            annotations[HISTORY] = f"{history},{was}" if history else str(was)
    return _annotated(replica_set, annotations)


def sized(replica_set: ReplicaSet, deployment: Deployment) -> ReplicaSet:
    """Return a set that is told how many replicas its Deployment wants, and may have."""
    wanted = deployment.spec.replicas
    numbers = {DESIRED: str(wanted), MAX: str(wanted + bounds(deployment).surge)}
    return _annotated(replica_set, {**replica_set.metadata.annotations, **numbers})


def _annotated(replica_set: ReplicaSet, annotations: dict[str, str]) -> ReplicaSet:
    if annotations == replica_set.metadata.annotations:
        return replica_set
    metadata = attrs.evolve(replica_set.metadata, annotations=annotations)
    return attrs.evolve(replica_set, metadata=metadata)


def surplus_history(old: Sequence[ReplicaSet], limit: int) -> list[ReplicaSet]:
    """Return the old sets that are beyond the history's limit and have no pods, oldest first."""
    ordered = sorted((each for each in old if not each.metadata.is_terminating), key=revision)
    return [
        each
        for each in ordered[: max(0, len(ordered) - limit)]
        if not each.spec.replicas and not each.status.replicas
    ]
