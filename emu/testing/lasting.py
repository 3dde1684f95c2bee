# SPDX-License-Identifier: GPL-2.0-only
"""Connections that last: opened, used, left alone for a while, and used again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.apps.outcome import word
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.sim.time import Duration
    from emu.wire.addresses import IpAddress

OK: Final = "ok"
PATIENCE: Final[Duration] = 4 * SECOND
"""How long an answer is waited for."""

_HTTP: Final = b"GET / HTTP/1.1\r\nHost: lasting\r\n\r\n"


def use_twice(protocol: str, address: IpAddress, port: int, pause: Duration) -> Program[tuple[str, str]]:
    """Connect to somebody who answers, ask, wait, and ask again by the same connection.

    Args:
        protocol: TCP (the other end speaks HTTP), UDP or SCTP (it echoes).
        address: of the other end.
        port: of the other end.
        pause: between the first answer and the second question, ns; UDP has to
            be remembered so long, 30 s.

    Returns:
        For each time `ok`, `timeout` or the errno of what failed.
    """
    question = _HTTP if protocol == "TCP" else b"hello"
    found = [OK, OK]
    socket = yield from program.socket(SocketKind[protocol])
    for turn in range(2):
        try:
            if turn == 0:
                yield from program.connect(socket, address, port, timeout=PATIENCE)
            else:
                yield from program.sleep(pause)
            yield from program.send(socket, question, timeout=PATIENCE)
            yield from program.receive(socket, timeout=PATIENCE)
        except OSError as error:
            found[turn] = word(error)
    yield from program.close(socket)
    return found[0], found[1]
