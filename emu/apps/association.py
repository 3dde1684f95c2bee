# SPDX-License-Identifier: GPL-2.0-only
"""Programs that speak SCTP: one that answers, one that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.options import KERNELS, IpOptions
from emu.apps.outcome import word
from emu.apps.stream import Exchange
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND, Duration
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress

_PATIENCE = 20 * SECOND  # how long a server waits for the next message of an association


def serve(
    port: int, *, address: IpAddress = ANY_IP4, reply: Callable[[bytes], bytes | None] = lambda data: data
) -> Program[None]:
    """Accept associations for ever; answer each message with what `reply` makes of it (None: not at all)."""
    listener = yield from program.listening(port, address, kind=SocketKind.SCTP)
    while True:
        association = yield from program.accept(listener, repeats=True)
        yield from program.spawn(_answer(association, reply))


def _answer(socket: Socket, reply: Callable[[bytes], bytes | None]) -> Program[None]:
    try:
        while message := (yield from program.receive(socket, timeout=_PATIENCE)):
            answer = reply(message)
            if answer is not None:
                yield from program.send(socket, answer, timeout=_PATIENCE)
    except OSError:
        pass  # the peer is gone; there is nobody to tell
    yield from program.close(socket)


def request(
    dst: IpAddress,
    port: int,
    payload: bytes,
    *,
    src: IpAddress = ANY_IP4,
    src_port: int = 0,
    rounds: int = 1,
    timeout: Duration = 3 * SECOND,
    options: IpOptions = KERNELS,
) -> Program[Exchange]:
    """Associate; send `payload` as a message and wait for one, `rounds` times; shut down.

    Args:
        dst: where to.
        port: the server's port.
        payload: the message; empty to send and await nothing.
        src: address to bind to.
        src_port: port to bind to, 0 for any.
        rounds: how often.
        timeout: for the association and for each message, ns.
        options: TTL, TOS and DF.

    Returns:
        `ok`, `timeout` or an errno, and the messages that came, one behind the other.
    """
    socket = yield from program.socket(SocketKind.SCTP)
    received = b""
    try:
        yield from program.configure(socket, reuse_address=True)
        yield from options.apply(socket)
        yield from program.bind(socket, src, src_port)
        yield from program.connect(socket, dst, port, timeout=timeout)
        for _ in range(rounds if payload else 0):
            yield from program.send(socket, payload, timeout=timeout)
            received += yield from program.receive(socket, timeout=timeout)
        exchange = Exchange("ok", received)
    except OSError as error:
        exchange = Exchange(word(error), received)
    yield from program.close(socket)
    return exchange
