# SPDX-License-Identifier: GPL-2.0-only
"""The kube-proxy of one node: what it has written, and when it writes again.

What that is depends on its mode (`emu.kube.proxy.modes`); when it happens, its
health, and what becomes of old connections do not.

Source: pkg/proxy/iptables/proxier.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from emu.errors import CommandError
from emu.kube.api.objects.node import Node
from emu.kube.proxy import stale
from emu.kube.proxy.catalogue import ServiceKey
from emu.kube.proxy.config import node_port_networks, options_of, place_of
from emu.kube.proxy.endpoints import local_ready
from emu.kube.proxy.modes import MODES
from emu.sim.time import Instant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.namespace import Namespace
    from emu.kube.api.store import Store
    from emu.kube.proxy.config import ProxyConfig
    from emu.kube.proxy.health import HealthServers
    from emu.kube.proxy.modes import Plane
    from emu.kube.proxy.proxy import Fleet

_NEVER: Final = Instant(-1 << 62)


class Proxy:
    """The kube-proxy of one node.

    Attributes:
        config: what it was told.
        net: the namespace of its node.
        options: what of the configuration rules depend on.
        place: where it runs, as its Node says.
        plane: what it has written, in its mode.
        next_sync: before this instant it does not sync again.
        is_waiting: a sync is due.
        is_synced: it has written its rules once.
        last_sync: when it last found its rules right, or made them so.
        pending_since: since when there has been something to do; None if there is nothing.
        health: of each Service with a health check node port, the port and how many
            ready endpoints were on the node at the last sync.
        servers: where others ask after its health; None if they cannot.
        failure: why the last sync could not be done; empty if it was.
    """

    is_still: ClassVar[bool] = True

    def __init__(self, fleet: Fleet, net: Namespace, config: ProxyConfig) -> None:
        self.config = config
        self.next_sync = _NEVER
        self.is_waiting = False
        self.is_synced = False
        self.last_sync = _NEVER
        self.pending_since: Instant | None = None
        self.health: Mapping[ServiceKey, tuple[int, int]] = {}
        self.servers: HealthServers | None = None
        self.failure = ""
        self.net = net
        self._fleet = fleet
        self._needs_full = True
        self._udp_generation = -1
        node = fleet.store.find(Node, config.node_name)
        self.options = options_of(config, node)
        self.place = place_of(config, node)
        self.plane: Plane = fleet.mode(config.mode).begin(self)

    @property
    def store(self) -> Store:
        """Where the objects are."""
        return self._fleet.store

    @property
    def is_healthy(self) -> bool:
        """Whether it keeps up: nothing has waited for longer than two periods."""
        since = self.pending_since
        return since is None or self.store.loop.now - since <= 2 * self.config.sync_period

    def look_round(self) -> bool:
        """Look at the Node anew; return whether anything about it matters that was otherwise before."""
        node = self._fleet.store.find(Node, self.config.node_name)
        if node is None:
            return False
        now = options_of(self.config, node), place_of(self.config, node)
        if now == (self.options, self.place):
            return False
        self.options, self.place = now
        self._needs_full = True
        return True

    def request_full_sync(self) -> None:
        """Have everything written anew as soon as the minimal period allows."""
        self._needs_full = True
        self._fleet.wake(self)

    def needs_attention(self) -> bool:
        """Return whether a sync is due though no object has changed.

        So it is where somebody has taken away what was written, the last sync
        failed, or something is left that is to be deleted.
        """
        if self.is_synced and not self.plane.is_intact():
            self._needs_full = True
            return True
        return bool(self.failure) or self.plane.is_unfinished()

    def sync(self) -> None:
        """Make the node what it should be; nothing happens where it is.

        A sync that fails changes nothing, and makes the next one a full one.
        """
        now = self._fleet.store.loop.now
        try:
            has_written = self.plane.sync(now, full=self._needs_full)
        except CommandError as error:
            self.next_sync = Instant(now + self.config.min_sync_period)
            self.failure, self._needs_full = str(error), True
            return
        if has_written:
            self.next_sync = Instant(now + self.config.min_sync_period)
            self.failure, self._needs_full, self.is_synced = "", False, True
            self._fleet.tell(self.config.node_name, "has written its rules")
        self.last_sync, self.pending_since = now, None
        self.health = {
            service: (port, self.local_endpoints_of(service))
            for service, port in self.health_check_node_ports().items()
        }
        if self.servers is not None:
            self.servers.follow()
        generation = self._fleet.catalogue.udp_generation
        if self._udp_generation != generation:
            self._udp_generation = generation
            self._clean(now)

    def _clean(self, now: Instant) -> None:
        """Delete connections of UDP that lead nowhere any more."""
        netfilter = self.net.used_netfilter
        if netfilter is not None and not MODES[self.config.mode].ends_connections:
            entries = self._fleet.catalogue.entries
            ports = ((each.port, each.backends) for each in entries)
            cleans_empty = self.config.cleans_empty
            deleted = stale.clean(netfilter.conntrack, ports, now, cleans_empty=cleans_empty)
            if deleted:
                plural = "s" if deleted > 1 else ""
                self._fleet.tell(self.config.node_name, f"has deleted {deleted} stale UDP connection{plural}")

    @property
    def served(self) -> tuple[str, ...] | None:
        """The node's addresses that serve node ports, None for all."""
        networks = node_port_networks(self.config)
        if not networks:
            return None
        own = [
            address.address
            for device in self.net.devices.values()
            for address in device.addresses
            if any(address.address in network for network in networks)
        ]
        served = [each for each in own if self.options.localhost_node_ports or not each.is_loopback]
        return tuple(dict.fromkeys(str(each) for each in sorted(served, key=int)))

    # --- health ---

    def health_check_node_ports(self) -> Mapping[ServiceKey, int]:
        """Return the health check node ports that are in force, by Service."""
        return self._fleet.catalogue.health_check_node_ports

    def local_endpoints(self) -> Mapping[ServiceKey, int]:
        """Return how many ready endpoints are on the node, by Service; those with none are left out."""
        catalogue = self._fleet.catalogue
        found = {
            key: self.local_endpoints_of(key)
            for key in dict.fromkeys(ServiceKey(*key[:2]) for key in catalogue.backends())
        }
        return {key: count for key, count in found.items() if count}

    def local_endpoints_of(self, service: ServiceKey) -> int:
        """Return how many ready endpoints of a Service are on the node."""
        backends = self._fleet.catalogue.backends_of(service)
        return local_ready(backends.values(), self.config.node_name)
