# SPDX-License-Identifier: GPL-2.0-only
"""The tables of what makes pods.

Source: `printDeployment`, `printReplicaSet`, `printReplicationController`,
`printStatefulSet`, `printDaemonSet`, `printJob`, `printCronJob`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.timestamps import parse
from emu.kube.tables.ages import human
from emu.kube.tables.cells.printer import Cells, Column, Printer, columns
from emu.kube.tables.cells.words import NONE, containers, is_true, pairs, selector

if TYPE_CHECKING:
    from emu.kube.api.objects import (
        CronJob,
        DaemonSet,
        Deployment,
        Job,
        ReplicaSet,
        ReplicationController,
        StatefulSet,
    )
    from emu.kube.tables.world import World

_SINCE_STATUS: Final = (1, 30)  # get jobs STATUS, get cronjobs TIMEZONE
_IN_WORDS: Final = ("Containers", "Images", "Selector")


def _deployment(deployment: Deployment, world: World) -> Cells:
    spec, status = deployment.spec, deployment.status
    return (
        deployment.metadata.name,
        f"{status.ready_replicas or 0}/{spec.replicas}",
        status.updated_replicas or 0,
        status.available_replicas or 0,
        world.since(deployment.metadata.creation_timestamp),
        *containers(spec.template.spec),
        selector(spec.selector),
    )


def _replicas(owner: ReplicaSet | ReplicationController, world: World) -> Cells:
    return (
        owner.metadata.name,
        owner.spec.replicas,
        owner.status.replicas or 0,
        owner.status.ready_replicas or 0,
        world.since(owner.metadata.creation_timestamp),
        *containers(owner.spec.template.spec),
    )


def _replica_set(owner: ReplicaSet, world: World) -> Cells:
    return (*_replicas(owner, world), selector(owner.spec.selector))


def _replication_controller(owner: ReplicationController, world: World) -> Cells:
    return (*_replicas(owner, world), pairs(owner.spec.selector))


def _stateful_set(owner: StatefulSet, world: World) -> Cells:
    return (
        owner.metadata.name,
        f"{owner.status.ready_replicas or 0}/{owner.spec.replicas}",
        world.since(owner.metadata.creation_timestamp),
        *containers(owner.spec.template.spec),
    )


def _daemon_set(owner: DaemonSet, world: World) -> Cells:
    status, pod = owner.status, owner.spec.template.spec
    return (
        owner.metadata.name,
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        status.updated_number_scheduled or 0,
        status.number_available or 0,
        pairs(pod.node_selector),
        world.since(owner.metadata.creation_timestamp),
        *containers(pod),
        selector(owner.spec.selector),
    )


# --- Jobs ---


def _job(job: Job, world: World) -> Cells:
    return (
        job.metadata.name,
        _job_status(job, world),
        _completions(job),
        _duration(job, world),
        world.since(job.metadata.creation_timestamp),
        *containers(job.spec.template.spec),
        selector(job.spec.selector),
    )


def _job_status(job: Job, world: World) -> str:
    """Return how far a Job is, in a word."""

    def has(kind: str) -> bool:
        return is_true(job.status.conditions, kind)

    on_the_way = ("FailureTarget", "SuccessCriteriaMet") if world.is_from(1, 34) else ()
    if ended := next(filter(has, ("Complete", "Failed")), ""):
        return ended
    if job.metadata.is_terminating:
        return "Terminating"
    return next(filter(has, ("Suspended", *on_the_way)), "Running")


def _completions(job: Job) -> str:
    done, parallel = job.status.succeeded or 0, job.spec.parallelism or 0
    if job.spec.completions is not None:
        return f"{done}/{job.spec.completions}"
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _duration(job: Job, world: World) -> str:
    """Return how long a Job has run, or ran; empty if it has not begun."""
    if job.status.start_time is None:
        return ""
    begin = parse(job.status.start_time, 0)
    end = parse(job.status.completion_time, 0) if job.status.completion_time else None
    if begin is None or end is None:
        return world.since(job.status.start_time)
    return human(end - begin)


def _cron_job(owner: CronJob, world: World) -> Cells:
    spec, last = owner.spec, owner.status.last_schedule_time
    return (
        owner.metadata.name,
        spec.schedule,
        spec.time_zone or NONE,
        str(spec.suspend),
        len(owner.status.active),
        world.since(last) if last else NONE,
        world.since(owner.metadata.creation_timestamp),
        *containers(spec.job_template.spec.template.spec),
        selector(spec.job_template.spec.selector),
    )


DEPLOYMENTS: Final = Printer(
    columns("Name", "Ready", "Up-to-date", "Available", "Age", wide=_IN_WORDS), _deployment
)
REPLICA_SETS: Final = Printer(
    columns("Name", "Desired", "Current", "Ready", "Age", wide=_IN_WORDS), _replica_set
)
REPLICATION_CONTROLLERS: Final = Printer(REPLICA_SETS.columns, _replication_controller)
STATEFUL_SETS: Final = Printer(columns("Name", "Ready", "Age", wide=_IN_WORDS[:2]), _stateful_set)
DAEMON_SETS: Final = Printer(
    columns(
        "Name", "Desired", "Current", "Ready", "Up-to-date", "Available", "Node Selector", "Age",
        wide=_IN_WORDS,
    ),
    _daemon_set,
)  # fmt: skip
JOBS: Final = Printer(
    (
        Column("Name"),
        Column("Status", since=_SINCE_STATUS),
        *columns("Completions", "Duration", "Age", wide=_IN_WORDS),
    ),
    _job,
)
CRON_JOBS: Final = Printer(
    (
        *columns("Name", "Schedule"),
        Column("Timezone", since=_SINCE_STATUS),
        *columns("Suspend", "Active", "Last Schedule", "Age", wide=_IN_WORDS),
    ),
    _cron_job,
)
