# SPDX-License-Identifier: GPL-2.0-only
"""One server is asked, one or two questions at a time, by UDP or by TCP."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.resolver.message import Query, Reply, build, read
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import Duration, Instant, later

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.apps.resolver.configuration import Configuration
    from emu.apps.resolver.message import Kind
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress

PORT: Final = 53


def prepare(name: str, kinds: Iterable[Kind], settings: Configuration) -> Program[list[Query]]:
    """Return queries for `name`, numbered by the namespace's random stream; none if it is no name."""
    queries: list[Query] = []
    for kind in kinds:
        number = yield from program.call(lambda net: net.random.getrandbits(16))
        if queries and queries[0].number == number:
            number ^= 1
        query = build(name, kind, number, edns0=settings.edns0, trust_ad=settings.trust_ad)
        if query is None:
            return []
        queries.append(query)
    return queries


def left(end: Instant) -> Program[Duration]:
    """Return how long it is until `end`.

    Raises:
        TimeoutError: it has come.
    """
    now = yield from program.now()
    if now >= end:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")
    return end - now


def match(octets: bytes, queries: Sequence[Query]) -> tuple[int, Reply] | None:
    """Return which query `octets` reply to, and the reply; None if to none."""
    for index, query in enumerate(queries):
        reply = read(octets, query)
        if reply is not None:
            return index, reply
    return None


def by_tcp(
    server: IpAddress, queries: Sequence[Query], *, timeout: Duration | None = None
) -> Program[list[Reply | None]]:
    """Ask by one TCP connection and return the replies, in the order of the queries.

    Raises:
        OSError: no connection, or it ended before all was answered.
    """
    socket = yield from program.socket(SocketKind.TCP)
    conversation = Conversation(socket, timeout)
    try:
        yield from program.connect(socket, server, PORT, timeout=timeout)
        yield from conversation.say([query.octets for query in queries])
        replies: list[Reply | None] = [None] * len(queries)
        while None in replies:
            found = match((yield from conversation.hear()), queries)
            if found is not None:
                replies[found[0]] = found[1]
    except OSError:
        yield from program.close(socket)
        raise
    yield from program.close(socket)
    return replies


@attrs.define
class Conversation:
    """Messages by TCP, each behind its length; `timeout` for each of them, None for ever."""

    socket: Socket
    timeout: Duration | None
    _received: bytes = b""

    def say(self, messages: Iterable[bytes]) -> Program[None]:
        """Send messages, all in one piece."""
        framed = b"".join(struct.pack("!H", len(message)) + message for message in messages)
        yield from program.send(self.socket, framed, timeout=self.timeout)

    def hear(self) -> Program[bytes]:
        """Return the next message.

        Raises:
            OSError: the connection has ended.
        """
        while len(self._received) < 2 or len(self._received) < 2 + int.from_bytes(self._received[:2]):
            piece = yield from program.receive(self.socket, timeout=self.timeout)
            if not piece:
                raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
            self._received += piece
        end = 2 + int.from_bytes(self._received[:2])
        message, self._received = self._received[2:end], self._received[end:]
        return message


def open_socket(server: IpAddress) -> Program[Socket]:
    """Return a UDP socket that is connected to a server.

    Raises:
        OSError: there is no way to it.
    """
    socket = yield from program.socket(SocketKind.UDP)
    try:
        yield from program.connect(socket, server, PORT)
    except OSError:
        yield from program.close(socket)
        raise
    return socket


def deadline(duration: Duration) -> Program[Instant]:
    """Return the instant `duration` from now."""
    now = yield from program.now()
    return later(now, duration)
