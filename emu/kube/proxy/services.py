# SPDX-License-Identifier: GPL-2.0-only
"""Service ports: one for each entry of a Service's `ports`.

Source: pkg/proxy/serviceport.go, pkg/proxy/util/utils.go `ShouldSkipService`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube.proxy.addresses import address, addresses, networks
from emu.kube.proxy.names import port_hash

if TYPE_CHECKING:
    from emu.kube.api.objects.service import Service, ServicePort
    from emu.wire.addresses import Prefix

_AFFINITY_SECONDS: Final = 10800


class PortKey(NamedTuple):
    """What a service port is known by, in the order in which its rules are written."""

    namespace: str
    service: str
    port: str
    protocol: str


@attrs.frozen
class ProxiedPort:
    """One port of a Service, with all that leads to it; addresses are text of one family.

    Attributes:
        key: what it is known by.
        cluster_ip: the Service's own address.
        port: the number there, and at external and load balancer addresses.
        node_port: the number at every node, 0 for none.
        external_ips: addresses that somebody routes to nodes.
        load_balancer_ips: those of a load balancer that keeps the destination.
        source_ranges: who may use the load balancer's addresses; none for everybody.
        affinity_seconds: for how long a client stays with its endpoint, 0 for not at all.
        internal_local: what comes to the ClusterIP stays on the node (`internalTrafficPolicy: Local`).
        external_local: so does what comes to the other addresses (`externalTrafficPolicy: Local`).
        health_check_node_port: where load balancers ask whether the node has endpoints, 0 for nowhere.
    """

    key: PortKey
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[Prefix, ...] = ()
    affinity_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_check_node_port: int = 0

    @cached_property
    def name(self) -> str:
        """How rules call it: `NAMESPACE/SERVICE:PORT`, the port left out if it has no name."""
        base = f"{self.key.namespace}/{self.key.service}"
        return f"{base}:{self.key.port}" if self.key.port else base

    @cached_property
    def protocol(self) -> str:
        """The protocol in small letters."""
        return self.key.protocol.lower()

    @cached_property
    def hash(self) -> str:
        """What the names of its chains end with."""
        return port_hash(self.name, self.protocol)

    @property
    def is_external(self) -> bool:
        """Whether it can be reached by other addresses than its ClusterIP."""
        return bool(self.node_port or self.load_balancer_ips or self.external_ips)

    @property
    def uses_cluster(self) -> bool:
        """Whether some traffic may go to endpoints of all nodes, be it that of pods and nodes alone."""
        return not self.internal_local or self.is_external

    @property
    def uses_local(self) -> bool:
        """Whether some traffic may only go to endpoints of this node."""
        return self.internal_local or (self.external_local and self.is_external)


def proxied_ports(service: Service, family: int = 4) -> tuple[ProxiedPort, ...]:
    """Return the service ports of a Service; none for one that is not proxied."""
    spec = service.spec
    if spec.type == "ExternalName" or spec.cluster_ip in {"", "None"}:
        return ()
    given = spec.cluster_ips or (spec.cluster_ip,)
    cluster_ip = next(iter(addresses(given, family)), "")
    if not cluster_ip:
        return ()
    return tuple([_port(service, port, cluster_ip, family) for port in spec.ports])


def _port(service: Service, port: ServicePort, cluster_ip: str, family: int) -> ProxiedPort:
    spec, metadata = service.spec, service.metadata
    is_balanced = spec.type == "LoadBalancer"
    external_local = _is_external_local(service)
    return ProxiedPort(
        PortKey(metadata.namespace, metadata.name, port.name, port.protocol),
        cluster_ip,
        port.port,
        port.node_port,
        addresses(spec.external_ips, family),
        tuple(
            [
                found
                for ingress in service.status.load_balancer.ingress
                if ingress.ip_mode in {None, "VIP"} and (found := address(ingress.ip, family))
            ]
        ),
        networks(spec.load_balancer_source_ranges, family),
        _affinity(service),
        spec.internal_traffic_policy == "Local",
        external_local,
        spec.health_check_node_port if is_balanced and external_local else 0,
    )


def _is_external_local(service: Service) -> bool:
    spec = service.spec
    reachable = spec.type in {"NodePort", "LoadBalancer"} or bool(spec.external_ips)
    return reachable and spec.external_traffic_policy == "Local"


def _affinity(service: Service) -> int:
    spec = service.spec
    if spec.session_affinity != "ClientIP":
        return 0
    config = spec.session_affinity_config
    return config.client_ip.timeout_seconds if config and config.client_ip else _AFFINITY_SECONDS
