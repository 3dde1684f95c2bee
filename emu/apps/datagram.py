# SPDX-License-Identifier: GPL-2.0-only
"""Programs that speak UDP: one that answers, one that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.options import KERNELS, IpOptions
from emu.apps.outcome import word
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND, Duration
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.fabric.program import Program
    from emu.wire.addresses import IpAddress


def serve(
    port: int, *, address: IpAddress = ANY_IP4, reply: Callable[[bytes], bytes | None] = lambda data: data
) -> Program[None]:
    """Answer each datagram with what `reply` makes of it (None: not at all), for ever.

    An error that ICMP brings is passed over: the next datagram may do better.
    """
    socket = yield from program.socket(SocketKind.UDP)
    yield from program.bind(socket, address, port)
    while True:
        try:
            datagram = yield from program.receive_from(socket, repeats=True)
            answer = reply(datagram.data)
            if answer is not None:
                yield from program.send_to(socket, answer, datagram.address, datagram.port)
        except OSError:
            continue


def request(
    dst: IpAddress,
    port: int,
    payload: bytes,
    *,
    src: IpAddress = ANY_IP4,
    src_port: int = 0,
    count: int = 1,
    interval: Duration = 0,
    timeout: Duration = SECOND,
    options: IpOptions = KERNELS,
) -> Program[list[str]]:
    """Send `payload` on a connected socket and wait for one datagram, `count` times.

    Returns:
        For each time `reply`, `timeout`, or the errno of what failed; the errno
        alone if the socket could not even be connected.
    """
    socket = yield from program.socket(SocketKind.UDP)
    outcomes: list[str] = []
    try:
        yield from options.apply(socket)
        yield from program.bind(socket, src, src_port)
        yield from program.connect(socket, dst, port)
        for turn in range(count):
            if turn and interval:
                yield from program.sleep(interval)
            try:
                yield from program.send(socket, payload)
                yield from program.receive(socket, timeout=timeout)
                outcomes.append("reply")
            except OSError as error:
                outcomes.append(word(error))
    except OSError as error:
        outcomes = [word(error)]
    yield from program.close(socket)
    return outcomes
