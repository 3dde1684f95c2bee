# SPDX-License-Identifier: GPL-2.0-only
"""A packet that begins a connection gets a destination.

Source: ip_vs_core.c `ip_vs_schedule`, `ip_vs_sched_persist`, `ip_vs_leave`;
`tcp_conn_schedule`, `udp_conn_schedule`, `sctp_conn_schedule`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel import facts, icmp
from emu.kernel.netfilter.ipvs import schedulers
from emu.kernel.netfilter.ipvs.connection import Ends
from emu.kernel.netfilter.ipvs.schedulers import Client, Request
from emu.kernel.netfilter.verdict import Verdict
from emu.sim.time import SECOND
from emu.wire.icmp import PORT_UNREACHABLE, UNREACHABLE
from emu.wire.ipv4 import TCP, UDP
from emu.wire.sctp import CHUNK_HEADER, ChunkType
from emu.wire.sctp import HEADER_LENGTH as SCTP_HEADER
from emu.wire.sctp import PROTOCOL as SCTP
from emu.wire.tcp import MIN_HEADER as TCP_HEADER
from emu.wire.tcp import RST, SYN

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ipvs.connection import Connection
    from emu.kernel.netfilter.ipvs.ipvs import Ipvs
    from emu.kernel.netfilter.ipvs.virtual import Destination, VirtualService
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.skb import Skb

_ACCEPT: Final = Verdict.ACCEPT
_DROP: Final = Verdict.DROP
_WHOLE: Final = {TCP: TCP_HEADER, UDP: 8, SCTP: SCTP_HEADER + CHUNK_HEADER}
"""Octets that have to be there of a transport header, by protocol."""
_FTP: Final = 21
_FTP_DATA: Final = 20
_SLOPPY_TCP: Final = "net.ipv4.vs.sloppy_tcp"
_SLOPPY_SCTP: Final = "net.ipv4.vs.sloppy_sctp"


class Scheduled(NamedTuple):
    """What came of it: a connection, or the verdict on the packet."""

    connection: Connection | None
    verdict: Verdict = _ACCEPT


def begin(packet: Packet, ipvs: Ipvs, ends: Ends) -> Scheduled:
    """Return the connection that a packet begins; without one, what becomes of the packet."""
    net, skb = packet.net, packet.skb
    if len(skb.payload) < _WHOLE[ends.protocol]:
        packet.because = facts.Unbalanced("IPVS: a header is cut short")
        return Scheduled(None, _DROP)
    service = None
    if _may_begin(net, ends.protocol, skb.payload):
        service = ipvs.services.meant(ends.protocol, ends.dst, ends.dport, skb.mark)
    if service is None or ends.sport == _FTP_DATA or _is_answer_of_ours(skb, ipvs, ends):
        return Scheduled(None)
    if service.persistence:
        return _leave_or(packet, service, ends, _persistent(packet, ipvs, service, ends))
    if not service.key.mark and ends.dport != service.key.port:
        return _leave_or(packet, service, ends, None)  # port 0 is for persistent services alone
    destination = _schedule(net, ipvs, service, ends)
    if destination is None:
        return _leave_or(packet, service, ends, None)
    connection = ipvs.begin(ends, service, destination, destination.key.port or ends.dport)
    return _counted(net, skb, ipvs, service, connection)


def _may_begin(net: Namespace, protocol: int, payload: bytes) -> bool:
    """Return whether such a packet can be the first of a connection."""
    if protocol == TCP:
        flags = payload[13]
        return not flags & RST and bool(flags & SYN or net.sysctl.number(_SLOPPY_TCP))
    if protocol == UDP:
        return True
    kind = payload[SCTP_HEADER]
    return kind != ChunkType.ABORT and bool(kind == ChunkType.INIT or net.sysctl.number(_SLOPPY_SCTP))


def _is_answer_of_ours(skb: Skb, ipvs: Ipvs, ends: Ends) -> bool:
    """Return whether the packet is what a destination on this host answers."""
    is_local = skb.device is None or skb.device.is_loopback
    return is_local and ipvs.connections.find(ends.reverse()) is not None


def _schedule(net: Namespace, ipvs: Ipvs, service: VirtualService, ends: Ends) -> Destination | None:
    loads = [ipvs.load(service.key, each.key) for each in service.destinations]
    client = Client(ends.src, ends.sport, ends.dst)
    return schedulers.schedule(Request(service, ipvs.usage(service), loads, client), net.choice)


def _persistent(packet: Packet, ipvs: Ipvs, service: VirtualService, ends: Ends) -> Connection | None:
    """Return the connection of a client that stays; None if there is no destination for it."""
    net = packet.net
    key = service.key
    is_own_port = ends.dport == key.port
    port = key.port if is_own_port and key.port != _FTP else 0
    known = Ends(ends.protocol, service.network_of(ends.src), 0, ends.dst, port)
    if key.mark and not is_own_port:
        known = known._replace(protocol=0, dst=key.mark.to_bytes(4, "big"), dport=0)
    template = ipvs.connections.find_template(known)
    destination = _usable(net, ipvs, template) if template is not None else None
    if template is None or destination is None:
        destination = _schedule(net, ipvs, service, ends)
        if destination is None:
            return None
        stays_at = destination.key.port if is_own_port and key.port != _FTP else 0
        template = ipvs.begin(known, service, destination, stays_at, is_template=True)
    template.timeout = service.persistence * SECOND
    chosen = destination.key.port if is_own_port and destination.key.port else ends.dport
    connection = ipvs.begin(ends, service, destination, chosen)
    connection.template = template
    template.controls += 1
    ipvs.connections.restart(template, net.now)
    return _counted(net, packet.skb, ipvs, service, connection).connection


def _usable(net: Namespace, ipvs: Ipvs, template: Connection) -> Destination | None:
    """Return the destination that a client stays with; None if it cannot. Source: `ip_vs_check_template`."""
    destination = ipvs.destination_of(template)
    expires = net.sysctl.number("net.ipv4.vs.expire_quiescent_template")
    if destination is None or (expires and not destination.weight):
        ipvs.connections.invalidate(template)
        return None
    return destination


def _counted(
    net: Namespace, skb: Skb, ipvs: Ipvs, service: VirtualService, connection: Connection
) -> Scheduled:
    """Count a connection that began. Source: `ip_vs_conn_stats`."""
    ipvs.usage(service).stats.connections += 1
    ipvs.load_of(connection).stats.connections += 1
    if net.recorder is not None:
        net.note(skb, "ipvs", facts.Scheduled(service.key, service.scheduler, connection.destination))
    return Scheduled(connection)


def _leave_or(
    packet: Packet, service: VirtualService, ends: Ends, connection: Connection | None
) -> Scheduled:
    """Return the connection; without one, refuse the packet. Source: `ip_vs_leave`."""
    if connection is not None:
        return Scheduled(connection)
    if service.key.port == _FTP != ends.dport:
        return Scheduled(None)
    packet.because = facts.NoDestination(service.key)
    icmp.send_error(packet.net, packet.skb, UNREACHABLE, PORT_UNREACHABLE)
    return Scheduled(None, _DROP)
