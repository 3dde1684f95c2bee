# SPDX-License-Identifier: GPL-2.0-only
"""weave's part of a node: a bridge for the pods, a datapath, and a tunnel to each peer.

    pods -- weave -- vethwe-bridge ==== vethwe-datapath -- datapath -- vxlan-6784.N ==VXLAN, UDP 6784=> peer N

Known difference: the real datapath has one VXLAN port, and its flows say
for each packet which VNI it is sent with; here each peer has a port of its own, with
the two VNIs of its direction. They pass nothing on to each other, as a peer floods
what came from another peer to its own pods alone while all peers are neighbours.

Source: weaveworks/weave net/bridge.go, router/fastdp.go.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import rtnetlink
from emu.kernel.link import bridge_ports
from emu.kernel.link.bridge import Bridge
from emu.kernel.link.datapath import Datapath
from emu.kernel.link.fdb import FdbState, FdbWrite
from emu.kernel.link.veth import Veth
from emu.kernel.link.vxlan import Df, Vxlan
from emu.kernel.link.vxlan_fdb import Remote
from emu.kube.cni import ipsets
from emu.kube.cni.links import mac_of
from emu.wire.addresses import ZERO_MAC

if TYPE_CHECKING:
    from emu.fabric.driver import Fabric
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.wire.addresses import Interface, IpAddress
    from emu.wire.vxlan import Vni

BRIDGE: Final = "weave"
DATAPATH: Final = "datapath"
UPLINK: Final = "vethwe-bridge"
"""The port of the bridge behind which all other nodes are."""

LOCAL_PODS: Final = "weaver-no-masq-local"
"""The set of the node's own pods."""

_INNER: Final = "vethwe-datapath"
_PORT: Final = 6784
_TTL: Final = 64


@attrs.frozen
class Peer:
    """Another node, as a tunnel leads to it.

    Attributes:
        number: of it among all peers, for the name of the device.
        address: its InternalIP.
        sends: the VNI of frames to it.
        receives: the VNI of frames from it.
    """

    number: int
    address: IpAddress
    sends: Vni
    receives: Vni

    @property
    def device(self) -> str:
        """The name of the tunnel."""
        return f"vxlan-{_PORT}.{self.number}"


@attrs.frozen
class Mesh:
    """What there is on a node.

    Attributes:
        address: of the bridge.
        mtu: of all its devices.
        local: the node's InternalIP, which tunnels are sent from.
        peers: the other nodes.
    """

    address: Interface
    mtu: int
    local: IpAddress
    peers: tuple[Peer, ...] = ()


def ensure(fabric: Fabric, net: Namespace, mesh: Mesh) -> None:
    """Have what `mesh` says on node `net`."""
    ipsets.ensure(net, LOCAL_PODS)
    bridge = _switch(fabric, net, BRIDGE, Bridge, mesh.mtu)
    if not any(
        (own.address, own.prefix) == (mesh.address.address, mesh.address.prefix) for own in bridge.addresses
    ):
        fabric.call(net, partial(rtnetlink.add_address, device=bridge, interface=mesh.address))
    datapath = _switch(fabric, net, DATAPATH, Datapath, mesh.mtu)
    if UPLINK not in net.devices:
        _join(fabric, net, bridge, datapath, mesh.mtu)
    for peer in mesh.peers:
        if not _is_same(net, mesh, peer):
            _tunnel(fabric, net, datapath, mesh, peer)


def forget(fabric: Fabric, net: Namespace, before: Mesh, now: Mesh | None) -> None:
    """Take off node `net` what was there, and is not wanted any more."""
    kept = {peer.device for peer in now.peers} if now is not None else set()
    gone = [peer.device for peer in before.peers if peer.device not in kept]
    if now is None:
        gone += [UPLINK, _INNER, DATAPATH, BRIDGE]
    for name in gone:
        if name in net.devices:
            fabric.disconnect(net, name)
            fabric.call(net, partial(rtnetlink.remove, device=net.devices[name]))


def _switch(fabric: Fabric, net: Namespace, name: str, kind: type[Bridge], mtu: int) -> Device:
    found = net.devices.get(name)
    if found is None:
        found = net.add_device(name, kind(), mac_of(net.name, name), mtu=mtu)
        bridge_ports.start(found, mac_is_set=True)
        fabric.call(net, partial(rtnetlink.set_up, device=found))
    return found


def _join(fabric: Fabric, net: Namespace, bridge: Device, datapath: Device, mtu: int) -> None:
    """Plug the datapath into the bridge."""
    ends = [net.add_device(name, Veth(), mac_of(net.name, name), mtu=mtu) for name in (UPLINK, _INNER)]
    ends[0].peer_index, ends[1].peer_index = ends[1].index, ends[0].index
    ends[0].carrier = ends[1].carrier = False
    fabric.connect((net, UPLINK), (net, _INNER))
    for end, switch in zip(ends, (bridge, datapath), strict=True):
        fabric.call(net, partial(rtnetlink.set_master, device=end, bridge=switch))
        fabric.call(net, partial(rtnetlink.set_up, device=end))


def _tunnel(fabric: Fabric, net: Namespace, datapath: Device, mesh: Mesh, peer: Peer) -> None:
    old = net.devices.get(peer.device)
    if old is not None:
        fabric.call(net, partial(rtnetlink.remove, device=old))
    link = Vxlan(
        vni=peer.receives,
        local=mesh.local,
        dstport=_PORT,
        learning=False,
        udpcsum=False,
        ttl=_TTL,
        df=Df.SET,
    )
    device = net.add_device(peer.device, link, mac_of(net.name, peer.device), mtu=mesh.mtu)
    link.fdb.write(ZERO_MAC, _remote(peer), FdbState.PERMANENT, net.now, FdbWrite.APPEND)
    fabric.call(net, partial(rtnetlink.set_master, device=device, bridge=datapath))
    assert device.port is not None
    device.port.isolated = True
    fabric.call(net, partial(rtnetlink.set_up, device=device))


def _is_same(net: Namespace, mesh: Mesh, peer: Peer) -> bool:
    """Return whether the tunnel to a peer is there as it is wanted."""
    device = net.devices.get(peer.device)
    if device is None or not isinstance(device.link, Vxlan):
        return False
    way = device.link.fdb.lookup(ZERO_MAC, net.now)
    there = way.remotes if way is not None else []
    return (device.link.local, device.link.vni) == (mesh.local, peer.receives) and there == [_remote(peer)]


def _remote(peer: Peer) -> Remote:
    return Remote(peer.address, vni=peer.sends)
