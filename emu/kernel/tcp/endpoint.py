# SPDX-License-Identifier: GPL-2.0-only
"""TCP of one namespace: whose segment is it, and the calls that sockets make.

Plain functions that take the namespace first. `net.tcp` is their `TcpTable`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.kernel.tcp.socket import Socket, SocketInfo
    from emu.sim.time import Duration, Instant
    from emu.wire.addresses import IpAddress
    from emu.wire.ipv4 import Ipv4


class TcpTable:
    """All TCP sockets of a namespace, by 4-tuple and by what they listen on."""


def connect(net: Namespace, sock: Socket, address: IpAddress, port: int) -> None:
    """Send a SYN to `address`; `Wake` tells when `is_connected`, or `sock.error` says why not.

    `sock.local` and `sock.local_port` are chosen before (binding is not TCP's business).

    Raises:
        OSError: EISCONN, EALREADY, EADDRNOTAVAIL (the 4-tuple is taken), or no route.
    """
    raise NotImplementedError


def listen(net: Namespace, sock: Socket, backlog: int) -> None:
    """Take connections to `sock.local`:`sock.local_port`, `backlog` + 1 waiting at most."""
    raise NotImplementedError


def accept(net: Namespace, sock: Socket) -> Socket:
    """Return the next connection that is done with its handshake (made by `sock.child()`).

    Raises:
        BlockingIOError: there is none.
        OSError: EINVAL, `sock` does not listen.
    """
    raise NotImplementedError


def send(net: Namespace, sock: Socket, data: bytes) -> int:
    """Queue `data` and return how many octets of it had room.

    Raises:
        BlockingIOError: no room at all, or not connected yet.
        OSError: EPIPE, ENOTCONN, or the pending error.
    """
    raise NotImplementedError


def recv(net: Namespace, sock: Socket, size: int) -> bytes:
    """Return up to `size` octets; none means that the other side has closed.

    Raises:
        BlockingIOError: nothing has arrived.
        OSError: ENOTCONN, or the pending error (ECONNRESET, ETIMEDOUT, ...).
    """
    raise NotImplementedError


def shutdown(net: Namespace, sock: Socket, how: int) -> None:
    """Close one or both directions; `how` as `socket.SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`.

    Raises:
        OSError: ENOTCONN.
    """
    raise NotImplementedError


def close(net: Namespace, sock: Socket) -> None:
    """Give the socket up; what is queued is still sent, then FIN (or RST, see `TcpSocket.linger`)."""
    raise NotImplementedError


def set_nodelay(net: Namespace, sock: Socket, on: bool) -> None:  # noqa: FBT001
    """Set TCP_NODELAY; on sends what Nagle's algorithm held back."""
    raise NotImplementedError


def set_quickack(net: Namespace, sock: Socket, on: bool) -> None:  # noqa: FBT001
    """Set TCP_QUICKACK; on sends a delayed ACK at once."""
    raise NotImplementedError


def is_readable(sock: Socket) -> bool:
    """Return whether `recv` (`accept` of a listener) would not block."""
    raise NotImplementedError


def is_writable(sock: Socket) -> bool:
    """Return whether `send` would not block."""
    raise NotImplementedError


def is_connected(sock: Socket) -> bool:
    """Return whether the handshake is done (and the connection not closed since)."""
    raise NotImplementedError


def receive(net: Namespace, skb: Skb) -> None:
    """Take a segment for this host."""
    raise NotImplementedError


def error(net: Namespace, header: Ipv4, payload: bytes, icmp_type: int, icmp_code: int, mtu: int) -> None:
    """Take an ICMP error about a segment of ours, quoted as `header` and `payload` (8 octets at least).

    `mtu` is the next hop's for fragmentation needed, else 0.
    """
    raise NotImplementedError


def timeout(net: Namespace) -> None:
    """Do what is due at `net.now`."""
    raise NotImplementedError


def next_deadline(net: Namespace) -> Instant | None:
    """Return when `timeout` is to be called next."""
    raise NotImplementedError


def listing(net: Namespace) -> Iterator[SocketInfo]:
    """Yield what `ss -tan` shows, listeners first."""
    raise NotImplementedError
