# SPDX-License-Identifier: GPL-2.0-only
"""Cables, bridges, VXLAN devices and fixed neighbours, as the tables of the format say them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.network.actions import CapturePoint
from emu.cluster.network.exporting.addresses import plain_addresses
from emu.cluster.network.model import (
    BridgeSpec,
    EndSpec,
    FdbSpec,
    IpipSpec,
    LinkSpec,
    NeighbourSpec,
    PortSpec,
    VxlanSpec,
)
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.device import ETHERNET_MTU
from emu.kernel.link.fdb import DEFAULT_AGEING, FdbState
from emu.kernel.link.ipip import Ipip
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import HEADROOM, Df, Vxlan
from emu.kernel.nud import Nud
from emu.wire.addresses import ANY_IP4
from emu.wire.ipv4 import MIN_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.cluster.network.importing.draft import Draft
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.link.vxlan_fdb import Remote, RemoteEntry
    from emu.kernel.namespace import Namespace
    from emu.kernel.neighbour import Neighbour
    from emu.kernel.skb import Skb
    from emu.sim.time import Instant

FIXED: Final[Mapping[Nud, str]] = {Nud.PERMANENT: "permanent", Nud.NOARP: "noarp"}
"""The states of neighbour entries that nobody learned, and how the format calls them."""


def is_plain_remote(entry: RemoteEntry, remote: Remote) -> bool:
    """Return whether the format's own list has such an entry of a VXLAN device."""
    return entry.state is FdbState.PERMANENT and not any(remote[1:])


def fixed_neighbours(net: Namespace) -> Iterator[Neighbour[Skb]]:
    """Yield the entries that somebody entered; those of the loopback are the kernel's."""
    return (entry for entry in net.neighbours if entry.state in FIXED and entry.device != "lo")


@attrs.define(eq=False)
class DeviceWriter:
    """Writes the devices of all namespaces.

    Attributes:
        fabric: the network that is exported.
        names: what its namespaces are called in the document.
        draft: where it is written.
    """

    fabric: Fabric
    names: Mapping[str, str]
    draft: Draft
    _ends: dict[tuple[str, str], EndSpec] = attrs.field(factory=dict, init=False)
    _begins_up: dict[tuple[str, str], bool] = attrs.field(factory=dict, init=False)

    @property
    def _now(self) -> Instant:
        return self.fabric.loop.now

    def write(self) -> None:
        """Write all devices, what is entered with them, and a capture for each."""
        devices = [
            (net, device)
            for net in self.fabric.namespaces.values()
            for device in net.devices.values()
            if not device.is_loopback
        ]
        for net, device in devices:
            if isinstance(device.link, Veth):
                self._link(net, device)
        for net, device in devices:
            if isinstance(device.link, Bridge) and device.link.kind == Bridge.kind:
                self._bridge(net, device, device.link)
        for net, device in devices:
            match device.link:
                case Vxlan():
                    self._vxlan(net, device, device.link)
                case Ipip():
                    self._ipip(net, device, device.link)
                case Veth():
                    pass
                case Bridge() as link if link.kind == Bridge.kind:
                    pass
                case _:
                    self._leave_out(net, device, f"a device of the kind {device.link.kind}")
        for net in self.fabric.namespaces.values():
            self._tell_faults(net)
            self._neighbours(net)
        self._captures()

    def _tell_faults(self, net: Namespace) -> None:
        """Say which filters and bad network cards are not in the document."""
        self.draft.left_out += [f"{self.names[net.name]}: {each.words}" for each in net.guards]
        for device in net.devices.values():
            if device.spoils_tunnels:
                self._leave_out(net, device, "that it spoils checksums inside of tunnels")

    def _leave_out(self, net: Namespace, device: Device, why: str) -> None:
        self.draft.left_out.append(f"{self.names[net.name]}/{device.name}: {why}")

    # --- cables ---

    def _link(self, net: Namespace, device: Device) -> None:
        """Write a cable when its first end is met."""
        if (self.names[net.name], device.name) in self._ends:
            return
        far = self.fabric.far_end(net, device.name)
        if far is None:
            self._leave_out(net, device, "a veth device whose other end is gone")
            return
        if self.fabric.cable(net, device.name) is not None:
            self._leave_out(net, device, "bandwidth, latency, MTU and faults of its cable")
        other, name = far
        up = device.up or other.devices[name].up  # what is down alone is taken down by a command
        ends = self._end(net, device, up=up), self._end(other, other.devices[name], up=up)
        self.draft.links.append(LinkSpec(*ends))

    def _end(self, net: Namespace, device: Device, *, up: bool) -> EndSpec:
        ns = self.names[net.name]
        mtu = _first_mtu(net, device)
        end = EndSpec(ns, device.name, device.mac, plain_addresses(device), mtu=mtu, up=up)
        self._ends[ns, device.name] = end
        self._begins_up[ns, device.name] = up
        return end

    # --- bridges ---

    def _bridge(self, net: Namespace, device: Device, link: Bridge) -> None:
        ns = self.names[net.name]
        ports = [port for port in reversed(link.ports) if (ns, port.name) in self._ends]  # the oldest first
        ends = [self._ends[ns, port.name] for port in ports]
        mtu, least = _first_mtu(net, device), min((end.mtu for end in ends), default=ETHERNET_MTU)
        if link.group_fwd_mask:
            self._leave_out(net, device, f"group_fwd_mask {link.group_fwd_mask:#x}")
        self._begins_up[ns, device.name] = up = device.up and any(end.up for end in ends)
        self.draft.bridges.append(
            BridgeSpec(
                ns,
                device.name,
                device.mac,
                plain_addresses(device),
                mtu=mtu if link.mtu_is_set or mtu != least else None,
                up=up,
                ageing=link.fdb.ageing_time,
                ports=tuple(
                    PortSpec(port.name, port.hairpin, port.learning, port.flood, port.isolated)
                    for port in ports
                ),
            )
        )

    # --- VXLAN ---

    def _vxlan(self, net: Namespace, device: Device, link: Vxlan) -> None:
        ns = self.names[net.name]
        if (ns, link.device) not in self._begins_up or link.local == ANY_IP4:
            self._leave_out(net, device, "a VXLAN device without a device below, or without an address")
            return
        lower_mtu = _first_mtu(net, net.devices[link.device])
        for option in _unlike(link):
            self._leave_out(net, device, option)
        self._begins_up[ns, device.name] = device.up
        self.draft.vxlans.append(
            VxlanSpec(
                ns,
                device.name,
                device.mac,
                link.vni,
                link.local,
                link.device,
                link.dstport,
                plain_addresses(device),
                mtu=None if device.mtu == lower_mtu - HEADROOM else device.mtu,
                up=device.up,
                learning=link.learning,
                udpcsum=link.udpcsum,
                ttl=link.ttl,
                fdb=tuple(
                    FdbSpec(entry.mac, remote.dst)
                    for entry in link.fdb.entries(self._now)
                    for remote in entry.remotes
                    if is_plain_remote(entry, remote)
                ),
            )
        )

    def _ipip(self, net: Namespace, device: Device, link: Ipip) -> None:
        ns = self.names[net.name]
        lower = net.devices.get(link.device)
        usual = (ETHERNET_MTU if lower is None else _first_mtu(net, lower)) - MIN_HEADER
        self._begins_up[ns, device.name] = device.up
        self.draft.ipips.append(
            IpipSpec(
                ns,
                device.name,
                None if link.local == ANY_IP4 else link.local,
                None if link.remote == ANY_IP4 else link.remote,
                link.device or None,
                plain_addresses(device),
                mtu=None if device.mtu == usual else device.mtu,
                up=device.up,
                ttl=link.ttl,
                tos=1 if link.tos_inherit else link.tos,
                pmtudisc=link.pmtudisc,
            )
        )

    # --- the rest ---

    def _neighbours(self, net: Namespace) -> None:
        ns = self.names[net.name]
        for entry in fixed_neighbours(net):
            if self._begins_up.get((ns, entry.device)):
                state = FIXED[entry.state]
                self.draft.neighbours.append(NeighbourSpec(ns, entry.device, entry.ip, entry.mac, state))

    def _captures(self) -> None:
        by_namespace: dict[str, list[CapturePoint]] = {ns: [] for ns in self.names.values()}
        for ns, iface in self._begins_up:
            by_namespace[ns].append(CapturePoint(ns, iface))
        for points in by_namespace.values():
            self.draft.captures += points


def _first_mtu(net: Namespace, device: Device) -> int:
    """Return the MTU to begin with: a VXLAN device keeps its own when that of the device below shrinks."""
    above = (
        each.mtu + HEADROOM
        for each in net.devices.values()
        if isinstance(each.link, Vxlan) and each.link.device == device.name
    )
    return max((device.mtu, *above)) if isinstance(device.link, Veth | Bridge) else device.mtu


def _unlike(link: Vxlan) -> Iterator[str]:
    """Yield the options of a VXLAN device that the format has no key for."""
    if link.ttl_inherit:
        yield "ttl inherit"
    if link.tos_inherit or link.tos:
        yield "tos inherit" if link.tos_inherit else f"tos {link.tos:#x}"
    if link.df is not Df.UNSET:
        yield f"df {link.df.value}"
    if link.source_ports is not None:
        yield "srcport {} {}".format(*link.source_ports)
    if link.fdb.ageing_time != DEFAULT_AGEING:
        yield f"ageing {link.fdb.ageing_time // 10**9}"
