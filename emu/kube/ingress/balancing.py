# SPDX-License-Identifier: GPL-2.0-only
"""Endpoints in turn, and connections to them that are kept.

Source: ingress-nginx rootfs/etc/nginx/lua/balancer/round_robin.lua.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.fabric import program
from emu.kernel import tcp
from emu.sim.time import SECOND

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from emu.apps.http.client import Connection
    from emu.fabric.program import Program
    from emu.kube.ingress.servers import Backend
    from emu.sim.time import Instant

_KEPT_FOR: Final = 60 * SECOND  # upstream-keepalive-timeout
_REQUESTS: Final = 10_000  # upstream-keepalive-requests


class Endpoint(NamedTuple):
    """Who may be asked: an address, or a name that is still to be looked up, and a port."""

    host: str
    port: int


class Turns:
    """Whose turn it is among the endpoints of each backend: round robin, from a random one on.

    Args:
        random: what the first turns are drawn from.
    """

    def __init__(self, random: random.Random) -> None:
        self._random = random
        self._last: dict[Backend, int] = {}

    def next(self, backend: Backend, endpoints: Sequence[Endpoint]) -> Endpoint:
        """Return the one that is asked now; there has to be one."""
        count = len(endpoints)
        last = self._last.get(backend)
        turn = (self._random.randrange(count) if last is None else last + 1) % count
        self._last[backend] = turn
        return endpoints[turn]


class Pool:
    """Connections that wait for the next request.

    Whoever tries something in a held world (`emu.fabric.held`) finds none:
    what a connection has said cannot be taken back.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[Endpoint, str], list[tuple[Connection, Instant]]] = {}

    def begin_trial(self) -> Callable[[], None]:
        """Be empty from now on, and return how to be as before."""
        before, self._kept = self._kept, {}

        def end() -> None:
            self._kept = before

        return end

    def take(self, endpoint: Endpoint, protocol: str) -> Program[Connection | None]:
        """Return a connection that is kept and still good, None if there is none."""
        kept = self._kept.get((endpoint, protocol), [])
        now = yield from program.now()
        while kept:
            connection, since = kept.pop()
            is_readable = yield from program.call(partial(_is_over, connection))
            if now - since < _KEPT_FOR and connection.asked < _REQUESTS and not is_readable:
                return connection
            yield from connection.close()
        return None

    def keep(self, endpoint: Endpoint, protocol: str, connection: Connection, most: int) -> Program[None]:
        """Keep a connection for the next request, unless `most` are kept already."""
        if not connection.is_open or sum(map(len, self._kept.values())) >= most:
            yield from connection.close()
            return
        now = yield from program.now()
        self._kept.setdefault((endpoint, protocol), []).append((connection, now))


def _is_over(connection: Connection, _: object) -> bool:
    """Return whether the endpoint has closed, or says what nobody asked for."""
    return tcp.is_readable(connection.socket)
