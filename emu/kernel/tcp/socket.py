# SPDX-License-Identifier: GPL-2.0-only
"""TCP's part of a socket, and what TCP asks of the rest of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import attrs

if TYPE_CHECKING:
    from emu.kernel.tcp.states import State
    from emu.sim.time import Duration
    from emu.wire.addresses import IpAddress


@attrs.define(eq=False)
class TcpSocket:
    """What the `tcp` member of a socket holds; a fresh one is a closed socket.

    Attributes:
        nodelay: TCP_NODELAY; set it with `tcp.set_nodelay`.
        linger: SO_LINGER, None if it is off; 0 makes `close` send RST.
    """

    nodelay: bool = False
    linger: Duration | None = None


class Socket(Protocol):
    """What TCP asks of the part that all sockets have in common.

    Attributes:
        number: what `Wake` and programs know the socket by.
        local: bound address, unspecified if none is.
        local_port: bound port, 0 if none is.
        remote: address of the other side, unspecified if there is none.
        remote_port: port of the other side, 0 if there is none.
        ttl: of the packets sent.
        tos: of the packets sent.
        df: whether packets are sent with DF (IP_MTU_DISCOVER is not DONT).
        mark: SO_MARK.
        error: pending errno (SO_ERROR), 0 if there is none.
        tcp: TCP's part.
    """

    number: int
    local: IpAddress
    local_port: int
    remote: IpAddress
    remote_port: int
    ttl: int
    tos: int
    mark: int
    error: int
    tcp: TcpSocket

    @property
    def df(self) -> bool:
        """Whether DF is set in packets sent."""

    def child(self) -> Self:
        """Return a new socket with the options of this one, a number of its own and a fresh `tcp`.

        It is made when a handshake with a listener is done; a program gets it by `accept`.
        """


class SocketInfo(NamedTuple):
    """One line of `ss -tan`. `timer` is (name, time left), None where none runs."""

    state: State
    recv_q: int
    send_q: int
    local: IpAddress
    local_port: int
    remote: IpAddress
    remote_port: int
    timer: tuple[str, Duration, int] | None
    socket: int
