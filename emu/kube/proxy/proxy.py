# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy at work: the proxies of all nodes watch the store, and each keeps its node's rules right.

        store --changes--> Catalogue
          |                    | what a mode makes of it, shared by nodes that see the same
          +--> Fleet --now or after the minimal period--> Proxy --> kernel of its node

A proxy syncs at once, and then again as soon as its minimal period is over if
anything has changed meanwhile. All proxies share one `Fleet`, so a change is
worked out once, and equal nodes hold the same table.

Source: cmd/kube-proxy/app/server.go, pkg/proxy/runner/bounded_frequency_runner.go.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from emu.kube.api.objects.node import Node
from emu.kube.api.objects.service import EndpointSlice, Service
from emu.kube.proxy.catalogue import Catalogue
from emu.kube.proxy.health import HealthServers
from emu.kube.proxy.modes import MODES, clean_up
from emu.kube.proxy.node import Proxy
from emu.sim.time import Instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kube.api.store import Change, Store
    from emu.kube.proxy.config import Place, ProxyConfig
    from emu.kube.proxy.modes import Mode

_NEVER: Final = Instant(-1 << 62)


class Fleet:
    """The proxies of all nodes of one cluster, for one family of addresses.

    Args:
        store: where Services, EndpointSlices and Nodes are.
        family: of the addresses, 4 or 6.
        fabric: where the proxies' servers run; None to have none.

    Attributes:
        fabric: see above.
        catalogue: what all proxies know.
        proxies: by name of the node.
        listeners: are told the node and what its proxy has done, when it has changed something there.
    """

    def __init__(self, store: Store, family: int = 4, *, fabric: Fabric | None = None) -> None:
        self.store = store
        self.fabric = fabric
        self.catalogue = Catalogue(family)
        self.proxies: dict[str, Proxy] = {}
        self.listeners: list[Callable[[str, str], None]] = []
        self._modes: dict[str, Mode] = {}
        self._is_waking = False
        self._due: dict[Instant, list[Proxy]] = {}
        self._listed = False

    def start(self, net: Namespace, config: ProxyConfig) -> Proxy:
        """Start the proxy of a node, and return it; it writes its rules at this instant.

        Args:
            net: the node's namespace.
            config: what the proxy is told.

        Raises:
            UnmodelledModeError: it shall run in a mode that is not modelled.
        """
        config.check()
        self._list()
        clean_up(net, config.mode)
        proxy = Proxy(self, net, config)
        self.proxies[config.node_name] = proxy
        if self.fabric is not None:
            proxy.servers = HealthServers(self.fabric, net, proxy)
        self._wake_at(self.store.loop.now, proxy)
        self._watch_canaries(proxy)
        return proxy

    def stop(self, proxy: Proxy) -> None:
        """Stop a proxy; its rules stay where they are."""
        if self.proxies.get(proxy.config.node_name) is proxy:
            del self.proxies[proxy.config.node_name]
            proxy.plane.stop()
            if proxy.servers is not None:
                proxy.servers.stop()

    def mode(self, name: str) -> Mode:
        """Return what all proxies of a mode have in common."""
        found = self._modes.get(name)
        if found is None:
            found = self._modes[name] = MODES[name].make(self)
        return found

    def tell(self, node: str, words: str) -> None:
        """Tell who listens what the proxy of a node has done."""
        for each in self.listeners:
            each(node, words)

    # --- changes ---

    def _list(self) -> None:
        """Learn what there is, and of all changes from now on."""
        if self._listed:
            return
        self._listed = True
        store = self.store
        for service in store.each(Service):
            self.catalogue.service_changed(None, service)
        for piece in store.each(EndpointSlice):
            self.catalogue.slice_changed(None, piece)
        store.watch(Service, self._service_changed)
        store.watch(EndpointSlice, self._slice_changed)
        store.watch(Node, self._node_changed)

    def _service_changed(self, change: Change) -> None:
        old, new = change
        assert old is None or isinstance(old, Service)
        assert new is None or isinstance(new, Service)
        self.catalogue.service_changed(old, new)
        self._wake_soon()

    def _slice_changed(self, change: Change) -> None:
        old, new = change
        assert old is None or isinstance(old, EndpointSlice)
        assert new is None or isinstance(new, EndpointSlice)
        self.catalogue.slice_changed(old, new)
        self._wake_soon()

    def _node_changed(self, change: Change) -> None:
        proxy = self.proxies.get(change.object.metadata.name)
        if proxy is not None and proxy.look_round():
            self.wake(proxy)

    def wake(self, proxy: Proxy) -> None:
        """Have `proxy` sync as soon as its minimal period allows."""
        self._wake_at(max(self.store.loop.now, proxy.next_sync), proxy)

    def _wake_soon(self) -> None:
        """Have all proxies look at what has changed, behind what else happens at this instant."""
        if not self._is_waking:
            self._is_waking = True
            self.store.loop.at(self.store.loop.now, self._wake)

    def _wake(self) -> None:
        self._is_waking = False
        for proxy in self.proxies.values():
            self.wake(proxy)

    def _wake_at(self, instant: Instant, proxy: Proxy) -> None:
        """Have `proxy` sync at `instant`; all that sync then are one event."""
        if proxy.is_waiting:
            return
        proxy.is_waiting = True
        if proxy.pending_since is None:
            proxy.pending_since = self.store.loop.now
        waiting = self._due.get(instant)
        if waiting is None:
            waiting = self._due[instant] = []
            self.store.loop.at(instant, self._sync_due, instant)
        waiting.append(proxy)

    def _sync_due(self, instant: Instant) -> None:
        with _without_collections():
            for proxy in self._due.pop(instant):
                proxy.is_waiting = False
                if self.proxies.get(proxy.config.node_name) is proxy:
                    proxy.sync()

    def _watch_canaries(self, proxy: Proxy) -> None:
        period = proxy.config.sync_period
        if period > 0:
            loop = self.store.loop
            loop.periodic_at(Instant(loop.now + period), self._look_after, proxy)

    def _look_after(self, proxy: Proxy) -> None:
        if self.proxies.get(proxy.config.node_name) is not proxy:
            return
        if proxy.needs_attention():
            self.wake(proxy)
        self._watch_canaries(proxy)


@contextmanager
def _without_collections() -> Iterator[None]:
    """Hold off the garbage collector: rules by the ten thousand hold no circles that it could find."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def proxied_without_local(fleet: Fleet, place: Place) -> tuple[int, int]:
    """Return how many service ports have endpoints, but none that Local traffic may use at `place`.

    Returns:
        The number for internal and for external traffic.
    """
    internal = external = 0
    for entry in fleet.catalogue.entries:
        port, usable = entry.port, entry.usable(place)
        if usable.local is None or usable.local or not usable.anywhere:
            continue
        internal += port.internal_local
        external += port.external_local and port.is_external
    return internal, external
