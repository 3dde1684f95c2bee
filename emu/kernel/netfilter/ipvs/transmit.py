# SPDX-License-Identifier: GPL-2.0-only
"""A client's packet is sent to its destination, by masquerading.

Whether it came in or was made here, it leaves like a packet of this host:
through OUTPUT and POSTROUTING, once more if it has passed OUTPUT before.

Source: ip_vs_xmit.c `ip_vs_nat_xmit`, `__ip_vs_get_out_rt`; ip_vs_nfct.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import icmp, ipv4
from emu.kernel.drops import DropReason
from emu.kernel.facts import End, Spent, Translated, Unbalanced
from emu.kernel.fib import RouteType
from emu.kernel.netfilter import nat
from emu.kernel.netfilter.conntrack.entry import CtInfo, Direction, Status
from emu.kernel.netfilter.conntrack.tuples import ICMP
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.path import path_mtu
from emu.kernel.routing import route_output
from emu.wire.addresses import IpAddress
from emu.wire.icmp import (
    FRAGMENTATION_NEEDED,
    HOST_UNREACHABLE,
    TIME_EXCEEDED,
    TTL_EXCEEDED,
    UNREACHABLE,
)

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipvs.connection import Connection
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.routing import RouteDecision
    from emu.kernel.skb import Skb

_ACCEPT: Final = Verdict.ACCEPT
_STOLEN: Final = Verdict.STOLEN
_SETTLED: Final = Status.CONFIRMED | Status.DYING
_LOOPBACK: Final = 127


def transmit(packet: Packet, connection: Connection) -> Verdict:
    """Send a client's packet to its destination; ACCEPT if that is on this host, and the packet goes on."""
    skb = packet.skb
    decision = route(packet, connection)
    if decision is None:
        return _STOLEN
    if not skb.translate(bytes(connection.destination.address), connection.port, is_source=False):
        return _drop(packet, DropReason.NOT_SPECIFIED, "IPVS finds no whole transport header")
    return send_or_continue(packet, connection, decision)


def send_or_continue(packet: Packet, connection: Connection, decision: RouteDecision) -> Verdict:
    """Send a packet whose destination was changed, or let it go on to this host.

    Source: `ip_vs_nat_send_or_cont`.
    """
    net, skb = packet.net, packet.skb
    skb.ignore_df = skb.is_balanced = True
    follow(skb, connection, to_destination=True)
    if net.recorder is not None:
        net.note(
            skb,
            "ipvs",
            Translated(is_source=False, after=End(connection.destination.address, connection.port)),
        )
    if decision.kind is RouteType.LOCAL:
        return _ACCEPT
    skb.route = decision
    ipv4.walk(net, skb, ipv4.local_out)
    return _STOLEN


def route(packet: Packet, connection: Connection, *, may_be_local: bool = True) -> RouteDecision | None:
    """Return the way to the destination; None if the packet has ended, as there is none for it."""
    net, skb = packet.net, packet.skb
    address = connection.destination.address
    try:
        decision = route_output(net, address)
    except OSError:
        icmp.send_error(net, skb, UNREACHABLE, HOST_UNREACHABLE)
        _drop(packet, DropReason.NOT_SPECIFIED, f"IPVS: no route to {address}")
        return None
    if decision.kind is RouteType.LOCAL:
        if may_be_local and not (skb.device is not None and address[0] == _LOOPBACK):
            return decision
        _drop(packet, DropReason.NOT_SPECIFIED, "IPVS: a packet from outside for a loopback address")
        return None
    if skb.header.src[0] == _LOOPBACK:
        _drop(packet, DropReason.NOT_SPECIFIED, "IPVS: a packet from a loopback address may not leave")
        return None
    return decision if _fits(packet, decision, address) else None


def _fits(packet: Packet, decision: RouteDecision, address: IpAddress) -> bool:
    """Take one from the TTL and return whether the packet may leave by `decision`."""
    net, skb = packet.net, packet.skb
    if skb.header.ttl <= 1:
        icmp.send_error(net, skb, TIME_EXCEEDED, TTL_EXCEEDED)
        _drop(packet, DropReason.IP_INHDR, Spent())
        return False
    skb.decrement_ttl()
    mtu = path_mtu(net, decision, address)
    if skb.header.df and len(skb.packet) > mtu and skb.header.protocol != ICMP:
        icmp.send_error(net, skb, UNREACHABLE, FRAGMENTATION_NEEDED, mtu)
        _drop(packet, DropReason.PKT_TOO_BIG, f"{len(skb.packet)} octets, DF set, MTU {mtu}")
        return False
    return True


def _drop(packet: Packet, reason: DropReason, detail: str | Spent) -> Verdict:
    packet.net.drop(packet.skb, reason, detail)
    return _STOLEN


def follow(skb: Skb, connection: Connection, *, to_destination: bool) -> None:
    """Have connection tracking know what was changed, or not look at the packet any more.

    The reply tuple of a connection that is not confirmed yet becomes that of
    the destination's answers, without a status bit of NAT: no other than IPVS
    translates them. Source: `ip_vs_update_conntrack`, `ip_vs_notrack`.
    """
    if not connection.uses_conntrack:
        skb.connection, skb.ctinfo = None, CtInfo.UNTRACKED
        return
    tracked = skb.connection
    if tracked is None or tracked.status & _SETTLED or skb.ctinfo.direction is not Direction.ORIGINAL:
        return
    reply = tracked.reply
    has_ports = reply.protocol != ICMP
    if to_destination:
        reply = reply._replace(src=connection.destination.address)
        reply = reply._replace(sport=connection.port) if has_ports else reply
    else:
        reply = reply._replace(dst=IpAddress(connection.ends.dst))
        reply = reply._replace(dport=connection.ends.dport) if has_ports else reply
    tracked.reply = reply


def reroute(packet: Packet) -> bool:
    """Route an answer by its new source, unless it is for this host. Source: `ip_vs_route_me_harder`."""
    if packet.hook is Hook.INPUT or not packet.net.sysctl.number("net.ipv4.vs.snat_reroute"):
        return True
    if nat.reroute(packet):
        return True
    packet.because = Unbalanced("IPVS: no route for the answer")
    return False
