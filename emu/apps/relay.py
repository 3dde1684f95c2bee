# SPDX-License-Identifier: GPL-2.0-only
"""A proxy of TCP: takes a connection, makes another one, and carries octets both ways.

       client ==== ours ==== relay ==== another ==== server

Either side may end its half; the other half goes on. Where no server can be
reached the client is reset: it was accepted before anybody knew.
"""

from __future__ import annotations

import socket as system
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import attrs

from emu.apps import proxy_protocol
from emu.fabric import program
from emu.kernel import tcp
from emu.kernel.effects import Wake
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.sim.time import Duration
    from emu.wire.addresses import IpAddress

BACKLOG: Final = 511
CONNECT_TIMEOUT: Final = 5 * SECOND
"""How long a server may take to answer; Envoy's default, and HAProxy's usual setting."""


class Peer(NamedTuple):
    """A server to pass a connection on to."""

    address: IpAddress
    port: int


Chooser: TypeAlias = "Callable[[Socket], Program[Peer | None]]"
"""Says where a connection is passed on to; None for nowhere."""


@attrs.define
class _Halves:
    """How many directions of a connection are still open, and whether it was given up."""

    left: int = 2
    is_broken: bool = False


def serve(
    port: int,
    choose: Chooser,
    *,
    address: IpAddress = ANY_IP4,
    source: IpAddress = ANY_IP4,
    header: int = 0,
    connect_timeout: Duration = CONNECT_TIMEOUT,
) -> Program[None]:
    """Take connections for ever, and pass each on.

    Args:
        port: to listen on.
        choose: where to pass a connection on to.
        address: to bind to.
        source: what the connections to servers come from; the kernel chooses by default.
        header: the version of the PROXY protocol that servers are told by, 0 for none.
        connect_timeout: how long a server may take, ns.

    Raises:
        OSError: EADDRINUSE, EADDRNOTAVAIL.
    """
    listener = yield from program.listening(port, address, backlog=BACKLOG)
    while True:  # nothing is kept in a name: waiting again it is what it was
        yield from program.spawn(
            _pass_on(
                (yield from program.accept(listener, repeats=True)), choose, source, header, connect_timeout
            )
        )


def _pass_on(
    client: Socket, choose: Chooser, source: IpAddress, header: int, connect_timeout: Duration
) -> Program[None]:
    peer = yield from choose(client)
    if peer is None:
        yield from _reset(client)
        return
    server = yield from program.socket(SocketKind.TCP)
    try:
        yield from program.bind(server, source)
        yield from program.connect(server, peer.address, peer.port, timeout=connect_timeout)
        yield from program.call(partial(tcp.set_nodelay, sock=server, on=True))
        yield from program.call(partial(tcp.set_nodelay, sock=client, on=True))
        if header:
            ends = proxy_protocol.Ends(client.remote, client.remote_port, client.local, client.local_port)
            yield from program.send(server, proxy_protocol.header(header, ends))
    except OSError:
        yield from program.close(server)
        yield from _reset(client)
        return
    halves = _Halves()
    yield from program.spawn(_carry(server, client, halves))
    yield from _carry(client, server, halves)


def _carry(from_: Socket, to: Socket, halves: _Halves) -> Program[None]:
    """Carry octets one way until their sender has said all; who is last closes both."""
    try:
        while data := (yield from program.receive(from_)):
            yield from program.send(to, data)
        yield from program.call(partial(tcp.shutdown, sock=to, how=system.SHUT_WR))
    except OSError:
        if not halves.is_broken:
            halves.is_broken = True
            yield from _reset(to)
            yield from _reset(from_)
    halves.left -= 1
    if not halves.left and not halves.is_broken:
        yield from program.close(to)
        yield from program.close(from_)


def _reset(socket: Socket) -> Program[None]:
    """Give a connection up, so that its peer gets a RST, and whoever waits for it here wakes."""
    yield from program.linger(socket, 0)
    yield from program.call(lambda net: net.emit(Wake(socket.number)))
    yield from program.close(socket)
