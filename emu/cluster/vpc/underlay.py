# SPDX-License-Identifier: GPL-2.0-only
r"""A VPC as an underlay: a router that each interface has a cable to, and two gateways.

    node/worker-1 eth0 --- eni1 \
    node/worker-2 eth0 --- eni2 -- vpc/router -- igw --- vpc/internet-gateway --- router --- ext/laptop
      vpc/nat-gateway  --- eni3 /             \- dns --- vpc/resolver

There is no switch: even neighbours in a subnet talk through the router, which
answers ARP for everybody (`proxy_arp`) and gives back the TTL that forwarding
takes, so that nobody sees it. Each interface has a device of its own there, where
its rules stand (`rules`); each subnet a routing table of its own (`routes`).

Known differences from clouds: neighbours' MAC addresses are all the router's (with
AWS they are the neighbours' own); the gateways' translations follow connections.
See docs/adr/0021.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.commands import iptables_restore
from emu.cluster.underlay.base import EVERYWHERE, Underlay
from emu.cluster.underlay.wiring import mac_of_address
from emu.cluster.vpc import gateways, rules
from emu.cluster.vpc.layout import Addresses, Eni, resolver_of, router_of
from emu.cluster.vpc.names import INTERNET, INTERNET_GATEWAY, NAT_GATEWAY, RESOLVER, ROUTER
from emu.cluster.vpc.routes import Router
from emu.cluster.vpc.spec import SubnetSpec
from emu.kernel import rtnetlink
from emu.kernel.route import Nexthop, Route, RouteError, Scope
from emu.kube.cni.rules import Tables
from emu.kube.providers import NodeInterface
from emu.wire.addresses import Interface, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.cluster.vpc.layout import Devices
    from emu.cluster.vpc.spec import VpcSpec
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

_HOST: Final = 32
_NAT: Final = "nat"
_LINKS: Final = Prefix.parse("169.254.100.0/24")
"""Of the cables between router, gateway and internet, each a /30."""

_QUIET: Final = ("net.ipv4.conf.all.send_redirects", "net.ipv4.conf.default.send_redirects")


class VpcUnderlay(Underlay):
    """A VPC.

    Args:
        fabric: where it is built.
        spec: the VPC.
        nodes: who will be attached: the addresses of each node's devices.
        public: the public addresses of nodes.

    Attributes:
        spec: the VPC.
        router: what all interfaces hang on.
        internet: what hosts outside hang on.
        interfaces: those that hang on the router, in the order in which they came.
    """

    def __init__(
        self,
        fabric: Fabric,
        spec: VpcSpec,
        nodes: Mapping[str, Devices],
        public: Mapping[str, IpAddress],
    ) -> None:
        super().__init__(fabric)
        self.spec = spec
        self.interfaces: list[Eni] = []
        self._count = 0
        taken = (each.address for devices in nodes.values() for device in devices for each in device)
        self._addresses = Addresses({*taken, *(router_of(each.cidr) for each in spec.subnets)})
        self._gateways = {each.cidr: router_of(each.cidr) for each in spec.subnets}
        self._public = {nodes[name][0][0].address: address for name, address in public.items()}
        self._announced: dict[IpAddress, tuple[Prefix, ...]] = {}
        self.internet = self.wiring.router(INTERNET)
        self.router = self.wiring.router(ROUTER)
        for name in _QUIET:
            self.router.sysctl.set(name, 0)
        self._routes = Router(self.wiring, self.router, spec)
        if spec.internet_gateway:
            self._build_internet_gateway()
        if spec.nat_gateway is not None:
            self._build_nat_gateway()
        self._routes.enter()
        self._expected = [
            eni for name, devices in nodes.items() for eni in self._planned(name, f"node/{name}", devices)
        ]
        self._load()

    @property
    def gateways(self) -> Mapping[Prefix, IpAddress]:
        """The router's address in each subnet."""
        return self._gateways

    # --- gateways ---

    def _build_internet_gateway(self) -> None:
        """Make the internet gateway, its cables, and the ways through it."""
        wiring, base = self.wiring, int(_LINKS.address)
        net = wiring.router(INTERNET_GATEWAY)
        net.sysctl.set("net.netfilter.nf_conntrack_tcp_be_liberal", 1)
        ours, inside = wiring.pair((self.router, rules.INTERNET), (net, gateways.INSIDE))
        outside, theirs = wiring.pair((net, gateways.OUTSIDE), (self.internet, "vpc"))
        numbered = ((self.router, ours, 1), (net, inside, 2), (net, outside, 5), (self.internet, theirs, 6))
        for where, device, number in numbered:
            wiring.up(where, device)
            wiring.address(where, device, Interface(IpAddress.from_int(base + number), 30))
        self._gateway = net
        for cidr in self.spec.cidrs:
            self._lead_back(cidr)
        out = Nexthop(gateways.OUTSIDE, IpAddress.from_int(base + 6))
        wiring.route(net, Route(EVERYWHERE, nexthops=(out,)))
        self._routes.internet = Nexthop(rules.INTERNET, IpAddress.from_int(base + 2))

    def _build_nat_gateway(self) -> None:
        """Make the NAT gateway, in its subnet."""
        nat = self.spec.nat_gateway
        assert nat is not None
        public = [each for each in self.spec.subnets if each.public]
        subnet = next((each for each in public if each.name == nat.subnet), public[0])
        address = self._addresses.lowest(subnet.cidr)
        assert address is not None, "a subnet that was made for it has room"
        net = self.wiring.router(NAT_GATEWAY)
        for name in _QUIET:
            net.sysctl.set(name, 0)
        eni = Eni(_NAT, "", "eth0", subnet, address)
        self._plug(net, eni, Interface(address, subnet.cidr.length))
        self.router.sysctl.set(f"net.ipv4.conf.{_NAT}.accept_local", 1)  # its own errors come back translated
        self._default_route(net, subnet)
        self._restore(net, gateways.nat(nat, address))
        self._public[address] = nat.ip
        self._routes.nat = Nexthop(_NAT, address, onlink=True)

    # --- machines ---

    def attach(self, net: Namespace, devices: Sequence[tuple[Interface, ...]], *, name: str = "") -> None:
        """Give a machine its interfaces, each with a cable to the router, and its default route."""
        self.wiring.up(net, net.loopback)
        planned = [each for each in self._expected if each.owner == net.name]
        if not planned or planned[0] in self.interfaces or planned[0].address != devices[0][0].address:
            self._forget(net.name, devices[0][0].address)
            planned = self._planned(name, net.name, tuple(devices))
        for eni in planned:
            number = int(eni.iface.removeprefix("eth"))
            own = devices[number] if number < len(devices) else ()
            self._plug(net, eni, *own)
        self._default_route(net, planned[0].subnet)
        if any(eni not in self._expected for eni in planned):
            self._expected += planned
            self._load()

    def _forget(self, owner: str, address: IpAddress) -> None:
        """Forget the interfaces of a machine that is gone: another one has its name or its address."""
        for gone in [each for each in self.interfaces if each.owner == owner or each.address == address]:
            same = [each for each in self.interfaces if each.owner == gone.owner]
            self.interfaces = [each for each in self.interfaces if each not in same]
            self._expected = [each for each in self._expected if each.owner != gone.owner]
            for each in same:
                self._addresses.taken -= {each.address, *each.others}

    def _planned(self, name: str, owner: str, devices: Devices) -> list[Eni]:
        """Return the interfaces of a machine: one for each device, and those that are for pods alone."""
        groups = self.spec.groups_of(name) if name else None
        checked = self.spec.is_checked(name) if name else False
        pool = self.spec.pool if name else None
        found: list[Eni] = []
        for index in range(max(len(devices), 0 if pool is None else pool.interfaces)):
            own = [each.address for each in devices[index]] if index < len(devices) else []
            subnet = self._subnet_of(devices[index][0]) if own else found[0].subnet
            if not own:
                own = self._some(subnet, 1)
            if pool is not None:
                own += self._some(subnet, pool.addresses - len(own))
            self._addresses.taken.update(own)
            if own:
                self._count += 1
                eni = Eni(f"eni{self._count}", owner, f"eth{index}", subnet, own[0], tuple(own[1:]))
                found.append(attrs.evolve(eni, groups=groups, is_checked=checked))
        return found

    def _subnet_of(self, address: Interface) -> SubnetSpec:
        """Return the subnet of an address; a VPC that nobody described grows with the nodes that join."""
        found = self.spec.subnet_of(address.address)
        if found is not None:
            return found
        found = SubnetSpec(f"private-{len(self.spec.subnets)}", address.prefix)
        self.spec = attrs.evolve(
            self.spec, cidrs=(*self.spec.cidrs, found.cidr), subnets=(*self.spec.subnets, found)
        )
        self._gateways[found.cidr] = router_of(found.cidr)
        self._addresses.taken.add(router_of(found.cidr))
        self._routes.spec = self.spec
        self._routes.enter()
        if self.spec.internet_gateway:
            self._lead_back(found.cidr)
        return found

    def _lead_back(self, cidr: Prefix) -> None:
        """Let the internet gateway send to the router what is for the VPC."""
        back = Nexthop(gateways.INSIDE, IpAddress.from_int(int(_LINKS.address) + 1))
        self.wiring.route(self._gateway, Route(cidr, nexthops=(back,)))

    def _some(self, subnet: SubnetSpec, count: int) -> list[IpAddress]:
        """Return free addresses of a subnet, as many as there are of `count`."""
        free = (self._addresses.of_pods(subnet.cidr) for _ in range(count))
        return [each for each in free if each is not None]

    def _plug(self, net: Namespace, eni: Eni, *addresses: Interface) -> None:
        """Lay the cable of an interface, and let the router know who is there."""
        wiring = self.wiring
        inside, outside = wiring.pair((net, eni.iface), (self.router, eni.name), mac_of_address(eni.address))
        for where, device in ((net, inside), (self.router, outside)):
            self.fabric.call(where, partial(rtnetlink.set_mtu, device=device, mtu=self.spec.interface_mtu))
            wiring.up(where, device)
        for each in addresses:
            length = _HOST if self.spec.has_host_masks and eni.owner else each.length
            wiring.address(net, inside, Interface(each.address, length))
        self.router.sysctl.set(f"net.ipv4.conf.{eni.name}.proxy_arp", 1)
        self.router.sysctl.set(f"net.ipv4.neigh.{eni.name}.proxy_delay", 0)
        wiring.address(self.router, outside, Interface(router_of(eni.subnet.cidr), _HOST))
        self.interfaces.append(eni)
        self._routes.attach(eni)

    def _default_route(self, net: Namespace, subnet: SubnetSpec) -> None:
        gateway = router_of(subnet.cidr)
        if self.spec.has_host_masks and net.name != NAT_GATEWAY:
            near = Route(Prefix(gateway, _HOST), nexthops=(Nexthop("eth0"),), scope=Scope.LINK)
            self.wiring.route(net, near)
        self.wiring.route(net, Route(EVERYWHERE, nexthops=(Nexthop("eth0", gateway),)))

    def attach_outside(self, net: Namespace, address: IpAddress, *, iface: str = "eth0") -> Device:
        """Give a machine a cable to what stands for the internet."""
        wiring = self.wiring
        inside, outside = wiring.pair((net, iface), (self.internet, f"ext{len(self.internet.devices)}"))
        wiring.up(self.internet, outside)
        wiring.up(net, inside)
        wiring.address(net, inside, Interface(address, _HOST))
        self._leave(net, self.internet, outside, iface, IpAddress.from_int(int(_LINKS.address) + 6), address)
        return inside

    def _leave(  # noqa: PLR0917 - both ends of a cable
        self,
        net: Namespace,
        router: Namespace,
        port: Device,
        iface: str,
        gateway: IpAddress,
        address: IpAddress,
    ) -> None:
        """Give a machine that hangs on a router alone its default route, and the router the way back."""
        if not any(each.addresses for each in router.devices.values() if not each.is_loopback):
            self.wiring.address(router, port, Interface(gateway, _HOST))
        with suppress(RouteError):  # it has one already
            way = Nexthop(iface, gateway, onlink=True)
            self.wiring.route(net, Route(EVERYWHERE, nexthops=(way,)))
        back = Route(Prefix(address, _HOST), nexthops=(Nexthop(port.name),), scope=Scope.LINK)
        self.wiring.replace(router, back)

    def interfaces_of(self, net: Namespace) -> tuple[NodeInterface, ...]:
        """Return the interfaces of a machine; empty where pods do not get addresses by them."""
        if self.spec.pool is None:
            return ()
        own = (each for each in self.interfaces if each.owner == net.name)
        return tuple(
            NodeInterface(
                each.iface, each.address, each.subnet.cidr, router_of(each.subnet.cidr), each.others
            )
            for each in own
        )

    @property
    def ranges(self) -> tuple[Prefix, ...]:
        """The VPC's addresses."""
        return self.spec.cidrs

    @property
    def public(self) -> Mapping[IpAddress, IpAddress]:
        """The private address of each public one."""
        return {new: old for old, new in self._public.items()} if self.spec.internet_gateway else {}

    def attach_resolver(self) -> tuple[Namespace, IpAddress]:
        """Make the resolver, which is within the VPC, and return it and its address."""
        address = resolver_of(self.spec)
        net = self.wiring.host(RESOLVER)
        inside, port = self.wiring.pair((net, "eth0"), (self.router, rules.RESOLVER))
        self.wiring.up(self.router, port)
        self.wiring.up(net, inside)
        self.wiring.address(net, inside, Interface(address, _HOST))
        gateway = router_of(self.spec.subnets[0].cidr)
        self._leave(net, self.router, port, "eth0", gateway, address)
        return net, address

    def free_address(self, segment: Prefix) -> IpAddress:
        """Return the highest address of a subnet that nobody has.

        Raises:
            StopIteration: there is none.
        """
        found = self._addresses.highest(segment)
        if found is None:
            raise StopIteration(f"{segment} has no address left")
        return found

    # --- ways ---

    def announce(self, speaker: IpAddress, prefixes: Sequence[Prefix]) -> None:
        """Enter `prefixes` into the route tables, as a cloud's route controller does, or as alias ranges."""
        eni = next((each for each in self.interfaces if each.address == speaker), None)
        if eni is None or not self.spec.pod_routes:
            return
        before = self._announced.get(speaker, ())
        self._announced[speaker] = tuple(prefixes)
        self._routes.exchange(eni, before, prefixes)
        if self.spec.has_alias_ranges:
            place = self.interfaces.index(eni)
            self.interfaces[place] = new = attrs.evolve(eni, ranges=tuple(prefixes))
            self._expected = [new if each == eni else each for each in self._expected]
            self._allow(new, prefixes)

    def _allow(self, eni: Eni, ranges: Sequence[Prefix]) -> None:
        """Let an interface take and give packets of some ranges, where that is checked."""
        tables = Tables(self.fabric, self.router)
        for table, chain, side in (("raw", "SRC", "-s"), ("filter", "DST", "-d")):
            name = rules.chain_of(eni, chain)
            for each in ranges if tables.chain(table, name) is not None else ():
                tables.insert_unique(table, name, (side, str(each), "-j", "RETURN"))

    # --- rules ---

    def _load(self) -> None:
        """Have the rules of all interfaces in the kernels of router and gateway."""
        gates = [each for each in self.interfaces if not each.owner]
        named = {each.name for each in self._expected}
        rest = [each for each in self.interfaces if each.owner and each.name not in named]
        self._restore(self.router, rules.render(self.spec, [*gates, *self._expected, *rest]))
        if self.spec.internet_gateway:
            self._restore(self._gateway, gateways.internet(self._public))
            way = Nexthop("vpc", IpAddress.from_int(int(_LINKS.address) + 5))
            for public in self._public.values():
                self.wiring.replace(self.internet, Route(Prefix(public, _HOST), nexthops=(way,)))

    def _restore(self, net: Namespace, text: str) -> None:
        self.fabric.call(net, iptables_restore.prepare((), text=text))
