# SPDX-License-Identifier: GPL-2.0-only
r"""The default underlay: a switch, a router behind it, and hosts outside.

        node-1 eth0 --+
        node-2 eth0 --+-- switch/underlay --- router --- ext/laptop
        node-3 eth0 --+                          \------ ext/resolver

The router has the ways to the pods' ranges through the nodes, as a network
with a routed pod network has them: a host outside can reach a pod by its
address. A node's second device hangs on a second switch, and so on.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from emu.cluster.underlay.base import EVERYWHERE, Underlay
from emu.cluster.underlay.segments import free_in, gateway_of
from emu.cluster.underlay.wiring import mac_of_address, own_prefixes
from emu.kernel.route import Nexthop, Route, RouteError, Scope
from emu.wire.addresses import Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import MacAddress

ROUTER: Final = "router"
_HOST: Final = 32


class PlainUnderlay(Underlay):
    """One switch and one router.

    Args:
        fabric: where it is built.
        segments: the subnets of the nodes' first devices.
        taken: addresses of nodes, which no gateway may have.

    Attributes:
        router: the router.
    """

    def __init__(self, fabric: Fabric, segments: Sequence[Prefix], taken: frozenset[IpAddress]) -> None:
        super().__init__(fabric)
        self._taken = set(taken)
        self._switches: dict[int, Namespace] = {}
        self._gateways: dict[Prefix, IpAddress] = {}
        self._announced: dict[IpAddress, tuple[Prefix, ...]] = {}
        self.router = self.wiring.router(ROUTER)
        device = self.plug(self.router, 0)
        for segment in segments:
            gateway = gateway_of(segment, self._taken)
            self._taken.add(gateway)
            self._gateways[segment] = gateway
            self.wiring.address(self.router, device, Interface(gateway, segment.length))

    @property
    def gateways(self) -> Mapping[Prefix, IpAddress]:
        """The router's address in each subnet of the nodes."""
        return self._gateways

    def attach(self, net: Namespace, devices: Sequence[tuple[Interface, ...]], *, name: str = "") -> None:  # noqa: ARG002 - no document has links
        """Give a machine its devices, each on the switch of its number, and its default route."""
        self.wiring.up(net, net.loopback)
        for number, addresses in enumerate(devices):
            mac = mac_of_address(addresses[0].address) if number == 0 else None
            device = self.plug(net, number, mac)
            for address in addresses:
                self.wiring.address(net, device, address)
                self._taken.add(address.address)
        gateway = self._gateways[devices[0][0].prefix]
        self.wiring.route(net, Route(EVERYWHERE, nexthops=(Nexthop("eth0", gateway),)))

    def plug(self, net: Namespace, number: int, mac: MacAddress | None = None) -> Device:
        """Give `net` the device `eth<number>` on switch `number`, up and without an address."""
        return self.wiring.plug(net, f"eth{number}", self._switch(number), mac=mac)

    def _switch(self, number: int) -> Namespace:
        found = self._switches.get(number)
        if found is None:
            name = "switch/underlay" if number == 0 else f"switch/underlay-{number + 1}"
            found = self._switches[number] = self.wiring.switch(name)
        return found

    def attach_outside(self, net: Namespace, address: IpAddress, *, iface: str = "eth0") -> Device:
        """Give a machine a cable to the router, which gets the way back."""
        wiring = self.wiring
        inside, outside = wiring.pair((net, iface), (self.router, f"ext{len(self.router.devices)}"))
        wiring.up(self.router, outside)
        wiring.up(net, inside)
        wiring.address(net, inside, Interface(address, _HOST))
        way = Nexthop(iface, next(iter(self._gateways.values())), onlink=True)
        with suppress(RouteError):  # it has one already
            wiring.route(net, Route(EVERYWHERE, nexthops=(way,)))
        back = Route(Prefix(address, _HOST), nexthops=(Nexthop(outside.name),), scope=Scope.LINK)
        wiring.replace(self.router, back)  # of two with one address the last one
        return inside

    def free_address(self, segment: Prefix) -> IpAddress:
        """Return the highest address of a subnet that nobody has."""
        return free_in(segment, self._taken)

    def announce(self, speaker: IpAddress, prefixes: Sequence[Prefix]) -> None:
        """Let the router send what is for `prefixes` to `speaker`, and nothing else."""
        way = (Nexthop("eth0", speaker),)
        for prefix in self._announced.get(speaker, ()):
            if prefix not in prefixes:
                with suppress(RouteError):  # another speaker took it over
                    self.wiring.withdraw(self.router, Route(prefix, nexthops=way))
        self._announced[speaker] = tuple(prefixes)
        own = set(own_prefixes(self.router))
        for prefix in prefixes:
            if prefix not in own:
                with suppress(RouteError):  # the way to the speaker leads through what came before
                    self.wiring.replace(self.router, Route(prefix, nexthops=way))
