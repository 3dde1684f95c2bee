# SPDX-License-Identifier: GPL-2.0-only
"""The way of an IPv4 packet through a namespace, in order.

    receive                                            send, ip_tunnel.output
       |                                                        |
    prerouting --> route_input --+--> forward --> forwarded --+ local_out
                                 |                            |    |
                                 +--> deliver --> protocols   +----+--> postrouting
                                                                           |
                                                 fragments, neighbour <-- finish

Each box is a *stage*: a function that takes the packet one step and returns the
next stage, or None when the packet is done with (delivered, sent, queued or
dropped). `walk` is the loop over them, so a packet can stop between any two.

Source: net/ipv4/ip_input.c, ip_forward.c, ip_output.c; RFC 791, RFC 1812 §5.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Optional, TypeAlias

from emu.errors import HeaderError
from emu.kernel import arp, fragment, icmp, ip_options, raw, sctp, tcp, udp
from emu.kernel.drops import DropReason
from emu.kernel.facts import Routed, Spent
from emu.kernel.fib import RouteType
from emu.kernel.link import ipip
from emu.kernel.netfilter import hooks
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.path import forward_mtu, path_mtu
from emu.kernel.routing import Refusal, route_input, route_output
from emu.kernel.skb import PacketType, Skb
from emu.wire import checksum, ethernet, ipv4
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.icmp import (
    FRAGMENTATION_NEEDED,
    HOST_UNREACHABLE,
    NET_UNREACHABLE,
    PACKET_FILTERED,
    PROTOCOL_UNREACHABLE,
    REDIRECT,
    REDIRECT_HOST,
    SOURCE_ROUTE_FAILED,
    TIME_EXCEEDED,
    TTL_EXCEEDED,
    UNREACHABLE,
)

if TYPE_CHECKING:
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import RouteDecision
    from emu.wire.frame import Frame

Stage: TypeAlias = Callable[["Namespace", Skb], Optional["Stage"]]

# Looked up for every packet.
_PREROUTING, _INPUT, _FORWARD, _OUTPUT, _POSTROUTING = Hook
_UNICAST: Final = RouteType.UNICAST
_MULTICAST: Final = RouteType.MULTICAST
_HOST: Final = PacketType.HOST
_OTHERHOST: Final = PacketType.OTHERHOST

_ROUTE_ERRORS: Final = {
    errno.ENETUNREACH: NET_UNREACHABLE,
    errno.EHOSTUNREACH: HOST_UNREACHABLE,
    errno.EACCES: PACKET_FILTERED,
}


def walk(net: Namespace, skb: Skb, stage: Stage | None) -> None:
    """Take `skb` from `stage` to the end of its way in this namespace."""
    while stage is not None:
        stage = stage(net, skb)


# --- in ---


def receive(
    net: Namespace, device: Device, frame: Frame, packet_type: PacketType, bridged: Skb | None = None
) -> None:
    """Take the IPv4 packet in `frame`, which came in on `device`.

    Args:
        net: the namespace.
        device: where it came in.
        frame: the frame.
        packet_type: whom the frame is for.
        bridged: the packet, if it has passed PREROUTING in a bridge: it does not pass it again.

    Source: `ip_rcv`, net/bridge/br_netfilter_hooks.c `ip_sabotage_in`.
    """
    if packet_type is _OTHERHOST:
        dst = frame.octets[:6].hex(":")
        net.drop(frame, DropReason.OTHERHOST, f"for {dst}, {device.name} has {device.mac}", device.name)
        return
    octets = frame.octets
    packet, src_mac = octets[ethernet.HEADER_LENGTH :], octets[6:12]
    try:
        skb = bridged or Skb(packet, frame.packet_id, frame.trail, src_mac=src_mac)
    except HeaderError as error:
        net.drop(frame, DropReason.IP_INHDR, str(error), device.name)
        return
    skb.device, skb.packet_type = device, packet_type
    problem = validate(skb)
    if problem is not None:
        net.drop(frame, *problem, device.name)
        return
    if bridged is not None:
        skb.trail, skb.frag_max = frame.trail, 0  # `ip_rcv` blanks what it has by itself, `IPCB`
        walk(net, skb, _route)
        return
    if frame.metadata is not None:
        skb.take(frame.metadata)
    walk(net, skb, prerouting)


def validate(skb: Skb) -> tuple[DropReason, str] | None:
    """Check the header of `skb` and cut off padding; return what is wrong, None if nothing is.

    Source: RFC 1122 §3.2.1, `ip_rcv_core`.
    """
    header, packet = skb.header, skb.packet
    length, total = ipv4.MIN_HEADER, header.total_length
    if header.version_ihl != ipv4.WITHOUT_OPTIONS:
        length = header.header_length
        if header.version != 4 or length < ipv4.MIN_HEADER or len(packet) < length:
            return DropReason.IP_INHDR, "malformed IP header"
    if not checksum.verifies(packet[:length]):
        return DropReason.IP_CSUM, ""
    if len(packet) < total:
        return DropReason.PKT_TOO_SMALL, f"{len(packet)} octets, the header says {total}"
    if total < length:
        return DropReason.IP_INHDR, "total length below the header's"
    if len(packet) > total:
        skb.trim(total)
    return None


def prerouting(net: Namespace, skb: Skb) -> Stage | None:
    """Let the hook PREROUTING look at it."""
    return _route if hooks.passes(net, _PREROUTING, skb, skb.device) else None


def _route(net: Namespace, skb: Skb) -> Stage | None:
    """Make the routing decision. Source: `ip_rcv_finish`, `ip_error`."""
    device = skb.device
    assert device is not None, "only packets that came in are routed here"
    decision = skb.route or route_input(net, skb, device)
    if skb.header.version_ihl != ip_options.WITHOUT:
        decision = ip_options.receive(net, skb, device, decision)
    if isinstance(decision, Refusal):
        kind = _ROUTE_ERRORS.get(decision.error)
        if kind is not None and net.icmp_limits.allow_route_error(skb.header.src, net.now):
            icmp.send_error(net, skb, UNREACHABLE, kind)
        net.drop(skb, decision.reason, decision.detail)
        return None
    skb.route = decision
    if net.recorder is not None:
        net.note(skb, "route", _routed(decision))
    if decision.kind is _UNICAST:
        return _forward
    return deliver if decision.device.is_loopback else _forward


def _routed(decision: RouteDecision) -> Routed:
    """Return the route that was found; of one to this host, the device whose address it is."""
    route, device = decision.route, decision.device.name
    if decision.kind is not _UNICAST and route is not None and route.nexthops:
        device = route.nexthops[0].device
    return Routed(decision.kind, None if route is None else route.dst, decision.gateway, device)


# --- forward ---


def _forward(net: Namespace, skb: Skb) -> Stage | None:
    """Check what RFC 1812 wants of a router. Source: `ip_forward`."""
    decision = skb.route
    assert decision is not None, "routed before"
    if skb.packet_type is not _HOST:
        net.drop(skb, DropReason.UNICAST_IN_L2_MULTICAST, "a broadcast frame is not forwarded")
        return None
    if skb.header.ttl <= 1:
        icmp.send_error(net, skb, TIME_EXCEEDED, TTL_EXCEEDED)
        net.drop(skb, DropReason.IP_INHDR, Spent())
        return None
    options = skb.options
    if options is not None and options.is_strict and decision.gateway is not None:
        icmp.send_error(net, skb, UNREACHABLE, SOURCE_ROUTE_FAILED)
        net.drop(skb, DropReason.NOT_SPECIFIED, "a strict source route, and the next hop is no neighbour")
        return None
    mtu = forward_mtu(decision)
    if len(skb.packet) > mtu and skb.header.df and (skb.frag_max > mtu or not skb.ignore_df):
        icmp.send_error(net, skb, UNREACHABLE, FRAGMENTATION_NEEDED, mtu)
        net.drop(skb, DropReason.PKT_TOO_BIG, f"{len(skb.packet)} octets, DF set, MTU {mtu}")
        return None
    skb.decrement_ttl()
    if net.recorder is not None:
        net.note(skb, "forward", f"TTL {skb.header.ttl + 1} becomes {skb.header.ttl}")
    if decision.redirect and not (options is not None and options.source_route):
        _redirect(net, skb, decision)
    return _forward_hook


def _redirect(net: Namespace, skb: Skb, decision: RouteDecision) -> None:
    """Tell the sender of the better next hop. Source: `ip_rt_send_redirect`."""
    device = decision.device
    if not net.sysctl.conf_or(device.name, "send_redirects"):
        return
    if net.icmp_limits.allow_redirect(skb.header.src, net.now):
        icmp.send_error(net, skb, REDIRECT, REDIRECT_HOST, int(decision.next_hop))


def _forward_hook(net: Namespace, skb: Skb) -> Stage | None:
    """Let the hook FORWARD look at it, then fill in its options. Source: `ip_forward_finish`."""
    assert skb.route is not None, "routed before"
    if not hooks.passes(net, _FORWARD, skb, skb.device, skb.route.device):
        return None
    if skb.options is not None:
        ip_options.forward(net, skb, skb.options)
    return postrouting


# --- to this host ---


def deliver(net: Namespace, skb: Skb) -> Stage | None:
    """Put fragments together, then let the hook INPUT look. Source: `ip_local_deliver`."""
    if skb.header.is_fragment:
        whole = fragment.gather(net, skb)
        if whole is None:
            return None
    return _protocols if hooks.passes(net, _INPUT, skb, skb.device) else None


def _protocols(net: Namespace, skb: Skb) -> None:
    """Hand it to raw sockets, then to its protocol. Source: `ip_protocol_deliver_rcu`."""
    if net.tap is not None:
        net.tap.arrived(net, skb)
    taken = raw.receive(net, skb)
    protocol = skb.header.protocol
    if protocol == ipv4.TCP:
        tcp.receive(net, skb)
    elif protocol == ipv4.UDP:
        udp.receive(net, skb)
    elif protocol == ipv4.UDP_LITE:
        udp.receive_lite(net, skb)
    elif protocol == ipv4.ICMP:
        icmp.receive(net, skb)
    elif protocol == ipv4.SCTP and net.has_sctp:
        sctp.receive(net, skb)
    elif protocol == ipv4.IPIP and ipip.receive(net, skb):
        pass
    elif not taken:
        icmp.send_error(net, skb, UNREACHABLE, PROTOCOL_UNREACHABLE)
        net.drop(skb, DropReason.IP_NOPROTO, f"protocol {skb.header.protocol}")


# --- out ---


def send(
    net: Namespace,
    *,
    protocol: int,
    dst: bytes,
    payload: bytes,
    src: bytes = ANY_IP4,
    decision: RouteDecision | None = None,
    ttl: int | None = None,
    tos: int = 0,
    df: bool = False,
    ignore_df: bool = True,
    identification: int | None = None,
    options: bytes = b"",
    oif: str = "",
    mark: int = 0,
    socket: int = 0,
    confirms: bool = False,
    cause: Skb | None = None,
) -> int:
    """Send `payload` in a packet of this host's own and return the packet's id.

    Args:
        net: the namespace.
        protocol: number of what `payload` is.
        dst: destination address.
        payload: the transport header and what follows, its checksum done.
        src: source address; `ANY_IP4` for the one that routing chooses.
        decision: the routing decision, if the caller has made it.
        ttl: None for `net.ipv4.ip_default_ttl`, or 1 to a group.
        tos: the octet of DSCP and ECN.
        df: set DF.
        ignore_df: fragment it here all the same if it is too large.
        identification: None to have one chosen.
        options: the IP options, a multiple of 4 octets.
        oif: bound to this device.
        mark: the firewall mark.
        socket: number of the sending socket.
        confirms: the next hop has lately proved to be there.
        cause: the packet that this is an error about; it belongs to the same connection.

    Raises:
        OSError: there is no way to `dst` (ENETUNREACH, EHOSTUNREACH, EACCES, EINVAL),
            it does not fit and may not be fragmented (EMSGSIZE), or netfilter drops it (EPERM).

    Source: `ip_queue_xmit`, `ip_push_pending_frames`.
    """
    if decision is None:
        decision = route_output(net, dst, src=src, oif=oif, mark=mark, tos=tos)
    if src == ANY_IP4:
        src = decision.src
    length = ipv4.MIN_HEADER + len(options) + len(payload)
    if length > ipv4.MAX_PACKET:
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    if df and not ignore_df and length > path_mtu(net, decision, dst):
        raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
    if ttl is None:
        ttl = 1 if decision.kind is _MULTICAST else net.sysctl.number("net.ipv4.ip_default_ttl")
    if identification is None:
        identification = 0 if df and not ignore_df else net.next_identification()
    packet = ipv4.build(
        protocol,
        src,
        dst,
        payload,
        ttl=ttl,
        tos=tos,
        identification=identification,
        fragment=ipv4.DF if df else 0,
        options=options,
    )
    skb = Skb(packet, net.new_packet_id())
    skb.route = decision
    skb.mark = mark
    skb.socket = socket
    skb.confirms = confirms
    skb.ignore_df = ignore_df
    if cause is not None:
        skb.relate_to(cause)
    if net.tap is not None:
        net.tap.sent(net, skb)
    walk(net, skb, local_out)
    if skb.refused:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))
    return skb.packet_id


def local_out(net: Namespace, skb: Skb) -> Stage | None:
    """Let the hook OUTPUT look at a packet of this host. Source: `__ip_local_out`."""
    assert skb.route is not None, "routed before"
    if net.recorder is not None:
        net.note(skb, "route", _routed(skb.route))
    return postrouting if hooks.passes(net, _OUTPUT, skb, None, skb.route.device) else None


def postrouting(net: Namespace, skb: Skb) -> Stage | None:
    """Let the hook POSTROUTING look at it. Source: `ip_output`."""
    assert skb.route is not None, "routed before"
    return leave if hooks.passes(net, _POSTROUTING, skb, skb.device, skb.route.device) else None


def leave(net: Namespace, skb: Skb) -> None:
    """Cut it to size and hand it to the neighbour's MAC address. Source: `ip_finish_output`."""
    decision = skb.route
    assert decision is not None, "routed before"
    mtu = path_mtu(net, decision, skb.header.dst) if skb.device is None else forward_mtu(decision)
    if len(skb.packet) <= mtu and not skb.frag_max:
        arp.output(net, skb, decision.device, decision.next_hop)
        return
    if skb.header.df and (skb.frag_max > mtu or not skb.ignore_df):
        icmp.send_error(net, skb, UNREACHABLE, FRAGMENTATION_NEEDED, mtu)
        net.drop(skb, DropReason.PKT_TOO_BIG, f"{len(skb.packet)} octets, DF set, MTU {mtu}")
        return
    if skb.frag_max:
        mtu = min(mtu, skb.frag_max)
    if net.recorder is not None:
        net.note(skb, "fragment", f"{len(skb.packet)} octets, MTU {mtu}")
    for piece in fragment.split(skb.packet, mtu, skb.pieces):
        part = Skb(piece, skb.packet_id, skb.trail)
        part.device, part.route, part.mark, part.socket = skb.device, decision, skb.mark, skb.socket
        part.connection, part.ctinfo, part.is_balanced = skb.connection, skb.ctinfo, skb.is_balanced
        arp.output(net, part, decision.device, decision.next_hop)


def source_of(decision: RouteDecision, src: bytes) -> IpAddress:
    """Return `src`, or the address that routing chose where it is unspecified."""
    return IpAddress(src) if src != ANY_IP4 else decision.src
