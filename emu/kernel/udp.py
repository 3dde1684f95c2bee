# SPDX-License-Identifier: GPL-2.0-only
"""UDP: sending datagrams, finding whose one is that came in (RFC 768, net/ipv4/udp.c)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.kernel import icmp, ipv4, path, routing, sockets
from emu.kernel.drops import DropReason
from emu.kernel.fib import RouteType
from emu.kernel.link import vxlan
from emu.wire import icmp as icmp_wire
from emu.wire import udp
from emu.wire.addresses import ANY_IP4, IpAddress
from emu.wire.checksum import pseudo_header, verifies
from emu.wire.ipv4 import MAX_PACKET, MIN_HEADER, UDP, UDP_LITE
from emu.wire.udp import HEADER_LENGTH, Udp

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.kernel.sockets import Socket
    from emu.wire.icmp import Icmp
    from emu.wire.ipv4 import Ipv4

# Looked up for every datagram.
_LOCAL: Final = RouteType.LOCAL
_BROADCAST: Final = RouteType.BROADCAST
_MULTICAST: Final = RouteType.MULTICAST

# What an ICMP unreachable means to a connected socket: (errno, whether it is told at once).
# Source: net/ipv4/icmp.c `icmp_err_convert`.
UNREACHABLE_ERRNO: Final = {
    0: (errno.ENETUNREACH, False),
    1: (errno.EHOSTUNREACH, False),
    2: (errno.ENOPROTOOPT, True),
    3: (errno.ECONNREFUSED, True),
    4: (errno.EMSGSIZE, False),
    5: (errno.EOPNOTSUPP, False),
    6: (errno.ENETUNREACH, True),
    7: (errno.EHOSTDOWN, True),
    8: (errno.ENONET, True),
    9: (errno.ENETUNREACH, True),
    10: (errno.EHOSTUNREACH, True),
    11: (errno.ENETUNREACH, False),
    12: (errno.EHOSTUNREACH, False),
    13: (errno.EHOSTUNREACH, True),
    14: (errno.EHOSTUNREACH, True),
    15: (errno.EHOSTUNREACH, True),
}


def send(  # noqa: PLR0917 - sendmsg(2)
    net: Namespace, socket: Socket, data: bytes, address: IpAddress, port: int, src: IpAddress = ANY_IP4
) -> None:
    """Send one datagram, from `src` if the socket has no address of its own.

    Raises:
        OSError: EMSGSIZE, EACCES (a broadcast without SO_BROADCAST), EINVAL (port 0), no route.
    """
    if port == 0:
        raise sockets.error(errno.EINVAL)
    if len(data) > MAX_PACKET - MIN_HEADER - HEADER_LENGTH:
        raise sockets.error(errno.EMSGSIZE)
    wanted = src if socket.source == ANY_IP4 else socket.source
    decision = routing.route_output(net, address, src=wanted, mark=socket.mark, tos=socket.tos)
    if decision.kind is _BROADCAST and not socket.broadcast:
        raise sockets.error(errno.EACCES)
    if address == ANY_IP4:
        address = decision.next_hop
    src = ipv4.source_of(decision, wanted)
    payload = udp.build(src, address, socket.local_port, port, data)
    send_payload(net, socket, protocol=UDP, payload=payload, address=address, decision=decision)


def send_payload(
    net: Namespace,
    socket: Socket,
    *,
    protocol: int,
    payload: bytes,
    address: IpAddress,
    decision: routing.RouteDecision,
) -> None:
    """Send `payload` of a datagram socket, with DF as the socket and the path's MTU want it.

    Raises:
        OSError: EMSGSIZE, if the socket forbids fragments and it does not fit.

    Source: net/ipv4/ip_output.c `__ip_make_skb`.
    """
    only_whole = socket.pmtu_discovery is sockets.PathMtuDiscovery.DO
    fits = len(payload) + MIN_HEADER <= path.path_mtu(net, decision, address)
    locked = path.is_mtu_locked(net, decision, address)
    ipv4.send(
        net,
        protocol=protocol,
        dst=address,
        payload=payload,
        src=ipv4.source_of(decision, socket.source),
        decision=decision,
        ttl=1 if decision.kind is _MULTICAST else socket.ttl,  # IP_MULTICAST_TTL
        tos=socket.tos,
        df=only_whole or (socket.df and fits and not locked),
        ignore_df=not only_whole,
        mark=socket.mark,
        socket=socket.number,
    )


def receive(net: Namespace, skb: Skb) -> None:
    """Take a datagram for this host. Source: `__udp4_lib_rcv`."""
    payload = skb.payload
    try:
        header = Udp.parse(payload)
    except HeaderError as error:
        net.drop(skb, DropReason.PKT_TOO_SMALL, str(error))
        return
    if not HEADER_LENGTH <= header.length <= len(payload):
        net.drop(skb, DropReason.PKT_TOO_SMALL, f"UDP length {header.length}")
        return
    datagram = payload[: header.length]
    skb.trim(skb.header.header_length + header.length)
    skb.forget_connection()
    assert skb.route is not None, "routed before"
    if skb.route.kind is not _LOCAL:
        takers = [s for s in net.sockets.of(sockets.SocketKind.UDP) if _score(s, skb, header) is not None]
    else:
        found = _lookup(net, skb, header)
        takers = [] if found is None else [found]
    holds = udp.checksum_holds(skb.header.src, skb.header.dst, datagram)
    if not takers and holds and vxlan.receive(net, skb, datagram):
        return
    if not holds:
        net.drop(skb, DropReason.UDP_CSUM)
    elif not takers:
        icmp.send_error(net, skb, icmp_wire.UNREACHABLE, icmp_wire.PORT_UNREACHABLE)
        net.drop(skb, DropReason.NO_SOCKET, f"nobody is bound to UDP port {header.dport}")
    else:
        local = IpAddress(skb.header.dst) if skb.route.kind is _LOCAL else ANY_IP4
        data = datagram[HEADER_LENGTH:]
        _queue(net, skb, takers, sockets.Datagram(data, skb.src, header.sport, local))


def receive_lite(net: Namespace, skb: Skb) -> None:
    """Take a datagram of UDP-Lite: there are no sockets for it, so its sender is told so.

    Source: RFC 3828 §3.1, include/net/udplite.h `udplite_checksum_init`.
    """
    payload, header = skb.payload, skb.header
    if len(payload) < HEADER_LENGTH:
        net.drop(skb, DropReason.PKT_TOO_SMALL, "UDP-Lite")
        return
    skb.forget_connection()
    coverage = int.from_bytes(payload[4:6], "big") or len(payload)
    pseudo = pseudo_header(header.src, header.dst, UDP_LITE, len(payload))
    fits = HEADER_LENGTH <= coverage <= len(payload) and payload[6:8] != b"\0\0"
    if not fits or not verifies(payload[:coverage], pseudo):
        net.drop(skb, DropReason.UDP_CSUM, "UDP-Lite")
        return
    icmp.send_error(net, skb, icmp_wire.UNREACHABLE, icmp_wire.PORT_UNREACHABLE)
    net.drop(skb, DropReason.NO_SOCKET, "there are no sockets of UDP-Lite")


def _queue(net: Namespace, skb: Skb, takers: list[Socket], datagram: sockets.Datagram) -> None:
    for socket in takers:
        if not sockets.enqueue(net, socket, datagram):
            net.drop(skb, DropReason.SOCKET_RCVBUFF)
        elif net.recorder is not None:
            net.note(skb, "socket", f"UDP socket on port {socket.local_port}")


def _score(socket: Socket, skb: Skb, header: Udp) -> int | None:
    """Return how well `socket` matches, None if it does not. Source: `compute_score`."""
    if socket.local_port != header.dport:
        return None
    score = 0
    if socket.local != ANY_IP4:
        if socket.local != skb.header.dst:
            return None
        score += 4
    if socket.is_connected:
        if socket.remote != skb.header.src or socket.remote_port != header.sport:
            return None
        score += 8
    return score


def _lookup(net: Namespace, skb: Skb, header: Udp) -> Socket | None:
    best: Socket | None = None
    best_score = -1
    for socket in net.sockets.holders(sockets.SocketKind.UDP, header.dport):
        score = _score(socket, skb, header)
        if score is not None and score > best_score:
            best, best_score = socket, score
    return best


def _sender(net: Namespace, inner: Ipv4, rest: bytes) -> Socket | None:
    """Return the socket that sent the datagram which an ICMP error quotes."""
    sent = Udp.parse(rest)
    for socket in net.sockets.holders(sockets.SocketKind.UDP, sent.sport):
        peer = (socket.remote, socket.remote_port)
        if socket.local in (ANY_IP4, inner.src) and (
            not socket.is_connected or peer == (inner.dst, sent.dport)
        ):
            return socket
    return None


def has_sender(net: Namespace, inner: Ipv4, rest: bytes) -> bool:
    """Return whether a socket here sent the datagram which an ICMP error quotes."""
    return _sender(net, inner, rest) is not None


def error(net: Namespace, inner: Ipv4, rest: bytes, header: Icmp, mtu: int) -> None:
    """Take an ICMP error about a datagram of ours, quoted as `inner` and `rest`. Source: `__udp4_lib_err`."""
    socket = _sender(net, inner, rest)
    if socket is None:
        return
    if mtu:
        path.learn_mtu(net, inner.dst, mtu)
        if socket.df and socket.is_connected:
            sockets.fail(net, socket, errno.EMSGSIZE)
        return
    if header.type == icmp_wire.UNREACHABLE:
        number, hard = UNREACHABLE_ERRNO.get(header.code, (errno.EHOSTUNREACH, True))
    else:
        number, hard = (errno.EPROTO, True) if header.type == icmp_wire.PARAMETER_PROBLEM else (0, False)
    if hard and socket.is_connected:
        sockets.fail(net, socket, number)
