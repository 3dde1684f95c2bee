# SPDX-License-Identifier: GPL-2.0-only
"""The objects of the API that emu reads, typed and frozen. `KINDS` has each kind and its class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from emu.kube.api.objects.network import Ingress, IngressClass, NetworkPolicy
from emu.kube.api.objects.node import Namespace, Node
from emu.kube.api.objects.other import ConfigMap, Event, Other
from emu.kube.api.objects.pod import Pod
from emu.kube.api.objects.service import Endpoints, EndpointSlice, Service
from emu.kube.api.objects.workload import (
    CronJob,
    DaemonSet,
    Deployment,
    Job,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
)

Known: TypeAlias = (
    Node
    | Namespace
    | Pod
    | Deployment
    | ReplicaSet
    | ReplicationController
    | StatefulSet
    | DaemonSet
    | Job
    | CronJob
    | Service
    | EndpointSlice
    | Endpoints
    | NetworkPolicy
    | Ingress
    | IngressClass
    | ConfigMap
    | Event
)
Object: TypeAlias = Known | Other

KINDS: Final[Mapping[str, type[Known]]] = {
    each.KIND: each
    for each in (
        Node,
        Namespace,
        Pod,
        Deployment,
        ReplicaSet,
        ReplicationController,
        StatefulSet,
        DaemonSet,
        Job,
        CronJob,
        Service,
        EndpointSlice,
        Endpoints,
        NetworkPolicy,
        Ingress,
        IngressClass,
        ConfigMap,
        Event,
    )
}
"""Each kind that is read, and its class."""

__all__ = [
    "KINDS",
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "Endpoints",
    "Event",
    "Ingress",
    "IngressClass",
    "Job",
    "Known",
    "Namespace",
    "NetworkPolicy",
    "Node",
    "Object",
    "Other",
    "Pod",
    "ReplicaSet",
    "ReplicationController",
    "Service",
    "StatefulSet",
]
