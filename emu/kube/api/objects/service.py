# SPDX-License-Identifier: GPL-2.0-only
"""Services and who stands behind them.

Source: staging/src/k8s.io/api/core/v1/types.go, discovery/v1/types.go.
"""

from __future__ import annotations

from typing import ClassVar, Final

import attrs

from emu.kube.api.objects.field import Labels, Rest, rest
from emu.kube.api.objects.meta import Meta, Reference

SERVICE_NAME: Final = "kubernetes.io/service-name"
"""The label of a slice that says which Service it is of."""


@attrs.frozen
class ServicePort:
    """A port of a Service; `target_port` is a number or the name of a container's port, None is `port`."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str | None = None
    node_port: int = attrs.field(default=0, metadata={"omit": 0})
    app_protocol: str | None = None
    rest: Rest = rest()


@attrs.frozen
class ClientIpConfig:
    """For how many seconds a client stays with a backend."""

    timeout_seconds: int = 10800
    rest: Rest = rest()


@attrs.frozen
class SessionAffinityConfig:
    """Settings of session affinity."""

    client_ip: ClientIpConfig | None = None
    rest: Rest = rest()


@attrs.frozen
class ServiceSpec:
    """What is wanted of a Service.

    `selector` is None where the manifest has none: then nobody makes its
    slices. A `cluster_ip` of `None` makes it headless.
    """

    type: str = "ClusterIP"
    ports: tuple[ServicePort, ...] = ()
    selector: Labels | None = None
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    external_ips: tuple[str, ...] = ()
    external_name: str = ""
    load_balancer_ip: str = ""
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    allocate_load_balancer_node_ports: bool | None = None
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    health_check_node_port: int = attrs.field(default=0, metadata={"omit": 0})
    publish_not_ready_addresses: bool = False
    session_affinity: str = "None"
    session_affinity_config: SessionAffinityConfig | None = None
    traffic_distribution: str | None = None
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    rest: Rest = rest()


@attrs.frozen
class LoadBalancerIngress:
    """An address that a load balancer has given; `ip_mode` is VIP or Proxy."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    rest: Rest = rest()


@attrs.frozen
class LoadBalancerStatus:
    """The addresses of a load balancer."""

    ingress: tuple[LoadBalancerIngress, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class ServiceStatus:
    """What is known of a Service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    rest: Rest = rest()


@attrs.frozen
class Service:
    """A name and an address for pods that come and go."""

    KIND: ClassVar = "Service"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()
    rest: Rest = rest()

    @property
    def is_headless(self) -> bool:
        """Whether it has no address of its own, only names."""
        return self.spec.cluster_ip == "None"


# --- EndpointSlice ---


@attrs.frozen
class EndpointConditions:
    """What may be sent to an endpoint; None counts as true for ready and serving, else as false."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None
    rest: Rest = rest()


@attrs.frozen
class ForZone:
    """A zone, or a node, whose clients should take an endpoint."""

    name: str
    rest: Rest = rest()


@attrs.frozen
class EndpointHints:
    """Whose clients should take an endpoint."""

    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForZone, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class Endpoint:
    """One backend."""

    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: Reference | None = None
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None
    rest: Rest = rest()


@attrs.frozen
class EndpointPort:
    """A port of all endpoints of a slice; None for the name and the number is not the same as empty."""

    name: str | None = attrs.field(default=None, metadata={"keep": True})
    port: int | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None
    rest: Rest = rest()


@attrs.frozen
class EndpointSlice:
    """Some of the backends of a Service."""

    KIND: ClassVar = "EndpointSlice"
    API_VERSION: ClassVar = "discovery.k8s.io/v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()
    rest: Rest = rest()

    @property
    def service(self) -> str:
        """Name of the Service in the same namespace; empty if there is none."""
        return self.metadata.labels.get(SERVICE_NAME, "")


# --- Endpoints ---


@attrs.frozen
class EndpointAddress:
    """An address of the older kind."""

    ip: str
    hostname: str = ""
    node_name: str | None = None
    target_ref: Reference | None = None
    rest: Rest = rest()


@attrs.frozen
class EndpointsPort:
    """A port of the older kind."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    rest: Rest = rest()


@attrs.frozen
class EndpointSubset:
    """Addresses that all have the same ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointsPort, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class Endpoints:
    """All backends of a Service in one object; the forerunner of slices."""

    KIND: ClassVar = "Endpoints"
    API_VERSION: ClassVar = "v1"
    NAMESPACED: ClassVar = True

    metadata: Meta
    subsets: tuple[EndpointSubset, ...] = ()
    rest: Rest = rest()
