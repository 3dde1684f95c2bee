# SPDX-License-Identifier: GPL-2.0-only
"""What IPv4 packets meet on their way through a bridge with `bridge-nf-call-iptables`.

    pre_routing:  sanity checks, trimmed to their total length   [PREROUTING]
        |         another destination? its MAC address, or this host's
        +--> up, into the bridge device
        |
    leave, for each port:             [FORWARD]  [POSTROUTING]
        cut to the bridge's MTU where they are too large for the port

The checks are made though no rule is loaded anywhere: with this sysctl a bridge
drops packets with a wrong header checksum, takes the padding of short frames
away, and fragments. Packets behind an 802.1Q tag are left alone.

A packet that goes up has passed PREROUTING here, with its port known, and must
not pass it again in the IPv4 layer (`ip_sabotage_in`).

Source: net/bridge/br_netfilter_hooks.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import arp, fragment, routing
from emu.kernel.drops import DropReason
from emu.kernel.link import bridge as link_bridge
from emu.kernel.netfilter import hooks
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.nud import CONNECTED
from emu.kernel.routing import Refusal
from emu.kernel.skb import Bridged, Metadata, PacketType, Skb
from emu.wire.addresses import BROADCAST_MAC
from emu.wire.ethernet import HEADER_LENGTH, IPV4
from emu.wire.frame import Frame
from emu.wire.ipv4 import MIN_HEADER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.link.bridge import Port
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import RouteDecision
    from emu.wire.addresses import IpAddress

_CALL_IPTABLES: Final = "net.bridge.bridge-nf-call-iptables"
_PLAIN: Final = 0x45  # version 4, a header of 20 octets


def is_on(net: Namespace) -> bool:
    """Return whether IPv4 packets that are bridged meet netfilter in this namespace."""
    return net.sysctl.values[_CALL_IPTABLES] != 0


def pre_routing(net: Namespace, port: Port, frame: Frame) -> None:
    """Have PREROUTING look at a bridged packet, and let the bridge forward what is left of it.

    Args:
        net: the namespace.
        port: where it came in.
        frame: an untagged frame with ethertype 0x0800.

    Source: `br_nf_pre_routing`, `br_validate_ipv4`.
    """
    fault = _fault(frame.octets)
    if fault:
        net.drop(frame, DropReason.IP_INHDR, f"{port.bridge.name}: {fault}", port.name)
        return
    octets = frame.octets
    end = HEADER_LENGTH + int.from_bytes(octets[16:18], "big")
    skb = Skb(octets[HEADER_LENGTH:end], frame.packet_id, frame.trail, src_mac=octets[6:12])
    skb.take(frame.metadata)
    mac = octets[:6]
    if mac[0] & 1:  # what is for one other host counts as for this one meanwhile
        skb.packet_type = PacketType.BROADCAST if mac == BROADCAST_MAC else PacketType.MULTICAST
    skb.device, skb.bridged = port.bridge, Bridged(port.name, dst_mac=mac)
    dst = skb.header.dst
    if not hooks.passes(net, Hook.PREROUTING, skb, port.bridge):
        return
    if skb.header.dst != dst:
        elsewhere = _destination_changed(net, port, skb)
        if elsewhere is None:
            return
        mac = elsewhere
    _finish(net, port, skb, mac)


def _destination_changed(net: Namespace, port: Port, skb: Skb) -> bytes | None:
    """Return the MAC address for a packet whose destination is another one now.

    None if it has ended, or waits for that MAC address. A destination behind
    this same bridge is bridged to; any other is for this host to route.

    Source: `br_nf_pre_routing_finish`.
    """
    bridge = port.bridge
    decision = routing.route_input(net, skb, bridge)
    if isinstance(decision, Refusal):
        bridged = _bridged_destination(net, skb, bridge, decision)
        if bridged is None:
            net.drop(skb, decision.reason, f"{bridge.name}: {decision.detail}")
            return None
        decision = bridged
    if decision.device is not bridge:
        skb.route = decision
        return bytes(bridge.mac)
    return _resolve(net, port, skb, decision.next_hop)


def _bridged_destination(net: Namespace, skb: Skb, bridge: Device, refusal: Refusal) -> RouteDecision | None:
    """Return the way to a host behind `bridge`, to which also a host bridges that does not forward."""
    if refusal.reason is not DropReason.IP_INADDRERRORS or bridge.conf["forwarding"]:
        return None
    try:
        decision = routing.route_output(net, skb.header.dst, tos=skb.header.tos)
    except OSError:
        return None
    return decision if decision.device is bridge else None


def _resolve(net: Namespace, port: Port, skb: Skb, next_hop: IpAddress) -> bytes | None:
    """Return the MAC address of `next_hop`, if it is known; else the packet waits for it.

    Source: `br_nf_pre_routing_finish_bridge`.
    """
    neighbour = net.neighbours.get(port.bridge.name, next_hop)
    if neighbour is not None and neighbour.header and neighbour.state in CONNECTED:
        return bytes(neighbour.header[:6])
    assert skb.bridged is not None, "it is on its way through a bridge"
    skb.bridged = skb.bridged._replace(src_mac=skb.src_mac)
    arp.output(net, skb, port.bridge, next_hop)
    return None


def resume(net: Namespace, bridge: Device, frame: Frame) -> bool:
    """Forward a packet that waited for a MAC address; return whether `frame` is one.

    It has come to the bridge device like a packet of this host. Source: `br_nf_dev_xmit`.
    """
    metadata = frame.metadata
    if not isinstance(metadata, Metadata) or metadata.bridged is None or not metadata.bridged.src_mac:
        return False
    device = net.devices.get(metadata.bridged.physin)
    if device is None or device.port is None or device.port.bridge is not bridge:
        net.drop(frame, DropReason.DEV_READY, f"{metadata.bridged.physin} is no port any more", bridge.name)
        return True
    octets = frame.octets
    skb = Skb(octets[HEADER_LENGTH:], frame.packet_id, frame.trail, src_mac=metadata.bridged.src_mac)
    skb.take(metadata)
    skb.device, skb.bridged = bridge, metadata.bridged._replace(src_mac=b"")
    _finish(net, device.port, skb, octets[:6])
    return True


def _finish(net: Namespace, port: Port, skb: Skb, mac: bytes) -> None:
    """Let the bridge forward what is left of a packet behind PREROUTING."""
    assert skb.bridged is not None, "it is on its way through a bridge"
    skb.bridged = skb.bridged._replace(dst_mac=mac)
    octets = mac + skb.src_mac + IPV4.to_bytes(2, "big") + skb.packet
    link_bridge.finish(net, port, Frame(octets, skb.packet_id, skb.trail), skb)


def _fault(octets: bytes) -> str:
    """Return what is wrong with the IPv4 header, nothing if it is right."""
    length = len(octets) - HEADER_LENGTH
    if length < MIN_HEADER:
        return "too short for an IPv4 header"
    header_length = MIN_HEADER
    if octets[14] != _PLAIN:
        header_length = (octets[14] & 15) * 4
        if octets[14] >> 4 != 4 or not MIN_HEADER <= header_length <= length:
            return "malformed IPv4 header"
    if int.from_bytes(octets[14 : 14 + header_length], "big") % 65535:
        return "wrong IPv4 header checksum"
    total = int.from_bytes(octets[16:18], "big")
    if total > length:
        return "IPv4 packet is cut short"
    return "" if total >= header_length else "IPv4 total length is less than the header"


def leave(net: Namespace, ingress: Port, egress: Port, frame: Frame, skb: Skb) -> Sequence[Frame]:
    """Return the frames that leave by `egress` for one that came in by `ingress`.

    A packet too large for the port is fragmented to the MTU of the bridge
    itself, or to what its own fragments had; one with DF ends here, and nobody
    is told.

    Args:
        net: the namespace.
        ingress: the port where it came in.
        egress: the port where it leaves.
        frame: the frame.
        skb: the packet in it.

    Source: `br_nf_forward_ip`, `br_nf_post_routing`, `br_nf_dev_queue_xmit`.
    """
    device = ingress.bridge
    skb = skb.clone()
    skb.trail = frame.trail
    assert skb.bridged is not None, "it has passed PREROUTING in this bridge"
    skb.bridged = skb.bridged._replace(physout=egress.name)
    if not hooks.passes(net, Hook.FORWARD, skb, device, device):
        return ()
    if not hooks.passes(net, Hook.POSTROUTING, skb, None, device):
        return ()
    header = frame.octets[:HEADER_LENGTH]
    limit = min(egress.device.mtu, skb.frag_max or egress.device.mtu)
    if len(skb.packet) <= limit:
        return (Frame(header + skb.packet, skb.packet_id, skb.trail),)
    mtu = device.mtu
    if skb.frag_max > mtu or (skb.header.df and not skb.ignore_df):
        net.drop(skb, DropReason.PKT_TOO_BIG, f"DF set, MTU {mtu}", egress.name)
        return ()
    mtu = min(mtu, skb.frag_max or mtu)
    if net.recorder is not None:
        net.note(skb, "br_netfilter", f"fragments for {egress.name}, MTU {mtu}")
    parts = fragment.split(skb.packet, mtu, skb.pieces)
    return [Frame(header + part, skb.packet_id, skb.trail) for part in parts]
