# SPDX-License-Identifier: GPL-2.0-only
"""From the network to a connection: whose segment is it, whose ICMP error?

Source: net/ipv4/tcp_ipv4.c `tcp_v4_rcv`, `tcp_v4_err`, net/ipv4/tcp_input.c `tcp_conn_request`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from emu.errors import HeaderError
from emu.kernel import ip_options_echo, transport, udp
from emu.kernel.connections import Key
from emu.kernel.drops import DropReason
from emu.kernel.effects import Wake
from emu.kernel.fib import RouteType
from emu.kernel.skb import PacketType
from emu.kernel.tcp import reset
from emu.kernel.tcp.connection import Connection
from emu.kernel.tcp.dispatch import answer, learn_mtu, settle
from emu.kernel.tcp.handshake import Handshake, Step, is_request
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.sequence import unwrap
from emu.kernel.tcp.table import Entry
from emu.wire import icmp
from emu.wire import tcp as wire_tcp
from emu.wire.addresses import IpAddress
from emu.wire.tcp import ACK, RST, Tcp, TcpOptions

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.kernel.sockets import Socket
    from emu.wire.ipv4 import Ipv4

_ECN_MASK: Final = 3  # of the octet of DSCP and ECN
_ROUTE_LOST: Final = (icmp.NET_UNREACHABLE, icmp.HOST_UNREACHABLE)


# --- segments ---


def receive(net: Namespace, skb: Skb) -> None:
    """Take a segment for this host."""
    if skb.packet_type is not PacketType.HOST:
        net.drop(skb, DropReason.NOT_SPECIFIED, "TCP in a broadcast frame")
        return
    payload = skb.payload
    try:
        header = Tcp.parse(payload)
    except HeaderError as error:
        net.drop(skb, DropReason.PKT_TOO_SMALL, str(error))
        return
    length = header.header_length
    if not wire_tcp.MIN_HEADER <= length <= len(payload):
        net.drop(skb, DropReason.PKT_TOO_SMALL, f"TCP data offset {length}")
        return
    if not wire_tcp.checksum_holds(skb.header.src, skb.header.dst, payload):
        net.drop(skb, DropReason.TCP_CSUM)
        return
    options = TcpOptions.parse(payload[wire_tcp.MIN_HEADER : length])
    segment = Segment(header.flags, header.seq, header.ack, header.window, options, payload[length:])
    key = Key(skb.header.dst, header.dport, skb.header.src, header.sport)
    _take(net, skb, key, segment)


def _take(net: Namespace, skb: Skb, key: Key, segment: Segment) -> None:
    entry = net.tcp.find(key)
    if entry is not None and entry.connection is not None:
        _for_connection(net, skb, entry, segment)
    elif entry is not None:
        _for_handshake(net, skb, entry, segment)
    else:
        listening = net.tcp.listening(key.local, key.local_port)
        if listening is None:
            _refuse(net, skb, key, segment)
            net.drop(skb, DropReason.NO_SOCKET, f"nobody listens on TCP port {key.local_port}")
        else:
            _for_listener(net, skb, listening, key, segment)


def _refuse(net: Namespace, skb: Skb, key: Key, segment: Segment) -> None:
    """Answer with RST, if that is to be answered."""
    if skb.route is None or skb.route.kind is not RouteType.LOCAL:
        return
    refusal = reset.answer(segment)
    if refusal is not None:
        reflected = net.sysctl.number("net.ipv4.fwmark_reflect")
        tos, mark = skb.header.tos & ~_ECN_MASK, skb.mark if reflected else 0
        echoed = ip_options_echo.echo(net, skb)
        if echoed is not None:
            answer(net, key, refusal, tos=tos, mark=mark, echoed=echoed)


def _for_connection(net: Namespace, skb: Skb, entry: Entry, segment: Segment) -> None:
    connection = entry.connection
    assert connection is not None, "looked up"
    outcome = connection.receive(segment, net.now)
    net.note(skb, "socket", f"TCP {connection.state.value}, port {entry.key.local_port}")
    listening = None
    if connection.reopen is not None:
        listening = net.tcp.listening(entry.key.local, entry.key.local_port)
        if listening is None:
            connection.decline_reopening(net.now)
    if listening is not None:
        net.tcp.remove(entry)
        _request(net, skb, listening, entry.key, segment, iss=connection.reopen)
        return
    settle(net, entry)
    if outcome.reason is not None:
        net.drop(skb, outcome.reason)


def _for_listener(net: Namespace, skb: Skb, sock: Socket, key: Key, segment: Segment) -> None:
    """Take a segment for a listening socket. Source: RFC 9293 §3.10.7.2."""
    if is_request(segment):
        _request(net, skb, sock, key, segment)
    elif segment.flags & ACK:
        _refuse(net, skb, key, segment)
        net.drop(skb, DropReason.TCP_FLAGS, "a listener has nothing to be acknowledged")
    elif segment.flags & RST:
        net.drop(skb, DropReason.TCP_RESET)
    else:
        net.drop(skb, DropReason.TCP_FLAGS, "a listener takes a SYN")


def _request(
    net: Namespace, skb: Skb, sock: Socket, key: Key, segment: Segment, *, iss: int | None = None
) -> None:
    """Answer a SYN with SYN-ACK, if there is room for a connection."""
    listener = sock.tcp.listener
    assert listener is not None, "it listens"
    config = net.tcp.config(net.sysctl)
    if skb.route is None or skb.route.kind is not RouteType.LOCAL:
        net.drop(skb, DropReason.NOT_SPECIFIED, "a SYN to a broadcast or multicast address")
        return
    if listener.is_full or (not config.syncookies and len(listener.handshakes) >= max(listener.backlog, 1)):
        net.drop(skb, DropReason.TCP_LISTEN_OVERFLOW, f"backlog {listener.backlog}")
        return
    try:
        mtu = transport.path_mtu(net, sock, key.remote)
    except OSError as error:
        net.drop(skb, DropReason.IP_OUTNOROUTES, error.strerror or "")
        return
    handshake = Handshake(
        config,
        segment,
        iss=net.random.getrandbits(32) if iss is None else iss,
        mtu=mtu,
        now=net.now,
        stamp_offset=net.random.getrandbits(32),
        ect=bool(skb.header.tos & _ECN_MASK),
    )
    entry = Entry(key, sock, handshake=handshake)
    net.tcp.add(entry)
    listener.handshakes[key] = entry
    net.note(skb, "socket", f"TCP listener on port {key.local_port}")
    settle(net, entry)


def _for_handshake(net: Namespace, skb: Skb, entry: Entry, segment: Segment) -> None:
    handshake, sock = entry.handshake, entry.sock
    listener = sock.tcp.listener
    assert handshake is not None, "looked up"
    assert listener is not None, "a handshake ends with its listener"
    step = handshake.receive(segment, net.now)
    net.note(skb, "socket", f"TCP handshake on port {entry.key.local_port}")
    if step is Step.DONE and listener.is_full:
        net.drop(skb, DropReason.TCP_LISTEN_OVERFLOW, f"backlog {listener.backlog}")
        if not net.tcp.config(net.sysctl).abort_on_overflow:
            handshake.is_acknowledged = True
            return
        step = Step.RESET
    if step is Step.WAIT:
        settle(net, entry)
        return
    if step is Step.STRANGE:
        _for_listener(net, skb, sock, entry.key, segment)
        return
    del listener.handshakes[entry.key]
    net.tcp.remove(entry)
    if step is Step.DONE:
        _establish(net, sock, entry, segment)
    elif step is Step.RESET:
        _refuse(net, skb, entry.key, segment)


def _establish(net: Namespace, sock: Socket, entry: Entry, segment: Segment) -> None:
    """Make the connection of a handshake that is done, and let it be accepted."""
    listener, key, handshake = sock.tcp.listener, entry.key, entry.handshake
    assert listener is not None, "it listens"
    assert handshake is not None, "it is done"
    child = sock.child()
    child.local, child.local_port = IpAddress(key.local), key.local_port
    child.remote, child.remote_port = IpAddress(key.remote), key.remote_port
    child.tcp.nodelay, child.tcp.linger, child.tcp.keepalive = (
        sock.tcp.nodelay,
        sock.tcp.linger,
        sock.tcp.keepalive,
    )
    connection = Connection.accepted(handshake, segment, net.now)
    connection.send_small(net.now, on=sock.tcp.nodelay)
    connection.keep_alive(net.now, on=sock.tcp.keepalive)
    made = Entry(key, child, connection=connection, identification=net.random.randrange(1, 0x8000))
    child.tcp.entry = made
    net.tcp.add(made)
    listener.ready.append(child)
    connection.take_stir()
    settle(net, made)
    net.emit(Wake(sock.number))


# --- ICMP errors ---


def error(net: Namespace, header: Ipv4, payload: bytes, icmp_type: int, icmp_code: int, mtu: int) -> None:  # noqa: PLR0917 - as ICMP gives it
    """Take an ICMP error about a segment of ours, quoted as `header` and `payload` (8 octets at least).

    `mtu` is the next hop's for fragmentation needed, else 0.
    """
    sport, dport = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
    seq = int.from_bytes(payload[4:8], "big")
    entry = net.tcp.find(Key(header.src, sport, header.dst, dport))
    if entry is None:
        return
    if entry.connection is None:
        _error_of_handshake(net, entry, seq, icmp_type, icmp_code)
        return
    connection, snd = entry.connection, entry.connection.tcb.snd
    if connection.tcb.remainder is not None or not snd.una <= unwrap(seq, snd.una) <= snd.nxt:
        return
    if icmp_type == icmp.UNREACHABLE and icmp_code == icmp.FRAGMENTATION_NEEDED:
        learn_mtu(net, entry, mtu)
    else:
        number = _errno(icmp_type, icmp_code)
        if not number:
            return
        reverts = icmp_type == icmp.UNREACHABLE and icmp_code in _ROUTE_LOST
        connection.unreachable(number, seq, net.now, reverts=reverts)
    settle(net, entry)


def has_sender(net: Namespace, inner: Ipv4, rest: bytes) -> bool:
    """Return whether a connection here sent the segment which an ICMP error quotes."""
    sport, dport = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
    return net.tcp.find(Key(inner.src, sport, inner.dst, dport)) is not None


def _errno(icmp_type: int, icmp_code: int) -> int:
    """Return the errno that an ICMP error stands for, 0 for none."""
    if icmp_type == icmp.UNREACHABLE:
        return udp.UNREACHABLE_ERRNO.get(icmp_code, (0, False))[0]
    if icmp_type == icmp.TIME_EXCEEDED:
        return errno.EHOSTUNREACH
    return errno.EPROTO if icmp_type == icmp.PARAMETER_PROBLEM else 0


def _error_of_handshake(net: Namespace, entry: Entry, seq: int, icmp_type: int, icmp_code: int) -> None:
    """Give a handshake up whose SYN-ACK has no way. Source: `tcp_req_err`."""
    handshake, listener = entry.handshake, entry.sock.tcp.listener
    assert handshake is not None, "an entry is one or the other"
    hard = icmp_type in (icmp.TIME_EXCEEDED, icmp.PARAMETER_PROBLEM)
    if seq == handshake.iss and (hard or (icmp_type == icmp.UNREACHABLE and icmp_code in _ROUTE_LOST)):
        net.tcp.remove(entry)
        if listener is not None:
            listener.handshakes.pop(entry.key, None)
