# SPDX-License-Identifier: GPL-2.0-only
"""Asking as musl does: all servers at once, and no search once there is a definite answer.

Source: musl 1.2.5 src/network/lookup_name.c, res_msend.c.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.resolver import exchange
from emu.apps.resolver.verdict import Reason, Resolved, collect
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import later

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.resolver.configuration import Configuration
    from emu.apps.resolver.message import Kind, Query, Reply
    from emu.fabric.program import Program
    from emu.kernel.sockets import Datagram, Socket
    from emu.wire.addresses import IpAddress

_SERVFAIL_RETRIES: Final = 2  # for each query and round


def search(settings: Configuration, name: str, kinds: Sequence[Kind]) -> Program[Resolved | Reason]:
    """Return the addresses of `name`: below the domains if it has fewer dots than `ndots`, then as it is."""
    bare = name.removesuffix(".")
    is_searched = bare.count(".") < settings.ndots and not name.endswith(".")
    for domain in (*(settings.search if is_searched else ()), ""):
        answer = yield from query(settings, f"{bare}.{domain}" if domain else bare, kinds)
        if answer is not Reason.NONAME:
            return answer
    return Reason.NONAME


def query(settings: Configuration, name: str, kinds: Sequence[Kind]) -> Program[Resolved | Reason]:
    """Ask for an absolute name: one NXDOMAIN is enough for NONAME, one silence for AGAIN."""
    queries = yield from exchange.prepare(name, kinds, settings)
    if not queries:
        return Reason.NONAME
    replies = yield from _send(settings, queries)
    for reply in replies:
        if reply is None:
            return Reason.AGAIN
        if reply.code == "NXDOMAIN":
            return Reason.NONAME
    return collect(tuple(reply for reply in replies if reply is not None))


@attrs.define
class _Round:
    """Queries under way."""

    socket: Socket
    settings: Configuration
    queries: list[Query]
    replies: list[Reply | None]
    retries: int = 0

    def send(self) -> Program[None]:
        """Send what is not answered to every server."""
        self.retries = _SERVFAIL_RETRIES * len(self.queries)
        for query, reply in zip(self.queries, self.replies, strict=True):
            if reply is None:
                for server in self.settings.servers:
                    yield from _send_to(self.socket, query, server)

    def take(self, datagram: Datagram) -> Program[None]:
        """Take in what has arrived: data or NXDOMAIN; who failed is asked again at once, if not too often."""
        found = exchange.match(datagram.data, self.queries)
        if found is None or self.replies[found[0]] is not None:
            return
        index, reply = found
        if datagram.address not in self.settings.servers:
            return
        if reply.code == "SERVFAIL" and self.retries:
            self.retries -= 1
            yield from _send_to(self.socket, self.queries[index], datagram.address)
        elif reply.code in {"NOERROR", "NXDOMAIN"}:
            self.replies[index] = reply
            if reply.is_truncated:
                try:
                    [whole] = yield from exchange.by_tcp(
                        datagram.address, [self.queries[index]], timeout=self.settings.timeout
                    )
                except OSError:
                    return
                self.replies[index] = whole


def _send_to(socket: Socket, query: Query, server: IpAddress) -> Program[None]:
    with suppress(OSError):  # another server may be within reach
        yield from program.send_to(socket, query.octets, server, exchange.PORT)


def _send(settings: Configuration, queries: list[Query]) -> Program[list[Reply | None]]:
    """Ask every server at once; None where no one answered in time."""
    socket = yield from program.socket(SocketKind.UDP)
    under_way = _Round(socket, settings, queries, [None] * len(queries))
    start = yield from program.now()
    end = later(start, settings.timeout)
    resend = start
    while None in under_way.replies:
        now = yield from program.now()
        if now >= end:
            break
        if now >= resend:
            yield from under_way.send()
            resend = later(now, settings.timeout // settings.attempts)
        try:
            datagram = yield from program.receive_from(socket, timeout=min(resend, end) - now)
        except OSError:
            continue  # time is up, or ICMP complains of one server
        yield from under_way.take(datagram)
    yield from program.close(socket)
    return under_way.replies
