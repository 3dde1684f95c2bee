# SPDX-License-Identifier: GPL-2.0-only
"""All that a node should have in mode ipvs: addresses, virtual services, sets and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.proxy.ipvs import names
from emu.kube.proxy.ipvs.ports import Member
from emu.kube.proxy.ipvs.rules import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.kernel.netfilter.ipvs.virtual import ServiceKey, VirtualService
    from emu.kube.proxy.config import Options
    from emu.kube.proxy.ipvs.ports import Blocked, PortWanted
    from emu.kube.proxy.lines import Written
    from emu.wire.addresses import IpAddress


@attrs.frozen(eq=False)
class Wanted:
    """What one node should have.

    Attributes:
        services: the virtual services.
        addresses: those on the dummy device, each once.
        members: the elements of each set.
        tables: the chains, by table.
    """

    services: Mapping[ServiceKey, VirtualService]
    addresses: Mapping[IpAddress, None]
    members: Mapping[str, frozenset[str]]
    tables: Mapping[str, tuple[Written, ...]]


def assemble(
    options: Options,
    ports: Sequence[PortWanted],
    own: frozenset[IpAddress],
    served: Sequence[IpAddress],
) -> Wanted:
    """Return what a node should have.

    Args:
        options: what its proxy is told.
        ports: what each service port wants.
        own: the addresses of its other devices: they are not put on the dummy device.
        served: its addresses that serve node ports.
    """
    services: dict[ServiceKey, VirtualService] = {}
    addresses: dict[IpAddress, None] = {}
    members: dict[str, set[str]] = {name: set() for name in names.SETS}
    blocked: list[Blocked] = []
    for port in ports:
        services[port.cluster.key] = port.cluster
        addresses[port.cluster.key.address] = None
        for service in port.external:
            services[service.key] = service
            if service.key.address not in own:
                addresses[service.key.address] = None
        for service in port.at(served):
            services[service.key] = service
        for name, text in (*port.members, *_node_port_members(port, served)):
            members[name].add(text)
        blocked += port.blocked
    members[names.IPVS_IPS] = {str(each) for each in addresses}
    filled = frozenset(name for name, texts in members.items() if texts)
    return Wanted(
        services,
        addresses,
        {name: frozenset(texts) for name, texts in members.items()},
        write(options, filled, blocked),
    )


def _node_port_members(port: PortWanted, served: Sequence[IpAddress]) -> Iterator[Member]:
    """Yield the elements that a node port is, if any address serves it; SCTP's name the addresses."""
    number, protocol = port.port.node_port, port.port.protocol
    if not number or not served:
        return
    texts = [f"{each},sctp:{number}" for each in served] if protocol == "sctp" else [str(number)]
    for text in texts:
        yield Member(names.NODE_PORTS[protocol], text)
        if port.port.external_local:
            yield Member(names.LOCAL_NODE_PORTS[protocol], text)
