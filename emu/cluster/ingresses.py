# SPDX-License-Identifier: GPL-2.0-only
"""Ingress in a cluster: the controllers' image, the add-on, and names that lead there from outside.

Hosts of Ingresses that have an address are known to the resolver outside, as
external-dns would make them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from emu.errors import AddressError
from emu.kube.api.objects import Ingress
from emu.kube.ingress import addon
from emu.kube.ingress.controller import Controllers
from emu.kube.ingress.image import IMAGES, IngressNginx
from emu.kube.ingress.servers import Configuration, Server
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.cluster.topology import Topology
    from emu.cluster.writing import Writer
    from emu.kube.api.objects import Object
    from emu.kube.api.store import Store
    from emu.kube.ingress.controller import Upstream
    from emu.kube.ingress.explain import Explanation
    from emu.kube.kubelet.programs import Image
    from emu.sim.rng import Streams

INSTALLED = (
    "Ingresses and no controller for them in the input: ingress-nginx was installed "
    "(addons.ingress of the Cluster document)"
)


class Ingresses:
    """What a cluster has for Ingresses.

    Attributes:
        images: programs of the controllers' images.
    """

    is_still: ClassVar[bool] = True

    def __init__(
        self, store: Store, streams: Streams, topology: Topology, warn: Callable[[str], None]
    ) -> None:
        self._store = store
        self._topology = topology
        self._warn = warn
        self._controllers = Controllers(store, warn)
        image = IngressNginx(self._controllers, streams)
        self.images: dict[str, Image] = dict.fromkeys(IMAGES, image)

    @property
    def is_waiting(self) -> bool:
        """Whether controllers have heard of changes that their proxies do not know yet."""
        return self._controllers.is_waiting

    def install(self, writer: Writer, given: Sequence[Object]) -> None:
        """Install ingress-nginx, behind everything else, if that is wished or needed."""
        wish = self._topology.cluster.ingress
        later = [each for step in self._topology.steps for each in step.objects]
        if wish == "auto" and addon.is_wanted([*given, *later]):
            self._warn(INSTALLED)
        elif wish != "nginx":
            return
        writer.apply(addon.objects(given, is_balanced=bool(self._topology.fabric.load_balancers)))

    def unserved(self) -> list[str]:
        """Return what to tell of Ingresses that nobody serves, a line each."""
        return self._controllers.unserved()

    def explain(self, address: str, host: str, path: str, status: int) -> Explanation | None:
        """Return whose rules an answer follows; None if it does not come from where Ingresses are reached."""
        return self._controllers.explain(address, host, path, status)

    def shows_own(self, address: str, name: str) -> bool:
        """Return whether who is reached at `address` has a certificate for a name, not its default one."""
        return self._controllers.shows_own(address, name)

    def upstream(self, address: str, host: str, path: str) -> Upstream | None:
        """Return whom the controller asks that is reached at `address`; None if it asks nobody."""
        return self._controllers.upstream(address, host, path)

    def address_of(self, name: str) -> IpAddress | None:
        """Return the address that leads to a name from outside, None if no Ingress has it."""
        for ingress in self._store.list(Ingress):
            hosts = {rule.host: Server(rule.host) for rule in ingress.spec.rules if rule.host}
            if Configuration(hosts).named(name) is None:
                continue
            for each in ingress.status.load_balancer.ingress:
                try:
                    return IpAddress.parse(each.ip)
                except AddressError:
                    continue
        return None
