# SPDX-License-Identifier: GPL-2.0-only
"""Nodes and namespaces. Source: staging/src/k8s.io/api/core/v1/types.go."""

from __future__ import annotations

from typing import ClassVar

import attrs

from emu.kube.api.objects.field import NOTHING, Quantities, Rest, rest
from emu.kube.api.objects.meta import Condition, Meta
from emu.kube.api.objects.scheduling import Taint


@attrs.frozen
class NodeAddress:
    """`type` is InternalIP, ExternalIP, Hostname, InternalDNS or ExternalDNS."""

    type: str
    address: str
    rest: Rest = rest()


@attrs.frozen
class NodeInfo:
    """What a node says of itself."""

    os_image: str = ""
    kernel_version: str = ""
    container_runtime_version: str = ""
    kubelet_version: str = ""
    kube_proxy_version: str = ""
    operating_system: str = ""
    architecture: str = ""
    machine_id: str = ""
    system_uuid: str = ""
    boot_id: str = ""
    rest: Rest = rest()


@attrs.frozen
class NodeSpec:
    """What is wanted of a node."""

    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] = ()
    provider_id: str = ""
    taints: tuple[Taint, ...] = ()
    unschedulable: bool = False
    rest: Rest = rest()


@attrs.frozen
class NodeStatus:
    """What is known of a node."""

    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()
    node_info: NodeInfo | None = None
    capacity: Quantities = NOTHING
    allocatable: Quantities = NOTHING
    rest: Rest = rest()


@attrs.frozen
class Node:
    """A machine that runs pods."""

    KIND: ClassVar = "Node"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = False

    metadata: Meta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
    rest: Rest = rest()

    def addresses(self, kind: str) -> tuple[str, ...]:
        """Return the node's addresses of one `kind`, such as `InternalIP`."""
        return tuple(each.address for each in self.status.addresses if each.type == kind)

    @property
    def is_ready(self) -> bool:
        """Whether the kubelet says that it is."""
        return any(each.type == "Ready" and each.status == "True" for each in self.status.conditions)


@attrs.frozen
class NamespaceStatus:
    """`phase` is Active or Terminating."""

    phase: str = "Active"
    rest: Rest = rest()


@attrs.frozen
class Namespace:
    """A scope for names, to which policies and DNS refer."""

    KIND: ClassVar = "Namespace"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = False

    metadata: Meta
    status: NamespaceStatus = NamespaceStatus()
    rest: Rest = rest()
