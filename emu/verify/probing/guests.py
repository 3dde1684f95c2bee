# SPDX-License-Identifier: GPL-2.0-only
"""What has to be there before many questions are asked: strangers, listeners, known neighbours."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from emu.apps import association, datagram, stream
from emu.apps.ping import ping
from emu.cluster.underlay import is_underlay
from emu.errors import EmuError
from emu.kube.api.objects import Node, Service
from emu.sim.time import MILLISECOND, later
from emu.verify.endpoint import LITERAL, find_target
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from emu.cluster.cluster import Cluster
    from emu.cluster.emulation import Emulation
    from emu.fabric.program import Program
    from emu.kernel.link.device import IfAddress
    from emu.kernel.namespace import Namespace
    from emu.verify.matrix.matrix import Plan

_ANSWER: Final = b"emu"
_WARMING: Final = 20 * MILLISECOND


def prepare(cluster: Cluster, plan: Plan, *, listens: bool) -> None:
    """Make what a matrix asks for: hosts with strangers' addresses, listeners if pods are to listen."""
    ports = [(port.protocol, port.number) for port in plan.ports if port.number]
    parties = [*plan.sources, *(target for target, _ in plan.targets)]
    strangers = [party.point for party in parties if LITERAL.fullmatch(party.point)]
    invite(cluster, dict.fromkeys(strangers, ports))
    if listens:
        listen(cluster, ports)
    warm(cluster)


def invite_ends(cluster: Cluster, source: str, target: str) -> tuple[str, ...]:
    """Give the ends of a question that are addresses of nobody hosts outside; return what is so assumed."""
    wanted: dict[str, list[tuple[str, int]]] = {}
    if LITERAL.fullmatch(source):
        wanted[source] = []
    with suppress(EmuError):  # whoever asks is told
        asked = find_target(cluster, target)
        if LITERAL.fullmatch(asked.point):
            wanted.setdefault(asked.point, []).extend(
                [(asked.protocol.value, asked.port)] if asked.port else []
            )
    made = invite(cluster, wanted)
    return tuple([f"{text} is taken for a host outside that listens on what is asked" for text in made])


def invite(cluster: Cluster, addresses: Mapping[str, Collection[tuple[str, int]]]) -> list[str]:
    """Give addresses that belong to nobody a host outside each, which listens on some ports; return these."""
    made: list[str] = []
    known = {own.address for net in cluster.fabric.namespaces.values() for own in _addresses(net)}
    known |= set(cluster.control_plane.underlay.public)
    ranges, services = _ranges(cluster), _service_addresses(cluster)
    for text, listening in addresses.items():
        address = IpAddress.parse(text.strip("[]"))
        net = cluster.fabric.namespaces.get(f"ext/{text}")  # a guest from before may listen on more
        if net is None:
            if address in known or address in services or any(address in each for each in ranges):
                continue
            made.append(text)
            net = cluster.control_plane.underlay.add_external(text, address)
        for protocol, port in sorted(listening):
            cluster.fabric.spawn(net, _listener(protocol, port))
    return made


def listen(network: Emulation, ports: Collection[tuple[str, int]]) -> None:
    """Let every pod (in a network every namespace) listen on `ports`, where nobody does already."""
    for net in _hosts(network):
        for protocol, port in sorted(ports):
            network.fabric.spawn(net, _listener(protocol, port))  # EADDRINUSE ends it: somebody listens


def _listener(protocol: str, port: int) -> Program[None]:
    if protocol == "UDP":
        return datagram.serve(port)
    if protocol == "SCTP":
        return association.serve(port)
    return stream.serve(port, _ANSWER, gap=0)


def warm(network: Emulation) -> None:
    """Let hosts ask for the MAC addresses of their gateways, so that first packets need not wait."""
    fabric = network.fabric
    for net in _hosts(network):
        hops = (hop for route in net.fib.routes() for hop in route.nexthops)
        for gateway in sorted({hop.gateway for hop in hops if hop.gateway is not None}):
            fabric.spawn(net, _greet(gateway))
    fabric.loop.replenish()
    fabric.loop.run_until(later(fabric.loop.now, _WARMING))


def _greet(address: IpAddress) -> Program[None]:
    yield from ping(address, timeout=_WARMING // 2)


def _hosts(network: Emulation) -> Iterator[Namespace]:
    """Yield whose programs are asked: pods, and nodes where pods use their network."""
    for name, net in list(network.fabric.namespaces.items()):
        if not network.is_cluster or not (is_underlay(name) or name.startswith("ext/")):
            yield net


def _addresses(net: Namespace) -> Iterator[IfAddress]:
    for device in net.devices.values():
        yield from device.addresses


def _ranges(cluster: Cluster) -> list[Prefix]:
    """Return the ranges in which an address is never outside: pods', Services' and nodes'."""
    spec = cluster.topology.cluster
    pods = [Prefix.parse(each) for node in cluster.store.each(Node) for each in node.spec.pod_cidrs]
    segments = [
        own.prefix for machine in cluster.machines.values() for own in machine.net.devices["eth0"].addresses
    ]
    return [*pods, spec.pod_cidr, spec.service_cidr, *segments, *cluster.control_plane.underlay.ranges]


def _service_addresses(cluster: Cluster) -> set[IpAddress]:
    found: set[str] = set()
    for service in cluster.store.each(Service):
        found.update(service.spec.external_ips)
        found.update(each.ip for each in service.status.load_balancer.ingress if each.ip)
    return {IpAddress.parse(each) for each in found}
