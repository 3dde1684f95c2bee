# SPDX-License-Identifier: GPL-2.0-only
"""Services get what they need of the cluster's ranges: addresses, node ports, a port for health checks.

Each Service draws from streams that carry its own name, so one Service moves
another's address only where both drew the same.

Source: pkg/registry/core/service/storage/alloc.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api.defaults import HEADLESS, family_of, with_defaults
from emu.kube.ipam.cluster_ips import DNS_PLACE
from emu.kube.ipam.errors import AllocationError, RangeFullError, RefusedError, RefusedObjectsError
from emu.kube.ipam.node_ports import NodePorts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects import Service
    from emu.kube.ipam.cluster_ips import ClusterIps
    from emu.sim.rng import Streams


class ServiceRanges:
    """The Service ranges of a cluster, and who has what of them.

    Args:
        streams: where free addresses and ports are drawn from.
        ranges: one range of ClusterIPs for each family, the first of them first.
        node_ports: the range of node ports.
    """

    def __init__(
        self, streams: Streams, ranges: Sequence[ClusterIps], node_ports: NodePorts | None = None
    ) -> None:
        self.ranges = {each.family: each for each in ranges}
        self.node_ports = node_ports if node_ports is not None else NodePorts()
        self._streams = streams

    @property
    def families(self) -> tuple[str, ...]:
        """`IPv4`, `IPv6` or both, the first of them first."""
        return tuple(self.ranges)

    @property
    def kubernetes_address(self) -> str:
        """The address of the Service `kubernetes`."""
        return next(iter(self.ranges.values())).at(1)

    @property
    def dns_address(self) -> str:
        """The address that kubeadm and kind give to kube-dns."""
        return next(iter(self.ranges.values())).at(DNS_PLACE)

    def range_of(self, address: str) -> ClusterIps:
        """Return the range of an address's family.

        Raises:
            AllocationError: the cluster has no such family.
        """
        found = self.ranges.get(family_of(address))
        if found is None:
            raise AllocationError(f"{family_of(address)} is not configured on this cluster")
        return found

    def create(self, services: Iterable[Service]) -> list[Service]:
        """Return new `services` complete: with defaults, addresses and ports.

        What they wish for is taken first, for all of them; the rest is drawn
        in their order.

        Raises:
            RefusedObjectsError: some wish for what is taken or out of range, or
                nothing is left. None of them has anything then.
        """
        filled = [with_defaults(each, self.families) for each in services]
        claims = [_Claim(self, each) for each in filled]
        refusals = []
        for claim in claims:
            try:
                claim.wish()
            except RefusedError as error:
                refusals.append(error)
        made = []
        if not refusals:
            for claim in claims:
                try:
                    made.append(claim.draw(self._streams))
                except RefusedError as error:
                    refusals.append(error)
        if refusals:
            for claim in claims:
                claim.undo()
            raise RefusedObjectsError(tuple(refusals))
        return made

    def update(self, old: Service, new: Service) -> Service:
        """Return `new` in the place of `old`: it keeps what it does not wish otherwise.

        Raises:
            RefusedObjectsError: it may not change so, or wishes for what it cannot have.
        """
        new = with_defaults(_inherit(old, new), self.families)
        _check_address(old, new)
        self.delete(old)
        try:
            return self.create([new])[0]
        except RefusedObjectsError:
            self.create([old])
            raise

    def delete(self, service: Service) -> None:
        """Give back what a Service had."""
        for address in _addresses(service):
            found = self.ranges.get(family_of(address))
            if found is not None:
                found.release(address)
        if _has_node_ports(service):
            for port in service.spec.ports:
                self.node_ports.release(port.node_port)
        if service.spec.health_check_node_port:
            self.node_ports.release(service.spec.health_check_node_port)


class _Claim:
    """What one Service takes, so that it can be given back."""

    def __init__(self, ranges: ServiceRanges, service: Service) -> None:
        self._ranges = ranges
        self._service = service
        self._addresses: list[tuple[ClusterIps, str]] = []
        self._ports: list[int] = []
        self._by_port: dict[int, int] = {}  # the node port of a Service's port, whatever its protocol

    def wish(self) -> None:
        """Take what the manifest says.

        Raises:
            RefusedError: it cannot be had.
        """
        service = self._service
        self._check_families()
        for text in _addresses(service):
            try:
                found = self._ranges.range_of(text)
                found.reserve(text)
            except AllocationError as error:
                listed = ",".join(f'"{each}"' for each in service.spec.cluster_ips)
                raise self._refused(
                    "spec.clusterIPs", f"Invalid value: [{listed}]: failed to allocate IP {text}: {error}"
                ) from None
            self._addresses.append((found, text))
        if not _has_node_ports(service):
            return
        for index, port in enumerate(service.spec.ports):
            if port.node_port and self._by_port.get(port.port) != port.node_port:
                self._take_port(port.node_port, f"spec.ports[{index}].nodePort")
                self._by_port.setdefault(port.port, port.node_port)
        health = service.spec.health_check_node_port
        if health and _needs_health_check(service):
            try:
                self._ranges.node_ports.reserve(health)
            except AllocationError as error:
                message = f"failed to allocate requested HealthCheck NodePort {health}: {error}"
                raise self._refused("", message) from None
            self._ports.append(health)

    def _check_families(self) -> None:
        spec, known = self._service.spec, self._ranges.families
        if spec.type == "ExternalName" or (spec.cluster_ip == HEADLESS and not spec.selector):
            return
        if spec.ip_family_policy == "RequireDualStack" and len(known) < 2:
            raise self._refused(
                "spec.ipFamilyPolicy",
                'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
            )
        for index, family in enumerate(spec.ip_families):
            if family not in known:
                raise self._refused(
                    f"spec.ipFamilies[{index}]", f'Invalid value: "{family}": not configured on this cluster'
                )

    def _take_port(self, port: int, path: str) -> None:
        try:
            self._ranges.node_ports.reserve(port)
        except AllocationError as error:
            raise self._refused(path, f"Invalid value: {port}: {error}") from None
        self._ports.append(port)

    def draw(self, streams: Streams) -> Service:
        """Return the Service with all it needs, what is left open drawn.

        Raises:
            RefusedError: nothing is left.
        """
        service = self._service
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        spec = service.spec
        try:
            if spec.type != "ExternalName" and spec.cluster_ip != HEADLESS:
                addresses = tuple(self._address(family, name, streams) for family in spec.ip_families)
                spec = attrs.evolve(spec, cluster_ips=addresses, cluster_ip=addresses[0] if addresses else "")
        except RangeFullError as error:
            raise self._refused("", f"failed to allocate a serviceIP: {error}") from None
        try:
            if _has_node_ports(service):
                ports = tuple(
                    attrs.evolve(each, node_port=each.node_port or self._port(each.port, name, streams))
                    for each in spec.ports
                )
                spec = attrs.evolve(spec, ports=ports)
            if _needs_health_check(service) and not spec.health_check_node_port:
                port = self._ranges.node_ports.allocate(streams.stream(f"healthchecknodeport {name}"))
                self._ports.append(port)
                spec = attrs.evolve(spec, health_check_node_port=port)
        except RangeFullError as error:
            raise self._refused("", f"failed to allocate a nodePort: {error}") from None
        return attrs.evolve(service, spec=spec)

    def _address(self, family: str, name: str, streams: Streams) -> str:
        """Return the address wished for in a family, or one that is drawn."""
        given = next((text for found, text in self._addresses if found.family == family), None)
        if given is not None:
            return given
        found = self._ranges.ranges[family]
        drawn = found.allocate(streams.stream(f"clusterip {name} {family}"))
        self._addresses.append((found, drawn))
        return drawn

    def _port(self, port: int, name: str, streams: Streams) -> int:
        """Return the node port of a port: the same for TCP and UDP."""
        found = self._by_port.get(port)
        if found is None:
            found = self._ranges.node_ports.allocate(streams.stream(f"nodeport {name} {port}"))
            self._by_port[port] = found
            self._ports.append(found)
        return found

    def undo(self) -> None:
        """Give everything back."""
        for found, text in self._addresses:
            found.release(text)
        for port in self._ports:
            self._ranges.node_ports.release(port)

    def _refused(self, path: str, message: str) -> RefusedError:
        metadata = self._service.metadata
        return RefusedError("Service", metadata.namespace, metadata.name, path, message)


def _addresses(service: Service) -> tuple[str, ...]:
    """Return the ClusterIPs that a Service names."""
    if service.spec.type == "ExternalName":
        return ()
    return tuple(each for each in service.spec.cluster_ips if each not in {"", HEADLESS})


def _has_node_ports(service: Service) -> bool:
    """Whether its ports are open on nodes: those of load balancers unless they renounce."""
    spec = service.spec
    if spec.type == "LoadBalancer":
        return spec.allocate_load_balancer_node_ports is not False or any(
            each.node_port for each in spec.ports
        )
    return spec.type == "NodePort"


def _needs_health_check(service: Service) -> bool:
    return service.spec.type == "LoadBalancer" and service.spec.external_traffic_policy == "Local"


def _inherit(old: Service, new: Service) -> Service:
    """Return `new` with what `old` was given, where `new` says nothing and still needs it."""
    spec, before = new.spec, old.spec
    if spec.type == "ExternalName" or before.type == "ExternalName":
        return new
    if not spec.cluster_ip and not spec.cluster_ips:
        spec = attrs.evolve(
            spec,
            cluster_ip=before.cluster_ip,
            cluster_ips=before.cluster_ips,
            ip_families=spec.ip_families or before.ip_families,
        )
    if _has_node_ports(attrs.evolve(new, spec=spec)) and _has_node_ports(old):
        known = {(each.protocol, each.port): each.node_port for each in before.ports}
        ports = tuple(
            each if each.node_port else attrs.evolve(each, node_port=known.get((each.protocol, each.port), 0))
            for each in spec.ports
        )
        spec = attrs.evolve(spec, ports=ports)
    if not spec.health_check_node_port and spec.type == before.type == "LoadBalancer":
        local = spec.external_traffic_policy == "Local"
        spec = attrs.evolve(spec, health_check_node_port=before.health_check_node_port if local else 0)
    return attrs.evolve(new, spec=spec)


def _check_address(old: Service, new: Service) -> None:
    """See that a ClusterIP, once set, stays.

    Raises:
        RefusedObjectsError: it does not.
    """
    if "ExternalName" in {old.spec.type, new.spec.type} or not old.spec.cluster_ip:
        return
    if new.spec.cluster_ip != old.spec.cluster_ip:
        listed = ",".join(f'"{each}"' for each in new.spec.cluster_ips)
        metadata = new.metadata
        refusal = RefusedError(
            "Service",
            metadata.namespace,
            metadata.name,
            "spec.clusterIPs[0]",
            f"Invalid value: [{listed}]: may not change once set",
        )
        raise RefusedObjectsError((refusal,))
