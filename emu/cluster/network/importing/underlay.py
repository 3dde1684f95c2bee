# SPDX-License-Identifier: GPL-2.0-only
"""The networks behind the nodes: who shares one, and the switch between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network.importing.cables import end_of
from emu.cluster.network.importing.draft import invented_mac
from emu.cluster.network.importing.hosts import Host, HostWriter, Member
from emu.cluster.network.importing.pods import DEVICE
from emu.cluster.network.importing.wiring import mtu_of
from emu.cluster.network.model import BridgeSpec, EndSpec, LinkSpec, PortSpec, Sysctl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.network.importing.draft import Draft
    from emu.cluster.network.importing.dump import Device
    from emu.cluster.network.importing.node import Node

MAX_HOSTS: Final = 64
"""On one network: a node's table of neighbours can have thousands."""

_SWITCH: Final = "sw0"
_PLAIN_SWITCH: Final = (Sysctl("net.bridge.bridge-nf-call-iptables", "0"),)
_LARGEST_SUBNET: Final = 31  # bits: a longer prefix is no network that two could share


def write_networks(ports: Sequence[tuple[Node, Device]], draft: Draft) -> None:
    """Write the networks behind `ports`, the devices that lead out of the nodes."""
    for members in _networks([Member(node, port) for node, port in ports]):
        _write(members, draft)


def _networks(members: Sequence[Member]) -> list[list[Member]]:
    """Return the members of each network: nodes with a subnet in common, or that know each other."""
    networks: list[list[Member]] = []
    for member in members:
        near = [network for network in networks if _fits(member, network)]
        joined = [member, *(one for network in near for one in network)]
        if not _has_clash(joined):
            networks = [network for network in networks if network not in near]
            networks.append([*joined[1:], member])
        else:
            networks.append([member])
    return networks


def _fits(member: Member, network: Sequence[Member]) -> bool:
    return any(_share(member, other) for other in network if other.node is not member.node)


def _share(one: Member, other: Member) -> bool:
    subnets = {own.prefix for own in one.interfaces if own.length <= _LARGEST_SUBNET}
    if subnets & {own.prefix for own in other.interfaces}:
        return True
    return _knows(one, other) or _knows(other, one)


def _knows(one: Member, other: Member) -> bool:
    """Return whether one node has another's address and MAC address in its table."""
    mac = other.node.mac(other.owner)
    return any(one.neighbours.get(own.address) == mac for own in other.interfaces)


def _has_clash(members: Sequence[Member]) -> bool:
    """Return whether two have one address: then theirs are networks that only look alike."""
    addresses = [own.address for member in members for own in member.interfaces]
    macs = [member.node.mac(member.port) for member in members]
    return len(set(addresses)) < len(addresses) or len(set(macs)) < len(macs)


def _write(members: list[Member], draft: Draft) -> None:
    writer = HostWriter(members, draft)
    hosts = writer.find()
    first = members[0]
    where = ", ".join(f"{member.node.ns}/{member.port.name}" for member in members)
    if len(hosts) > MAX_HOSTS:
        draft.left_out.append(f"{len(hosts) - MAX_HOSTS} more hosts on the network of {where}")
        hosts = hosts[:MAX_HOSTS]
    if len(members) == 1 and len(hosts) <= 1:
        ns = draft.new_namespace(f"{first.node.ns}-{first.port.name}")
        if hosts:
            end = writer.write(hosts[0], ns)
        else:
            up = first.port.name in first.node.running
            end = EndSpec(ns, DEVICE, invented_mac(ns, DEVICE), mtu=mtu_of(first.port), up=up)
            draft.invented.append(f"{ns}: the end of the cable at {where}; nothing tells who is there")
        draft.links.append(LinkSpec(end_of(first.node, first.port), end))
        return
    ns = draft.new_namespace(_name_of(members), _PLAIN_SWITCH)
    draft.invented.append(f"{ns}: the switch between {where} and the hosts there")
    ends = [end_of(member.node, member.port) for member in members]
    ends += [writer.write(host, draft.new_namespace(_host_name(members, host))) for host in hosts]
    _switch(ns, ends, draft)


def _name_of(members: Sequence[Member]) -> str:
    first = members[0]
    if len(members) == 1:
        return f"{first.node.ns}-{first.port.name}"
    subnet = next((own.prefix.address for own in first.interfaces), "")
    return f"underlay-{subnet}"


def _host_name(members: Sequence[Member], host: Host) -> str:
    first = members[0]
    before = "host" if len(members) > 1 else f"{first.node.ns}-{first.port.name}"
    return f"{before}-{host.addresses[0]}"


def _switch(ns: str, ends: Sequence[EndSpec], draft: Draft) -> None:
    """Write a switch with a port for each of `ends`."""
    ports = []
    for number, end in enumerate(ends, 1):
        name = f"p{number}"
        ports.append(PortSpec(name))
        port = EndSpec(ns, name, invented_mac(ns, name), mtu=end.mtu, up=end.up)
        draft.links.append(LinkSpec(end, port))
    up = any(end.up for end in ends)
    draft.bridges.append(BridgeSpec(ns, _SWITCH, invented_mac(ns, _SWITCH), up=up, ports=tuple(ports)))
