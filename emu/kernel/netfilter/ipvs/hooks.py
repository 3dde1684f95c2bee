# SPDX-License-Identifier: GPL-2.0-only
"""Where IPVS stands on a packet's way.

    INPUT     98  answer     OUTPUT  -99  answer     FORWARD   99  error
              99  request            -98  request             100  answer

A client's packet (`request`) finds its connection or begins one, and goes to
its destination. What the destination sends (`answer`) gets the virtual
service's address back. Each packet is looked at once.

Source: net/netfilter/ipvs/ip_vs_core.c `ip_vs_ops4`, `ip_vs_in_hook`, `ip_vs_out_hook`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import fragment, icmp
from emu.kernel.facts import End, Outlived, Translated, Unbalanced
from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.hooks import Hook, Priority
from emu.kernel.netfilter.ipvs import icmp as errors
from emu.kernel.netfilter.ipvs.connection import Ends
from emu.kernel.netfilter.ipvs.scheduling import begin
from emu.kernel.netfilter.ipvs.states import State, Way, is_active, next_state
from emu.kernel.netfilter.ipvs.transmit import follow, reroute, transmit
from emu.kernel.netfilter.ipvs.virtual import PROTOCOLS
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.skb import PacketType
from emu.wire.addresses import IpAddress
from emu.wire.icmp import PORT_UNREACHABLE, UNREACHABLE
from emu.wire.ipv4 import ICMP, TCP, UDP
from emu.wire.sctp import HEADER_LENGTH as SCTP_HEADER
from emu.wire.sctp import ChunkType
from emu.wire.tcp import MIN_HEADER as TCP_HEADER
from emu.wire.tcp import RST, SYN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.netfilter.ipvs.connection import Connection
    from emu.kernel.netfilter.ipvs.ipvs import Ipvs
    from emu.kernel.netfilter.packet import Packet

    HookFunction = Callable[[Packet], Verdict]

_ACCEPT: Final = Verdict.ACCEPT
_DROP: Final = Verdict.DROP
_STOLEN: Final = Verdict.STOLEN
_OVER: Final = frozenset((State.TIME_WAIT, State.CLOSE, State.CLOSED))
"""States of connections that may be replaced (`is_new_conn_expected`)."""


def sweep(packet: Packet) -> Verdict:
    """Forget connections whose time is over, before connection tracking looks for its own."""
    packet.net.netfilter.ipvs.sweep(packet.net.now)
    return _ACCEPT


def ends_of(packet: Packet) -> Ends | None:
    """Return between whom a packet goes; None if it is cut short."""
    ports, header = packet.ports, packet.skb.header
    if ports is None:
        return None
    return Ends(header.protocol, header.src, ports[0], header.dst, ports[1])


# --- from clients ---


def request(packet: Packet) -> Verdict:
    """Send a client's packet to its destination, if it is for a virtual service."""
    net, skb = packet.net, packet.skb
    if skb.is_balanced or (skb.packet_type is not PacketType.HOST and packet.hook is not Hook.OUTPUT):
        return _ACCEPT
    protocol = skb.header.protocol
    if protocol == ICMP:
        return errors.from_client(packet)
    if protocol not in PROTOCOLS:
        return _ACCEPT
    ipvs = net.netfilter.ipvs
    ends = ends_of(packet)
    if ends is None:
        packet.because = Unbalanced("IPVS: a header is cut short")
        return _DROP
    connection = ipvs.connections.find(ends)
    if connection is not None and _begins(packet):
        verdict, connection = _reused(packet, ipvs, connection)
        if verdict is not _ACCEPT:
            return verdict
    if connection is not None and ipvs.destination_of(connection) is None:
        packet.because = Outlived(connection.destination, connection.service)
        if not net.sysctl.number("net.ipv4.vs.expire_nodest_conn") or _give_up(packet, ipvs, connection):
            return _DROP
        connection = None
    if connection is None:
        connection, verdict = begin(packet, ipvs, ends)
        if connection is None:
            return verdict
    ipvs.count(connection, len(skb.packet), Way.IN)
    advance(packet, ipvs, connection, Way.IN)
    return transmit(packet, connection)


def _begins(packet: Packet) -> bool:
    """Return whether a packet begins a connection. Source: `is_new_conn`."""
    payload, protocol = packet.skb.payload, packet.skb.header.protocol
    if protocol == TCP:
        return len(payload) >= TCP_HEADER and bool(payload[13] & SYN)
    return protocol != UDP and payload[SCTP_HEADER : SCTP_HEADER + 1] == bytes((ChunkType.INIT,))


def _reused(packet: Packet, ipvs: Ipvs, connection: Connection) -> tuple[Verdict, Connection | None]:
    """Return what becomes of a first packet that looks like one of `connection`.

    A client that takes a port again gets a new destination where the old
    connection is over, or its destination is to get no more. If connection
    tracking still has the old one, the packet is dropped: sent again, it finds
    neither. Source: `ip_vs_in_hook`.
    """
    net = packet.net
    mode = net.sysctl.number("net.ipv4.vs.conn_reuse_mode")
    destination = ipvs.destination_of(connection)
    is_quiescent = destination is not None and not destination.weight
    if connection.template is not None:
        return _ACCEPT, connection
    gives_way = is_quiescent and net.sysctl.number("net.ipv4.vs.expire_nodest_conn")
    if not gives_way and not (mode and connection.state in _OVER):
        return _ACCEPT, connection
    still = f"IPVS: connection tracking still has the connection to {connection.destination}"
    packet.because = Unbalanced(still)
    return (_DROP, None) if _give_up(packet, ipvs, connection) else (_ACCEPT, None)


def _give_up(packet: Packet, ipvs: Ipvs, connection: Connection) -> bool:
    """Forget `connection`; return whether connection tracking had it already when the packet came.

    Source: `ip_vs_conn_uses_old_conntrack`.
    """
    tracked = packet.skb.connection
    is_old = connection.uses_conntrack and tracked is not None and bool(tracked.status & Status.CONFIRMED)
    if not is_old:
        connection.uses_conntrack = False
    ipvs.expire(connection)
    return is_old


# --- from destinations ---


def answer(packet: Packet) -> Verdict:
    """Give what a destination sends the virtual service's address, if it belongs to a connection."""
    net, skb = packet.net, packet.skb
    if skb.is_balanced:
        return _ACCEPT
    protocol = skb.header.protocol
    if protocol == ICMP:
        return errors.from_destination(packet)
    if protocol not in PROTOCOLS:
        return _ACCEPT
    if skb.header.is_fragment and fragment.gather(net, skb) is None:
        return _STOLEN
    ends = ends_of(packet)
    if ends is None:
        return _ACCEPT
    ipvs = net.netfilter.ipvs
    connection = ipvs.connections.find_answer(ends)
    if connection is None:
        return _stranger(packet, ipvs, ends)
    if not skb.translate(connection.ends.dst, connection.ends.dport, is_source=True):
        packet.because = Unbalanced("IPVS finds no whole transport header")
        return _DROP
    if net.recorder is not None:
        net.note(
            skb,
            "ipvs",
            Translated(is_source=True, after=End(IpAddress(connection.ends.dst), connection.ends.dport)),
        )
    if not reroute(packet):
        return _DROP
    ipvs.count(connection, len(skb.packet), Way.OUT)
    advance(packet, ipvs, connection, Way.OUT)
    skb.is_balanced = True
    follow(skb, connection, to_destination=False)
    return _ACCEPT


def _stranger(packet: Packet, ipvs: Ipvs, ends: Ends) -> Verdict:
    """Refuse what a destination sends outside of any connection, if `nat_icmp_send` says so."""
    net = packet.net
    if not net.sysctl.number("net.ipv4.vs.nat_icmp_send"):
        return _ACCEPT
    if not ipvs.services.has_server(ends.protocol, ends.src, ends.sport) or _aborts(packet):
        return _ACCEPT
    icmp.send_error(net, packet.skb, UNREACHABLE, PORT_UNREACHABLE)
    packet.because = Unbalanced("IPVS: of no connection")
    return _DROP


def _aborts(packet: Packet) -> bool:
    payload, protocol = packet.skb.payload, packet.skb.header.protocol
    if protocol == TCP:
        return len(payload) >= TCP_HEADER and bool(payload[13] & RST)
    return protocol != UDP and payload[SCTP_HEADER : SCTP_HEADER + 1] == bytes((ChunkType.ABORT,))


# --- of both ---


def advance(packet: Packet, ipvs: Ipvs, connection: Connection, way: Way) -> None:
    """Have a packet move its connection's state, and begin its time anew. Source: `ip_vs_set_state`."""
    protocol, payload = connection.ends.protocol, packet.skb.payload
    if protocol != TCP or len(payload) >= TCP_HEADER:
        state = next_state(protocol, connection.state, way, payload)
        if protocol != UDP:
            _recount(ipvs, connection, state)
        connection.state = state
        connection.timeout = ipvs.timeout(protocol, state)
        stands = way is Way.OUT if protocol == UDP else state is State.ESTABLISHED
        if connection.template is not None and stands:
            connection.template.state = State.ASSURED
    ipvs.connections.restart(connection, packet.net.now)


def _recount(ipvs: Ipvs, connection: Connection, state: State) -> None:
    """Have the destination's load follow a change of state."""
    is_inactive = not is_active(connection.ends.protocol, state)
    if state is connection.state or is_inactive == connection.is_inactive:
        return
    load = ipvs.load_of(connection)
    change = -1 if is_inactive else 1
    load.active += change
    load.inactive -= change
    connection.is_inactive = is_inactive


FUNCTIONS: Final[Mapping[Hook, tuple[tuple[int, HookFunction], ...]]] = {
    Hook.PREROUTING: ((Priority.CONNTRACK_DEFRAG - 1, sweep),),
    Hook.INPUT: ((Priority.NAT_SRC - 2, answer), (Priority.NAT_SRC - 1, request)),
    Hook.FORWARD: ((Priority.NAT_SRC - 1, errors.forwarded), (Priority.NAT_SRC, answer)),
    Hook.OUTPUT: (
        (Priority.CONNTRACK_DEFRAG - 1, sweep),
        (Priority.NAT_DST + 1, answer),
        (Priority.NAT_DST + 2, request),
    ),
}
"""What stands at each hook while there are services, with its priority."""
