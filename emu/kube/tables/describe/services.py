# SPDX-License-Identifier: GPL-2.0-only
"""Descriptions of Services and of who stands behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import EndpointSlice
from emu.kube.tables.cells.words import NONE, host_port, pairs, shortened
from emu.kube.tables.describe.page import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.objects import Endpoints, Service
    from emu.kube.api.objects.service import Endpoint, EndpointAddress, LoadBalancerIngress, ServicePort
    from emu.kube.tables.describe.page import Page
    from emu.kube.tables.world import World


def service(page: Page, one: Service, world: World) -> None:
    """Write the description of a Service, without its events."""
    spec = one.spec
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.metadata(one.metadata)
    page.field("Selector", pairs(spec.selector))
    page.field("Type", spec.type)
    if spec.ip_family_policy:
        page.field("IP Family Policy", spec.ip_family_policy)
    page.field("IP Families", ",".join(spec.ip_families) or NONE)
    page.field("IP", spec.cluster_ip)
    page.field("IPs", ",".join(spec.cluster_ips) or NONE)
    for title, value in (
        ("External IPs", ",".join(spec.external_ips)),
        ("Desired LoadBalancer IP", spec.load_balancer_ip),
        ("External Name", spec.external_name),
        ("LoadBalancer Ingress", ", ".join(map(_ingress, one.status.load_balancer.ingress))),
    ):
        if value:
            page.field(title, value)
    slices = slices_of(one.metadata.namespace, one.metadata.name, world)
    for port in spec.ports:
        _port(page, port, slices)
    page.field("Session Affinity", spec.session_affinity)
    for title, policy in (
        ("External Traffic Policy", spec.external_traffic_policy),
        ("Internal Traffic Policy", spec.internal_traffic_policy),
        ("HealthCheck NodePort", spec.health_check_node_port),
        ("LoadBalancer Source Ranges", ",".join(spec.load_balancer_source_ranges)),
        ("Traffic Distribution", spec.traffic_distribution),
    ):
        if policy:
            page.field(title, policy)


def _ingress(one: LoadBalancerIngress) -> str:
    if not one.ip:
        return one.hostname
    return f"{one.ip} ({one.ip_mode})" if one.ip_mode else one.ip


def _port(page: Page, port: ServicePort, slices: Iterable[EndpointSlice]) -> None:
    name = port.name or UNSET
    page.line(f"Port:\t{name}\t{port.port}/{port.protocol}")
    target = port.port if port.target_port is None else port.target_port
    page.field("TargetPort", f"{target}/{port.protocol}")
    if port.app_protocol is not None:
        page.field("AppProtocol", port.app_protocol)
    if port.node_port:
        page.line(f"NodePort:\t{name}\t{port.node_port}/{port.protocol}")
    page.field("Endpoints", ready(slices, port.name))


def slices_of(namespace: str, name: str, world: World) -> list[EndpointSlice]:
    """Return the slices of a Service."""
    return [one for one in world.objects.list(EndpointSlice, namespace) if one.service == name]


def ready(slices: Iterable[EndpointSlice], port_name: str) -> str:
    """Return the first ready endpoints of a port of some slices, and how many more there are."""
    slices = list(slices)
    texts = []
    for one in slices:
        addresses = [each.addresses[0] for each in one.endpoints if each.conditions.ready is not False]
        ports = [port for port in one.ports if (port.name or "") == port_name]
        texts += [host_port(address, port.port or 0) for port in ports for address in addresses]
        if not one.ports:
            texts += addresses
    return shortened(texts) if slices else NONE


def endpoints(page: Page, one: Endpoints, world: World) -> None:
    """Write the description of an Endpoints object, without its events."""
    del world
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.metadata(one.metadata)
    page.line("Subsets:")
    for subset in one.subsets:
        page.field("Addresses", _addresses(subset.addresses), 1)
        page.field("NotReadyAddresses", _addresses(subset.not_ready_addresses), 1)
        if subset.ports:
            page.line("Ports:", 1)
            rows = (f"{port.name or UNSET}\t{port.port}\t{port.protocol}" for port in subset.ports)
            page.table(2, "Name\tPort\tProtocol", rows)
        page.line("")


def _addresses(found: Iterable[EndpointAddress]) -> str:
    return ",".join(one.ip for one in found) or NONE


def endpoint_slice(page: Page, one: EndpointSlice, world: World) -> None:
    """Write the description of an EndpointSlice, without its events."""
    del world
    page.field("Name", one.metadata.name)
    page.field("Namespace", one.metadata.namespace)
    page.metadata(one.metadata)
    page.field("AddressType", one.address_type)
    if one.ports:
        page.line("Ports:")
        rows = (
            f"{port.name or UNSET}\t{UNSET if port.port is None else port.port}\t{port.protocol}"
            for port in one.ports
        )
        page.table(1, "Name\tPort\tProtocol", rows)
    else:
        page.line(f"Ports: {UNSET}")
    page.line("Endpoints:" if one.endpoints else f"Endpoints: {NONE}")
    for each in one.endpoints:
        _endpoint(page, each)


def _endpoint(page: Page, one: Endpoint) -> None:
    page.field("- Addresses", ", ".join(one.addresses) or NONE, 1)
    page.line("Conditions:", 2)
    page.field("Ready", UNSET if one.conditions.ready is None else str(one.conditions.ready).lower(), 3)
    page.field("Hostname", UNSET if one.hostname is None else one.hostname, 2)
    if one.target_ref is not None:
        page.field("TargetRef", f"{one.target_ref.kind}/{one.target_ref.name}", 2)
    page.field("NodeName", UNSET if one.node_name is None else one.node_name, 2)
    page.field("Zone", UNSET if one.zone is None else one.zone, 2)
