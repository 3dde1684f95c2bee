# SPDX-License-Identifier: GPL-2.0-only
"""The proxy of one service port: it takes connections or datagrams, and asks an endpoint in its own name.

A connection is taken before anybody knows whether an endpoint answers. Up to
four endpoints are tried, each for a little longer than the last; if none
answers, the connection is closed. When one side has said all, both connections
are closed. Of datagrams each client has a socket to its endpoint, for as long as
one comes within the idle time.

Known difference: other connections do not wait while an endpoint is tried.

Source: pkg/proxy/userspace/proxysocket.go.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.fabric import program
from emu.kernel.effects import Wake
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND, Instant, later
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.namespace import Namespace
    from emu.kernel.sockets import Datagram, Socket
    from emu.kube.proxy.userspace.rotation import Rotation

DIAL_TIMEOUTS: Final = (250 * MILLISECOND, 500 * MILLISECOND, SECOND, 2 * SECOND)
"""How long each endpoint that is tried may take to answer."""

UDP_IDLE: Final = 250 * MILLISECOND
"""How long nothing may come, before a client of UDP is forgotten (`--udp-timeout`)."""

_BACKLOG: Final = 4096


@attrs.define(eq=False)
class Proxied:
    """A service port, as its proxy sees it.

    Attributes:
        key: namespace, Service and name of the port.
        rotation: whose turn it is.
        port: where the proxy listens, 0 as long as it does not.
        clients: the sockets of those that have sent datagrams, by address and port.
    """

    key: tuple[str, str, str]
    rotation: Rotation
    port: int = 0
    clients: dict[tuple[IpAddress, int], _Client] = attrs.field(factory=dict)


@attrs.define(eq=False)
class _Client:
    """Who has sent datagrams: the socket to his endpoint, and when he is forgotten."""

    socket: Socket
    until: Instant


def hold(protocol: str, address: IpAddress, port: int) -> Program[None]:
    """Keep a port, so that nobody else takes it; nothing ever comes there."""
    kind = SocketKind.UDP if protocol == "UDP" else SocketKind.TCP
    socket = yield from program.socket(kind)
    yield from program.bind(socket, address, port)
    if kind is SocketKind.TCP:
        yield from program.listen(socket, _BACKLOG)


def serve_tcp(proxied: Proxied) -> Program[None]:
    """Take connections for ever."""
    listener = yield from program.socket(SocketKind.TCP)
    yield from program.bind(listener, ANY_IP4)
    yield from program.listen(listener, _BACKLOG)
    proxied.port = listener.local_port
    while True:  # nothing is kept in a name: waiting again it is what it was
        yield from program.spawn(_pass_on((yield from program.accept(listener, repeats=True)), proxied))


def _pass_on(client: Socket, proxied: Proxied) -> Program[None]:
    server = yield from _dial(client.remote, proxied)
    if server is None:
        yield from program.close(client)
        return
    yield from program.spawn(_copy(server, client))
    yield from _copy(client, server)


def _dial(client: IpAddress, proxied: Proxied) -> Program[Socket | None]:
    """Connect to an endpoint; return None where there is none, or none answers."""
    for attempt, timeout in enumerate(DIAL_TIMEOUTS):
        endpoint = yield from _next(client, proxied, forgets=attempt > 0)
        if endpoint is None:
            return None
        server = yield from program.socket(SocketKind.TCP)
        try:
            yield from program.connect(server, *endpoint, timeout=timeout)
        except OSError:
            yield from program.close(server)
        else:
            return server
    return None


def _next(
    client: IpAddress, proxied: Proxied, *, forgets: bool = False
) -> Program[tuple[IpAddress, int] | None]:
    def pick(net: Namespace) -> str | None:
        return proxied.rotation.next(client, net.now, net.choice, forgets=forgets)

    found = yield from program.call(pick)
    if found is None:
        return None
    address, _, port = found.rpartition(":")
    return IpAddress.parse(address), int(port)


def _copy(from_: Socket, to: Socket) -> Program[None]:
    """Carry octets one way until their sender has said all; then close both."""
    try:
        while data := (yield from program.receive(from_)):
            yield from program.send(to, data)
    except OSError:
        pass  # one of them is gone, and so both are
    for socket in (to, from_):
        yield from program.call(partial(_wake, number=socket.number))
        yield from program.close(socket)


def _wake(net: Namespace, number: int) -> None:
    """Wake whoever waits at a socket that is about to be closed."""
    net.emit(Wake(number))


def serve_udp(proxied: Proxied) -> Program[None]:
    """Take datagrams for ever."""
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.bind(socket, ANY_IP4)
    proxied.port = socket.local_port
    while True:
        try:
            datagram = yield from program.receive_from(socket, repeats=True)
            yield from _take(datagram, socket, proxied)
        except OSError:
            continue


def _take(datagram: Datagram, socket: Socket, proxied: Proxied) -> Program[None]:
    """Send a datagram on to the endpoint of its client."""
    who = datagram.address, datagram.port
    client = proxied.clients.get(who)
    if client is None:
        client = yield from _begin(who, socket, proxied)
    if client is not None:
        yield from program.send(client.socket, datagram.data)
        client.until = later((yield from program.now()), UDP_IDLE)


def _begin(who: tuple[IpAddress, int], socket: Socket, proxied: Proxied) -> Program[_Client | None]:
    endpoint = yield from _next(who[0], proxied)
    if endpoint is None:
        return None
    server = yield from program.socket(SocketKind.UDP)
    try:
        yield from program.connect(server, *endpoint)
    except OSError:
        yield from program.close(server)
        return None
    client = proxied.clients[who] = _Client(server, later((yield from program.now()), UDP_IDLE))
    yield from program.spawn(_answer(who, client, socket, proxied))
    return client


def _answer(who: tuple[IpAddress, int], client: _Client, socket: Socket, proxied: Proxied) -> Program[None]:
    """Carry answers to a client until nothing has come for the idle time, or the endpoint refuses."""
    while True:
        now = yield from program.now()
        if now >= client.until:
            break
        try:
            data = yield from program.receive(client.socket, timeout=client.until - now)
            client.until = later((yield from program.now()), UDP_IDLE)
            yield from program.send_to(socket, data, *who)
        except TimeoutError:
            continue
        except OSError:
            break
    del proxied.clients[who]
    yield from program.close(client.socket)
