# SPDX-License-Identifier: GPL-2.0-only
"""Programs that speak TCP: one that answers, one that asks.

Between a piece read and the answer to it both let a `gap` pass, so that every
segment gets an acknowledgement of its own and a capture is easy to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from emu.apps.options import KERNELS, IpOptions
from emu.apps.outcome import word
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND, Duration
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress

GAP = 150 * MILLISECOND
_PATIENCE = 20 * SECOND  # how long a server waits for the next piece of a connection

Closing = Literal["fin", "rst", "none"]


@attrs.frozen
class Exchange:
    """How a request went: `ok`, `timeout` or an errno, and what was received."""

    outcome: str
    received: bytes = b""


def serve(
    port: int, reply: bytes, *, address: IpAddress = ANY_IP4, gap: Duration = GAP, hold: bool = False
) -> Program[None]:
    """Accept connections for ever and answer each piece that a read returns with `reply`.

    Args:
        port: to listen on.
        reply: the answer.
        address: to bind to.
        gap: pause between a piece and its answer, and between the peer's close and ours, ns.
        hold: keep the connection open when the peer has closed.
    """
    listener = yield from program.listening(port, address)
    while True:
        connection = yield from program.accept(listener, repeats=True)
        yield from program.spawn(_answer(connection, reply, gap, hold=hold))


def _answer(socket: Socket, reply: bytes, gap: Duration, *, hold: bool) -> Program[None]:
    try:
        yield from program.quick_ack(socket)
        while (yield from program.receive(socket, timeout=_PATIENCE)):
            yield from program.sleep(gap)
            yield from program.send(socket, reply, timeout=_PATIENCE)
        yield from program.sleep(gap)
    except OSError:
        pass  # the peer is gone; there is nobody to tell
    if not hold:
        yield from program.close(socket)


def request(
    dst: IpAddress,
    port: int,
    payload: bytes,
    *,
    src: IpAddress = ANY_IP4,
    src_port: int = 0,
    rounds: int = 1,
    want: int = 1,
    gap: Duration = GAP,
    timeout: Duration = 3 * SECOND,
    closing: Closing = "fin",
    options: IpOptions = KERNELS,
) -> Program[Exchange]:
    """Connect; send `payload` and read `want` octets, `rounds` times; close.

    Args:
        dst: where to.
        port: the server's port.
        payload: the request; empty to send and await nothing.
        src: address to bind to.
        src_port: port to bind to, 0 for any.
        rounds: how often.
        want: octets to read in each round (1: what one read returns).
        gap: pause before each request and each close, ns.
        timeout: for the connection and for each read and write, ns.
        closing: by FIN, by RST, or not at all.
        options: TTL, TOS and DF.
    """
    socket = yield from program.socket(SocketKind.TCP)
    received = b""
    try:
        yield from program.configure(socket, reuse_address=True)
        yield from options.apply(socket)
        yield from program.bind(socket, src, src_port)
        yield from program.connect(socket, dst, port, timeout=timeout)
        yield from program.quick_ack(socket)
        if closing == "rst":
            yield from program.linger(socket, 0)
        for _ in range(rounds if payload else 0):
            yield from program.sleep(gap)
            yield from program.send(socket, payload, timeout=timeout)
            received += yield from _read(socket, want, timeout)
        yield from program.sleep(gap)
        exchange = Exchange("ok", received)
    except OSError as error:
        exchange = Exchange(word(error))
    if closing != "none" or exchange.outcome != "ok":
        yield from program.close(socket)
        yield from program.sleep(2 * gap)
    return exchange


def _read(socket: Socket, want: int, timeout: Duration) -> Program[bytes]:
    received = b""
    while len(received) < want:
        piece = yield from program.receive(socket, timeout=timeout)
        if not piece:
            break
        received += piece
    return received
