# SPDX-License-Identifier: GPL-2.0-only
"""Sockets: what programs hold of the stack.

No call blocks: where a real one would, it raises `BlockingIOError`, and a
`Wake` effect says later that trying again is worth it. All other errors are
`OSError` with the errno that the system call returns on Linux.

Source: net/ipv4/af_inet.c, net/ipv4/inet_connection_sock.c, udp(7), tcp(7), raw(7).
"""

from __future__ import annotations

import enum
import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import attrs

from emu.kernel import raw, sctp, tcp, udp
from emu.kernel.effects import Wake
from emu.kernel.fib import RouteType
from emu.kernel.routing import route_output
from emu.sim.numbers import Numbers
from emu.wire.addresses import ANY_IP4, LIMITED_BROADCAST, IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.namespace import Namespace

RECEIVE_BUFFER: Final = 212_992  # net.core.rmem_default, octets of queued datagrams
_DEFAULT_TTL: Final = 64


class SocketKind(enum.Enum):
    """What a socket speaks."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"  # SOCK_STREAM with IPPROTO_SCTP: one-to-one
    ICMP = "raw"  # SOCK_RAW with IPPROTO_ICMP
    PACKET = "packet"  # AF_PACKET: see `emu.kernel.packet`


_CONNECTED: Final = frozenset((SocketKind.TCP, SocketKind.SCTP))
"""What needs a peer that answers before it carries data."""


class PathMtuDiscovery(enum.IntEnum):
    """IP_MTU_DISCOVER. Source: ip(7)."""

    DONT = 0
    WANT = 1
    DO = 2


class Datagram(NamedTuple):
    """What a datagram socket received, and from whom; a raw socket gets the whole packet.

    `local` is the address that it was sent to (IP_PKTINFO), unspecified of a broadcast.
    """

    data: bytes
    address: IpAddress
    port: int
    local: IpAddress = ANY_IP4


@attrs.define(eq=False)
class Socket:
    """A socket; `tcp` and `sctp` hold what only these need, `queue` what datagram sockets have received.

    Attributes:
        number: unique in its namespace; what `Wake` names.
        kind: what it speaks.
        local: bound address, unspecified if none.
        local_port: bound port, 0 if none.
        source: where its packets come from; unspecified, routing chooses.
            Not `local` if that is a broadcast address.
        remote: where it is connected to, unspecified if nowhere.
        remote_port: the port there.
        ttl: IP_TTL.
        tos: IP_TOS.
        pmtu_discovery: IP_MTU_DISCOVER.
        mark: SO_MARK.
        broadcast: SO_BROADCAST.
        reuse_address: SO_REUSEADDR.
        error: pending errno (SO_ERROR), 0 for none.
        device: of a packet socket, where it listens; `local_port` is the ethertype.
    """

    number: int
    kind: SocketKind
    _table: SocketTable
    local: IpAddress = ANY_IP4
    local_port: int = 0
    source: IpAddress = ANY_IP4
    remote: IpAddress = ANY_IP4
    remote_port: int = 0
    ttl: int = _DEFAULT_TTL
    tos: int = 0
    pmtu_discovery: PathMtuDiscovery = PathMtuDiscovery.WANT
    mark: int = 0
    broadcast: bool = False
    reuse_address: bool = False
    error: int = 0
    device: str = ""
    queue: list[Datagram] = attrs.field(factory=list)
    queued: int = 0
    tcp: tcp.TcpSocket = attrs.field(factory=tcp.TcpSocket)
    sctp: sctp.SctpSocket = attrs.field(factory=sctp.SctpSocket)

    @property
    def df(self) -> bool:
        """Whether packets that fit the path are sent with DF."""
        return self.pmtu_discovery is not PathMtuDiscovery.DONT

    @property
    def is_connected(self) -> bool:
        """Whether there is a peer."""
        return self.remote != ANY_IP4

    def child(self) -> Self:
        """Return a new socket with the options of this one, for a connection that a listener took."""
        made = attrs.evolve(
            self,
            number=self._table.new_number(),
            error=0,
            queue=[],
            queued=0,
            tcp=tcp.TcpSocket(),
            sctp=sctp.SctpSocket(),
        )
        self._table.add(made)
        return made

    def take_error(self) -> None:
        """Raise the pending error, if there is one, and forget it."""
        if self.error:
            number, self.error = self.error, 0
            raise error(number)


def error(number: int) -> OSError:
    """Return the `OSError` (or its subclass) of an errno."""
    return OSError(number, os.strerror(number))


@attrs.define(eq=False)
class SocketTable:
    """The open sockets of a namespace."""

    _sockets: dict[int, Socket] = attrs.field(factory=dict, init=False)
    _numbers: Numbers = attrs.field(factory=Numbers, init=False)

    def new_number(self) -> int:
        """Return a number that no socket has had."""
        return next(self._numbers)

    def add(self, socket: Socket) -> None:
        """Enter `socket`."""
        self._sockets[socket.number] = socket

    def remove(self, socket: Socket) -> None:
        """Forget `socket`; its port is free again, unless TCP still needs it."""
        self._sockets.pop(socket.number, None)

    def __contains__(self, socket: Socket) -> bool:
        return socket.number in self._sockets

    def of(self, kind: SocketKind) -> Iterator[Socket]:
        """Yield the sockets of one kind, in the order they were made."""
        return (socket for socket in self._sockets.values() if socket.kind is kind)

    def holders(self, kind: SocketKind, port: int) -> Iterator[Socket]:
        """Yield the sockets bound to `port`."""
        return (socket for socket in self.of(kind) if socket.local_port == port)


# --- system calls ---


def create(net: Namespace, kind: SocketKind) -> Socket:
    """Return a new socket. Source: socket(2)."""
    socket = Socket(net.sockets.new_number(), kind, net.sockets)
    socket.ttl = net.sysctl.number("net.ipv4.ip_default_ttl")
    net.sockets.add(socket)
    return socket


def bind(net: Namespace, socket: Socket, address: IpAddress, port: int) -> None:
    """Give the socket its own address and port; port 0 has one chosen.

    Raises:
        OSError: EADDRNOTAVAIL (the address is not ours), EADDRINUSE, EINVAL (bound before).
    """
    if socket.local_port:
        raise error(errno.EINVAL)
    kind = net.fib.address_type(address)
    is_anyones = address in (ANY_IP4, LIMITED_BROADCAST) or kind is not RouteType.UNICAST
    if not is_anyones and not net.sysctl.number("net.ipv4.ip_nonlocal_bind"):
        raise error(errno.EADDRNOTAVAIL)
    socket.source = ANY_IP4 if kind in (RouteType.BROADCAST, RouteType.MULTICAST) else address
    if socket.kind is SocketKind.ICMP:
        socket.local = address
        return
    if port == 0:
        port = _ephemeral_port(net, socket, address)
    elif _clashes(net, socket, address, port):
        raise error(errno.EADDRINUSE)
    socket.local, socket.local_port = address, port


def _clashes(net: Namespace, socket: Socket, address: IpAddress, port: int) -> bool:
    """Return whether a bound socket keeps `socket` from `address` and `port`. Source: `inet_csk_get_port`."""
    for other in net.sockets.holders(socket.kind, port):
        if other is socket or not (ANY_IP4 in (other.local, address) or other.local == address):
            continue
        shared = socket.reuse_address and other.reuse_address
        if not shared or _is_listening(other):
            return True
    return False


def _is_listening(socket: Socket) -> bool:
    return tcp.is_listening(socket) or sctp.is_listening(socket)


def _ephemeral_port(
    net: Namespace, socket: Socket, address: IpAddress, remote: tuple[IpAddress, int] | None = None
) -> int:
    """Draw a free port from `net.ipv4.ip_local_port_range`.

    For a connection to `remote` one in TIME_WAIT towards it is not free. Source: `__inet_hash_connect`.
    """
    low, high = net.sysctl.numbers("net.ipv4.ip_local_port_range")
    count = high - low + 1
    start = net.random.randrange(count)
    is_held: Callable[[int], bool]
    for is_held in (
        lambda port: any(True for _ in net.sockets.holders(socket.kind, port)),
        lambda port: _clashes(net, socket, address, port),
    ):
        for step in range(count):
            port = low + (start + step) % count
            if not is_held(port) and not (remote and net.tcp.is_taken(address, port, *remote)):
                return port
    raise error(errno.EADDRINUSE if remote is None else errno.EADDRNOTAVAIL)


def connect(net: Namespace, socket: Socket, address: IpAddress, port: int) -> None:
    """Give the socket a peer. Of TCP this sends the SYN, of SCTP the INIT; `Wake` tells of the outcome.

    Raises:
        OSError: there is no way to `address`, or as TCP or SCTP says.
    """
    decision = route_output(net, address, src=socket.source, mark=socket.mark, tos=socket.tos)
    if address == ANY_IP4:
        address = decision.next_hop
    if socket.kind in _CONNECTED and decision.kind in (RouteType.BROADCAST, RouteType.MULTICAST):
        raise error(errno.ENETUNREACH)
    if decision.kind is RouteType.BROADCAST and not socket.broadcast:
        raise error(errno.EACCES)
    if socket.source == ANY_IP4:
        socket.source = decision.src
    if socket.local == ANY_IP4:
        socket.local = decision.src
    if not socket.local_port and socket.kind is SocketKind.TCP:
        socket.local_port = _ephemeral_port(net, socket, socket.local, (address, port))
    elif not socket.local_port and socket.kind is not SocketKind.ICMP:
        socket.local_port = _ephemeral_port(net, socket, socket.local)
    if socket.kind is SocketKind.TCP:
        tcp.connect(net, socket, address, port)
    elif socket.kind is SocketKind.SCTP:
        sctp.connect(net, socket, address, port)
    else:
        socket.remote, socket.remote_port = address, port


def listen(net: Namespace, socket: Socket, backlog: int) -> None:
    """Accept connections. Source: listen(2).

    Raises:
        OSError: EADDRINUSE, somebody listens there already.
    """
    if not socket.local_port:
        socket.local_port = _ephemeral_port(net, socket, socket.local)
    for other in net.sockets.holders(socket.kind, socket.local_port):
        if other is not socket and _is_listening(other) and ANY_IP4 in (other.local, socket.local):
            raise error(errno.EADDRINUSE)
    calls = sctp if socket.kind is SocketKind.SCTP else tcp
    calls.listen(net, socket, min(backlog, net.sysctl.number("net.core.somaxconn")))


def accept(net: Namespace, socket: Socket) -> Socket:
    """Return the next connection.

    Raises:
        BlockingIOError: there is none yet.
    """
    return sctp.accept(net, socket) if socket.kind is SocketKind.SCTP else tcp.accept(net, socket)


def send(net: Namespace, socket: Socket, data: bytes) -> int:
    """Send to the peer and return how many octets were taken.

    Raises:
        BlockingIOError: TCP or SCTP has no room now.
        OSError: the pending error, EMSGSIZE, EPIPE, ENOTCONN, no route.
    """
    if socket.kind is SocketKind.TCP:
        return tcp.send(net, socket, data)
    if socket.kind is SocketKind.SCTP:
        return sctp.send(net, socket, data)
    if not socket.is_connected:
        raise error(errno.EDESTADDRREQ)
    return send_to(net, socket, data, socket.remote, socket.remote_port)


def send_to(  # noqa: PLR0917 - sendmsg(2)
    net: Namespace, socket: Socket, data: bytes, address: IpAddress, port: int = 0, src: IpAddress = ANY_IP4
) -> int:
    """Send one datagram and return its length; a raw socket's `data` begins behind the IP header.

    A UDP socket that is bound to no address may say where it comes from (`src`, IP_PKTINFO).

    Raises:
        OSError: the pending error, EMSGSIZE, EACCES (broadcast), no route.
    """
    socket.take_error()
    if socket.kind is SocketKind.ICMP:
        raw.send(net, socket, data, address)
    else:
        if not socket.local_port:
            socket.local_port = _ephemeral_port(net, socket, socket.local)
        udp.send(net, socket, data, address, port, src)
    return len(data)


def receive(net: Namespace, socket: Socket, size: int) -> bytes:
    """Return what has arrived, at most `size` octets; of TCP and SCTP nothing means the end.

    Raises:
        BlockingIOError: nothing is there.
        OSError: the pending error.
    """
    if socket.kind is SocketKind.TCP:
        return tcp.recv(net, socket, size)
    if socket.kind is SocketKind.SCTP:
        return sctp.recv(net, socket, size)
    return receive_from(net, socket).data[:size]


def receive_from(net: Namespace, socket: Socket) -> Datagram:  # noqa: ARG001 - a system call, as the others
    """Return the oldest datagram that has arrived.

    Raises:
        BlockingIOError: none is there.
        OSError: the pending error.
    """
    socket.take_error()
    if not socket.queue:
        raise error(errno.EAGAIN)
    datagram = socket.queue.pop(0)
    socket.queued -= len(datagram.data)
    return datagram


def close(net: Namespace, socket: Socket) -> None:
    """Give the socket up. Source: close(2)."""
    if socket.kind is SocketKind.TCP:
        tcp.close(net, socket)
    elif socket.kind is SocketKind.SCTP:
        sctp.close(net, socket)
    net.sockets.remove(socket)


def enqueue(net: Namespace, socket: Socket, datagram: Datagram) -> bool:
    """Put `datagram` into the receive queue and wake its reader; return False if there is no room."""
    if socket.queued + len(datagram.data) > RECEIVE_BUFFER:
        return False
    socket.queue.append(datagram)
    socket.queued += len(datagram.data)
    net.emit(Wake(socket.number))
    return True


def fail(net: Namespace, socket: Socket, number: int) -> None:
    """Have the next call of the socket raise errno `number`, and wake who waits."""
    socket.error = number
    net.emit(Wake(socket.number))
