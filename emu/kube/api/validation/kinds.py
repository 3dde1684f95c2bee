# SPDX-License-Identifier: GPL-2.0-only
"""Which rules an object of a kind has to keep, beyond its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.validation.endpoints import check_endpoint_slice, check_endpoints
from emu.kube.api.validation.ingress import check_ingress, check_ingress_class
from emu.kube.api.validation.node import (
    check_data,
    check_ip_address,
    check_namespace,
    check_node,
    check_only_metadata,
    check_service_cidr,
)
from emu.kube.api.validation.pod import check_pod
from emu.kube.api.validation.policy import check_network_policy
from emu.kube.api.validation.service import check_service
from emu.kube.api.validation.workload import (
    check_cron_job,
    check_daemon_set,
    check_deployment,
    check_job,
    check_replica_set,
    check_replication_controller,
    check_stateful_set,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kube.api.validation.field import Field

CHECKS: Final[Mapping[str, Callable[[Field], None]]] = {
    "ConfigMap": check_data,
    "CronJob": check_cron_job,
    "DaemonSet": check_daemon_set,
    "Deployment": check_deployment,
    "EndpointSlice": check_endpoint_slice,
    "Endpoints": check_endpoints,
    "IPAddress": check_ip_address,
    "Ingress": check_ingress,
    "IngressClass": check_ingress_class,
    "Job": check_job,
    "Namespace": check_namespace,
    "NetworkPolicy": check_network_policy,
    "Node": check_node,
    "PersistentVolumeClaim": check_only_metadata,
    "Pod": check_pod,
    "ReplicaSet": check_replica_set,
    "ReplicationController": check_replication_controller,
    "Secret": check_data,
    "Service": check_service,
    "ServiceAccount": check_only_metadata,
    "ServiceCIDR": check_service_cidr,
    "StatefulSet": check_stateful_set,
}

CLUSTER_SCOPED: Final = {"IPAddress", "IngressClass", "Namespace", "Node", "ServiceCIDR"}
