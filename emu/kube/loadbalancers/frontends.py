# SPDX-License-Identifier: GPL-2.0-only
"""What a load balancer has to do for a Service: a frontend for each port, with the nodes behind it.

Everything here is a function of objects. Which nodes count is said by
`eligible`; which of them work, the health checks find out.

Source: k8s.io/cloud-provider/controllers/service/controller.go `stableNodeSetPredicates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import attrs

from emu.kube.api.addresses import internal_address
from emu.kube.controller import Key
from emu.kube.proxy.addresses import networks
from emu.kube.proxy.health import HEALTHZ_PORT
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.objects import Node, Service
    from emu.kube.api.objects.service import ServicePort
    from emu.kube.loadbalancers.settings import LoadBalancerSpec
    from emu.wire.addresses import Prefix

EXCLUDED: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
GOING: Final = "ToBeDeletedByClusterAutoscaler"
_AFFINITY_SECONDS: Final = 10800

CheckKind: TypeAlias = Literal["tcp", "http"]


class Target(NamedTuple):
    """Where a node takes what is for a frontend."""

    node: str
    address: IpAddress
    port: int


class Check(NamedTuple):
    """How a node is asked whether it works: a connection, or `GET /healthz`."""

    kind: CheckKind
    port: int


@attrs.frozen
class Frontend:
    """A port of a Service at a balancer's address.

    Attributes:
        service: whose.
        port_name: of the port; empty if it has none.
        protocol: in small letters.
        address: the balancer's.
        port: there.
        targets: the nodes that may take it, healthy or not.
        check: how they are asked; None: they are taken for healthy.
        sources: who may come; nobody is kept away by none.
        affinity: for how many seconds a client stays with its node; 0 for not at all.
    """

    service: Key
    port_name: str
    protocol: str
    address: IpAddress
    port: int
    targets: tuple[Target, ...] = ()
    check: Check | None = None
    sources: tuple[Prefix, ...] = ()
    affinity: int = 0

    @property
    def name(self) -> str:
        """How rules call it, as kube-proxy's do: `NAMESPACE/SERVICE:PORT`."""
        base = f"{self.service.namespace}/{self.service.name}"
        return f"{base}:{self.port_name}" if self.port_name else base

    @property
    def identity(self) -> str:
        """What tells it from the other frontends of its balancer, in a form that names of chains may have."""
        return f"{self.service.namespace}/{self.service.name}/{self.protocol}/{self.port}"


def eligible(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return the nodes that load balancers may use, sorted by name.

    Cordoned nodes stay; so do nodes that are not Ready, as long as they were not
    told to go: whether they work, the health checks find out.
    """
    found = [
        node
        for node in nodes
        if EXCLUDED not in node.metadata.labels
        and not node.metadata.is_terminating
        and not any(taint.key == GOING for taint in node.spec.taints)
    ]
    return tuple(sorted(found, key=lambda node: node.metadata.name))


def frontends(spec: LoadBalancerSpec, service: Service, nodes: Iterable[Node]) -> tuple[Frontend, ...]:
    """Return what the balancer `spec` does for a Service that has an address of it.

    Args:
        spec: how it works.
        service: with its address in the status.
        nodes: those that are eligible.
    """
    addresses = tuple(_addresses(service))
    known = [(node.metadata.name, found) for node in nodes if (found := internal_address(node)) is not None]
    return tuple(
        _frontend(spec, service, port, address, known)
        for address in addresses
        for port in service.spec.ports
        if port.node_port or spec.kind == "passthrough"
    )


def _frontend(
    spec: LoadBalancerSpec,
    service: Service,
    port: ServicePort,
    address: IpAddress,
    nodes: Iterable[tuple[str, IpAddress]],
) -> Frontend:
    wanted = port.port if spec.kind == "passthrough" else port.node_port
    return Frontend(
        Key(service.metadata.namespace, service.metadata.name),
        port.name,
        port.protocol.lower(),
        address,
        port.port,
        tuple(Target(name, node, wanted) for name, node in nodes),
        check_of(spec, service, port),
        networks(service.spec.load_balancer_source_ranges, 4),
        _affinity(service),
    )


def check_of(spec: LoadBalancerSpec, service: Service, port: ServicePort) -> Check | None:
    """Return how nodes are asked for a port: at the health check node port, if the Service has one."""
    against = spec.health.against
    if against == "none":
        return None
    if against == "auto" and service.spec.health_check_node_port:
        return Check("http", service.spec.health_check_node_port)
    connects = against == "nodePort" or (against == "auto" and spec.kind != "passthrough")
    if connects and port.node_port and port.protocol == "TCP":
        return Check("tcp", port.node_port)
    return Check("http", HEALTHZ_PORT)


def _addresses(service: Service) -> Iterable[IpAddress]:
    for ingress in service.status.load_balancer.ingress:
        if ingress.ip:
            yield IpAddress.parse(ingress.ip)


def _affinity(service: Service) -> int:
    spec = service.spec
    if spec.session_affinity != "ClientIP":
        return 0
    config = spec.session_affinity_config
    return config.client_ip.timeout_seconds if config and config.client_ip else _AFFINITY_SECONDS
