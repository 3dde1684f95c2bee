# SPDX-License-Identifier: GPL-2.0-only
"""Workloads that an API server takes, but that no emulation would come to the end of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import (
    CronJob,
    Deployment,
    Job,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kube.api.objects import Object

MOST_PODS: Final = 100_000
"""Pods of one workload; the largest clusters that Kubernetes is tested with have 150,000 in all."""


def faults_of(obj: Object) -> Iterator[tuple[str, str]]:
    """Yield path and message of a number of pods that is too large."""
    match obj:
        case Deployment() | ReplicaSet() | ReplicationController() | StatefulSet():
            path, number = "$.spec.replicas", obj.spec.replicas
        case Job():
            path, number = "$.spec.parallelism", obj.spec.parallelism or 0
        case CronJob():
            path, number = "$.spec.jobTemplate.spec.parallelism", obj.spec.job_template.spec.parallelism or 0
        case _:
            return
    if number > MOST_PODS:
        yield path, f"Invalid value: {number}: emu runs {MOST_PODS} pods of a workload at the most"
