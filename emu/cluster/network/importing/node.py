# SPDX-License-Identifier: GPL-2.0-only
"""One node: which of its devices a document can have, and what is known around them."""

from __future__ import annotations

import enum
from functools import cached_property
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.network.importing.draft import invented_mac
from emu.wire.addresses import LIMITED_BROADCAST, ZERO_MAC, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.cluster.network.importing.dump import Address, Device, NodeDump, Route
    from emu.wire.addresses import IpAddress, MacAddress

_LIKE_A_CABLE: Final = frozenset({"bond", "team", "vlan"})
"""Frames on these look as on hardware, so a cable can stand in for them."""

_SUBNET: Final = 30  # bits of a prefix that has room for others, at most


class Role(enum.Enum):
    """What becomes of a device."""

    LOOPBACK = "lo"
    BRIDGE = "a bridge"
    VXLAN = "a VXLAN device"
    IPIP = "an IPIP device"
    POD = "a cable to a pod"
    NETWORK = "a cable to a network"
    NOWHERE = "a cable to nobody"
    GONE = "left out"


@attrs.define(slots=False)
class Node:
    """A node of the document under way.

    Attributes:
        ns: its namespace.
        dump: what was recorded.
        roles: what becomes of each device.
        running: the cables that will run from the start.
    """

    ns: str
    dump: NodeDump
    roles: dict[str, Role] = attrs.field(factory=dict)
    running: set[str] = attrs.field(factory=set)

    @cached_property
    def devices(self) -> Mapping[str, Device]:
        """All devices by name."""
        return {device.name: device for device in self.dump.devices}

    def with_role(self, *roles: Role) -> Iterator[Device]:
        """Yield the devices that become one of these."""
        return (device for device in self.dump.devices if self.roles[device.name] in roles)

    def is_kept(self, name: str) -> bool:
        """Return whether the document has this device."""
        return self.roles.get(name, Role.GONE) is not Role.GONE

    def mac(self, device: Device) -> MacAddress:
        """Return the address of a device, an invented one if none was recorded."""
        return device.mac or invented_mac(self.ns, device.name)

    def owner(self, device: Device) -> Device:
        """Return the device that has the addresses: its bridge, or itself."""
        bridge = self.devices.get(device.master)
        return bridge if bridge is not None and self.roles[bridge.name] is Role.BRIDGE else device

    def is_late(self, device: Device) -> bool:
        """Return whether a device is up and will not run: an action takes it up."""
        if not device.up or self.roles[device.name] in {Role.LOOPBACK, Role.VXLAN, Role.IPIP}:
            return False
        if self.roles[device.name] is Role.BRIDGE:
            return not self.has_running_port(device)
        return device.name not in self.running

    def has_running_port(self, bridge: Device) -> bool:
        """Return whether a port of a bridge runs from the start."""
        return any(self.devices[name].master == bridge.name for name in self.running)

    def neighbours_of(self, device: Device) -> dict[IpAddress, MacAddress]:
        """Return who answered on a device, by address."""
        return {
            entry.ip: entry.mac
            for entry in self.dump.neighbours
            if entry.device == device.name and entry.mac is not None and _is_a_host(entry.ip, entry.mac)
        }

    def learned_on(self, port: Device) -> list[MacAddress]:
        """Return the addresses that a bridge has behind one of its ports, but for the port's own."""
        own = {device.mac for device in self.dump.devices}
        return list(
            dict.fromkeys(
                entry.mac
                for entry in self.dump.fdb
                if entry.device == port.name
                and entry.master
                and entry.mac not in own
                and not entry.mac.is_group
                and entry.mac != ZERO_MAC
            )
        )

    def routes_by(self, device: Device) -> Iterator[Route]:
        """Yield the unicast routes that have a way by a device, outside of table local."""
        return iter(self._routes_by_device.get(device.name, ()))

    @cached_property
    def _routes_by_device(self) -> Mapping[str, list[Route]]:
        found: dict[str, list[Route]] = {}
        for route in self.dump.routes or ():
            if route.type == "unicast" and route.table != "local":
                for name in dict.fromkeys(hop.device for hop in route.hops):
                    found.setdefault(name, []).append(route)
        return found

    @cached_property
    def pod_prefixes(self) -> tuple[Prefix, ...]:
        """Where packets for its pods go: what is on the link of bridges and pods' cables that run."""
        found: dict[Prefix, None] = {}
        for device in self.with_role(Role.BRIDGE, Role.POD):
            if not device.carrier or any(self.owner(one) is device for one in self.with_role(Role.NETWORK)):
                continue
            prefixes = [one.interface.prefix for one in primary_addresses(device) if one.peer is None]
            on_link = [
                route.dst
                for route in self.routes_by(device)
                if all(hop.gateway is None for hop in route.hops) and route.table == "main"
            ]
            found |= dict.fromkeys(prefix for prefix in (*prefixes, *on_link) if prefix.length > 0)
        own = {
            Prefix(address.interface.address, 32)
            for device in self.dump.devices
            for address in device.addresses
        }
        return tuple(prefix for prefix in found if prefix not in own)


def _is_a_host(ip: IpAddress, mac: MacAddress) -> bool:
    """Return whether one host can have both addresses."""
    if mac.is_group or mac == ZERO_MAC:
        return False
    return not (ip.is_multicast or ip.is_unspecified or ip.is_loopback or ip == LIMITED_BROADCAST)


def primary_addresses(device: Device) -> Iterator[Address]:
    """Yield the addresses of a device that its subnets' routes come from."""
    return (address for address in device.addresses if not address.secondary)


def role_of(device: Device, node: Node) -> tuple[Role, str]:
    """Return what becomes of a device, and what has to be said about it, empty for nothing."""
    master = node.devices.get(device.master)
    if device.name == "lo":
        return Role.LOOPBACK, ""
    if master is not None and master.kind in _LIKE_A_CABLE:
        return Role.GONE, f"it is a part of {master.name}"
    if device.kind == "ipip":
        return Role.IPIP, ""
    if device.layer != "ether":
        return Role.GONE, f"its kind, {device.kind or device.layer}, is not modelled"
    if device.kind == "bridge":
        return Role.BRIDGE, ""
    if device.kind == "vxlan":
        return Role.VXLAN, ""
    if device.kind == "dummy":
        return Role.NOWHERE, ""
    if device.kind == "veth":
        return (Role.NETWORK if _leads_to_a_network(device, node) else Role.POD), ""
    if not device.kind or device.kind in _LIKE_A_CABLE:
        return Role.NETWORK, ""
    return Role.GONE, f"its kind, {device.kind}, is not modelled"


def _leads_to_a_network(device: Device, node: Node) -> bool:
    """Return whether a veth is a node's way out (a node may be a container itself), and not to a pod."""
    if device.master:
        return False
    subnet = any(one.peer is None and one.interface.length <= _SUBNET for one in device.addresses)
    return subnet or any(
        hop.gateway is not None and hop.device == device.name
        for route in node.routes_by(device)
        for hop in route.hops
    )
