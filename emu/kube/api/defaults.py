# SPDX-License-Identifier: GPL-2.0-only
"""What the API server fills in where a Service says nothing.

Nothing here asks which addresses are free: that is `emu.kube.ipam`'s part.

Source: pkg/apis/core/v1/defaults.go `SetDefaults_Service`,
pkg/registry/core/service/storage/alloc.go `initIPFamilyFields`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects.service import ClientIpConfig, SessionAffinityConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects import Service
    from emu.kube.api.objects.service import LoadBalancerStatus, ServicePort, ServiceSpec

IPV4: Final = "IPv4"
IPV6: Final = "IPv6"
HEADLESS: Final = "None"
"""What a headless Service has in the place of an address."""

_OTHER: Final = {IPV4: IPV6, IPV6: IPV4}


def family_of(address: str) -> str:
    """Return `IPv4` or `IPv6` for an address as text."""
    return IPV6 if ":" in address else IPV4


def with_defaults(service: Service, families: Sequence[str] = (IPV4,)) -> Service:
    """Return `service` with the fields the API server adds; what it has is kept.

    Args:
        service: as a manifest or a dump has it.
        families: those of the cluster's Service ranges, the first of them first.
    """
    spec = service.spec
    kind = spec.type or "ClusterIP"
    spec = attrs.evolve(
        spec,
        type=kind,
        ports=tuple(map(_port, spec.ports)),
        session_affinity=spec.session_affinity or "None",
        session_affinity_config=_affinity(spec),
        external_traffic_policy=spec.external_traffic_policy or _external(spec, kind),
        internal_traffic_policy=spec.internal_traffic_policy or ("" if kind == "ExternalName" else "Cluster"),
    )
    status = service.status
    if kind == "LoadBalancer":
        if spec.allocate_load_balancer_node_ports is None:
            spec = attrs.evolve(spec, allocate_load_balancer_node_ports=True)
        status = attrs.evolve(status, load_balancer=_modes(status.load_balancer))
    if kind != "ExternalName":
        spec = _addresses(spec, families)
    return attrs.evolve(service, spec=spec, status=status)


def _port(port: ServicePort) -> ServicePort:
    """A target of 0 or nothing is the port itself."""
    return port if port.target_port else attrs.evolve(port, target_port=port.port)


def _affinity(spec: ServiceSpec) -> SessionAffinityConfig | None:
    config = spec.session_affinity_config
    if spec.session_affinity != "ClientIP" or (config is not None and config.client_ip is not None):
        return config
    return attrs.evolve(config or SessionAffinityConfig(), client_ip=ClientIpConfig())


def _external(spec: ServiceSpec, kind: str) -> str:
    """Return the default policy of a Service that can be reached from outside, else nothing."""
    reachable = kind in {"NodePort", "LoadBalancer"} or (kind == "ClusterIP" and spec.external_ips)
    return "Cluster" if reachable else ""


def _modes(status: LoadBalancerStatus) -> LoadBalancerStatus:
    ingress = tuple(
        attrs.evolve(each, ip_mode="VIP") if each.ip and each.ip_mode is None else each
        for each in status.ingress
    )
    return status if ingress == status.ingress else attrs.evolve(status, ingress=ingress)


def _addresses(spec: ServiceSpec, families: Sequence[str]) -> ServiceSpec:
    """Agree on `clusterIP` and `clusterIPs`, and on the families."""
    if spec.cluster_ip and not spec.cluster_ips:
        spec = attrs.evolve(spec, cluster_ips=(spec.cluster_ip,))
    elif spec.cluster_ips and not spec.cluster_ip:
        spec = attrs.evolve(spec, cluster_ip=spec.cluster_ips[0])
    free = spec.cluster_ip == HEADLESS and not spec.selector
    policy = spec.ip_family_policy
    if policy is None:
        both = len(spec.ip_families) == 2 or len(spec.cluster_ips) == 2
        policy = "RequireDualStack" if free or both else "SingleStack"
    wanted = spec.ip_families
    if not wanted:
        given = tuple(family_of(each) for each in spec.cluster_ips if each != HEADLESS)
        wanted = given or (families[0],)
    if len(wanted) == 1 and policy != "SingleStack" and (free or len(families) == 2):
        wanted = (*wanted, _OTHER.get(wanted[0], IPV4))
    return attrs.evolve(spec, ip_family_policy=policy, ip_families=wanted)
