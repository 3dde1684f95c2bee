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
    from emu.kube.cni.call import Call

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


def add_veth(call: Call, *, mtu: int = 0, mac: MacAddress | None = None, name: str = "") -> Pair:
    """Make a veth pair between the node and a container, the node's end up, the other still down.

    Args:
        call: names the container and its device.
        mtu: of both ends; 0 for 1500.
        mac: of the container's end; None for one that follows from the names.
        name: of the node's end; empty for one that follows from the container.

    Raises:
        CniError: there is no container, it has such a device, or the node one of this name.
    """
    host, sandbox, ifname = call.host, call.require_sandbox(), call.ifname
    if ifname in sandbox.devices:
        raise CniError(f'container veth name ("{ifname}") peer provided already exists')
    if name and name in host.devices:
        raise CniError(f'container veth name ("{name}") already exists')
    name = name or _free_name(host, call.container_id, ifname)
    size = mtu or ETHERNET_MTU
    inside = sandbox.add_device(ifname, _VETH, mac or mac_of(sandbox.name, ifname), mtu=size)
    outside = host.add_device(name, _VETH, mac_of(host.name, name), mtu=size)
    inside.peer_index, outside.peer_index = outside.index, inside.index
    inside.carrier = outside.carrier = False
    call.fabric.connect((sandbox, ifname), (host, name))
    call.fabric.call(host, partial(rtnetlink.set_up, device=outside))
    return Pair(outside, inside)


def delete_veth(call: Call, name: str) -> None:
    """Delete a container's device, or the node's end `name` when the container is gone."""
    if call.sandbox is not None:
        delete_link(call.fabric, call.sandbox, call.ifname)
    else:
        delete_link(call.fabric, call.host, name)


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
