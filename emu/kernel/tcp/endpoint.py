# SPDX-License-Identifier: GPL-2.0-only
"""The calls that sockets make: connect, listen, accept, send, receive, close.

Plain functions that take the namespace first. None blocks: where a real call
would, they raise `BlockingIOError`, and `Wake` says later that it is worth
trying again.

Source: net/ipv4/tcp.c, net/ipv4/af_inet.c, net/ipv4/inet_connection_sock.c.
"""

from __future__ import annotations

import errno
import os
import socket as system
from contextlib import suppress
from typing import TYPE_CHECKING

from emu.kernel import connections, transport
from emu.kernel.connections import Key
from emu.kernel.tcp.connection import Connection
from emu.kernel.tcp.dispatch import settle
from emu.kernel.tcp.socket import SocketInfo
from emu.kernel.tcp.states import State
from emu.kernel.tcp.table import Entry, Listener
from emu.kernel.tcp.timers import Purpose
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.kernel.tcp.socket import Timer
    from emu.sim.time import Instant


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _connection(sock: Socket) -> Connection | None:
    entry = sock.tcp.entry
    return entry.connection if entry is not None else None


# --- opening ---


def connect(net: Namespace, sock: Socket, address: IpAddress, port: int) -> None:
    """Send a SYN to `address`; `Wake` tells when `is_connected`, or `sock.error` says why not.

    `sock.local` and `sock.local_port` are chosen before (binding is not TCP's business).

    Raises:
        OSError: EISCONN, EALREADY, EADDRNOTAVAIL (the 4-tuple is taken), or no route.
    """
    connection = _connection(sock)
    if connection is not None and not connection.is_gone:
        raise _error(errno.EISCONN if connection.is_established else errno.EALREADY)
    if sock.tcp.listener is not None:
        raise _error(errno.EISCONN)
    key = Key(sock.local, sock.local_port, address, port)
    if net.tcp.find(key) is not None:
        raise _error(errno.EADDRNOTAVAIL)
    mtu = transport.path_mtu(net, sock, address)
    sock.error = 0
    sock.remote, sock.remote_port = address, port
    connection = Connection.open(
        net.tcp.config(net.sysctl),
        now=net.now,
        iss=net.random.getrandbits(32),
        mtu=mtu,
        stamp_offset=net.random.getrandbits(32),
    )
    connection.tcb.nodelay = sock.tcp.nodelay
    connection.tcb.keepalive = sock.tcp.keepalive
    entry = Entry(key, sock, connection=connection, identification=net.random.randrange(1, 0x8000))
    sock.tcp.entry = entry
    net.tcp.add(entry)
    settle(net, entry)


def listen(net: Namespace, sock: Socket, backlog: int) -> None:
    """Take connections to `sock.local`:`sock.local_port`, `backlog` + 1 waiting at most.

    Raises:
        OSError: EINVAL, the socket has a connection.
    """
    connection = _connection(sock)
    if connection is not None and not connection.is_gone:
        raise _error(errno.EINVAL)
    if sock.tcp.listener is None:
        sock.tcp.listener = Listener(backlog)
        net.tcp.listen(sock)
    sock.tcp.listener.backlog = backlog


def accept(net: Namespace, sock: Socket) -> Socket:  # noqa: ARG001 - a system call, as the others
    """Return the next connection that is done with its handshake (made by `sock.child()`).

    Raises:
        BlockingIOError: there is none.
        OSError: EINVAL, `sock` does not listen.
    """
    return connections.accept(sock.tcp.listener)


# --- data ---


def send(net: Namespace, sock: Socket, data: bytes) -> int:
    """Queue `data` and return how many octets of it had room.

    Raises:
        BlockingIOError: no room at all, or not connected yet.
        OSError: EPIPE, or the pending error.
    """
    sock.take_error()
    entry, connection = sock.tcp.entry, _connection(sock)
    if entry is None or connection is None:
        raise _error(errno.EPIPE)
    with suppress(OSError):  # without a route it is queued all the same, and sent once there is one
        mtu = transport.path_mtu(net, sock, entry.key.remote)
        if connection.is_established and mtu != connection.tcb.snd.mtu:
            connection.path_has_changed(mtu, net.now)
    try:
        return connection.write(data, net.now)
    finally:
        settle(net, entry)


def recv(net: Namespace, sock: Socket, size: int) -> bytes:
    """Return up to `size` octets; none means that the other side has closed.

    Raises:
        BlockingIOError: nothing has arrived.
        OSError: ENOTCONN, or the pending error (ECONNRESET, ETIMEDOUT, ...).
    """
    entry, connection = sock.tcp.entry, _connection(sock)
    if entry is None or connection is None or sock.tcp.listener is not None:
        raise _error(errno.ENOTCONN)
    if not connection.unread and not connection.tcb.rcv.fin:
        sock.take_error()
    try:
        return connection.read(size, net.now)
    finally:
        settle(net, entry)


# --- closing ---


def shutdown(net: Namespace, sock: Socket, how: int) -> None:
    """Close one or both directions; `how` as `socket.SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`.

    Raises:
        OSError: ENOTCONN.
    """
    if sock.tcp.listener is not None:
        if how != system.SHUT_WR:
            _stop_listening(net, sock)
        return
    entry, connection = sock.tcp.entry, _connection(sock)
    if entry is None or connection is None or connection.is_gone:
        raise _error(errno.ENOTCONN)
    if connection.state is State.SYN_SENT:
        connection.abort(net.now)
        settle(net, entry)
        return
    if how in (system.SHUT_RD, system.SHUT_RDWR):
        connection.shut_reading()
    if how in (system.SHUT_WR, system.SHUT_RDWR):
        connection.shut_writing(net.now)
    settle(net, entry)


def close(net: Namespace, sock: Socket) -> None:
    """Give the socket up; what is queued is still sent, then FIN (or RST, see `TcpSocket.linger`)."""
    if sock.tcp.listener is not None:
        _stop_listening(net, sock)
    entry, connection = sock.tcp.entry, _connection(sock)
    if entry is not None and connection is not None:
        connection.close(net.now, linger=sock.tcp.linger)
        settle(net, entry)


def _stop_listening(net: Namespace, sock: Socket) -> None:
    """Drop what waits for the listener; who is connected already gets RST. Source: `inet_csk_listen_stop`."""
    listener = sock.tcp.listener
    assert listener is not None, "it listens"
    net.tcp.stop_listening(sock)
    listener.close()
    sock.tcp.listener = None
    for entry in listener.handshakes.values():
        net.tcp.remove(entry)
    for child in listener.ready:
        made, connection = child.tcp.entry, _connection(child)
        net.sockets.remove(child)
        if made is not None and connection is not None:
            connection.tcb.orphan = True
            connection.abort(net.now)
            settle(net, made)


# --- options and readiness ---


def _change(net: Namespace, sock: Socket, change: Callable[[Connection], None]) -> None:
    """Change something of the connection of a socket, if it has one, and do what follows from it."""
    entry, connection = sock.tcp.entry, _connection(sock)
    if entry is not None and connection is not None:
        change(connection)
        settle(net, entry)


def set_nodelay(net: Namespace, sock: Socket, *, on: bool) -> None:
    """Set TCP_NODELAY; on sends what Nagle's algorithm held back."""
    sock.tcp.nodelay = on
    _change(net, sock, lambda connection: connection.send_small(net.now, on=on))


def set_quickack(net: Namespace, sock: Socket, *, on: bool) -> None:
    """Set TCP_QUICKACK; on sends a delayed ACK at once."""
    _change(net, sock, lambda connection: connection.acknowledge_quickly(net.now, on=on))


def set_keepalive(net: Namespace, sock: Socket, *, on: bool) -> None:
    """Set SO_KEEPALIVE: probe a connection that is silent for `tcp_keepalive_time`."""
    sock.tcp.keepalive = on
    _change(net, sock, lambda connection: connection.keep_alive(net.now, on=on))


def is_listening(sock: Socket) -> bool:
    """Return whether `sock` takes connections."""
    return sock.tcp.listener is not None


def is_readable(sock: Socket) -> bool:
    """Return whether `recv` (`accept` of a listener) would not block."""
    if sock.tcp.listener is not None:
        return bool(sock.tcp.listener.ready)
    connection = _connection(sock)
    return connection is None or bool(sock.error) or connection.is_readable


def is_writable(sock: Socket) -> bool:
    """Return whether `send` would not block."""
    connection = _connection(sock)
    return connection is None or bool(sock.error) or connection.is_writable


def is_connected(sock: Socket) -> bool:
    """Return whether the handshake is done (and the connection not closed since)."""
    connection = _connection(sock)
    return connection is not None and connection.is_established


def is_lingering(net: Namespace, address: IpAddress, port: int) -> bool:
    """Return whether a connection without a program still uses this address and port (TIME-WAIT, ...)."""
    return any(
        entry.connection is not None
        and entry.connection.tcb.orphan
        and entry.key.local_port == port
        and (address in (ANY_IP4, entry.key.local))
        for entry in net.tcp.entries()
    )


# --- time ---


def timeout(net: Namespace) -> None:
    """Do what is due at `net.now`."""
    entry = net.tcp.take_due(net.now)
    while entry is not None:
        if entry.connection is not None:
            entry.connection.timeout(net.now)
        elif entry.handshake is not None and not entry.handshake.timeout(net.now):
            _forget_handshake(net, entry)
        settle(net, entry)
        entry = net.tcp.take_due(net.now)


def _forget_handshake(net: Namespace, entry: Entry) -> None:
    net.tcp.remove(entry)
    entry.handshake = None
    if entry.sock.tcp.listener is not None:
        entry.sock.tcp.listener.handshakes.pop(entry.key, None)


def next_deadline(net: Namespace) -> Instant | None:
    """Return when `timeout` is to be called next."""
    return net.tcp.next_deadline


# --- what `ss` shows ---

_TIMER_NAMES = {Purpose.ZERO_WINDOW: "persist"}


def unacknowledged(sock: Socket) -> int:
    """Return how many octets of what was written the peer has not acknowledged (SIOCOUTQ of tcp(7))."""
    entry = sock.tcp.entry
    if entry is None or entry.connection is None or entry.connection.tcb.remainder is not None:
        return 0
    return entry.connection.unacknowledged


def listing(net: Namespace) -> Iterator[SocketInfo]:
    """Yield what `ss -tan` shows, listeners first."""
    for sock in net.tcp.listeners():
        listener = sock.tcp.listener
        assert listener is not None, "it listens"
        yield SocketInfo(
            listener.state,
            len(listener.ready),
            listener.backlog,
            sock.local,
            sock.local_port,
            ANY_IP4,
            0,
            None,
            sock.number,
        )
    for entry in net.tcp.entries():
        yield _line(net, entry)


def _line(net: Namespace, entry: Entry) -> SocketInfo:
    key, connection = entry.key, entry.connection
    state, unread, unacknowledged, number = State.SYN_RECEIVED, 0, 0, 0
    if connection is not None:
        state = connection.state
        if connection.tcb.remainder is None:
            unread, unacknowledged = connection.unread, connection.unacknowledged
        number = 0 if connection.tcb.orphan else entry.sock.number
    return SocketInfo(
        state,
        unread,
        unacknowledged,
        IpAddress(key.local),
        key.local_port,
        IpAddress(key.remote),
        key.remote_port,
        _timer(net.now, entry),
        number,
    )


def _timer(now: Instant, entry: Entry) -> Timer | None:
    """Return the timer as `ss -o` names it: name, time left, retransmissions."""
    if entry.handshake is not None:
        return ("on", entry.handshake.deadline - now, entry.handshake.timeouts)
    connection = entry.connection
    if connection is None:
        return None
    tcb = connection.tcb
    if tcb.remainder is not None:
        return ("timewait", tcb.remainder.deadline - now, 0)
    timers = tcb.timers
    if timers.purpose is not None and timers.send_at is not None:
        count = tcb.loss.probes if timers.purpose is Purpose.ZERO_WINDOW else tcb.loss.timeouts
        return (_TIMER_NAMES.get(timers.purpose, "on"), timers.send_at - now, count)
    if timers.keepalive_at is not None:
        return ("keepalive", timers.keepalive_at - now, tcb.loss.probes)
    return None
