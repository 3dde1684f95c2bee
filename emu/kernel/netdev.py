# SPDX-License-Identifier: GPL-2.0-only
"""Where frames enter and leave a namespace, whatever the kind of device.

        cable                     another device of this namespace, a socket
          |  receive                 |  transmit
          v                          v
        [tap: in]                 [tap: out]
          |                          |
     bridge port? ---> bridge     device.link.transmit: cable, bridge, tunnel
          | no
      climb: IPv4, ARP

Source: net/core/dev.c `__netif_receive_skb_core`, `__dev_queue_xmit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import arp, guard, ipv4, packet
from emu.kernel.drops import DropReason
from emu.kernel.link import bridge, offload
from emu.kernel.recorder import Direction
from emu.kernel.skb import PacketType
from emu.wire import ethernet
from emu.wire.addresses import BROADCAST_MAC

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.wire.frame import Frame

VLAN_ROOM: Final = 4  # a frame may exceed the MTU by a tag, source: `is_skb_forwardable`
_LONGEST: Final = ethernet.HEADER_LENGTH + VLAN_ROOM  # more than the MTU
_IPV4: Final = ethernet.IPV4.to_bytes(2, "big")
_ARP: Final = ethernet.ARP.to_bytes(2, "big")
_HOST: Final = PacketType.HOST  # looked up for every frame
_VLAN: Final = ethernet.VLAN.to_bytes(2, "big")
_TAGGED: Final = ethernet.HEADER_LENGTH + 4


def fits(device: Device, frame: Frame) -> bool:
    """Return whether `device` would take `frame` from the device at its other end.

    Source: net/core/dev.c `__is_skb_forwardable`.
    """
    return len(frame.octets) <= device.mtu + _LONGEST


def receive(net: Namespace, device: Device, frame: Frame) -> None:
    """Take `frame` from the cable of `device`."""
    if not device.up:
        net.drop(frame, DropReason.DEV_READY, f"{device.name} is down", device.name)
    elif len(frame.octets) < ethernet.HEADER_LENGTH:
        net.drop(frame, DropReason.PKT_TOO_SMALL, "no whole Ethernet header", device.name)
    elif len(frame.octets) > device.mtu + _LONGEST:
        device.counters.rx_dropped += 1
        length = len(frame.octets) - ethernet.HEADER_LENGTH
        net.drop(frame, DropReason.PKT_TOO_BIG, f"{length} octets, MTU {device.mtu}", device.name)
    else:
        deliver(net, device, frame)


def deliver(
    net: Namespace, device: Device, frame: Frame, ingress: Device | None = None, bridged: Skb | None = None
) -> None:
    """Process `frame` as one that came in on `device`: tap, then bridge or protocols.

    Args:
        net: the namespace.
        device: where the frame is now.
        frame: an Ethernet frame.
        ingress: the port by which it came, where `device` is a bridge.
        bridged: the packet, where it has met netfilter in that bridge.
    """
    if net.recorder is not None:
        frame = frame.copy()
        net.recorder.seen(net, device, Direction.IN, frame)
    if net.tap is not None:
        net.tap.seen(net, device, Direction.IN, frame)
    counters = device.counters
    counters.rx_packets += 1
    counters.rx_bytes += len(frame.octets)
    if not device.has_link_header:
        counters.rx_bytes -= ethernet.HEADER_LENGTH
    if net.unseen and net.ends_unseen(frame, f"ingress {device.name}", device.name):
        return
    if net.guards and ingress is None and guard.ends(net, device, frame):
        return
    if device.port is not None:
        bridge.receive(net, device, frame)
    else:
        climb(net, device, frame, ingress, bridged)


def climb(
    net: Namespace, device: Device, frame: Frame, ingress: Device | None = None, bridged: Skb | None = None
) -> None:
    """Hand `frame` to the protocol that its ethertype names."""
    octets = frame.octets
    protocol = octets[12:14]
    while protocol == _VLAN and not int.from_bytes(octets[14:16], "big") & 0xFFF and len(octets) >= _TAGGED:
        octets = octets[:12] + octets[16:]  # VLAN 0 is a priority alone, for whoever takes untagged frames
        protocol = octets[12:14]
    if octets is not frame.octets:
        frame = frame.holding(octets)
    if protocol == _IPV4:
        ipv4.receive(net, device, frame, packet_type(device, octets, ingress), bridged)
    elif protocol == _ARP:
        arp.receive(net, device, frame, packet_type(device, octets, ingress))
        packet.hand_over(net, device, frame, ethernet.ARP)
    else:
        net.drop(frame, DropReason.UNHANDLED_PROTO, f"ethertype 0x{protocol.hex()}", device.name)


def packet_type(device: Device, octets: bytes, ingress: Device | None = None) -> PacketType:
    """Return whom the frame `octets` addresses.

    What a bridge hands up may be for the bridge or for the port it came in by.
    Source: net/ethernet/eth.c `eth_type_trans`, net/bridge/br_input.c `br_handle_frame`.
    """
    dst = octets[:6]
    if dst == device.mac or (ingress is not None and dst == ingress.mac):
        return _HOST
    if dst == BROADCAST_MAC:
        return PacketType.BROADCAST
    return PacketType.MULTICAST if dst[0] & 1 else PacketType.OTHERHOST


def transmit(net: Namespace, device: Device, frame: Frame) -> None:
    """Send `frame` out of `device`."""
    if not device.up or not device.carrier:
        device.counters.tx_dropped += 1
        detail = f"{device.name} has no carrier" if device.up else f"{device.name} is down"
        net.drop(frame, DropReason.DEV_READY, detail, device.name)
        return
    if net.recorder is not None:
        frame = frame.copy()
        net.recorder.seen(net, device, Direction.OUT, frame)
    if net.tap is not None:
        net.tap.seen(net, device, Direction.OUT, frame)
    if net.unseen and net.ends_unseen(frame, f"egress {device.name}", device.name):
        return
    counters = device.counters
    counters.tx_packets += 1
    counters.tx_bytes += len(frame.octets)
    if not device.has_link_header:
        counters.tx_bytes -= ethernet.HEADER_LENGTH
    if device.spoils_tunnels:
        frame = offload.sent_by(net, device, frame)
    device.link.transmit(net, device, frame)
