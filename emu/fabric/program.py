# SPDX-License-Identifier: GPL-2.0-only
"""Programs: generators of system calls.

A program is an ordinary generator. It yields what it wants of its namespace and
is resumed with the result, or with the `OSError` that the call would give on
Linux; between two yields no time passes. The functions below are the calls, to
be used with `yield from`:

    def greet(address):
        sock = yield from socket(SocketKind.TCP)
        yield from connect(sock, address, 80, timeout=3 * SECOND)
        yield from send(sock, b"hello")
        return (yield from receive(sock))
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from emu.kernel import sctp, sockets, tcp
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, later
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Datagram, PathMtuDiscovery, Socket
    from emu.sim.time import Duration, Instant
    from emu.wire.addresses import IpAddress

T = TypeVar("T")

READ_SIZE = 65536
BACKLOG = 64  # connections that wait for a server that does not say how many may
_DRAINED_EVERY = 10 * MILLISECOND


class Do(NamedTuple):
    """Call `function` with the namespace; it does not block."""

    function: Callable[[Namespace], Any]


class Block(NamedTuple):
    """Call `function` now and whenever `socket` wakes, until it no longer raises `BlockingIOError`.

    After `timeout` ns the program gets `TimeoutError`; None waits for ever.
    A program that `repeats` comes back to this wait, as it was before, without
    waiting for anything else: so it can be asked something and be the same again.
    """

    function: Callable[[Namespace], Any]
    socket: Socket
    timeout: Duration | None
    repeats: bool = False


class Sleep(NamedTuple):
    """Go on `duration` ns from now."""

    duration: Duration


class Spawn(NamedTuple):
    """Start another program in the same namespace, as a thread of this one."""

    program: Program[Any]


Call: TypeAlias = Do | Block | Sleep | Spawn
Program: TypeAlias = Generator[Call, Any, T]


def call(function: Callable[[Namespace], T]) -> Program[T]:
    """Call `function` with the program's namespace and return its result."""
    result: T = yield Do(function)
    return result


def sleep(duration: Duration) -> Program[None]:
    """Do nothing for `duration` ns."""
    yield Sleep(duration)


def spawn(program: Program[Any]) -> Program[None]:
    """Let `program` run beside this one."""
    yield Spawn(program)


def now() -> Program[Instant]:
    """Return the virtual time."""
    result: Instant = yield Do(lambda net: net.now)
    return result


def socket(kind: SocketKind) -> Program[Socket]:
    """Open a socket."""
    result: Socket = yield Do(lambda net: sockets.create(net, kind))
    return result


def configure(
    sock: Socket,
    *,
    ttl: int | None = None,
    tos: int | None = None,
    pmtu_discovery: PathMtuDiscovery | None = None,
    reuse_address: bool = False,
    broadcast: bool = False,
) -> Program[None]:
    """Set options that are given (setsockopt(2))."""

    def apply(_: Namespace) -> None:
        sock.ttl = sock.ttl if ttl is None else ttl
        sock.tos = sock.tos if tos is None else tos
        sock.pmtu_discovery = sock.pmtu_discovery if pmtu_discovery is None else pmtu_discovery
        sock.reuse_address = sock.reuse_address or reuse_address
        sock.broadcast = sock.broadcast or broadcast

    yield Do(apply)


def bind(sock: Socket, address: IpAddress, port: int = 0) -> Program[None]:
    """Give the socket its own address and port."""
    yield Do(lambda net: sockets.bind(net, sock, address, port))


def listen(sock: Socket, backlog: int = BACKLOG) -> Program[None]:
    """Take connections."""
    yield Do(lambda net: sockets.listen(net, sock, backlog))


def listening(
    port: int,
    address: IpAddress = ANY_IP4,
    *,
    kind: SocketKind = SocketKind.TCP,
    backlog: int = BACKLOG,
) -> Program[Socket]:
    """Return a socket that takes connections at `port`, even where old connections of it linger.

    Raises:
        OSError: EADDRINUSE, EADDRNOTAVAIL.
    """
    listener = yield from socket(kind)
    try:
        yield from configure(listener, reuse_address=True)
        yield from bind(listener, address, port)
        yield from listen(listener, backlog)
    except OSError:
        yield from close(listener)
        raise
    return listener


def accept(sock: Socket, *, repeats: bool = False) -> Program[Socket]:
    """Wait for the next connection; for `repeats` see `Block`."""
    result: Socket = yield Block(lambda net: sockets.accept(net, sock), sock, None, repeats)
    return result


def connect(sock: Socket, address: IpAddress, port: int, *, timeout: Duration | None = None) -> Program[None]:
    """Connect, and wait until a TCP connection or an SCTP association stands.

    Raises:
        TimeoutError: not within `timeout`, or the kernel gave up.
        OSError: refused, unreachable, ...
    """
    yield Do(lambda net: sockets.connect(net, sock, address, port))
    if sock.kind in {SocketKind.TCP, SocketKind.SCTP}:
        yield Block(lambda _: _connected(sock), sock, timeout)


def _connected(sock: Socket) -> None:
    sock.take_error()
    if not (tcp.is_connected(sock) or sctp.is_connected(sock)):
        raise sockets.error(errno.EAGAIN)


def send(sock: Socket, data: bytes, *, timeout: Duration | None = None) -> Program[None]:
    """Send all of `data` to the peer, waiting for room."""
    while data:
        taken = yield Block(partial(sockets.send, socket=sock, data=data), sock, timeout)
        data = data[taken:]


def receive(sock: Socket, size: int = READ_SIZE, *, timeout: Duration | None = None) -> Program[bytes]:
    """Wait for data of the peer and return it; nothing means that a TCP or SCTP peer has closed."""
    result: bytes = yield Block(lambda net: sockets.receive(net, sock, size), sock, timeout)
    return result


def send_to(
    sock: Socket, data: bytes, address: IpAddress, port: int = 0, *, src: IpAddress = ANY_IP4
) -> Program[None]:
    """Send one datagram, from `src` if the socket has no address of its own."""
    yield Do(lambda net: sockets.send_to(net, sock, data, address, port, src))


def receive_from(
    sock: Socket, *, timeout: Duration | None = None, repeats: bool = False
) -> Program[Datagram]:
    """Wait for a datagram; for `repeats` see `Block`."""
    result: Datagram = yield Block(lambda net: sockets.receive_from(net, sock), sock, timeout, repeats)
    return result


def drain(sock: Socket, *, timeout: Duration) -> Program[None]:
    """Wait until the peer has acknowledged all that was sent.

    Raises:
        TimeoutError: it has not within `timeout` ns.
        OSError: the connection failed.
    """
    end = later((yield from now()), timeout)
    while (yield from call(lambda _: tcp.unacknowledged(sock))):
        yield Do(lambda _: sock.take_error())
        if (yield from now()) >= end:
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        yield Sleep(_DRAINED_EVERY)
    yield Do(lambda _: sock.take_error())


def quick_ack(sock: Socket) -> Program[None]:
    """Acknowledge at once from now on (TCP_QUICKACK)."""
    yield Do(lambda net: tcp.set_quickack(net, sock, on=True))


def linger(sock: Socket, duration: Duration) -> Program[None]:
    """Set SO_LINGER; 0 makes `close` send RST, or ABORT."""

    def apply(_: Namespace) -> None:
        sock.tcp.linger = sock.sctp.linger = duration

    yield Do(apply)


def close(sock: Socket) -> Program[None]:
    """Give the socket up."""
    yield Do(lambda net: sockets.close(net, sock))
