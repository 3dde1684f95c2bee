# SPDX-License-Identifier: GPL-2.0-only
"""The hosts on a node's network that nobody recorded: gateways, other nodes, neighbours.

A host answers ARP for its addresses. One that routes lead to answers for what
is behind it, too: its main table says that all of that is itself. One that is
the far end of a VXLAN has the device, and answers for what is routed through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.network.importing.draft import invented_mac
from emu.cluster.network.importing.pods import DEVICE, EVERYWHERE
from emu.cluster.network.importing.wiring import LEAST_MTU, VXLAN_HEADERS, early_addresses, lower_of, mtu_of
from emu.cluster.network.model import EndSpec, FdbSpec, NeighbourSpec, RouteSpec, VxlanSpec
from emu.wire.addresses import ZERO_MAC, Interface, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.network.importing.draft import Draft
    from emu.cluster.network.importing.dump import Device
    from emu.cluster.network.importing.node import Node
    from emu.wire.addresses import IpAddress, MacAddress

_VTEP: Final = "vxlan{}"
"""What a far end calls its VXLAN device: by the number of the network."""


@attrs.define(eq=False)
class Host:
    """A host that stands in.

    Attributes:
        mac: its address, None if nobody knew it.
        addresses: those it has been seen with, or is routed to by.
        behind: what is routed to it.
    """

    mac: MacAddress | None
    addresses: list[IpAddress] = attrs.field(factory=list)
    behind: dict[Prefix, None] = attrs.field(factory=dict)

    @property
    def knows_pods(self) -> bool:
        """Whether it knows the ways back to pods: a node does, the way to the outside need not."""
        return bool(self.behind) and EVERYWHERE not in self.behind


class Member:
    """A device of a node on the network, and the device that has the addresses."""

    def __init__(self, node: Node, port: Device) -> None:
        self.node = node
        self.port = port
        self.owner = node.owner(port)

    @property
    def interfaces(self) -> list[Interface]:
        """Its addresses."""
        return [one.interface for one in self.owner.addresses if one.peer is None]

    @property
    def neighbours(self) -> dict[IpAddress, MacAddress]:
        """Who answered on this network."""
        known = self.node.neighbours_of(self.owner)
        if self.owner is self.port:
            return known
        behind = set(self.node.learned_on(self.port))
        return {ip: mac for ip, mac in known.items() if mac in behind}


class HostWriter:
    """Writes the hosts of one network."""

    def __init__(self, members: Iterable[Member], draft: Draft) -> None:
        self._members = tuple(members)
        self._draft = draft
        self._interfaces = [one for member in self._members for one in member.interfaces]
        self._mtu = min(mtu_of(member.port) for member in self._members)

    def find(self) -> list[Host]:
        """Return the hosts that the nodes know of, gateways first."""
        own = {one.address for one in self._interfaces}
        known: dict[IpAddress, MacAddress] = {}
        for member in self._members:
            known |= member.neighbours
        hosts: dict[IpAddress, Host] = {}
        by_mac: dict[MacAddress, Host] = {}

        def host(ip: IpAddress) -> Host:
            mac = known.get(ip)
            if ip not in hosts:
                hosts[ip] = Host(mac) if mac is None else by_mac.setdefault(mac, Host(mac))
                hosts[ip].addresses.append(ip)
            return hosts[ip]

        for member in self._members:
            for route in member.node.routes_by(member.owner):
                for hop in route.hops:
                    if hop.gateway is not None and hop.device == member.owner.name and hop.gateway not in own:
                        host(hop.gateway).behind[route.dst] = None
        for ip in (*self._far_ends(), *known):
            if ip not in own:
                host(ip)
        macs = {member.node.mac(member.owner) for member in self._members}
        return [one for one in dict.fromkeys(hosts.values()) if one.mac not in macs]

    def _far_ends(self) -> list[IpAddress]:
        """Return the far ends of VXLAN devices that are on this network."""
        found = []
        for member in self._members:
            for entry in member.node.dump.fdb:
                device = member.node.devices.get(entry.device)
                if entry.dst is None or device is None or not member.node.is_kept(device.name):
                    continue
                lower = lower_of(member.node, device)
                if lower is member.owner and any(entry.dst in one.prefix for one in self._interfaces):
                    found.append(entry.dst)
        return found

    def write(self, host: Host, ns: str) -> EndSpec:
        """Write what a host knows, and return its end of a cable."""
        subnets = {
            ip: next((one for one in self._interfaces if ip in one.prefix), None) for ip in host.addresses
        }
        addresses = [Interface(ip, subnet.length if subnet else 32) for ip, subnet in subnets.items()]
        mac = host.mac or invented_mac(ns, DEVICE)
        runs = any(member.port.name in member.node.running for member in self._members)
        if runs:
            add = _Routes(ns, self._draft)
            self._routes(host, addresses, add)
            self._vxlans(host, add)
        self._tell(host, ns, addresses)
        return EndSpec(ns, DEVICE, mac, tuple(addresses), self._mtu, up=runs)

    def _tell(self, host: Host, ns: str, addresses: Iterable[Interface]) -> None:
        words = [", ".join(map(str, addresses))]
        words += [] if host.mac else ["its MAC address is invented"]
        if host.behind:
            shown = ["everything else" if one == EVERYWHERE else str(one) for one in host.behind]
            words.append(f"answers for {', '.join(shown[:5])}{' and more' if shown[5:] else ''}")
        where = ", ".join(f"{member.node.ns}/{member.port.name}" for member in self._members)
        self._draft.invented.append(f"{ns}: a host on the network of {where} ({'; '.join(words)})")

    def _routes(self, host: Host, addresses: Iterable[Interface], add: _Routes) -> None:
        """Write the routes: to the nodes, to what it answers for, and to the pods if it knows them."""
        prefixes = [one.prefix for one in addresses]
        for one in self._interfaces:
            if not any(one.address in prefix for prefix in prefixes):
                add.once(Prefix(one.address, 32), DEVICE)
        for prefix in host.behind:
            if prefix not in prefixes:
                add.local(prefix)
        if not host.knows_pods:
            return
        for member in self._members:
            gateway = next((one.address for one in member.interfaces), None)
            for prefix in member.node.pod_prefixes:
                if gateway is not None and prefix not in prefixes:
                    add.once(prefix, DEVICE, gateway)

    def _vxlans(self, host: Host, add: _Routes) -> None:
        """Write the far ends of the nodes' VXLAN devices."""
        made: dict[tuple[int, int], VxlanSpec] = {}
        for member in self._members:
            for spec in [one for one in self._draft.vxlans if one.ns == member.node.ns]:
                macs = [one.mac for one in spec.fdb if one.dst in host.addresses and one.mac != ZERO_MAC]
                device = member.node.devices[spec.iface]
                has_room = self._mtu >= LEAST_MTU + VXLAN_HEADERS
                if (
                    not macs
                    or not has_room
                    or lower_of(member.node, device) is not member.owner
                    or not spec.up
                ):
                    continue
                first = next(one.dst for one in spec.fdb if one.mac == macs[0])
                overlay = [ip for ip, mac in member.node.neighbours_of(device).items() if mac in macs]
                length = next((one.length for one in spec.addresses), 32)
                key = (spec.vni, spec.dstport)
                far = made.get(key) or VxlanSpec(
                    add.ns,
                    _VTEP.format(spec.vni)[:15],
                    macs[0],
                    spec.vni,
                    first,
                    DEVICE,
                    spec.dstport,
                    tuple(Interface(ip, length) for ip in overlay),
                    mtu=max(min(mtu_of(device), self._mtu - VXLAN_HEADERS), LEAST_MTU),
                    udpcsum=spec.udpcsum,
                )
                made[key] = attrs.evolve(far, fdb=(*far.fdb, FdbSpec(spec.mac, spec.local)))
                self._way_back(member.node, device, spec, far.iface, add)
                for route in member.node.routes_by(device):
                    if any(hop.gateway in overlay for hop in route.hops):
                        add.local(route.dst)
        for far in made.values():
            self._draft.vxlans.append(far)

    def _way_back(self, node: Node, device: Device, spec: VxlanSpec, iface: str, add: _Routes) -> None:
        for one in early_addresses(device):
            self._draft.neighbours.append(NeighbourSpec(add.ns, iface, one.address, spec.mac))
            for prefix in node.pod_prefixes:
                add.once(prefix, iface, one.address, onlink=True)
            break


class _Routes:
    """Adds routes to a host, none twice."""

    def __init__(self, ns: str, draft: Draft) -> None:
        self.ns = ns
        self._draft = draft
        self._known: set[Prefix] = set()

    def _is_new(self, prefix: Prefix) -> bool:
        """Note that there is a route to `prefix`, and return whether there was none."""
        is_new = prefix not in self._known
        self._known.add(prefix)
        return is_new

    def once(self, prefix: Prefix, dev: str, via: IpAddress | None = None, *, onlink: bool = False) -> None:
        """Add a route by a device, unless there is one to `prefix`."""
        if self._is_new(prefix):
            scope: Final = "link" if via is None else "global"
            self._draft.routes.append(
                RouteSpec(self.ns, prefix, via=via, dev=dev, scope=scope, onlink=onlink)
            )

    def local(self, prefix: Prefix) -> None:
        """Let the host take what goes to `prefix` for its own, unless there is a route to it."""
        if self._is_new(prefix):
            self._draft.routes.append(RouteSpec(self.ns, prefix, "local", dev="lo", scope="host"))
