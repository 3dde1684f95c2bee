# SPDX-License-Identifier: GPL-2.0-only
"""What all proxies know: service ports and their endpoints, kept up to date one Service at a time.

A thousand nodes look at the same objects, and most service ports have the same
rules on all of them. So there is one `Catalogue` for all, and each port's rules
are written once for each kind of nodes that sees it differently: that has
endpoints of it, is in another zone, or is in its source ranges.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from emu.kube.proxy.endpoints import NO_BACKENDS, BackendKey, merge
from emu.kube.proxy.services import PortKey, proxied_ports
from emu.kube.proxy.stale import needs_cleanup
from emu.kube.proxy.topology import choose
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from emu.kube.api.objects.service import EndpointSlice, Service
    from emu.kube.proxy.config import Options, Place
    from emu.kube.proxy.endpoints import Backends
    from emu.kube.proxy.services import ProxiedPort
    from emu.kube.proxy.topology import Usable

Rules = TypeVar("Rules", covariant=True)  # noqa: PLC0105 - what a mode writes for a port

LARGE: Final = 1000
"""With more endpoints than that, chains do without most comments."""


class ServiceKey(NamedTuple):
    """Namespace and name of a Service."""

    namespace: str
    name: str


class PortWriter(Protocol[Rules]):
    """Writes the rules of one service port, in one mode."""

    def write(self, usable: Usable, *, in_range: bool) -> Rules:
        """Return the rules of a node that may use these endpoints, and that is or is not in source ranges."""


class View(NamedTuple):
    """What makes nodes see a service port alike; everything else about them does not matter.

    Attributes:
        node: its name, if some endpoint is there, or is meant for it.
        zone: its zone, if some endpoint is meant for zones.
        in_range: its address is in one of the source ranges.
    """

    node: str = ""
    zone: str = ""
    in_range: bool = False


EVERYWHERE: Final = View()


class Entry:
    """A service port with its endpoints, and the rules that were written for it.

    Attributes:
        port: the service port.
        backends: its endpoints.
        is_uniform: all nodes see it alike.
    """

    def __init__(self, port: ProxiedPort, backends: Backends) -> None:
        self.port = port
        self.backends = backends
        self._is_ranged = bool(port.source_ranges and port.load_balancer_ips)
        self._by_node = backends.nodes if port.uses_local or backends.has_duplicates else frozenset()
        self._by_node |= backends.hinted_nodes
        self.is_uniform = not (self._by_node or backends.has_zones or self._is_ranged)
        self._writers: dict[tuple[Any, Options, bool], PortWriter[Any]] = {}
        self._rules: dict[tuple[Any, Options, bool, View], Any] = {}

    def view(self, place: Place) -> View:
        """Return what of `place` matters here."""
        if self.is_uniform:
            return EVERYWHERE
        in_range = False
        if self._is_ranged and place.address:
            own = IpAddress.parse(place.address)
            in_range = any(own in each for each in self.port.source_ranges)
        return View(
            place.node if place.node in self._by_node else "",
            place.zone if self.backends.has_zones else "",
            in_range,
        )

    def usable(self, place: Place) -> Usable:
        """Return the endpoints that `place` may use."""
        return choose(self.port, self.backends, place)

    def rules(
        self, writes: Callable[..., PortWriter[Rules]], options: Options, place: Place, *, is_large: bool
    ) -> Rules:
        """Return the rules for `place`, the same object for all places that see it alike.

        Args:
            writes: returns what writes the rules of a mode, from options, port and size.
            options: what the proxy is told.
            place: where it is.
            is_large: the cluster is so large that comments are left out.
        """
        view = self.view(place)
        key = writes, options, is_large, view
        found = self._rules.get(key)
        if found is None:
            writer = self._writers.get(key[:3])
            if writer is None:
                writer = self._writers[key[:3]] = writes(options, self.port, is_large=is_large)
            found = self._rules[key] = writer.write(self.usable(place), in_range=view.in_range)
        return found


class Catalogue:
    """Service ports and endpoints out of Services and EndpointSlices.

    Attributes:
        family: 4 or 6.
        generation: grows with every change that can be seen in rules.
        udp_generation: grows with every change after which conntrack may hold stale entries.
    """

    def __init__(self, family: int = 4) -> None:
        self.family = family
        self.generation = 0
        self.udp_generation = 0
        self._services: dict[ServiceKey, Service] = {}
        self._slices: dict[ServiceKey, dict[str, EndpointSlice]] = {}
        self._backends: dict[ServiceKey, Mapping[BackendKey, Backends]] = {}
        self._entries: dict[ServiceKey, dict[PortKey, Entry]] = {}
        self._dirty: dict[ServiceKey, None] = {}
        self._sorted: tuple[Entry, ...] | None = ()
        self._total: int | None = 0
        self._health: dict[ServiceKey, int] | None = {}

    @classmethod
    def of(cls, services: Iterable[Service], slices: Iterable[EndpointSlice], family: int = 4) -> Catalogue:
        """Return the catalogue of all these objects."""
        catalogue = cls(family)
        for service in services:
            catalogue.service_changed(None, service)
        for piece in slices:
            catalogue.slice_changed(None, piece)
        return catalogue

    # --- changes ---

    def service_changed(self, old: Service | None, new: Service | None) -> None:
        """Take note of a Service that was added, changed or deleted."""
        for obj in (old, new):
            if obj is not None:
                key = ServiceKey(obj.metadata.namespace, obj.metadata.name)
                self._services.pop(key, None)
                self._dirty[key] = None
        if new is not None:
            self._services[ServiceKey(new.metadata.namespace, new.metadata.name)] = new

    def slice_changed(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        """Take note of a slice that was added, changed or deleted."""
        for obj in (old, new):
            if obj is not None and obj.service:
                key = ServiceKey(obj.metadata.namespace, obj.service)
                self._slices.get(key, {}).pop(obj.metadata.name, None)
                self._dirty[key] = None
        if new is not None and new.service:
            key = ServiceKey(new.metadata.namespace, new.service)
            self._slices.setdefault(key, {})[new.metadata.name] = new

    def refresh(self) -> None:
        """Work out what the changes since the last time mean."""
        dirty, self._dirty = self._dirty, {}
        for key in dirty:
            self._refresh_backends(key)
            self._refresh_entries(key)

    def _refresh_backends(self, key: ServiceKey) -> None:
        slices = self._slices.get(key)
        if slices is not None and not slices:
            del self._slices[key]
        old = self._backends.pop(key, {})
        found = merge(slices.values(), self.family) if slices else {}
        if found:
            self._backends[key] = {
                port: old[port] if old.get(port) == backends else backends for port, backends in found.items()
            }
        if needs_cleanup(old, found):
            self.udp_generation += 1

    def _refresh_entries(self, key: ServiceKey) -> None:
        """Make entries for the ports of a Service; those that are as they were keep their rules."""
        service = self._services.get(key)
        old, found = self._entries.pop(key, {}), dict[PortKey, Entry]()
        backends = self._backends.get(key, {})
        for port in proxied_ports(service, self.family) if service is not None else ():
            behind = backends.get(BackendKey(port.key.port, port.key.protocol), NO_BACKENDS)
            known = old.get(port.key)
            if known is None or known.port != port or known.backends != behind:
                known = Entry(port, behind)
            found[port.key] = known
        if found:
            self._entries[key] = found
        if found != old:
            self.generation += 1
            self._sorted = self._total = self._health = None

    # --- looking ---

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The service ports, sorted by namespace, Service, port and protocol."""
        self.refresh()
        if self._sorted is None:
            flat = [pair for ports in self._entries.values() for pair in ports.items()]
            self._sorted = tuple([entry for _, entry in sorted(flat, key=itemgetter(0))])
        return self._sorted

    @property
    def is_large(self) -> bool:
        """Whether there are so many endpoints that most comments are left out."""
        self.refresh()
        if self._total is None:
            self._total = sum(len(entry.backends.listed) for entry in self.entries)
        return self._total > LARGE

    @property
    def health_check_node_ports(self) -> Mapping[ServiceKey, int]:
        """The health check node ports by Service."""
        entries = self.entries
        if self._health is None:
            self._health = {
                ServiceKey(*entry.port.key[:2]): entry.port.health_check_node_port
                for entry in entries
                if entry.port.health_check_node_port
            }
        return self._health

    def backends(self) -> Mapping[PortKey, Backends]:
        """Return the endpoints of all slices by namespace, name and port, with or without a Service."""
        self.refresh()
        return {
            PortKey(*service, *port): found
            for service, ports in sorted(self._backends.items())
            for port, found in sorted(ports.items())
        }

    def backends_of(self, key: ServiceKey) -> Mapping[BackendKey, Backends]:
        """Return the endpoints of one Service by port."""
        self.refresh()
        return self._backends.get(key, {})
