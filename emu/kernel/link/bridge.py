# SPDX-License-Identifier: GPL-2.0-only
"""A learning bridge, as made by `ip link add br0 type bridge`.

    device of a port                              bridge device
      |  receive                                    |  transmit
      v                                             |
    is the source valid? does the port forward?     |
      |                                             |
    br_netfilter: PREROUTING (IPv4 only)            |
      |  finish                                     |
    learn the source                                |
      |                                             |
    forward: which ports?  <------------------------+
      |             |
      |             +---> for this host: up, into the bridge device
      |
    br_netfilter: FORWARD, POSTROUTING (IPv4 that came in only)
      |
    not too large?  --->  the device of the port sends

Spanning tree and multicast snooping are off and VLAN filtering is too: frames
with a tag are bridged like others. Known difference: a frame for the MAC address
of the very port it came in by goes up as one for another host, where Linux
takes it for this one. Source: net/bridge/br_input.c
`br_handle_frame`, br_forward.c, br_device.c `br_dev_xmit`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from emu.kernel import netdev
from emu.kernel.drops import DropReason
from emu.kernel.facts import Switched
from emu.kernel.link import br_netfilter
from emu.kernel.link.fdb import Fdb, FdbState, Learned
from emu.wire.addresses import BROADCAST_MAC, ZERO_MAC, MacAddress
from emu.wire.ethernet import HEADER_LENGTH, IPV4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.sim.time import Instant
    from emu.wire.frame import Frame

_IPV4: Final = IPV4.to_bytes(2, "big")
_LINK_LOCAL: Final = b"\x01\x80\xc2\x00\x00"  # and one octet of 0 to 15: IEEE 802.1Q table 8-1
_PAUSE: Final = 0x01
_ROOM: Final = HEADER_LENGTH + 4  # a frame may exceed the MTU by a tag, source: `is_skb_forwardable`


class PortState(enum.IntEnum):
    """What a port does, with the numbers of `bridge link set ... state`."""

    DISABLED = 0
    LISTENING = 1
    LEARNING = 2
    FORWARDING = 3
    BLOCKING = 4


_LEARNING: Final = PortState.LEARNING  # looked up for every frame
_FORWARDING: Final = PortState.FORWARDING
_PERMANENT: Final = FdbState.PERMANENT


@attrs.define(eq=False)
class Port:
    """A device's place in a bridge, with the switches of `bridge link set`.

    Attributes:
        device: the device that is the port.
        bridge: the bridge's own device.
        link: the bridge: its ports and its FDB.
        hairpin: a frame may leave by the port it came in.
        learning: sources of frames that come in are learned.
        flood: frames for unknown addresses leave here.
        mcast_flood: frames for groups leave here.
        bcast_flood: broadcasts leave here.
        isolated: nothing from another isolated port leaves here.
        state: `DISABLED` while the device or the bridge is down.
    """

    device: Device
    bridge: Device
    link: Bridge
    hairpin: bool = False
    learning: bool = True
    flood: bool = True
    mcast_flood: bool = True
    bcast_flood: bool = True
    isolated: bool = False
    state: PortState = PortState.DISABLED

    @property
    def name(self) -> str:
        """The name of its device."""
        return self.device.name


@attrs.define(eq=False)
class Bridge:
    """The link of a bridge device: its ports, and who is behind them.

    Attributes:
        fdb: the addresses known.
        ports: newest first, the order in which Linux floods.
        group_fwd_mask: bit N set: frames for 01:80:c2:00:00:0N are forwarded
            (those for 0 always are, as there is no spanning tree; for 1 never).
        mac_is_set: the bridge was given an address; else it has the least of its ports'.
        mtu_is_set: the bridge was given an MTU; else it has the least of its ports'.
    """

    kind: ClassVar[str] = "bridge"
    meets_netfilter: ClassVar[bool] = True
    """Whether `bridge-nf-call-iptables` is for it."""

    fdb: Fdb = attrs.field(factory=Fdb)
    ports: list[Port] = attrs.field(factory=list)
    group_fwd_mask: int = 0
    mac_is_set: bool = False
    mtu_is_set: bool = False

    def forward(self, dst: bytes, ingress: Port | None, now: Instant) -> tuple[Sequence[Port], bool]:
        """Return by which ports a frame leaves, and whether it goes up to this host.

        Args:
            dst: its destination MAC address.
            ingress: the port it came in by, None if the bridge device sends it.
            now: virtual time.

        Returns:
            The ports in the order in which Linux sends; up is always last.

        Source: `br_handle_frame_finish`, `br_dev_xmit`.
        """
        if dst[0] & 1:
            return self._flood(dst, ingress), ingress is not None
        entry = self.fdb.lookup(dst, now)
        if entry is None:
            return self._flood(dst, ingress), False
        port = entry.port
        if entry.state is _PERMANENT and ingress is not None:
            return (), True
        if port is not None and _may_leave(port, ingress):
            return (port,), False
        return (), False

    def _flood(self, dst: bytes, ingress: Port | None) -> list[Port]:
        """Return the ports for a frame whose place is unknown or everywhere. Source: `br_flood`."""
        if not dst[0] & 1:
            willing = [port for port in self.ports if port.flood]
        elif ingress is None:
            willing = self.ports
        elif dst == BROADCAST_MAC:
            willing = [port for port in self.ports if port.bcast_flood]
        else:
            willing = [port for port in self.ports if port.mcast_flood]
        return [port for port in willing if _may_leave(port, ingress)]

    @property
    def has_carrier(self) -> bool:
        """Whether the bridge device has a carrier: some port forwards."""
        return any(port.state is _FORWARDING for port in self.ports)

    def transmit(self, net: Namespace, device: Device, frame: Frame) -> None:
        """Send what this host gives to the bridge device; nothing is learned from it."""
        if len(frame.octets) < HEADER_LENGTH:
            net.drop(frame, DropReason.PKT_TOO_SMALL, "no whole Ethernet header", device.name)
            return
        if br_netfilter.resume(net, device, frame):
            return
        if net.unseen and net.ends_unseen(frame, "bridge", device.name):
            return
        ports, _ = self.forward(frame.octets[:6], None, net.now)
        if net.recorder is not None:
            net.note(frame, "bridge", _switched(net, device, self, frame.octets[:6], ports, up=False))
        if not ports:
            net.drop(frame, DropReason.BRIDGE_NO_EGRESS_PORT, device.name, device.name)
        for port in ports:
            _push(net, port, frame if len(ports) == 1 else _copy(frame))


def receive(net: Namespace, device: Device, frame: Frame) -> None:
    """Take `frame`, which came in on `device`, a port. Source: `br_handle_frame`."""
    port = device.port
    octets = frame.octets
    if port is None or len(octets) < HEADER_LENGTH:
        net.drop(frame, DropReason.PKT_TOO_SMALL, "no whole Ethernet header", device.name)
        return
    if octets[6] & 1 or octets[6:12] == ZERO_MAC:
        net.drop(frame, DropReason.MAC_INVALID_SOURCE, octets[6:12].hex(":"), device.name)
        return
    if octets[0] & 1 and octets.startswith(_LINK_LOCAL) and _keeps(port.link, octets[5]):
        _link_local(net, port, frame)
        return
    if net.unseen and net.ends_unseen(frame, "bridge", device.name):
        return
    state = port.state
    if state is not _FORWARDING and state is not _LEARNING:
        _refuse(net, port, frame)
    elif octets[12:14] != _IPV4 or not port.link.meets_netfilter or not br_netfilter.is_on(net):
        finish(net, port, frame)
    else:
        br_netfilter.pre_routing(net, port, frame)


def finish(net: Namespace, port: Port, frame: Frame, skb: Skb | None = None) -> None:
    """Learn from `frame` and forward it: what is left when PREROUTING has let it pass.

    Args:
        net: the namespace.
        port: where it came in.
        frame: the frame.
        skb: the packet in it, where netfilter looks at it: it sees it when it leaves, too.

    Source: `br_handle_frame_finish`.
    """
    if port.learning:
        _learn(net, port, frame)
    if port.state is _LEARNING:
        _refuse(net, port, frame)
        return
    ports, up = port.link.forward(frame.octets[:6], port, net.now)
    if net.recorder is not None:
        net.note(frame, "bridge", _switched(net, port.bridge, port.link, frame.octets[:6], ports, up=up))
    alone = len(ports) + up == 1
    for egress in ports:
        copy = frame if alone else _copy(frame)
        if skb is None:
            _push(net, egress, copy)
            continue
        for part in br_netfilter.leave(net, port, egress, copy, skb):
            _push(net, egress, part)
    if up:
        netdev.deliver(net, port.bridge, frame, port.device, skb)
    elif not ports:
        net.drop(frame, DropReason.BRIDGE_NO_EGRESS_PORT, port.bridge.name, port.name)


def _refuse(net: Namespace, port: Port, frame: Frame) -> None:
    detail = f"{port.name} is {port.state.name.lower()}"
    net.drop(frame, DropReason.BRIDGE_INGRESS_STP_STATE, detail, port.name)


def _may_leave(port: Port, ingress: Port | None) -> bool:
    """Return whether a frame from `ingress` may leave by `port`. Source: `should_deliver`."""
    if port.state is not _FORWARDING:
        return False
    if ingress is None:
        return True
    if port is ingress and not port.hairpin:
        return False
    return not (port.isolated and ingress.isolated)


def _keeps(link: Bridge, last_octet: int) -> bool:
    """Return whether frames for 01:80:c2:00:00:XX are for this bridge alone."""
    return 0 < last_octet < 16 and not link.group_fwd_mask >> last_octet & 1


def _link_local(net: Namespace, port: Port, frame: Frame) -> None:
    """Hand a frame that no bridge forwards to the protocols, as one of the port's device."""
    if frame.octets[5] == _PAUSE:
        net.drop(frame, DropReason.MAC_IEEE_MAC_CONTROL, "", port.name)
        return
    if port.learning and port.state in {_LEARNING, _FORWARDING}:
        _learn(net, port, frame)
    netdev.climb(net, port.device, frame)


def _learn(net: Namespace, port: Port, frame: Frame) -> None:
    src = frame.octets[6:12]
    learned = port.link.fdb.learn(src, port, net.now)
    if net.recorder is not None and learned is not Learned.KNOWN:
        net.note(frame, "fdb", f"{MacAddress(src)} {learned.value}: {port.name}")


def _push(net: Namespace, port: Port, frame: Frame) -> None:
    """Send `frame` out of `port` if it is not too large. Source: `br_dev_queue_push_xmit`."""
    device = port.device
    if len(frame.octets) - device.mtu <= _ROOM:
        netdev.transmit(net, device, frame)
    else:
        detail = f"{len(frame.octets) - HEADER_LENGTH} octets, MTU {device.mtu}"
        net.drop(frame, DropReason.PKT_TOO_BIG, detail, device.name)


def _copy(frame: Frame) -> Frame:
    return frame.copy()


def _switched(
    net: Namespace, bridge: Device, link: Bridge, dst: bytes, ports: Sequence[Port], *, up: bool
) -> Switched:
    """Return where a frame for `dst` goes, and what the bridge knows of that address."""
    ways = tuple(port.name for port in ports)
    entry = None if dst[0] & 1 else link.fdb.lookup(dst, net.now)
    if entry is None:
        return Switched(bridge.name, MacAddress(dst), ways, up)
    is_ours = entry.state is _PERMANENT or entry.port is None
    port = None if is_ours or entry.port is None else entry.port.name
    return Switched(bridge.name, MacAddress(dst), ways, up, is_known=True, port=port)
