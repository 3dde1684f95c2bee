# SPDX-License-Identifier: GPL-2.0-only
"""The tables of Services and of who stands behind them.

Source: `printService`, `printEndpoints`, `printEndpointSlice`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.tables.cells.printer import Cells, Printer, columns
from emu.kube.tables.cells.words import NONE, addresses, host_port, pairs, shortened

if TYPE_CHECKING:
    from emu.kube.api.objects import Endpoints, EndpointSlice, Service
    from emu.kube.api.objects.service import ServicePort
    from emu.kube.tables.world import World


def _service(service: Service, world: World) -> Cells:
    spec = service.spec
    return (
        service.metadata.name,
        spec.type,
        next(iter(spec.cluster_ips), spec.cluster_ip) or NONE,
        _external(service, wide=world.is_wide),
        ",".join(map(_port, spec.ports)) or NONE,
        world.since(service.metadata.creation_timestamp),
        pairs(spec.selector),
    )


def _external(service: Service, *, wide: bool) -> str:
    """Return how a Service is reached from outside."""
    spec = service.spec
    match spec.type:
        case "ClusterIP" | "NodePort":
            return ",".join(spec.external_ips) or NONE
        case "LoadBalancer":
            given = addresses(service.status.load_balancer, wide=wide)
            return ",".join(filter(None, (given, *spec.external_ips))) or "<pending>"
        case "ExternalName":
            return spec.external_name
        case _:
            return "<unknown>"


def _port(port: ServicePort) -> str:
    node_port = f":{port.node_port}" if port.node_port else ""
    return f"{port.port}{node_port}/{port.protocol}"


def _endpoints(endpoints: Endpoints, world: World) -> Cells:
    texts = [
        host_port(address.ip, port.port) if port else address.ip
        for subset in endpoints.subsets
        for port in subset.ports or (None,)
        for address in subset.addresses
    ]
    metadata = endpoints.metadata
    shown = shortened(texts) if endpoints.subsets else NONE
    return metadata.name, shown, world.since(metadata.creation_timestamp)


def _slice(piece: EndpointSlice, world: World) -> Cells:
    ports = [str(port.port or port.name or "*") for port in piece.ports]
    found = [address for endpoint in piece.endpoints for address in endpoint.addresses]
    return (
        piece.metadata.name,
        piece.address_type,
        shortened(ports) or "<unset>",
        shortened(found) or "<unset>",
        world.since(piece.metadata.creation_timestamp),
    )


SERVICES: Final = Printer(
    columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide=("Selector",)), _service
)
ENDPOINTS: Final = Printer(columns("Name", "Endpoints", "Age"), _endpoints)
ENDPOINT_SLICES: Final = Printer(columns("Name", "AddressType", "Ports", "Endpoints", "Age"), _slice)
