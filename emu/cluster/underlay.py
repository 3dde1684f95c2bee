# SPDX-License-Identifier: GPL-2.0-only
r"""What nodes hang on: a switch, a router behind it, and hosts outside.

        node-1 eth0 --+
        node-2 eth0 --+-- switch/underlay --- router --- ext/laptop
        node-3 eth0 --+                          \------ ext/resolver

The router has the ways to the pods' ranges through the nodes, as a network
with a routed pod network has them: a host outside can reach a pod by its
address. A node's second device hangs on a second switch, and so on.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.veth import Veth
from emu.kernel.route import Insertion, Nexthop, Route, RouteError, Scope
from emu.kube.cni.links import mac_of
from emu.wire.addresses import Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

MTU: Final = 1500
ROUTER: Final = "router"
EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")
NODE_NETWORK: Final = Prefix.parse("172.18.0.0/16")
"""Where nodes are that name no address, as in a network that Docker makes for kind."""

_HOST: Final = 32


@attrs.define(eq=False)
class Underlay:
    """The network between the nodes.

    Args:
        fabric: where it is built.
        segments: the subnets of the nodes' first devices.
        taken: addresses of nodes, which no gateway may have.

    Attributes:
        gateways: the router's address in each segment.
    """

    fabric: Fabric
    segments: Sequence[Prefix]
    taken: frozenset[IpAddress]
    gateways: dict[Prefix, IpAddress] = attrs.field(factory=dict, init=False)
    _switches: dict[int, tuple[Namespace, Device]] = attrs.field(factory=dict, init=False)
    _ports: int = attrs.field(default=0, init=False)
    router: Namespace = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.router = self.fabric.add_namespace(ROUTER)
        self._up(self.router, self.router.loopback)
        self.router.sysctl.set("net.ipv4.ip_forward", 1)
        device = self.plug(self.router, 0)
        for segment in self.segments:
            gateway = _free(segment, self.taken)
            self.gateways[segment] = gateway
            self._address(self.router, device, Interface(gateway, segment.length))

    # --- nodes ---

    def add_node(self, net: Namespace, devices: Sequence[tuple[Interface, ...]]) -> None:
        """Give a node its devices `eth0`, `eth1`, ... with their addresses, and its default route."""
        self._up(net, net.loopback)
        for number, addresses in enumerate(devices):
            mac = _mac_of_address(addresses[0].address) if number == 0 else None
            device = self.plug(net, number, mac)
            for address in addresses:
                self._address(net, device, address)
        gateway = self.gateways[devices[0][0].prefix]
        self._route(net, Route(EVERYWHERE, nexthops=(Nexthop("eth0", gateway),)))

    def plug(self, net: Namespace, number: int, mac: MacAddress | None = None) -> Device:
        """Give `net` the device `eth<number>` on switch `number`, up and without an address."""
        switch, bridge = self._switch(number)
        self._ports += 1
        name = f"port{self._ports}"
        inside, port = self._pair((net, f"eth{number}"), (switch, name), mac)
        bridge_ports.attach(bridge, port)
        self._up(switch, port)
        self._up(net, inside)
        return inside

    def _switch(self, number: int) -> tuple[Namespace, Device]:
        found = self._switches.get(number)
        if found is None:
            name = "switch/underlay" if number == 0 else f"switch/underlay-{number + 1}"
            net = self.fabric.add_namespace(name)
            net.sysctl.set("net.bridge.bridge-nf-call-iptables", 0)
            bridge = net.add_device("br0", Bridge(), mac_of(name, "br0"), mtu=MTU)
            bridge_ports.start(bridge, mac_is_set=True)
            self._up(net, bridge)
            found = self._switches[number] = net, bridge
        return found

    def cut(self, net: Namespace) -> None:
        """Take down the switches' ends of all cables of `net`."""
        for switch, port in self._ports_of(net):
            self.fabric.call(switch, partial(rtnetlink.set_down, device=port))

    def mend(self, net: Namespace) -> None:
        """Bring the switches' ends of all cables of `net` up again."""
        for switch, port in self._ports_of(net):
            self.fabric.call(switch, partial(rtnetlink.set_up, device=port))

    def _ports_of(self, net: Namespace) -> Iterable[tuple[Namespace, Device]]:
        for name in net.devices:
            end = self.fabric.far_end(net, name)
            if end is not None and end[0].name.startswith("switch/"):
                yield end[0], end[0].device(end[1])

    # --- what is outside ---

    def add_external(self, name: str, address: IpAddress) -> Namespace:
        """Make a host behind the router with one address."""
        net = self.fabric.add_namespace(f"ext/{name}")
        self._up(net, net.loopback)
        inside, outside = self._pair((net, "eth0"), (self.router, f"ext{len(self.router.devices)}"), None)
        self._up(self.router, outside)
        self._up(net, inside)
        self._address(net, inside, Interface(address, _HOST))
        gateway = next(iter(self.gateways.values()))
        way = Nexthop("eth0", gateway, onlink=True)
        self._route(net, Route(EVERYWHERE, nexthops=(way,)))
        back = Route(Prefix(address, _HOST), nexthops=(Nexthop(outside.name),), scope=Scope.LINK)
        self.fabric.call(self.router, partial(_replace, route=back))  # of two with one address the last one
        return net

    def route_pods(self, ways: Iterable[tuple[Prefix, IpAddress]]) -> None:
        """Let the router send what is for pods to their nodes: pairs of pod CIDR and InternalIP.

        It stays on its own networks where those overlap with the pods'.
        """
        own = {each.prefix for device in self.router.devices.values() for each in device.addresses}
        for prefix, gateway in ways:
            if prefix in own:
                continue
            route = Route(prefix, nexthops=(Nexthop("eth0", gateway),))
            with suppress(RouteError):  # the way to the gateway leads through what came before
                self.fabric.call(self.router, partial(_replace, route=route))

    # --- parts ---

    def _pair(
        self, a: tuple[Namespace, str], b: tuple[Namespace, str], mac: MacAddress | None
    ) -> tuple[Device, Device]:
        (net_a, name_a), (net_b, name_b) = a, b
        one = net_a.add_device(name_a, Veth(), mac or mac_of(net_a.name, name_a), mtu=MTU)
        other = net_b.add_device(name_b, Veth(), mac_of(net_b.name, name_b), mtu=MTU)
        one.peer_index, other.peer_index = other.index, one.index
        one.carrier = other.carrier = False
        self.fabric.connect((net_a, name_a), (net_b, name_b))
        return one, other

    def _up(self, net: Namespace, device: Device) -> None:
        self.fabric.call(net, partial(rtnetlink.set_up, device=device))

    def _address(self, net: Namespace, device: Device, address: Interface) -> None:
        self.fabric.call(net, partial(rtnetlink.add_address, device=device, interface=address))

    def _route(self, net: Namespace, route: Route) -> None:
        self.fabric.call(net, lambda it: it.fib.add(route))


def common_segment(addresses: Iterable[IpAddress]) -> Prefix:
    """Return the subnet of addresses that came without one: Docker's, or the longest usual one that fits."""
    given = list(addresses)
    if all(address in NODE_NETWORK for address in given):
        return NODE_NETWORK
    numbers = [int(address) for address in given]
    for length in (24, 20, 16, 12, 8):
        if len({number >> (32 - length) for number in numbers}) == 1:
            return Prefix.of(given[0], length)
    return Prefix.of(given[0], 1)


def hosts(segment: Prefix) -> Iterable[IpAddress]:
    """Yield the addresses of a subnet that hosts may have, upwards from the second one."""
    network = ipaddress.ip_network(str(segment))
    for number in range(int(segment.address) + 2, int(segment.address) + network.num_addresses - 1):
        yield IpAddress.from_int(number)


def _free(segment: Prefix, taken: frozenset[IpAddress]) -> IpAddress:
    """Return the router's address: the first one of the subnet, or the highest that is free."""
    first = int(segment.address) + 1
    last = int(segment.address) + (1 << (32 - segment.length)) - 2
    for number in (first, *range(last, first, -1)):
        address = IpAddress.from_int(number)
        if address not in taken:
            return address
    return IpAddress.from_int(first)


def _mac_of_address(address: IpAddress) -> MacAddress:
    """Return what Docker makes of an address."""
    return MacAddress(b"\x02\x42" + address)


def _replace(net: Namespace, route: Route) -> None:
    net.fib.add(route, Insertion.REPLACE)
