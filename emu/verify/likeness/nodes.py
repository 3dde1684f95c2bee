# SPDX-License-Identifier: GPL-2.0-only
"""What a node is like: for everybody, for one of its own pods, for another's pod, for another node.

Entries of neighbour and forwarding tables do not count as long as they are right:
they decide who has to ask for a MAC address first, and not what comes of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.link.bridge import Bridge
from emu.kernel.link.ipip import Ipip
from emu.kernel.link.vxlan import Vxlan
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.nud import Nud
from emu.sim.time import START
from emu.verify.likeness import ipvs, nft, ways
from emu.verify.likeness import plan as plans
from emu.verify.likeness.conditions import Place
from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.packets import Tunnel, sorts
from emu.verify.likeness.reach import marks, reach
from emu.verify.likeness.rules import Meaning, Reader
from emu.verify.likeness.settings import cable
from emu.verify.likeness.ways import way
from emu.wire.ipv4 import IPIP, UDP

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.verify.likeness.packets import Ports
    from emu.verify.likeness.plan import Home, Plan
    from emu.verify.likeness.sets import Sets
    from emu.verify.likeness.settings import Settings
    from emu.wire.addresses import IpAddress

_UNRESOLVED: Final = frozenset((Nud.NONE, Nud.INCOMPLETE, Nud.FAILED))
_FIXED: Final = frozenset((Nud.PERMANENT, Nud.NOARP))
_ROOM: Final = 64  # entries that the packets of one question never need
_ANY: Final = 0  # a tunnel that has no address of its own takes any
_ITS: Final = "the pod's"


@attrs.frozen
class Asked:
    """What is asked.

    Attributes:
        protocol: of IP.
        ports: the ports; none for ICMP.
        own: the ports that whoever asks may have himself.
    """

    protocol: int
    ports: Ports
    own: Ports


class Node:
    """A node, read.

    Attributes:
        net: its namespace.
        text: what it is like for everybody, as a value that can be compared.
        meaning: what its rules come to.
        addresses: its own, those of 127.0.0.0/8 left out.

    Raises:
        Doubt: there is something that is not understood.
    """

    def __init__(self, net: Namespace, plan: Plan, asked: Asked, sets: Sets, settings: Settings) -> None:
        self.net = net
        self._plan = plan
        self._settings = settings
        self._ports = {home.port.name: home for home in plan.homes.values() if home.node is net}
        self._led = frozenset(name for name, end in self._ends() if self._is_pod(end))
        self.addresses = tuple(dict.fromkeys(plans.addresses_of(net)))
        self._check_neighbourhood()
        ways.check(net)
        self.meaning = self._rules(asked, sets)
        self.text = self._text()

    # --- what is plugged in ---

    def _ends(self) -> Iterator[tuple[str, tuple[Namespace, str]]]:
        for name in self.net.devices:
            end = self._plan.fabric.far_end(self.net, name)
            if end is not None:
                yield name, end

    def _is_pod(self, end: tuple[Namespace, str]) -> bool:
        net, device = end
        return net.name not in self._plan.nodes and net.devices[device].port is None

    def _check_neighbourhood(self) -> None:
        """Check that nobody who hears this node's frames takes what is for others.

        Raises:
            Doubt: somebody may.
        """
        if plans.answers_for_others(self.net, self._led):
            raise Doubt(f"{self.net.name} answers for others")
        for net in (self.net, *(net for _, (net, _) in self._ends())):
            if net.name in self._plan.shared:
                raise Doubt(f"{net.name} has an address that somebody else has, too")
            if net.name not in self._plan.nodes and plans.answers_for_others(net, frozenset()):
                raise Doubt(f"{net.name} answers for others")
        known = self.net.used_neighbours
        if known is not None and len(known) + _ROOM > known.thresholds.force:
            raise Doubt("the neighbour table is nearly full")

    # --- rules ---

    def _rules(self, asked: Asked, sets: Sets) -> Meaning:
        netfilter = self.net.used_netfilter
        if netfilter is None:
            return Meaning()
        limit = self.net.sysctl.number("net.netfilter.nf_conntrack_max")
        if limit and netfilter.conntrack.count + _ROOM > limit:
            raise Doubt("the connection table is nearly full")
        universe = self._plan.universe
        place = Place(self.net, universe, sets, self._led, {})
        own = asked.protocol, asked.ports, asked.own
        packets = list(sorts(universe, self.net.name, own, tunnels(self._plan)))
        ipvs.check(self.net, universe, packets)
        tables = [table.table for _, table in sorted(netfilter.tables.items())]
        reader = Reader(self.net.name, universe, universe.places)
        reached = reach(tables, packets, place)
        meaning = reader.read(reached)
        text, edges = nft.read(netfilter.nft, packets, place, marks(reached))
        meaning.general.append(tuple(text))
        meaning.edges |= edges
        meaning.asks |= universe.take()
        meaning.general.append((netfilter.tracks, netfilter.is_legacy))
        self._pair_connections(meaning)
        return meaning

    def _pair_connections(self, meaning: Meaning) -> None:
        """Have pods that are known to talk to each other be told apart: their ports may be the same."""
        netfilter, number = self.net.used_netfilter, self._plan.universe.number
        assert netfilter is not None
        for connection in netfilter.conntrack.entries(self._plan.fabric.loop.now):
            for each in connection.tuples:
                ends = [number(int.from_bytes(address, "big")) for address in (each.src, each.dst)]
                if None not in ends:
                    meaning.pairs.add(frozenset(end for end in ends if end is not None))

    # --- for everybody ---

    def _text(self) -> Hashable:
        devices = [
            (
                device.name,
                self._settings.of_device(self.net, device),
                self._addresses(device),
                self._uplink(device),
            )
            for device in self.net.devices.values()
            if device.name not in self._led and not device.is_loopback
        ]
        return self._settings.of_namespace(self.net), tuple(devices), tuple(self.meaning.general)

    def _addresses(self, device: Device) -> Hashable:
        return tuple(
            [
                (self._call(each.address), each.prefix.length, each.scope, each.secondary)
                for each in device.addresses
            ]
        )

    def _uplink(self, device: Device) -> Hashable:
        """Return what counts for the other end of a cable that leads to no pod."""
        end = self._plan.fabric.far_end(self.net, device.name)
        if end is None:
            return None
        net, name = end
        return self._settings.of_device(net, net.devices[name]), cable(
            self._plan.fabric.cable(self.net, device.name)
        )

    # --- names ---

    def _call(self, address: IpAddress) -> Hashable:
        """Return what one of the node's own addresses is called, and another one by itself."""
        own = self.addresses
        return ("node", own.index(address)) if address in own else str(address)

    def caller(self, peer: Node) -> Callable[[IpAddress], Hashable]:
        """Return who knows what addresses of `peer` and of this node are called."""
        others = peer.addresses

        def call(address: IpAddress) -> Hashable:
            return ("peer", others.index(address)) if address in others else self._call(address)

        return call

    # --- for one of its own pods ---

    def of_own(self, home: Home) -> Hashable:
        """Return what the node is to one of its own pods.

        Raises:
            Doubt: it knows it for another, or not at all.
        """
        port = home.port
        bridge = None if port.port is None else port.port.bridge.name
        found = way(self.net, home.address, self._call, {port.name: _ITS})
        if found is None or found.gateway is not None or found.device not in {port.name, bridge}:
            raise Doubt("its node sends what is for it elsewhere")
        self._check_neighbour(found.device, home)
        link = None if port.port is None else port.port.link
        if isinstance(link, Bridge):
            entry = link.fdb.lookup(bytes(home.device.mac), START)
            if entry is not None and entry.port is not port.port:
                raise Doubt("its node takes it to be elsewhere")
        return (
            found.text,
            self._settings.of_device(self.net, port),
            self._addresses(port),
            cable(self._plan.fabric.cable(self.net, port.name)),
        )

    def _check_neighbour(self, device: str, home: Home) -> None:
        known = self.net.used_neighbours
        entry = None if known is None else known.get(device, home.address)
        if entry is not None and (entry.state in _UNRESOLVED | _FIXED or entry.mac != home.device.mac):
            raise Doubt("its node does not find it")

    # --- for pods and nodes elsewhere ---

    def to_pod(self, home: Home, peer: Node) -> Hashable:
        """Return the way to a pod of another node.

        Raises:
            Doubt: it does not lead to that node.
        """
        found = way(self.net, home.address, self.caller(peer), {})
        if found is None:
            return None
        if found.gateway is None or found.gateway not in peer.addresses:
            raise Doubt(f"the way from {self.net.name} to {peer.net.name} leads elsewhere")
        return found.text

    def to_node(self, peer: Node) -> Hashable:
        """Return the ways to another node.

        Raises:
            Doubt: something on them is not understood.
        """
        call = self.caller(peer)
        addresses = peer.addresses
        found = [way(self.net, address, call, {}) for address in addresses]
        neighbours = [self._neighbour(address, peer) for address in addresses]
        if any(each is not None and each.gateway not in (None, *addresses) for each in found):
            raise Doubt(f"the way from {self.net.name} to {peer.net.name} leads elsewhere")
        told = tuple([None if each is None else each.text for each in found])
        ends = tuple(self._ends_of_tunnels(call))
        remotes = tuple(self._remotes(peer, call))
        return told, tuple(neighbours), remotes, ends, self._is_tunnelled(peer), tuple(self._switches(peer))

    def _ends_of_tunnels(self, call: Callable[[IpAddress], Hashable]) -> Iterator[Hashable]:
        for device in self.net.devices.values():
            if isinstance(device.link, Ipip):
                yield device.name, call(device.link.local), call(device.link.remote)

    def _is_tunnelled(self, peer: Node) -> bool:
        """Return whether there is a connection of IPIP with a node: it has no ports to tell two apart by."""
        netfilter = self.net.used_netfilter
        if netfilter is None:
            return False
        ends = {bytes(each) for each in peer.addresses}
        return any(
            connection.protocol == IPIP and {connection.original.src, connection.original.dst} & ends
            for connection in netfilter.conntrack.entries(self._plan.fabric.loop.now)
        )

    def _neighbour(self, address: IpAddress, peer: Node) -> Hashable:
        """Return what is said for good about who has an address of a node."""
        fixed: list[Hashable] = []
        for entry in self.net.used_neighbours or ():
            if entry.ip != address:
                continue
            device = _device_of(peer.net, bytes(entry.mac))
            if entry.state in _UNRESOLVED or device is None:
                raise Doubt(f"{self.net.name} does not find {peer.net.name}")
            if entry.state in _FIXED:
                fixed.append((entry.device, device))
        return tuple(sorted(fixed, key=repr))

    def _remotes(self, peer: Node, call: Callable[[IpAddress], Hashable]) -> Iterator[Hashable]:
        """Yield where tunnels send what is for a node; of everybody else they must not know."""
        for device in self.net.devices.values():
            if not isinstance(device.link, Vxlan):
                continue
            for entry in device.link.fdb.entries(START):
                net = self._plan.macs.get(bytes(entry.mac))
                if net not in self._plan.nodes:
                    raise Doubt(f"{device.name} knows of somebody who is no node")
                if net == peer.net.name:
                    remotes = tuple([(call(each.dst), *each[1:]) for each in entry.remotes])
                    if any(each.dst not in peer.addresses for each in entry.remotes):
                        raise Doubt(f"{device.name} sends elsewhere what is for {peer.net.name}")
                    yield device.name, _device_of(peer.net, bytes(entry.mac)), remotes, entry.state

    def _switches(self, peer: Node) -> Iterator[Hashable]:
        """Yield which devices of two nodes are on one switch."""
        mine, theirs = dict(self._uplinks()), dict(peer._uplinks())
        if mine.keys() != theirs.keys():
            raise Doubt(f"{self.net.name} and {peer.net.name} are plugged in differently")
        for name, switch in mine.items():
            if switch is not theirs[name]:
                raise Doubt(f"{self.net.name} and {peer.net.name} are on different switches")
            if switch.name not in self._plan.switches:
                _check_switch(switch, self._plan)
                self._plan.switches.add(switch.name)
            yield name

    def _uplinks(self) -> Iterator[tuple[str, Namespace]]:
        return ((name, net) for name, (net, _) in self._ends() if name not in self._led)


def tunnels(plan: Plan) -> list[Tunnel]:
    """Return what goes between nodes around the packets of others."""
    found: dict[int, set[int]] = {}
    outer: list[Tunnel] = []
    universe = plan.universe
    for net in plan.nodes.values():
        for device in net.devices.values():
            link = device.link
            if isinstance(link, Vxlan):
                ends = [each.dst for entry in link.fdb.entries(START) for each in entry.remotes]
                found.setdefault(link.dstport, set()).update(map(int, (link.local, *ends)))
            elif isinstance(link, Ipip) and not outer:
                around = _ends_of_ipip(plan)
                outer.append(Tunnel(IPIP, None, universe.who(around.__contains__)))
    return outer + [
        Tunnel(UDP, port, universe.machines if _ANY in ends else universe.who(ends.__contains__))
        for port, ends in sorted(found.items())
    ]


def _ends_of_ipip(plan: Plan) -> set[int]:
    """Return between which addresses nodes send packets around others: next hops, and who asks for them."""
    found: set[int] = set()
    for net in plan.nodes.values():
        tunnels = {name: device.link for name, device in net.devices.items() if isinstance(device.link, Ipip)}
        ends = {int(end) for link in tunnels.values() for end in (link.local, link.remote)}
        for route in net.fib.routes() if tunnels else ():
            ends |= {int(hop.gateway) for hop in route.nexthops if hop.device in tunnels and hop.gateway}
        lower = {ways.device_to(net, end) for end in ends - {_ANY}}
        found |= ends
        found |= {
            int(own.address) for name in lower & net.devices.keys() for own in net.devices[name].addresses
        }
    return found


def _device_of(net: Namespace, mac: bytes) -> str | None:
    """Return the device that has a MAC address; of several the first."""
    return next((device.name for device in net.devices.values() if device.mac == mac), None)


def _check_switch(net: Namespace, plan: Plan) -> None:
    """Check that a namespace is a switch and no more.

    Raises:
        Doubt: it is more, or not right about who is where.
    """
    netfilter = net.used_netfilter
    if netfilter is not None and (
        netfilter.nft.tables or netfilter.ipvs.is_enabled or not all(map(netfilter.is_empty, Hook))
    ):
        raise Doubt(f"{net.name} has rules")
    if net.unseen or any(plans.addresses_of(net)) or plans.answers_for_others(net, frozenset()):
        raise Doubt(f"{net.name} is more than a switch")
    for device in net.devices.values():
        if isinstance(device.link, Bridge):
            _check_fdb(net, device.link, plan)
        elif device.port is None and not device.is_loopback:
            raise Doubt(f"{net.name} is more than a switch")
        end = plan.fabric.far_end(net, device.name)
        if end is None or end[0].name in plan.nodes:
            continue
        if plans.answers_for_others(end[0], frozenset()) or end[0].name in plan.shared:
            raise Doubt(f"{end[0].name} answers for others")


def _check_fdb(net: Namespace, bridge: Bridge, plan: Plan) -> None:
    for entry in bridge.fdb.entries(START):
        if entry.is_local or entry.port is None:
            continue
        end = plan.fabric.far_end(net, entry.port.name)
        if entry.by_user or end is None or plan.macs.get(bytes(entry.mac)) != end[0].name:
            raise Doubt(f"{net.name} is wrong about who is where")
