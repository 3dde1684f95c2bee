# SPDX-License-Identifier: GPL-2.0-only
"""Who is where: pods, the nodes that their cables lead to, and what nodes are plugged into.

Known is what pods usually have: one device, one address, a cable to a node. Of a
pod that is otherwise, nothing is shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.universe import Universe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import IpAddress

_LOOPBACK: Final = 127
_DUMMY: Final = "dummy"
_ANSWERS_FOR_OTHERS: Final = ("proxy_arp", "proxy_arp_pvlan")


@attrs.frozen
class Home:
    """A pod and its cable.

    Attributes:
        net: the pod's namespace.
        device: its only device beside the loopback.
        address: its only address.
        node: the namespace at the other end.
        port: the device there.
    """

    net: Namespace
    device: Device
    address: IpAddress
    node: Namespace
    port: Device


@attrs.frozen
class Plan:
    """What takes part.

    Attributes:
        fabric: all there is.
        homes: the pods that are as pods are.
        odd: why the others are not.
        nodes: where pods are at home, by name.
        universe: the addresses of all these.
        macs: the namespace of each MAC address.
        shared: the namespaces that have an address that another one has too.
        switches: those that were looked at, and are no more than switches.
    """

    fabric: Fabric
    homes: Mapping[str, Home]
    odd: dict[str, str]
    nodes: Mapping[str, Namespace]
    universe: Universe
    macs: Mapping[bytes, str]
    shared: frozenset[str]
    switches: set[str] = attrs.field(factory=set)


def draw(fabric: Fabric, pods: Sequence[str]) -> Plan:
    """Return who is where.

    Raises:
        UnknownNameError: there is no such namespace.
    """
    homes: dict[str, Home] = {}
    odd: dict[str, str] = {}
    for pod in dict.fromkeys(pods):
        try:
            homes[pod] = _home(fabric, fabric.namespace(pod))
        except Doubt as doubt:
            odd[pod] = str(doubt)
    nodes = {home.node.name: home.node for home in homes.values()}
    for pod in [pod for pod in homes if pod in nodes]:
        odd[pod] = "its cable leads to another pod"
        del homes[pod]
    shared = _shared(fabric)
    for pod in [pod for pod in homes if pod in shared]:
        odd[pod] = "somebody else has an address of it"
        del homes[pod]
    machines = {
        name: list(dict.fromkeys(int(each) for each in addresses_of(net)))
        for name, net in fabric.namespaces.items()
        if name in nodes or _forwards(net)
    }
    places = {pod: home.node.name for pod, home in homes.items()}
    universe = Universe({pod: int(home.address) for pod, home in homes.items()}, places, machines)
    macs = {
        bytes(device.mac): net.name
        for net in fabric.namespaces.values()
        for device in net.devices.values()
        if any(device.mac)
    }
    return Plan(fabric, homes, odd, nodes, universe, macs, shared)


def _home(fabric: Fabric, net: Namespace) -> Home:
    """Return where a pod is.

    Raises:
        Doubt: it is not as pods are.
    """
    devices = [device for device in net.devices.values() if not device.is_loopback]
    if len(devices) != 1 or devices[0].link.kind != "veth":
        raise Doubt("it has not one device with a cable")
    addresses = [each for each in addresses_of(net) if len(each) == 4]
    if len(addresses) != 1:
        raise Doubt("it has not one address")
    end = fabric.far_end(net, devices[0].name)
    if end is None:
        raise Doubt("its cable leads nowhere")
    return Home(net, devices[0], addresses[0], end[0], end[0].device(end[1]))


def addresses_of(net: Namespace) -> Iterator[IpAddress]:
    """Yield the addresses of a namespace, those of 127.0.0.0/8 and of virtual services left out.

    kube-proxy gives every node the addresses of all Services, on a device that
    leads nowhere: nobody is known by them.
    """
    virtual = _virtual(net)
    for device in net.devices.values():
        for each in device.addresses:
            if each.address[0] != _LOOPBACK and not (device.link.kind == _DUMMY and each.address in virtual):
                yield each.address


def _virtual(net: Namespace) -> set[IpAddress]:
    netfilter = net.used_netfilter
    return set() if netfilter is None else {service.key.address for service in netfilter.ipvs.services}


def _forwards(net: Namespace) -> bool:
    """Return whether packets may pass through a namespace on their way."""
    return len(net.devices) > 2  # the loopback, and more than one


def _shared(fabric: Fabric) -> frozenset[str]:
    """Return the namespaces that have an address, of IP or Ethernet, that another one has too."""
    owners: dict[bytes, set[str]] = {}
    for name, net in fabric.namespaces.items():
        for address in addresses_of(net):
            owners.setdefault(bytes(address), set()).add(name)
        for device in net.devices.values():
            if any(device.mac) and not _is_alone(fabric, net, device):
                owners.setdefault(bytes(device.mac), set()).add(name)
    return frozenset().union(*(found for found in owners.values() if len(found) > 1))


def _is_alone(fabric: Fabric, net: Namespace, device: Device) -> bool:
    """Return whether a device has one other at its cable, and no switch: nobody else hears its address."""
    end = fabric.far_end(net, device.name)
    if end is None or device.port is not None:
        return False
    other = end[0].device(end[1])
    return other.port is None and other.mac != device.mac


def answers_for_others(net: Namespace, ports: frozenset[str]) -> bool:
    """Return whether a namespace answers ARP for others, but at the devices that lead to one pod each."""
    for name, conf in net.sysctl.conf.items():
        if name in ports and net.devices[name].port is None:
            continue
        if any(conf[each] for each in _ANSWERS_FOR_OTHERS):
            return True
    known = net.used_neighbours
    return known is not None and bool(known.proxies)
