# SPDX-License-Identifier: GPL-2.0-only
"""Cables, switches and addresses: what every underlay is made of."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.veth import Veth
from emu.kernel.route import Insertion, RoutePattern
from emu.kube.cni.links import mac_of
from emu.kube.cni.rules import Tables
from emu.wire.addresses import MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.fabric.cable import Cable
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.route import Route
    from emu.wire.addresses import Interface, IpAddress, Prefix

MTU: Final = 1500
BRIDGE: Final = "br0"
"""The bridge that a switch is."""


@attrs.define(eq=False)
class Wiring:
    """Builds in a fabric. It keeps nothing but how many ports it has made.

    Args:
        fabric: where it builds.

    Attributes:
        reserved: ports, by namespace and name, that nobody gets who names none.
    """

    fabric: Fabric
    reserved: frozenset[tuple[str, str]] = attrs.field(default=frozenset(), init=False)
    _ports: int = attrs.field(default=0, init=False)

    # --- machines ---

    def switch(self, name: str) -> Namespace:
        """Make a switch: the namespace `name` with a learning bridge in it, which no netfilter sees."""
        net = self.fabric.add_namespace(name)
        net.sysctl.set("net.bridge.bridge-nf-call-iptables", 0)
        self.bridge(net, BRIDGE)
        return net

    def bridge(self, net: Namespace, name: str) -> None:
        """Make the bridge `name` in a machine, up and without ports."""
        bridge = net.add_device(name, Bridge(), mac_of(net.name, name), mtu=MTU)
        bridge_ports.start(bridge, mac_is_set=True)
        self.up(net, bridge)

    def router(self, name: str) -> Namespace:
        """Make a router: the namespace `name`, which forwards and has no device but the loopback yet."""
        net = self.host(name)
        net.sysctl.set("net.ipv4.ip_forward", 1)
        return net

    def host(self, name: str) -> Namespace:
        """Make the namespace `name`, its loopback up."""
        net = self.fabric.add_namespace(name)
        self.up(net, net.loopback)
        return net

    # --- cables ---

    def pair(
        self,
        a: tuple[Namespace, str],
        b: tuple[Namespace, str],
        mac: MacAddress | None = None,
        cable: Cable | None = None,
    ) -> tuple[Device, Device]:
        """Make two devices, each (namespace, name), and the cable between them; both are down.

        Args:
            a: the one end.
            b: the other end.
            mac: of the one end; both have addresses made of their names otherwise.
            cable: None for one that takes no time and loses nothing.
        """
        (net_a, name_a), (net_b, name_b) = a, b
        one = net_a.add_device(name_a, Veth(), mac or mac_of(net_a.name, name_a), mtu=MTU)
        other = net_b.add_device(name_b, Veth(), mac_of(net_b.name, name_b), mtu=MTU)
        one.peer_index, other.peer_index = other.index, one.index
        one.carrier = other.carrier = False
        self.fabric.connect((net_a, name_a), (net_b, name_b), cable)
        return one, other

    def plug(
        self,
        net: Namespace,
        iface: str,
        switch: Namespace,
        *,
        bridge: str = BRIDGE,
        port: str = "",
        mac: MacAddress | None = None,
        cable: Cable | None = None,
    ) -> Device:
        """Give `net` the device `iface` on a switch, up and without an address.

        Args:
            net: a machine.
            iface: of it.
            switch: whatever has the bridge.
            bridge: its name.
            port: what the other end is called; empty for the next `port1`, `port2`, ...
            mac: as of `pair`.
            cable: as of `pair`.
        """
        inside, outside = self.pair((net, iface), (switch, port or self.next_port(switch)), mac, cable)
        self.join(switch, outside, bridge)
        self.up(switch, outside)
        self.up(net, inside)
        return inside

    def next_port(self, net: Namespace) -> str:
        """Return a name for a port of `net` that no other has."""
        while True:
            self._ports += 1
            name = f"port{self._ports}"
            if name not in net.devices and (net.name, name) not in self.reserved:
                return name

    def join(self, net: Namespace, device: Device, bridge: str) -> None:
        """Make `device` a port of the bridge `bridge` beside it."""
        bridge_ports.attach(net.devices[bridge], device)

    # --- settings ---

    def up(self, net: Namespace, device: Device) -> None:
        """Do `ip link set up`."""
        self.fabric.call(net, partial(rtnetlink.set_up, device=device))

    def address(self, net: Namespace, device: Device, address: Interface) -> None:
        """Do `ip address add`."""
        self.fabric.call(net, partial(rtnetlink.add_address, device=device, interface=address))

    def mtu(self, net: Namespace, device: Device, mtu: int) -> None:
        """Do `ip link set mtu`."""
        if device.mtu != mtu:
            self.fabric.call(net, partial(rtnetlink.set_mtu, device=device, mtu=mtu))

    def masquerade(self, net: Namespace, iface: str) -> None:
        """Have a router give what leaves by `iface` its own address."""
        tables = Tables(self.fabric, net)
        tables.append("nat", "POSTROUTING", ("-o", iface, "-j", "MASQUERADE"))

    def route(self, net: Namespace, route: Route) -> None:
        """Do `ip route add`.

        Raises:
            RouteError: there is one already, or its way leads nowhere.
        """
        self.fabric.call(net, lambda it: it.fib.add(route))

    def replace(self, net: Namespace, route: Route) -> None:
        """Do `ip route replace`.

        Raises:
            RouteError: its way leads nowhere.
        """
        self.fabric.call(net, partial(_replace, route=route))

    def withdraw(self, net: Namespace, route: Route) -> None:
        """Do `ip route delete` of exactly this.

        Raises:
            RouteError: there is no such.
        """
        pattern = RoutePattern(route.dst, nexthops=route.nexthops)
        self.fabric.call(net, lambda it: it.fib.delete(pattern))


def own_prefixes(net: Namespace) -> Iterator[Prefix]:
    """Yield the subnets that a machine has an address in."""
    return (each.prefix for device in net.devices.values() for each in device.addresses)


def mac_of_address(address: IpAddress) -> MacAddress:
    """Return the MAC address that Docker makes of an address."""
    return MacAddress(b"\x02\x42" + address)


def _replace(net: Namespace, route: Route) -> None:
    net.fib.add(route, Insertion.REPLACE)
