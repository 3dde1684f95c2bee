# SPDX-License-Identifier: GPL-2.0-only
r"""An underlay of switches, routers and cables that documents name.

        node-1 eth0 --- port1 \
        node-2 eth0 --- port2 --- rack (a subnet) tor-1 up ---\
                                                               spine --- ext/laptop
        node-3 eth0 --- port1 --- rack (a subnet) tor-2 up ---/

Where documents say nothing, all is as in the default: machines that no link
names hang on the router's ports of their subnet, else on the first switch, and
without a router of one's own there is one called `router`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.topology.fabric.routers import InterfaceSpec, RouterSpec, WaySpec
from emu.cluster.underlay.base import EVERYWHERE, Underlay
from emu.cluster.underlay.filtering import place_filters
from emu.cluster.underlay.learning import Learning, Speaker
from emu.cluster.underlay.places import EXTERNAL, ROUTER, SWITCH, Places
from emu.cluster.underlay.segments import free_in, gateway_of
from emu.cluster.underlay.wiring import BRIDGE, mac_of_address, own_prefixes
from emu.kernel.route import Nexthop, Route, RouteError, Scope
from emu.wire.addresses import Interface, Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.topology.fabric.links import EndSpec, LinkSpec
    from emu.cluster.topology.fabric.spec import FabricSpec
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import IpAddress, MacAddress

_HOST: Final = 32


@attrs.define(eq=False)
class _Router:
    """A router: what is said of it, its namespace, and what it was told."""

    spec: RouterSpec
    net: Namespace
    waiting: list[WaySpec] = attrs.field(init=False)
    learned: dict[Prefix, Route] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.waiting = list(self.spec.routes)

    def interface(self, device: str) -> InterfaceSpec | None:
        """Return what is said of a device."""
        return next((each for each in self.spec.interfaces if each.name == device), None)

    def bridge_of(self, port: str) -> str:
        """Return the subnet's bridge that a port is of, empty for a device of its own."""
        return next((each.name for each in self.spec.interfaces if port in (each.ports or ())), "")

    @property
    def addresses(self) -> tuple[tuple[str, Interface], ...]:
        """Its devices, each with its addresses: those that will be there, too."""
        return tuple((each.name, address) for each in self.spec.interfaces for address in each.addresses)

    def device_in(self, address: IpAddress) -> str:
        """Return the device in whose subnet `address` is, empty if none is."""
        return next((name for name, own in self.addresses if address in own.prefix), "")


class RoutedUnderlay(Underlay):
    """Switches and routers.

    Args:
        fabric: where it is built.
        spec: what the documents say.
        nodes: who will be attached.

    Raises:
        DocumentError: a document names what is not there, or twice what is once.
    """

    def __init__(self, fabric: Fabric, spec: FabricSpec, nodes: Sequence[PlannedNode]) -> None:
        super().__init__(fabric)
        self._spec = spec
        self._places = Places(spec, [each.node.metadata.name for each in nodes])
        self.wiring.reserved = frozenset(
            (f"{kind}/{end.machine}", end.device)
            for link in spec.links
            for end in link.ends
            for kind in ("switch", "router")
        )
        self._taken = {each.address for node in nodes for device in node.devices for each in device}
        self._gateways: dict[Prefix, IpAddress] = {}
        self._announced: dict[IpAddress, tuple[Prefix, ...]] = {}
        self._switches: dict[str, Namespace] = {}
        self._routers: dict[str, _Router] = {}
        segments = tuple(dict.fromkeys(node.devices[0][0].prefix for node in nodes))
        for said in spec.routers or (self._implied_router(segments),):
            self._build_router(said)
        for name in self._places.switches:
            self._switch(name)
        self._connect()
        self._check_routers()
        self._find_gateways(segments)
        learners = [each for each in self._routers.values() if each.spec.learns]
        self._learning = Learning(
            [Speaker(each.spec.name, each.addresses, each.spec.multipath) for each in learners]
        )
        self._tell_networks()
        for name, router in self._routers.items():
            self._guard(name, router.net)

    # --- building ---

    def _implied_router(self, segments: Sequence[Prefix]) -> RouterSpec:
        """Return the router that there is where documents name none: an address in each subnet of nodes."""
        addresses = []
        for segment in segments:
            gateway = gateway_of(segment, self._taken)
            self._taken.add(gateway)
            addresses.append(Interface(gateway, segment.length))
        return RouterSpec(ROUTER, (InterfaceSpec("eth0", tuple(addresses)),))

    def _build_router(self, spec: RouterSpec) -> None:
        wiring = self.wiring
        name = ROUTER if spec.name == ROUTER else f"router/{spec.name}"
        router = self._routers[spec.name] = _Router(spec, wiring.router(name))
        for option, value in spec.sysctls.items():
            router.net.sysctl.set(option, value)
        self._taken.update(address.address for _, address in router.addresses)
        for each in spec.interfaces:
            if each.ports is not None:
                wiring.bridge(router.net, each.name)
                self._configure(router, each)

    def _connect(self) -> None:
        """Lay the cables between switches and routers, and one from each router's device that has none."""
        wiring = self.wiring
        for link in self._places.between():
            a, b = ((self._net_of(end.machine), self._port(end)) for end in link.ends)
            wiring.pair(a, b, cable=link.cable())
            for (net, device), end in zip((a, b), link.ends, strict=True):
                self._join(net, device, end.machine)
        if not self._spec.routers:
            router = self._routers[ROUTER]
            self._plug_in(router.net, "eth0", self._places.home)
            self._configure(router, router.spec.interfaces[0])

    def _net_of(self, machine: str) -> Namespace:
        router = self._routers.get(machine)
        return router.net if router is not None else self._switch(machine)

    def _port(self, end: EndSpec) -> str:
        """Return the device that the end of a cable is."""
        return end.device or self.wiring.next_port(self._net_of(end.machine))

    def _join(self, net: Namespace, device: str, machine: str) -> None:
        """Make a new device what it is there: a port of the switch, or of a router's subnet, or itself."""
        router = self._routers.get(machine)
        bridge = BRIDGE if router is None else router.bridge_of(device)
        if bridge:
            self.wiring.join(net, net.device(device), bridge)
        self.wiring.up(net, net.device(device))
        spec = None if router is None else router.interface(device)
        if router is not None and spec is not None:
            self._configure(router, spec)

    def _switch(self, name: str) -> Namespace:
        found = self._switches.get(name)
        if found is None:
            found = self._switches[name] = self.wiring.switch(f"switch/{name}")
            self._guard(name, found)
        return found

    def _configure(self, router: _Router, spec: InterfaceSpec) -> None:
        """Give a router's device its settings and addresses, and enter the routes that lead through it."""
        wiring, net = self.wiring, router.net
        device = net.device(spec.name)
        wiring.mtu(net, device, spec.mtu)
        for address in spec.addresses:
            wiring.address(net, device, address)
        if spec.masquerade:
            wiring.masquerade(net, spec.name)
        for way in tuple(router.waiting):
            with suppress(RouteError):  # it leads through what is not there yet
                wiring.route(net, Route(way.to, nexthops=(Nexthop("", way.via),)))
                router.waiting.remove(way)

    def _check_routers(self) -> None:
        """Tell of devices without a cable, and of routes that lead nowhere."""
        cabled = {(end.machine, end.device) for link in self._spec.links for end in link.ends}
        for name, router in self._routers.items():
            spec = router.spec
            for each in spec.interfaces:
                if self._spec.routers and each.ports is None and (name, each.name) not in cabled:
                    self.warnings.append(f"router {name}: no cable is in {each.name}")
            for way in spec.routes:
                if not router.device_in(way.via):
                    self.warnings.append(
                        f"router {name}: no route to {way.to}: {way.via} is in none of its subnets"
                    )

    def _guard(self, name: str, net: Namespace) -> None:
        """Set up the filters that documents have for a machine."""
        place_filters([each for each in self._spec.filters if each.at.machine == name], net)

    def _find_gateways(self, segments: Sequence[Prefix]) -> None:
        for segment in segments:
            for router in self._routers.values():
                own = [each.address for _, each in router.addresses if each.address in segment]
                if own:
                    self._gateways.setdefault(segment, own[0])

    @property
    def gateways(self) -> Mapping[Prefix, IpAddress]:
        """The address of the first router in each subnet of the nodes that has one."""
        return self._gateways

    # --- machines ---

    def attach(self, net: Namespace, devices: Sequence[tuple[Interface, ...]], *, name: str = "") -> None:
        """Give a machine its devices where its links say, else in their subnets, and its default route."""
        self.wiring.up(net, net.loopback)
        self._guard(name, net)
        for number, addresses in enumerate(devices):
            mac = mac_of_address(addresses[0].address) if number == 0 else None
            device = self._attach(net, name, number, addresses[0], mac)
            for address in addresses:
                self.wiring.address(net, device, address)
                self._taken.add(address.address)
        gateway = self._gateways.get(devices[0][0].prefix)
        if gateway is None:
            self.warnings.append(f"{name or net.name} has no router in its subnet {devices[0][0].prefix}")
            return
        self.wiring.route(net, Route(EVERYWHERE, nexthops=(Nexthop("eth0", gateway),)))

    def _attach(
        self, net: Namespace, name: str, number: int, address: Interface, mac: MacAddress | None
    ) -> Device:
        iface = f"eth{number}"
        found = self._places.link_of(name, iface) if name else None
        if found is not None:
            link, end = found
            return self._lay(net, iface, link, end, mac)
        for router in self._routers.values():
            device = router.device_in(address.address)
            spec = router.interface(device)
            if spec is not None and spec.ports is not None:
                return self.wiring.plug(net, iface, router.net, bridge=device, mac=mac)
            far = self.fabric.far_end(router.net, device) if device else None
            if far is not None and far[0] in self._switches.values():
                return self.wiring.plug(net, iface, far[0], mac=mac)
        place = self._places.home if number == 0 else f"{SWITCH}-{number + 1}"
        return self._plug_in(net, iface, place, mac)

    def _lay(
        self, net: Namespace, iface: str, link: LinkSpec, end: EndSpec, mac: MacAddress | None = None
    ) -> Device:
        """Lay a cable of a document to a machine."""
        other, port = self._net_of(end.machine), self._port(end)
        inside, _ = self.wiring.pair((net, iface), (other, port), mac, link.cable())
        self._join(other, port, end.machine)
        self.wiring.up(net, inside)
        return inside

    def _plug_in(self, net: Namespace, iface: str, switch: str, mac: MacAddress | None = None) -> Device:
        return self.wiring.plug(net, iface, self._switch(switch), mac=mac)

    def attach_outside(self, net: Namespace, address: IpAddress, *, iface: str = "eth0") -> Device:
        """Give a machine a cable to a router: the one that its link names, else the first."""
        name = net.name if net.name.startswith(EXTERNAL) else ""
        found = self._places.link_of(name, iface) if name else None
        router = next(iter(self._routers.values()))
        port, cable = f"ext{len(router.net.devices)}", None
        if found is not None:
            link, end = found
            router, cable = self._routers[end.machine], link.cable()
            port = end.device or f"ext{len(router.net.devices)}"
        wiring = self.wiring
        self._guard(name, net)
        inside, outside = wiring.pair((net, iface), (router.net, port), cable=cable)
        wiring.up(router.net, outside)
        wiring.up(net, inside)
        wiring.address(net, inside, Interface(address, _HOST))
        way = Nexthop(iface, router.addresses[0][1].address, onlink=True)
        with suppress(RouteError):  # it has one already
            wiring.route(net, Route(EVERYWHERE, nexthops=(way,)))
        back = Route(Prefix(address, _HOST), nexthops=(Nexthop(port),), scope=Scope.LINK)
        wiring.replace(router.net, back)  # of two with one address the last one
        self._tell(back.dst, {router.spec.name: None})
        return inside

    def free_address(self, segment: Prefix) -> IpAddress:
        """Return the highest address of a subnet that nobody has."""
        return free_in(segment, self._taken)

    # --- ways ---

    def announce(self, speaker: IpAddress, prefixes: Sequence[Prefix]) -> None:
        """Let the routers that learn send what is for `prefixes` toward `speaker`."""
        for prefix in self._announced.get(speaker, ()):
            if prefix not in prefixes:
                self._forget(prefix, speaker)
        self._announced[speaker] = tuple(prefixes)
        origins = {
            router.spec.name: Nexthop(device, speaker)
            for router in self._routers.values()
            if router.spec.learns and (device := router.device_in(speaker))
        }
        for prefix in prefixes:
            self._tell(prefix, origins)

    def _tell_networks(self) -> None:
        """Let routers hear of the subnets of all others."""
        owners: dict[Prefix, dict[str, None]] = {}
        for name, router in self._routers.items():
            for _, address in router.addresses:
                owners.setdefault(address.prefix, {})[name] = None
        for prefix, names in owners.items():
            self._tell(prefix, dict(names))

    def _tell(self, prefix: Prefix, origins: Mapping[str, Nexthop | None]) -> None:
        """Enter the way to a network everywhere; `origins` have it, by a next hop or without."""
        learners = frozenset(name for name in origins if self._routers[name].spec.learns)
        hops = {name: (hop,) for name, hop in origins.items() if hop is not None}
        for name, ways in (*hops.items(), *self._learning.toward(learners).items()):
            router = self._routers[name]
            fixed = {way.to for way in router.spec.routes} | {own.prefix for _, own in router.addresses}
            if prefix not in fixed and prefix not in set(own_prefixes(router.net)):
                route = Route(prefix, nexthops=ways)
                with suppress(RouteError):  # the way there leads through what came before
                    self.wiring.replace(router.net, route)
                    router.learned[prefix] = route

    def _forget(self, prefix: Prefix, speaker: IpAddress) -> None:
        """Take the way to a network out everywhere, unless somebody else has announced it since."""
        if any(prefix in others for other, others in self._announced.items() if other != speaker):
            return
        for router in self._routers.values():
            route = router.learned.pop(prefix, None)
            if route is not None:
                with suppress(RouteError):
                    self.wiring.withdraw(router.net, route)
