# SPDX-License-Identifier: GPL-2.0-only
"""Pods behind the cables of a node: namespaces that stand in for them.

What a pod has for addresses its node knows: by its bridge's table and its
neighbours, or by the routes to a pod that has a cable of its own without a
bridge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network.importing.cables import end_of
from emu.cluster.network.importing.draft import invented_mac
from emu.cluster.network.importing.node import Role
from emu.cluster.network.importing.wiring import mtu_of
from emu.cluster.network.model import EndSpec, LinkSpec, NeighbourSpec, RouteSpec
from emu.wire.addresses import ANY_IP4, Interface, IpAddress, MacAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.network.importing.draft import Draft
    from emu.cluster.network.importing.dump import Device
    from emu.cluster.network.importing.node import Node

EVERYWHERE: Final = Prefix(ANY_IP4, 0)
DEVICE: Final = "eth0"
"""What the stand-ins call their end of the cable."""

_NEXT_HOP: Final = IpAddress.parse("169.254.1.1")
"""What pods without a bridge are told to send to where their node has no address on their cable."""


def write_pods(node: Node, ports: Iterable[Device], draft: Draft) -> None:
    """Write a stand-in for what is behind each of `ports`, the cables whose other ends nobody recorded."""
    _Pods(node, draft).write(ports)


class _Pods:
    def __init__(self, node: Node, draft: Draft) -> None:
        self._node = node
        self._draft = draft

    def write(self, ports: Iterable[Device]) -> None:
        node = self._node
        behind = self._behind_bridges()
        for port in ports:
            ns = self._draft.new_namespace(f"{node.ns}-{port.name}")
            bridge = node.owner(port)
            if node.roles[port.name] is Role.NOWHERE:
                self._cable(ns, port, None, ())
                self._draft.invented.append(
                    f"{ns}: the end of a cable, for {node.ns}/{port.name} is a {port.kind} device"
                )
            elif bridge is port:
                self._without_bridge(ns, port)
            else:
                self._on_bridge(ns, port, bridge, behind.get(port.name, {}))

    def _cable(self, ns: str, port: Device, mac: MacAddress | None, addresses: Iterable[Interface]) -> None:
        end = EndSpec(
            ns,
            DEVICE,
            mac or invented_mac(ns, DEVICE),
            tuple(addresses),
            mtu_of(port),
            up=port.name in self._node.running,
        )
        self._draft.links.append(LinkSpec(end_of(self._node, port), end))

    def _behind_bridges(self) -> dict[str, dict[IpAddress, MacAddress]]:
        """Return the neighbours on bridges by the port behind which they are.

        A bridge forgets in five minutes where a silent pod is, and its node's table
        of neighbours remembers the pod: such pods are given to ports that nobody is
        behind. A port with a MAC address behind it that nobody has asked for has
        that under 0.0.0.0.
        """
        node = self._node
        found: dict[str, dict[IpAddress, MacAddress]] = {}
        for bridge in node.with_role(Role.BRIDGE):
            ports = [port for port in node.dump.devices if node.owner(port) is bridge and port is not bridge]
            known = node.neighbours_of(bridge)
            learned = {port.name: node.learned_on(port) for port in ports}
            seen = {mac for macs in learned.values() for mac in macs}
            silent = list(
                dict.fromkeys(mac for mac in known.values() if mac not in seen and not mac.is_group)
            )
            for port in ports:
                macs = learned[port.name]
                if silent and not macs and node.roles[port.name] is Role.POD and port.name in node.running:
                    macs = [silent.pop(0)]
                    self._draft.invented.append(
                        f"{node.ns}/{port.name}: that {macs[0]} is behind it, for no port is known to have it"
                    )
                found[port.name] = {ip: mac for ip, mac in known.items() if mac in macs}
                if not found[port.name] and macs:
                    found[port.name] = {ANY_IP4: macs[0]}
        return found

    def _on_bridge(self, ns: str, port: Device, bridge: Device, behind: dict[IpAddress, MacAddress]) -> None:
        mac = next(iter(behind.values()), None)
        subnets = [one.interface for one in bridge.addresses if one.peer is None]
        addresses: list[Interface] = []
        for ip, owner in sorted(behind.items()):
            if owner == mac and not ip.is_unspecified:
                subnet = next((one for one in subnets if ip in one.prefix), None)
                addresses.append(Interface(ip, subnet.length if subnet else 32))
        self._cable(ns, port, mac, addresses)
        if addresses and subnets and port.name in self._node.running:
            gateway = subnets[0].address
            is_near = any(gateway in own.prefix for own in addresses)
            self._draft.routes.append(RouteSpec(ns, EVERYWHERE, via=gateway, dev=DEVICE, onlink=not is_near))
        self._tell(ns, port, mac, addresses)

    def _without_bridge(self, ns: str, port: Device) -> None:
        node = self._node
        neighbours = node.neighbours_of(port)
        mac = next((one for one in neighbours.values() if not one.is_group), None)
        found = [ip for ip, owner in neighbours.items() if owner == mac]
        found += [
            route.dst.address
            for route in node.routes_by(port)
            if route.dst.is_host and all(hop.gateway is None for hop in route.hops)
        ]
        own = {one.interface.address for one in port.addresses}
        addresses = [Interface(ip, 32) for ip in dict.fromkeys(found) if ip not in own]
        self._cable(ns, port, mac, addresses)
        if addresses and port.name in node.running:
            gateway = next((one.interface.address for one in port.addresses), _NEXT_HOP)
            self._draft.routes.append(RouteSpec(ns, EVERYWHERE, via=gateway, dev=DEVICE, onlink=True))
            self._draft.neighbours.append(NeighbourSpec(ns, DEVICE, gateway, node.mac(port)))
        self._tell(ns, port, mac, addresses)

    def _tell(self, ns: str, port: Device, mac: MacAddress | None, addresses: list[Interface]) -> None:
        known = ", ".join(map(str, addresses)) or "no address is known"
        invented = "" if mac else "; its MAC address is invented"
        self._draft.invented.append(f"{ns}: what is behind {self._node.ns}/{port.name} ({known}{invented})")
