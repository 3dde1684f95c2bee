# SPDX-License-Identifier: GPL-2.0-only
"""What a service port wants in mode ipvs.

Source: pkg/proxy/ipvs/proxier.go `syncProxyRules`, `syncEndpoint`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kernel.netfilter.ipvs.virtual import Destination, DestinationKey, ServiceKey, VirtualService
from emu.kube.proxy.ipvs import names
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.kube.proxy.catalogue import Entry
    from emu.kube.proxy.config import Place
    from emu.kube.proxy.endpoints import Backend
    from emu.kube.proxy.services import ProxiedPort
    from emu.kube.proxy.topology import Usable

_NUMBERS: Final = {"tcp": 6, "udp": 17, "sctp": 132}


class Member(NamedTuple):
    """An element of a set, as `ipset add` takes it."""

    set: str
    text: str


class Blocked(NamedTuple):
    """An address of a load balancer that the node itself may not use: its ranges leave the node out."""

    address: str
    protocol: str
    port: int


@attrs.frozen(eq=False)
class PortWanted:
    """What a service port wants on a node; nodes that see it alike have the same object.

    Attributes:
        port: the service port.
        cluster: the virtual service of its ClusterIP.
        external: those of external and load balancer addresses.
        node_port: that of its node port, of no address yet; None without one.
        members: elements of sets.
        blocked: see `Blocked`.
    """

    port: ProxiedPort
    cluster: VirtualService
    external: tuple[VirtualService, ...]
    node_port: VirtualService | None
    members: tuple[Member, ...]
    blocked: tuple[Blocked, ...]

    def at(self, addresses: Sequence[IpAddress]) -> Iterator[VirtualService]:
        """Yield the virtual services of its node port at these addresses of the node."""
        if self.node_port is not None:
            for address in addresses:
                yield attrs.evolve(self.node_port, key=self.node_port.key._replace(address=address))


class PortWriter:
    """Says what a service port wants, once for all nodes that see it alike.

    Args:
        scheduler: of all virtual services.
    """

    def __init__(self, scheduler: str) -> None:
        self._scheduler = scheduler
        self._known: dict[tuple[object, ...], tuple[Entry, PortWanted]] = {}

    def keep(self, entries: Iterable[Entry]) -> None:
        """Forget all but what these want: nobody will ask for it again."""
        asked = set(map(id, entries))
        self._known = {key: known for key, known in self._known.items() if key[0] in asked}

    def write(self, entry: Entry, place: Place) -> PortWanted:
        """Return what the port of `entry` wants at `place`."""
        is_there = place.node in entry.backends.nodes
        key = id(entry), entry.view(place), place.node if is_there else ""
        found = self._known.get(key)
        if found is None:
            in_range = entry.view(place).in_range
            own = [each for each in entry.backends.listed if each.node == place.node] if is_there else []
            wanted = self._write(entry.port, entry.usable(place), own, in_range=in_range)
            found = self._known[key] = entry, wanted
        return found[1]

    def _write(
        self, port: ProxiedPort, usable: Usable, own: Sequence[Backend], *, in_range: bool
    ) -> PortWanted:
        cluster = usable.cluster or ()
        internal = (usable.local or cluster) if port.internal_local else cluster
        outside = (usable.local or cluster) if port.external_local else cluster
        addresses = (*port.external_ips, *port.load_balancer_ips)
        is_ranged = bool(port.source_ranges and port.load_balancer_ips)
        return PortWanted(
            port,
            self._service(port, port.cluster_ip, port.port, internal),
            tuple([self._service(port, address, port.port, outside) for address in addresses]),
            self._service(port, "0.0.0.0", port.node_port, outside) if port.node_port else None,  # noqa: S104
            tuple(dict.fromkeys(_members(port, own, in_range=in_range))),
            tuple([Blocked(ip, port.protocol, port.port) for ip in port.load_balancer_ips])
            if is_ranged and not in_range
            else (),
        )

    def _service(
        self, port: ProxiedPort, address: str, number: int, backends: Sequence[Backend]
    ) -> VirtualService:
        """Return a virtual service as it is when its destinations come in their order, each in front."""
        places = {each.text: DestinationKey(IpAddress.parse(each.ip), _port(each)) for each in backends}
        return VirtualService(
            ServiceKey(_NUMBERS[port.protocol], IpAddress.parse(address), number),
            self._scheduler,
            port.affinity_seconds,
            destinations=tuple([Destination(places[text]) for text in sorted(places, reverse=True)]),
        )


def _port(backend: Backend) -> int:
    return int(backend.text.rpartition(":")[2])


def _members(port: ProxiedPort, own: Sequence[Backend], *, in_range: bool) -> Iterator[Member]:
    protocol = port.protocol
    for each in own:
        yield Member(names.LOOP_BACK, f"{each.ip},{protocol}:{_port(each)},{each.ip}")
    yield Member(names.CLUSTER_IP, f"{port.cluster_ip},{protocol}:{port.port}")
    for ip in port.external_ips:
        of = names.EXTERNAL_IP_LOCAL if port.external_local else names.EXTERNAL_IP
        yield Member(of, f"{ip},{protocol}:{port.port}")
    for ip in port.load_balancer_ips:
        place = f"{ip},{protocol}:{port.port}"
        yield Member(names.LOAD_BALANCER, place)
        if port.external_local:
            yield Member(names.LOAD_BALANCER_LOCAL, place)
        if port.source_ranges:
            yield Member(names.LOAD_BALANCER_FW, place)
            for prefix in port.source_ranges:
                yield Member(names.SOURCE_CIDR, f"{place},{prefix}")
            if in_range:
                yield Member(names.SOURCE_IP, f"{place},{ip}")
    if port.health_check_node_port:
        yield Member(names.HEALTH_CHECKS, str(port.health_check_node_port))
