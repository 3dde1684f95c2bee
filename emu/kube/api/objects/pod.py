# SPDX-License-Identifier: GPL-2.0-only
"""Pods. Source: staging/src/k8s.io/api/core/v1/types.go."""

from __future__ import annotations

from typing import ClassVar

import attrs

from emu.kube.api.objects.container import Container, ContainerStatus
from emu.kube.api.objects.field import Labels, Rest, label_map, rest
from emu.kube.api.objects.meta import Condition, Meta
from emu.kube.api.objects.scheduling import Affinity, Toleration, TopologySpreadConstraint


@attrs.frozen
class HostAlias:
    """Names for an address in /etc/hosts."""

    ip: str
    hostnames: tuple[str, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class DnsOption:
    """An option of resolv.conf."""

    name: str
    value: str | None = None
    rest: Rest = rest()


@attrs.frozen
class DnsConfig:
    """What is added to a pod's resolv.conf, or is all of it under the policy None."""

    nameservers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[DnsOption, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class ReadinessGate:
    """A condition that somebody else has to set before the pod is ready."""

    condition_type: str
    rest: Rest = rest()


@attrs.frozen
class PodSpec:
    """What is wanted of a pod."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    node_name: str = ""
    node_selector: Labels = label_map()
    affinity: Affinity | None = None
    tolerations: tuple[Toleration, ...] = ()
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    scheduler_name: str = "default-scheduler"
    priority: int | None = None
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    set_hostname_as_fqdn: bool = False
    dns_policy: str = "ClusterFirst"
    dns_config: DnsConfig | None = None
    host_aliases: tuple[HostAlias, ...] = ()
    enable_service_links: bool = attrs.field(default=True, metadata={"keep": True})
    restart_policy: str = "Always"
    termination_grace_period_seconds: int = 30
    readiness_gates: tuple[ReadinessGate, ...] = ()
    service_account_name: str = ""
    rest: Rest = rest()


@attrs.frozen
class PodIp:
    """One of a pod's addresses."""

    ip: str
    rest: Rest = rest()


@attrs.frozen
class PodStatus:
    """What is known of a pod; `phase` is Pending, Running, Succeeded, Failed or Unknown."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    pod_ip: str = ""
    pod_ips: tuple[PodIp, ...] = ()
    host_ip: str = ""
    host_ips: tuple[PodIp, ...] = ()
    nominated_node_name: str = ""
    start_time: str | None = None
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str = ""
    rest: Rest = rest()


@attrs.frozen
class Pod:
    """Containers that share a network namespace."""

    KIND: ClassVar = "Pod"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
    rest: Rest = rest()

    @property
    def is_finished(self) -> bool:
        """Whether all its containers have ended for good."""
        return self.status.phase in {"Succeeded", "Failed"}

    @property
    def is_ready(self) -> bool:
        """Whether its condition Ready is True."""
        return any(each.type == "Ready" and each.status == "True" for each in self.status.conditions)


@attrs.frozen
class PodTemplateSpec:
    """What pods of a workload are made from."""

    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()
    rest: Rest = rest()
