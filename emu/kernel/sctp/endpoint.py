# SPDX-License-Identifier: GPL-2.0-only
"""The calls that one-to-one sockets make: connect, listen, accept, send, receive, close.

Plain functions that take the namespace first. None blocks: where a real call
would, they raise `BlockingIOError`, and `Wake` says later that it is worth
trying again. A `send` is a message and a `recv` returns one, never two.

Source: net/sctp/socket.c, RFC 6458 §4.
"""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from emu.kernel import connections, transport
from emu.kernel.connections import AcceptQueue, Key
from emu.kernel.sctp.association import Association
from emu.kernel.sctp.config import SEND_BUFFER
from emu.kernel.sctp.dispatch import settle
from emu.kernel.sctp.states import IN_SETUP, State
from emu.kernel.sctp.table import Entry
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Socket
    from emu.sim.time import Instant


class AssociationInfo(NamedTuple):
    """A listener or an association, as a list of sockets shows it.

    `state` is None for a listener. `recv_q` counts messages that were not read
    (associations to be accepted, of a listener), `send_q` octets that are not
    acknowledged (its backlog).
    """

    state: State | None
    recv_q: int
    send_q: int
    local: IpAddress
    local_port: int
    remote: IpAddress
    remote_port: int


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _association(sock: Socket) -> Association | None:
    entry = sock.sctp.entry
    return entry.association if entry is not None else None


# --- opening ---


def connect(net: Namespace, sock: Socket, address: IpAddress, port: int) -> None:
    """Send an INIT to `address`; `Wake` tells when `is_connected`, or `sock.error` says why not.

    Raises:
        OSError: EISCONN, EALREADY, EADDRNOTAVAIL (there is such an association), or no route.
    """
    association = _association(sock)
    if association is not None and not association.is_gone:
        raise _error(errno.EALREADY if association.state in IN_SETUP else errno.EISCONN)
    if sock.sctp.listener is not None:
        raise _error(errno.EISCONN)
    key = Key(sock.local, sock.local_port, address, port)
    if net.sctp.find(key) is not None:
        raise _error(errno.EADDRNOTAVAIL)
    mtu = transport.path_mtu(net, sock, address)
    sock.error = 0
    sock.remote, sock.remote_port = address, port
    jar, draw = net.sctp.jar(key, net.random), partial(net.random.getrandbits, 32)
    association = Association.open(jar, draw, mtu, net.now)
    entry = Entry(key, sock, association, net.random.randrange(1, 0x8000))
    sock.sctp.entry = entry
    net.sctp.add(entry)
    settle(net, entry)


def listen(net: Namespace, sock: Socket, backlog: int) -> None:
    """Take associations with `sock.local`:`sock.local_port`, `backlog` + 1 waiting at most.

    Raises:
        OSError: EINVAL, the socket has an association.
    """
    association = _association(sock)
    if association is not None and not association.is_gone:
        raise _error(errno.EINVAL)
    if sock.sctp.listener is None:
        sock.sctp.listener = AcceptQueue(backlog)
        net.sctp.listen(sock)
    sock.sctp.listener.backlog = backlog


def accept(net: Namespace, sock: Socket) -> Socket:  # noqa: ARG001 - a system call, as the others
    """Return the next association (made by `sock.child()`).

    Raises:
        BlockingIOError: there is none.
        OSError: EINVAL, `sock` does not listen.
    """
    return connections.accept(sock.sctp.listener)


# --- data ---


def send(net: Namespace, sock: Socket, data: bytes) -> int:
    """Queue `data` as one message and return its length.

    Raises:
        BlockingIOError: no room for it now, or not connected yet.
        OSError: EMSGSIZE (larger than the send buffer), EINVAL (nothing), EPIPE,
            ENOTCONN, or the pending error.
    """
    sock.take_error()
    entry, association = sock.sctp.entry, _association(sock)
    if entry is None or association is None:
        raise _error(errno.ENOTCONN)
    if association.state in IN_SETUP:
        raise _error(errno.EAGAIN)
    if association.state is not State.ESTABLISHED:
        raise _error(errno.EPIPE)
    if not data:
        raise _error(errno.EINVAL)
    if len(data) > SEND_BUFFER:
        raise _error(errno.EMSGSIZE)
    if association.outgoing.queued + len(data) > SEND_BUFFER:
        raise _error(errno.EAGAIN)
    association.write(data, net.now)
    settle(net, entry)
    return len(data)


def recv(net: Namespace, sock: Socket, size: int) -> bytes:
    """Return the next message, `size` octets of it at most; nothing means that the peer has shut down.

    Raises:
        BlockingIOError: nothing has arrived.
        OSError: ENOTCONN, or the pending error (ECONNRESET, ETIMEDOUT, ...).
    """
    entry, association = sock.sctp.entry, _association(sock)
    if entry is None or association is None:
        raise _error(errno.ENOTCONN)
    if not association.unread:
        sock.take_error()
        if association.has_ended:
            return b""
        raise _error(errno.EAGAIN)
    message = association.read(size, net.now)
    settle(net, entry)
    return message


# --- closing ---


def shutdown(net: Namespace, sock: Socket) -> None:
    """Send no more, and have the association end when all is acknowledged: there is no half of one.

    Raises:
        OSError: ENOTCONN.
    """
    entry, association = sock.sctp.entry, _association(sock)
    if entry is None or association is None or association.is_gone:
        raise _error(errno.ENOTCONN)
    association.shut(net.now)
    settle(net, entry)


def close(net: Namespace, sock: Socket) -> None:
    """Give the socket up: by SHUTDOWN, or by ABORT if something was not read or SO_LINGER is 0."""
    if sock.sctp.listener is not None:
        _stop_listening(net, sock)
    _give_up(net, sock)


def _give_up(net: Namespace, sock: Socket) -> None:
    entry, association = sock.sctp.entry, _association(sock)
    if entry is None or association is None:
        return
    association.orphan = True
    if association.unread or sock.sctp.linger == 0:
        association.abort()
    else:
        association.shut(net.now)
    settle(net, entry)


def _stop_listening(net: Namespace, sock: Socket) -> None:
    """Listen no more; associations that wait to be accepted are closed."""
    listener = sock.sctp.listener
    assert listener is not None, "it listens"
    net.sctp.stop_listening(sock)
    sock.sctp.listener = None
    for child in listener.ready:
        net.sockets.remove(child)
        _give_up(net, child)


# --- readiness, time, lists ---


def is_listening(sock: Socket) -> bool:
    """Return whether `sock` takes associations."""
    return sock.sctp.listener is not None


def is_connected(sock: Socket) -> bool:
    """Return whether the set-up is done (and the association has not ended since)."""
    association = _association(sock)
    return association is not None and association.is_established


def timeout(net: Namespace) -> None:
    """Do what is due at `net.now`."""
    for entry in net.sctp.due(net.now):
        entry.association.timeout(net.now)
        settle(net, entry)


def next_deadline(net: Namespace) -> Instant | None:
    """Return when `timeout` is to be called next."""
    return net.sctp.next_deadline


def listing(net: Namespace) -> Iterator[AssociationInfo]:
    """Yield the listeners, then the associations, each the oldest first."""
    for sock in net.sctp.listeners():
        listener = sock.sctp.listener
        assert listener is not None, "it listens"
        ready, backlog = len(listener.ready), listener.backlog
        yield AssociationInfo(None, ready, backlog, sock.local, sock.local_port, ANY_IP4, 0)
    for entry in net.sctp.entries():
        key, association = entry.key, entry.association
        yield AssociationInfo(
            association.state,
            association.unread,
            association.outgoing.queued,
            IpAddress(key.local),
            key.local_port,
            IpAddress(key.remote),
            key.remote_port,
        )
