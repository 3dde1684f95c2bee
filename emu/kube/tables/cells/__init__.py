# SPDX-License-Identifier: GPL-2.0-only
"""The columns and cells of every kind, as the API server makes them. `PRINTERS` has each by kind."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from emu.kube.tables.cells.network import INGRESS_CLASSES, INGRESSES, NETWORK_POLICIES
from emu.kube.tables.cells.nodes import NAMESPACES, NODES
from emu.kube.tables.cells.others import (
    CONFIG_MAPS,
    EVENTS,
    IP_ADDRESSES,
    LEASES,
    OTHERS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICE_CIDRS,
)
from emu.kube.tables.cells.pods import PODS
from emu.kube.tables.cells.services import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from emu.kube.tables.cells.workloads import (
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    STATEFUL_SETS,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kube.tables.cells.printer import Printer

PRINTERS: Final[Mapping[str, Printer]] = MappingProxyType(
    {
        "Node": NODES,
        "Namespace": NAMESPACES,
        "Pod": PODS,
        "Service": SERVICES,
        "Endpoints": ENDPOINTS,
        "EndpointSlice": ENDPOINT_SLICES,
        "Deployment": DEPLOYMENTS,
        "ReplicaSet": REPLICA_SETS,
        "ReplicationController": REPLICATION_CONTROLLERS,
        "StatefulSet": STATEFUL_SETS,
        "DaemonSet": DAEMON_SETS,
        "Job": JOBS,
        "CronJob": CRON_JOBS,
        "NetworkPolicy": NETWORK_POLICIES,
        "Ingress": INGRESSES,
        "IngressClass": INGRESS_CLASSES,
        "ConfigMap": CONFIG_MAPS,
        "Event": EVENTS,
        "Secret": SECRETS,
        "ServiceAccount": SERVICE_ACCOUNTS,
        "Lease": LEASES,
        "IPAddress": IP_ADDRESSES,
        "ServiceCIDR": SERVICE_CIDRS,
    }
)

__all__ = ["OTHERS", "PRINTERS"]
