# SPDX-License-Identifier: GPL-2.0-only
"""What makes pods.

        Deployment --> ReplicaSet --> Pod        ReplicationController --> Pod
        StatefulSet --> Pod   DaemonSet --> Pod   CronJob --> Job --> Pod

Each kind has a function that decides, from the objects as they are, what is to
be made, deleted and noted, and a controller that carries it out. `children`
knows who belongs to whom, `garbage` deletes what a deleted owner leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import Job, Pod, ReplicaSet, ReplicationController
from emu.kube.workloads.children import Children
from emu.kube.workloads.cronjob.controller import CronJobController
from emu.kube.workloads.daemonset.controller import DaemonSetController
from emu.kube.workloads.deployment.controller import DeploymentController
from emu.kube.workloads.garbage import GarbageCollector
from emu.kube.workloads.job.controller import JobController
from emu.kube.workloads.replicas import ReplicasController
from emu.kube.workloads.statefulset.controller import StatefulSetController

if TYPE_CHECKING:
    from emu.kube.api.store import Store
    from emu.sim.rng import Streams

DEFAULT_VERSION: Final = (1, 35)


class Workloads:
    """All controllers of workloads, at work on a store.

    Args:
        store: the API; what it has already is taken up as it is.
        streams: where names of pods are drawn.
        version: of Kubernetes.
    """

    def __init__(self, store: Store, streams: Streams, version: tuple[int, int] = DEFAULT_VERSION) -> None:
        self.version = version
        self.pods: Final = Children(store, Pod)
        self.sets: Final = Children(store, ReplicaSet)
        self.garbage: Final = GarbageCollector(store)
        self.deployments: Final = DeploymentController(store, self.sets, self.pods)
        self.replica_sets: Final = ReplicasController(ReplicaSet, store, streams, self.pods)
        self.replication_controllers: Final = ReplicasController(
            ReplicationController, store, streams, self.pods
        )
        self.stateful_sets: Final = StatefulSetController(store, streams, self.pods, version)
        self.daemon_sets: Final = DaemonSetController(store, streams, self.pods)
        self.jobs: Final = JobController(store, streams, self.pods, version)
        self.cron_jobs: Final = CronJobController(store, Children(store, Job))


__all__ = ["DEFAULT_VERSION", "Workloads"]
