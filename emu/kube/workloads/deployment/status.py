# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a Deployment from its ReplicaSets.

Source: pkg/controller/deployment/sync.go `calculateStatus`, progress.go
`syncRolloutStatus`, util/deployment_util.go (`DeploymentComplete`,
`DeploymentProgressing`, `DeploymentTimedOut`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube import conditions
from emu.kube.api.objects.meta import Condition
from emu.kube.api.timestamps import parse
from emu.kube.workloads.deployment.rollout import bounds, total
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Deployment, ReplicaSet
    from emu.kube.api.objects.workload import WorkloadStatus
    from emu.sim.time import Duration

AVAILABLE: Final = "Available"
PROGRESSING: Final = "Progressing"

CREATED: Final = "NewReplicaSetCreated"
FOUND: Final = "FoundNewReplicaSet"
UPDATED: Final = "ReplicaSetUpdated"
COMPLETE: Final = "NewReplicaSetAvailable"
TIMED_OUT: Final = "ProgressDeadlineExceeded"
PAUSED: Final = "DeploymentPaused"
RESUMED: Final = "DeploymentResumed"

NO_DEADLINE: Final = 2**31 - 1
"""A progressDeadlineSeconds that never comes."""

_LAST_UPDATE: Final = "lastUpdateTime"


def made(kind: str, status: str, reason: str, message: str, now: str) -> Condition:
    """Return a condition of a Deployment, which knows when it was last written too."""
    return Condition(kind, status, reason, message, now, rest={_LAST_UPDATE: now})


def counted(
    deployment: Deployment, new: ReplicaSet | None, sets: Sequence[ReplicaSet], now: str
) -> WorkloadStatus:
    """Return the numbers of a Deployment and whether it is available.

    Args:
        deployment: as it is.
        new: the set of its template.
        sets: all of its sets.
        now: the time, for a condition that changes.
    """
    spec = deployment.spec
    available = sum(each.status.available_replicas or 0 for each in sets)
    status = attrs.evolve(
        deployment.status,
        observed_generation=deployment.metadata.generation,
        replicas=sum(each.status.replicas or 0 for each in sets) or None,
        updated_replicas=(new.status.replicas if new is not None else 0) or None,
        ready_replicas=sum(each.status.ready_replicas or 0 for each in sets) or None,
        available_replicas=available or None,
        unavailable_replicas=max(0, total(sets) - available) or None,
    )
    if available >= spec.replicas - bounds(deployment).unavailable:
        found = made(
            AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", now
        )
    else:
        text = "Deployment does not have minimum availability."
        found = made(AVAILABLE, "False", "MinimumReplicasUnavailable", text, now)
    return attrs.evolve(status, conditions=conditions.updated(status.conditions, found))


def progressed(
    deployment: Deployment, status: WorkloadStatus, new: ReplicaSet | None, now: str, epoch: int
) -> WorkloadStatus:
    """Return `status` with the condition Progressing as it follows from how it was before."""
    known = conditions.find(status.conditions, PROGRESSING)
    is_done = known is not None and known.reason == COMPLETE and status.replicas == status.updated_replicas
    if deployment.spec.progress_deadline_seconds == NO_DEADLINE or is_done:
        return status
    what = _named(deployment if new is None else new)
    if is_complete(deployment, status):
        condition = made(PROGRESSING, "True", COMPLETE, f"{what} has successfully progressed.", now)
        return attrs.evolve(status, conditions=conditions.updated(status.conditions, condition))
    if _has_progressed(deployment.status, status):
        condition = made(PROGRESSING, "True", UPDATED, f"{what} is progressing.", now)
        if known is not None and known.status == condition.status:
            condition = attrs.evolve(condition, last_transition_time=known.last_transition_time)
        others = conditions.without(status.conditions, PROGRESSING)
        return attrs.evolve(status, conditions=(*others, condition))
    left = until_deadline(deployment, status, now, epoch)
    if left is not None and left <= 0:
        condition = made(PROGRESSING, "False", TIMED_OUT, f"{what} has timed out progressing.", now)
        return attrs.evolve(status, conditions=conditions.updated(status.conditions, condition))
    return status


def _named(obj: Deployment | ReplicaSet) -> str:
    return f'{obj.KIND} "{obj.metadata.name}"'


def is_complete(deployment: Deployment, status: WorkloadStatus) -> bool:
    """Return whether all pods are of the new set, and available."""
    wanted = deployment.spec.replicas
    numbers = (status.updated_replicas, status.replicas, status.available_replicas)
    return all((number or 0) == wanted for number in numbers)


def _has_progressed(old: WorkloadStatus, new: WorkloadStatus) -> bool:
    """Return whether there are more new pods, fewer old ones, or more that serve."""
    return (
        (new.updated_replicas or 0) > (old.updated_replicas or 0)
        or _outdated(new) < _outdated(old)
        or (new.ready_replicas or 0) > (old.ready_replicas or 0)
        or (new.available_replicas or 0) > (old.available_replicas or 0)
    )


def _outdated(status: WorkloadStatus) -> int:
    return (status.replicas or 0) - (status.updated_replicas or 0)


def until_deadline(deployment: Deployment, status: WorkloadStatus, now: str, epoch: int) -> Duration | None:
    """Return how long a rollout may still stand still, None if it need not go on."""
    known = conditions.find(status.conditions, PROGRESSING)
    seconds = deployment.spec.progress_deadline_seconds
    if known is None or seconds == NO_DEADLINE or known.reason in {COMPLETE, TIMED_OUT, PAUSED}:
        return None
    since = parse(str(known.rest.get(_LAST_UPDATE) or known.last_transition_time or ""), epoch)
    present = parse(now, epoch)
    if since is None or present is None:
        return None
    return since + seconds * SECOND - present


def paused(deployment: Deployment, now: str) -> tuple[Condition, ...]:
    """Return the conditions of a Deployment that say whether it is paused."""
    known = deployment.status.conditions
    found = conditions.find(known, PROGRESSING)
    if found is not None and found.reason == TIMED_OUT:
        return known
    is_noted = found is not None and found.reason == PAUSED
    if deployment.spec.paused and not is_noted:
        condition = made(PROGRESSING, "Unknown", PAUSED, "Deployment is paused", now)
        return conditions.updated(known, condition)
    if not deployment.spec.paused and is_noted:
        condition = made(PROGRESSING, "Unknown", RESUMED, "Deployment is resumed", now)
        return conditions.updated(known, condition)
    return known


def noted(status: WorkloadStatus, reason: str, message: str, now: str) -> WorkloadStatus:
    """Return `status` that says why the Deployment progresses."""
    condition = made(PROGRESSING, "True", reason, message, now)
    return attrs.evolve(status, conditions=conditions.updated(status.conditions, condition))
