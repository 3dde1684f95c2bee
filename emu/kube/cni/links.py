# SPDX-License-Identifier: GPL-2.0-only
"""Devices as plugins make them: veth pairs, addresses, and what is called at random in Linux.

Linux draws the name of a veth's host end and all MAC addresses at random. Here
they follow from the container's id and the names, so that runs are equal: the
name from the id and the container's device, a MAC address from namespace and
device. They are locally administered, as Linux' random ones are.

Source: containernetworking/plugins pkg/ip/link_linux.go.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel import rtnetlink
from emu.kernel.link.device import ETHERNET_MTU
from emu.kernel.link.veth import Veth
from emu.kube.cni.error import CniError
from emu.wire.addresses import MacAddress

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

_TRIES: Final = 10
_VETH: Final = Veth()  # it holds nothing: one serves all devices


class Pair(NamedTuple):
    """The two ends of a veth."""

    host: Device
    inside: Device


def mac_of(namespace: str, device: str) -> MacAddress:
    """Return the MAC address that `device` of `namespace` gets where none is asked for."""
    digest = hashlib.sha256(f"{namespace}/{device}".encode()).digest()
    return MacAddress(bytes((digest[0] & 0xFC | 0x02,)) + digest[1:6])


def host_name(container_id: str, ifname: str, attempt: int = 0) -> str:
    """Return the name of the host end of a container's device: `veth` and eight hexadecimal digits."""
    salt = f"/{attempt}" if attempt else ""
    return "veth" + hashlib.sha256(f"{container_id}/{ifname}{salt}".encode()).hexdigest()[:8]


def add_veth(
    fabric: Fabric,
    host: Namespace,
    sandbox: Namespace,
    *,
    container_id: str,
    ifname: str,
    mtu: int = 0,
    mac: MacAddress | None = None,
    name: str = "",
) -> Pair:
    """Make a veth pair, its host end up, the other still down.

    Args:
        fabric: what the namespaces are part of.
        host: gets the end with the name that is made up.
        sandbox: gets the end `ifname`.
        container_id: whose it is.
        ifname: name of the container's device.
        mtu: of both ends; 0 for 1500.
        mac: of the container's end; None for one that follows from the names.
        name: of the host end; empty for one that follows from the container.

    Raises:
        CniError: the container has such a device, or the host one of this name.
    """
    if ifname in sandbox.devices:
        raise CniError(f'container veth name ("{ifname}") peer provided already exists')
    if name and name in host.devices:
        raise CniError(f'container veth name ("{name}") already exists')
    name = name or _free_name(host, container_id, ifname)
    size = mtu or ETHERNET_MTU
    inside = sandbox.add_device(ifname, _VETH, mac or mac_of(sandbox.name, ifname), mtu=size)
    outside = host.add_device(name, _VETH, mac_of(host.name, name), mtu=size)
    inside.peer_index, outside.peer_index = outside.index, inside.index
    inside.carrier = outside.carrier = False
    fabric.connect((sandbox, ifname), (host, name))
    fabric.call(host, partial(rtnetlink.set_up, device=outside))
    return Pair(outside, inside)


def _free_name(host: Namespace, container_id: str, ifname: str) -> str:
    for attempt in range(_TRIES):
        name = host_name(container_id, ifname, attempt)
        if name not in host.devices:
            break
    return name


def delete_link(fabric: Fabric, net: Namespace, name: str) -> bool:
    """Delete device `name`, a veth with its other end; return whether there was one."""
    device = net.devices.get(name)
    if device is None:
        return False
    far = fabric.far_end(net, name) if device.link.kind == Veth.kind else None
    fabric.call(net, partial(rtnetlink.remove, device=device))
    if far is not None:
        fabric.disconnect(net, name)
        other, other_name = far
        peer = other.devices.get(other_name)
        if peer is not None and peer.link.kind == Veth.kind:
            fabric.call(other, partial(rtnetlink.remove, device=peer))
    return True
