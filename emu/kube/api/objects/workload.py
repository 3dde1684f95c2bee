# SPDX-License-Identifier: GPL-2.0-only
"""What makes pods. Source: staging/src/k8s.io/api/apps/v1/types.go, batch/v1/types.go, core/v1/types.go."""

from __future__ import annotations

from typing import ClassVar

import attrs

from emu.kube.api.objects.field import Labels, Rest, label_map, rest
from emu.kube.api.objects.meta import Condition, LabelSelector, Meta, Reference
from emu.kube.api.objects.pod import PodTemplateSpec


@attrs.frozen
class RollingUpdate:
    """How fast a workload changes; numbers or percentages, `partition` of a StatefulSet alone."""

    max_surge: int | str | None = None
    max_unavailable: int | str | None = None
    partition: int | None = None
    rest: Rest = rest()


@attrs.frozen
class UpdateStrategy:
    """RollingUpdate, Recreate (Deployment) or OnDelete (DaemonSet, StatefulSet)."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None
    rest: Rest = rest()


@attrs.frozen
class WorkloadStatus:
    """What is known of a workload; each kind uses some of the numbers."""

    observed_generation: int | None = None
    replicas: int | None = None
    fully_labeled_replicas: int | None = None
    updated_replicas: int | None = None
    ready_replicas: int | None = None
    available_replicas: int | None = None
    unavailable_replicas: int | None = None
    current_replicas: int | None = None
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int | None = None
    conditions: tuple[Condition, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class DeploymentSpec:
    """What is wanted of a Deployment."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = attrs.field(default=0, metadata={"omit": 0})
    revision_history_limit: int = 10
    progress_deadline_seconds: int = 600
    paused: bool = False
    rest: Rest = rest()


@attrs.frozen
class Deployment:
    """Pods that are all alike, and how they are replaced."""

    KIND: ClassVar = "Deployment"
    API_VERSION: ClassVar = "apps/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: DeploymentSpec = DeploymentSpec()
    status: WorkloadStatus = WorkloadStatus()
    rest: Rest = rest()


@attrs.frozen
class ReplicaSetSpec:
    """What is wanted of a ReplicaSet."""

    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = attrs.field(default=0, metadata={"omit": 0})
    rest: Rest = rest()


@attrs.frozen
class ReplicaSet:
    """A number of pods of one template."""

    KIND: ClassVar = "ReplicaSet"
    API_VERSION: ClassVar = "apps/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: WorkloadStatus = WorkloadStatus()
    rest: Rest = rest()


@attrs.frozen
class ReplicationControllerSpec:
    """What is wanted of a ReplicationController; its selector is of plain labels."""

    replicas: int = 1
    selector: Labels = label_map()
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = attrs.field(default=0, metadata={"omit": 0})
    rest: Rest = rest()


@attrs.frozen
class ReplicationController:
    """The forerunner of the ReplicaSet."""

    KIND: ClassVar = "ReplicationController"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: WorkloadStatus = WorkloadStatus()
    rest: Rest = rest()


@attrs.frozen
class Ordinals:
    """Where a StatefulSet begins to count."""

    start: int = 0
    rest: Rest = rest()


@attrs.frozen
class StatefulSetSpec:
    """What is wanted of a StatefulSet."""

    service_name: str = ""
    replicas: int = 1
    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    pod_management_policy: str = "OrderedReady"
    update_strategy: UpdateStrategy = UpdateStrategy()
    ordinals: Ordinals | None = None
    min_ready_seconds: int = attrs.field(default=0, metadata={"omit": 0})
    revision_history_limit: int = 10
    rest: Rest = rest()


@attrs.frozen
class StatefulSet:
    """Pods with names that last."""

    KIND: ClassVar = "StatefulSet"
    API_VERSION: ClassVar = "apps/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: StatefulSetSpec = StatefulSetSpec()
    status: WorkloadStatus = WorkloadStatus()
    rest: Rest = rest()


@attrs.frozen
class DaemonSetSpec:
    """What is wanted of a DaemonSet."""

    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = attrs.field(default=0, metadata={"omit": 0})
    revision_history_limit: int = 10
    rest: Rest = rest()


@attrs.frozen
class DaemonSetStatus:
    """What is known of a DaemonSet, in numbers of nodes."""

    current_number_scheduled: int = 0
    desired_number_scheduled: int = 0
    number_misscheduled: int = 0
    number_ready: int = 0
    number_available: int | None = None
    number_unavailable: int | None = None
    updated_number_scheduled: int | None = None
    observed_generation: int | None = None
    collision_count: int | None = None
    conditions: tuple[Condition, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class DaemonSet:
    """A pod on every node that takes it."""

    KIND: ClassVar = "DaemonSet"
    API_VERSION: ClassVar = "apps/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()
    rest: Rest = rest()


@attrs.frozen
class JobSpec:
    """What is wanted of a Job."""

    parallelism: int | None = None
    completions: int | None = None
    backoff_limit: int | None = None
    completion_mode: str = "NonIndexed"
    selector: LabelSelector | None = None
    manual_selector: bool = False
    suspend: bool = False
    active_deadline_seconds: int | None = None
    ttl_seconds_after_finished: int | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    rest: Rest = rest()


@attrs.frozen
class JobStatus:
    """What is known of a Job."""

    active: int | None = None
    ready: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    terminating: int | None = None
    start_time: str | None = None
    completion_time: str | None = None
    conditions: tuple[Condition, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class Job:
    """Pods that come to an end."""

    KIND: ClassVar = "Job"
    API_VERSION: ClassVar = "batch/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()
    rest: Rest = rest()


@attrs.frozen
class JobTemplate:
    """What Jobs of a CronJob are made from."""

    metadata: Meta = Meta()
    spec: JobSpec = JobSpec()
    rest: Rest = rest()


@attrs.frozen
class CronJobSpec:
    """What is wanted of a CronJob."""

    schedule: str
    job_template: JobTemplate = JobTemplate()
    time_zone: str | None = None
    starting_deadline_seconds: int | None = None
    concurrency_policy: str = "Allow"
    suspend: bool = attrs.field(default=False, metadata={"keep": True})
    successful_jobs_history_limit: int = 3
    failed_jobs_history_limit: int = 1
    rest: Rest = rest()


@attrs.frozen
class CronJobStatus:
    """What is known of a CronJob."""

    active: tuple[Reference, ...] = ()
    last_schedule_time: str | None = None
    last_successful_time: str | None = None
    rest: Rest = rest()


@attrs.frozen
class CronJob:
    """Jobs at times."""

    KIND: ClassVar = "CronJob"
    API_VERSION: ClassVar = "batch/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: CronJobSpec
    status: CronJobStatus = CronJobStatus()
    rest: Rest = rest()
