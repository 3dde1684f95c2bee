# SPDX-License-Identifier: GPL-2.0-only
"""The cloud controller: gives Services of type LoadBalancer their addresses, and balancers their work.

        Services, Nodes --> LoadBalancers --status--> Services
                                 |
                                 +--frontends--> each balancer (a machine, or speakers on nodes)

Without a balancer that serves its class a Service waits for ever, as on bare
metal. Addresses are given in the order of the pool.

Source: k8s.io/cloud-provider/controllers/service/controller.go; for `l2` metallb, controller/service.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol

import attrs

from emu.errors import AddressError
from emu.kube import events
from emu.kube.api.objects import EndpointSlice, Node, Service
from emu.kube.api.objects.service import LoadBalancerIngress, LoadBalancerStatus
from emu.kube.controller import Key, Queue
from emu.kube.loadbalancers.frontends import eligible, frontends
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from emu.kube.api.store import Change, Store
    from emu.kube.loadbalancers.frontends import Frontend
    from emu.kube.loadbalancers.settings import AddressRange, LoadBalancerSpec
    from emu.sim.time import Instant

CLOUD: Final = "service-controller"
METALLB: Final = "metallb-controller"
_ALL: Final = Key("", "")


class Balancer(Protocol):
    """What carries out the decisions for one `LoadBalancerSpec`."""

    def follow(self, frontends: Sequence[Frontend]) -> None:
        """Serve these and nothing else."""

    def is_settled(self, since: Instant) -> bool:
        """Return whether it has seen what was changed until `since`."""


@attrs.frozen
class Refusal(Exception):  # noqa: N818 - told in an event, raised to nobody outside
    """A balancer cannot serve a Service; `reason` is that of the event."""

    reason: str
    words: str


class LoadBalancers:
    """Assigns addresses, and tells balancers what they are for.

    Args:
        store: the API server.
        balancers: what there is, each with who carries it out and where its addresses come from.
        warn: is told what a user should know, once.
    """

    is_still: ClassVar[bool] = True

    def __init__(
        self,
        store: Store,
        balancers: Sequence[tuple[LoadBalancerSpec, Sequence[AddressRange], Balancer]],
        warn: Callable[[str], None],
    ) -> None:
        self._store = store
        self._balancers = list(balancers)
        self._warn = warn
        self._given: dict[Key, tuple[LoadBalancerSpec, IpAddress]] = {}
        self._nodes: tuple[Node, ...] = ()
        self._stirred = store.loop.now
        self._queue = Queue(store, self)
        store.watch(Service, self._service_changed)
        store.watch(Node, self._node_changed)
        store.watch(EndpointSlice, self._slice_changed)

    # --- what happens ---

    def _service_changed(self, change: Change) -> None:
        self._queue.add(Key(change.object.metadata.namespace, change.object.metadata.name))

    def _node_changed(self, _: Change) -> None:
        self._queue.add(_ALL)

    def _slice_changed(self, _: Change) -> None:
        self.stir()
        self._queue.add(_ALL)

    def stir(self) -> None:
        """Hear that something has changed that health checks may find."""
        self._stirred = self._store.loop.now

    @property
    def is_settled(self) -> bool:
        """Whether all balancers have seen what has changed."""
        return all(each.is_settled(self._stirred) for _, _, each in self._balancers)

    def address_of(self, service: Service) -> IpAddress | None:
        """Return the address that a balancer has given to a Service."""
        found = self._given.get(Key(service.metadata.namespace, service.metadata.name))
        return None if found is None else found[1]

    def spec_of(self, service: Service) -> LoadBalancerSpec | None:
        """Return the balancer that serves a Service, None if none does."""
        found = self._given.get(Key(service.metadata.namespace, service.metadata.name))
        return None if found is None else found[0]

    def reconcile(self, key: Key) -> None:
        """Give a Service its address, or take it back, and tell the balancers."""
        if key == _ALL:
            self._follow_nodes()
        else:
            service = self._store.find(Service, key.name, key.namespace)
            self._assign(key, service)
        self._tell()

    # --- addresses ---

    def _assign(self, key: Key, service: Service | None) -> None:
        entry = None if service is None else self._entry(service)
        given = self._given.get(key)
        if given is not None and (entry is None or entry[0] is not given[0]):
            del self._given[key]
            self.stir()
            if service is not None:
                self._write(service, ())
                words = "Deleted load balancer"
                events.record(self._store, service, events.NORMAL, "DeletedLoadBalancer", words, CLOUD)
        if service is None or entry is None:
            if service is not None and service.spec.type == "LoadBalancer":
                self._tell_pending(service)
            return
        spec, pool, _ = entry
        if key in self._given and _is_written(service, self._given[key][1], spec):
            return
        is_cloud = spec.kind != "l2"
        if is_cloud and key not in self._given:
            words = "Ensuring load balancer"
            events.record(self._store, service, events.NORMAL, "EnsuringLoadBalancer", words, CLOUD)
        try:
            _check(spec, service)
            address = self._given[key][1] if key in self._given else self._choose(service, spec, pool)
        except Refusal as refusal:
            component = CLOUD if is_cloud else METALLB
            events.record(self._store, service, events.WARNING, refusal.reason, refusal.words, component)
            self._warn(f"Service {key.namespace}/{key.name} gets no load balancer: {refusal.words}")
            return
        self._given[key] = spec, address
        self.stir()
        self._write(service, (LoadBalancerIngress(ip=str(address), ip_mode=spec.mode),))
        if is_cloud:
            words = "Ensured load balancer"
            events.record(self._store, service, events.NORMAL, "EnsuredLoadBalancer", words, CLOUD)
        else:
            words = f'Assigned IP ["{address}"]'
            events.record(self._store, service, events.NORMAL, "IPAllocated", words, METALLB)

    def _entry(self, service: Service) -> tuple[LoadBalancerSpec, Sequence[AddressRange], Balancer] | None:
        """Return who serves a Service: the first one of its class."""
        if service.spec.type != "LoadBalancer" or service.metadata.is_terminating:
            return None
        wanted = service.spec.load_balancer_class
        return next((each for each in self._balancers if each[0].load_balancer_class == wanted), None)

    def _choose(self, service: Service, spec: LoadBalancerSpec, pool: Sequence[AddressRange]) -> IpAddress:
        """Return an address for a Service: the one it has or wishes for, else the first one that is free.

        Raises:
            Refusal: there is none.
        """
        whose = f"{service.metadata.namespace}/{service.metadata.name}"
        taken = {address for _, address in self._given.values()}
        reason = "AllocationFailed" if spec.kind == "l2" else "SyncLoadBalancerFailed"
        before = next((each.ip for each in service.status.load_balancer.ingress if each.ip), "")
        wish = service.spec.load_balancer_ip
        for text in filter(None, (wish, before)):
            try:
                address = IpAddress.parse(text)
            except AddressError as error:
                raise Refusal(reason, str(error)) from None
            if text == wish and not any(address in each for each in pool):
                raise Refusal(reason, f'Failed to allocate IP for "{whose}": "{address}" is not in the pool')
            if address in taken:
                raise Refusal(reason, f'Failed to allocate IP for "{whose}": "{address}" is in use')
            return address
        found = next((each for part in pool for each in part if each not in taken), None)
        if found is None:
            raise Refusal(reason, f'Failed to allocate IP for "{whose}": no available IPs')
        return found

    def _write(self, service: Service, ingress: tuple[LoadBalancerIngress, ...]) -> None:
        status = attrs.evolve(service.status, load_balancer=LoadBalancerStatus(ingress))
        if status != service.status:
            self._store.put(attrs.evolve(service, status=status))

    def _tell_pending(self, service: Service) -> None:
        meta, wanted = service.metadata, service.spec.load_balancer_class
        if service.status.load_balancer.ingress:
            return  # somebody gave it one before emu saw it
        why = f"of class {wanted}" if wanted else "for Services without a class"
        self._warn(
            f"Service {meta.namespace}/{meta.name} of type LoadBalancer has no address: "
            f"no Fabric document has a load balancer {why}"
        )

    # --- work ---

    def _follow_nodes(self) -> None:
        nodes = eligible(self._store.each(Node))
        before, self._nodes = self._nodes, nodes
        names = [node.metadata.name for node in nodes]
        if before and names != [node.metadata.name for node in before]:
            self.stir()
            for service in self._served(None):
                words = "Updated load balancer with new hosts"
                events.record(self._store, service, events.NORMAL, "UpdatedLoadBalancer", words, CLOUD)

    def _tell(self) -> None:
        for spec, _, balancer in self._balancers:
            balancer.follow(
                [each for service in self._served(spec) for each in frontends(spec, service, self._nodes)]
            )

    def _served(self, spec: LoadBalancerSpec | None) -> Iterator[Service]:
        """Yield the Services that a balancer serves; of all balancers by None."""
        for key, (found, _) in self._given.items():
            service = self._store.find(Service, key.name, key.namespace)
            if service is not None and (spec is None or found is spec):
                yield service


def _is_written(service: Service, address: IpAddress, spec: LoadBalancerSpec) -> bool:
    return any(
        each.ip == str(address) and each.ip_mode == spec.mode for each in service.status.load_balancer.ingress
    )


def _check(spec: LoadBalancerSpec, service: Service) -> None:
    """See whether a balancer can serve a Service.

    Raises:
        Refusal: it cannot.
    """
    ports = service.spec.ports
    if spec.kind in {"nat", "proxy"} and not all(port.node_port for port in ports):
        raise Refusal(
            "SyncLoadBalancerFailed",
            "Error syncing load balancer: failed to ensure load balancer: "
            f"a {spec.kind} balancer sends to node ports, and the Service has none",
        )
    other = next((port for port in ports if port.protocol != "TCP"), None)
    if spec.kind == "proxy" and other is not None:
        raise Refusal(
            "SyncLoadBalancerFailed",
            "Error syncing load balancer: failed to ensure load balancer: "
            f"a proxy balances TCP alone, and port {other.port} is {other.protocol}",
        )
