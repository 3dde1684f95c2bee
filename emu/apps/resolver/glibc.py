# SPDX-License-Identifier: GPL-2.0-only
"""Asking as glibc does: servers in turn, A and AAAA at once from one socket, the search list by ndots.

If one of the two answers does not come, the resolver waits out its timeout,
asks both again one after the other, and then by a socket each: the delay of
five seconds that clusters are known for.

Source: glibc 2.36 resolv/res_send.c, res_query.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.resolver import exchange
from emu.apps.resolver.verdict import Reason, Resolved, collect
from emu.fabric import program
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.resolver.configuration import Configuration
    from emu.apps.resolver.message import Kind, Query, Reply
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.sim.time import Duration
    from emu.wire.addresses import IpAddress

_REFUSALS: Final = frozenset(("SERVFAIL", "NOTIMP", "REFUSED"))


class Failure(enum.Enum):
    """Why a query brought nothing (h_errno, and what decides whether the search goes on)."""

    NOT_FOUND = enum.auto()
    NO_DATA = enum.auto()
    SERVER_FAILED = enum.auto()
    TIMED_OUT = enum.auto()
    NOBODY_THERE = enum.auto()
    NO_RECOVERY = enum.auto()


_REASONS: Final = {
    Failure.NOT_FOUND: Reason.NONAME,
    Failure.NO_DATA: Reason.NODATA,
    Failure.SERVER_FAILED: Reason.AGAIN,
    Failure.TIMED_OUT: Reason.AGAIN,
    Failure.NOBODY_THERE: Reason.AGAIN,
    Failure.NO_RECOVERY: Reason.FAIL,
}


_LAST_WORDS: Final = frozenset((Failure.TIMED_OUT, Failure.NO_RECOVERY))  # they end the search list


class _Truncated(Exception):  # noqa: N818 - no error: the rest is fetched by TCP
    """A reply has TC set."""


@attrs.define
class _Heard:
    """What one server has answered so far: a good reply to each query, or that it failed."""

    replies: list[Reply | None]
    failed: set[int] = attrs.field(factory=set)

    @property
    def is_complete(self) -> bool:
        return all(reply is not None or index in self.failed for index, reply in enumerate(self.replies))

    @property
    def has_reply(self) -> bool:
        return any(reply is not None for reply in self.replies)


@attrs.define
class Resolver:
    """The resolver of one process: it remembers what it learnt about the network.

    Attributes:
        settings: the configuration.
        single_request: one question after the other.
        reopen: and each by a socket of its own.
        use_tcp: no UDP any more.
        offset: of the server that is asked first.
    """

    settings: Configuration
    single_request: bool = False
    reopen: bool = False
    use_tcp: bool = False
    offset: int = 0
    _code: str = ""
    _got_somewhere: bool = False

    @classmethod
    def start(cls, settings: Configuration) -> Program[Resolver]:
        """Return a resolver that has not asked anything yet."""
        offset = 0
        if settings.rotate and len(settings.servers) > 1:
            offset = yield from program.call(lambda net: net.random.randrange(len(settings.servers)))
        return cls(
            settings,
            settings.single_request or settings.single_request_reopen,
            settings.single_request_reopen,
            settings.use_vc,
            offset,
        )

    # --- names ---

    def search(self, name: str, kinds: Sequence[Kind]) -> Program[Resolved | Reason]:
        """Return the addresses of `name`, which is completed by the search list.

        Source: `__res_context_search`.
        """
        first, listed, last = self._candidates(name)
        saved: Failure | None = None
        failures: list[Failure] = []
        is_over = False
        for candidate in (*first, *listed, *last):
            if is_over and candidate not in last:
                continue
            answer = yield from self.query(candidate, kinds)
            if not isinstance(answer, Failure):
                return collect(answer)
            failures.append(answer)
            if candidate in first:
                saved = answer
            elif answer is Failure.NOBODY_THERE:
                return Reason.AGAIN
            is_over = is_over or (candidate in listed and answer in _LAST_WORDS)
        remembered = (saved, *(one for one in (Failure.NO_DATA, Failure.SERVER_FAILED) if one in failures))
        return _REASONS[next((one for one in remembered if one is not None), failures[-1])]

    def _candidates(self, name: str) -> tuple[list[str], list[str], list[str]]:
        """Return what to ask for: the name as it is, below each domain, as it is."""
        bare = name.removesuffix(".")
        if name.endswith("."):
            return [bare], [], []
        listed = [f"{bare}.{domain}" for domain in self.settings.search if domain]
        if bare.count(".") >= self.settings.ndots:
            return [bare], listed, []
        return [], listed, [bare]

    def query(self, name: str, kinds: Sequence[Kind]) -> Program[tuple[Reply, ...] | Failure]:
        """Ask for records of an absolute name; some answer is an answer.

        Source: `__res_context_query`.
        """
        queries = yield from exchange.prepare(name, kinds, self.settings)
        if not queries:
            return Failure.NOT_FOUND
        replies = yield from self._send(queries)
        if replies is None:
            if not self._got_somewhere:
                return Failure.NOBODY_THERE
            return Failure.SERVER_FAILED if self._code == "SERVFAIL" else Failure.TIMED_OUT
        if any(reply.has_answer for reply in replies):
            return replies
        codes = [reply.code for reply in replies]
        code = next((code for code in codes if code != "NOERROR"), "NOERROR")
        known = {"NXDOMAIN": Failure.NOT_FOUND, "SERVFAIL": Failure.SERVER_FAILED, "NOERROR": Failure.NO_DATA}
        return known.get(code, Failure.NO_RECOVERY)

    # --- servers ---

    def _send(self, queries: list[Query]) -> Program[tuple[Reply, ...] | None]:
        """Ask the servers in turn; None if no one answered. Source: `__res_context_send`."""
        self._got_somewhere, self._code = self.use_tcp, ""
        servers = [*self.settings.servers[self.offset :], *self.settings.servers[: self.offset]]
        use_tcp = self.use_tcp
        for _ in range(self.settings.attempts):
            for index, server in enumerate(servers):
                wait = max((self.settings.timeout << index) // (len(servers) if index else 1), SECOND)
                replies: list[Reply | None] = []
                try:
                    if not use_tcp:
                        replies = yield from self._by_udp(server, queries, wait)
                except _Truncated:
                    use_tcp = True
                except OSError:
                    continue
                if use_tcp:
                    try:
                        replies = yield from exchange.by_tcp(server, queries)
                    except OSError:
                        continue
                good = tuple(reply for reply in replies if reply is not None)
                if good:
                    return good
        return None

    def _by_udp(self, server: IpAddress, queries: list[Query], wait: Duration) -> Program[list[Reply | None]]:
        """Ask one server; what it did not answer, or failed at, is None. Source: `send_dg`.

        Raises:
            OSError: nobody is there.
            _Truncated: ask by TCP.
        """
        socket = yield from exchange.open_socket(server)
        while True:
            heard = _Heard([None] * len(queries))
            try:
                socket = yield from self._hear(socket, server, queries, heard, wait)
            except TimeoutError:
                self._got_somewhere = True
                if heard.has_reply and not self.single_request:
                    self.single_request = True
                    continue
                if heard.has_reply and not self.reopen:
                    self.reopen = True
                    yield from program.close(socket)
                    socket = yield from exchange.open_socket(server)
                    continue
            except (OSError, _Truncated):
                yield from program.close(socket)
                raise
            yield from program.close(socket)
            return heard.replies

    def _hear(
        self, socket: Socket, server: IpAddress, queries: list[Query], heard: _Heard, wait: Duration
    ) -> Program[Socket]:
        """Send the queries and take in replies until each has one; return the last socket.

        Raises:
            TimeoutError: not in time.
            OSError: nobody is there.
            _Truncated: ask by TCP.
        """
        end = yield from exchange.deadline(wait)
        sent = 1 if self.single_request else len(queries)
        for query in queries[:sent]:
            yield from program.send(socket, query.octets)
        while not heard.is_complete:
            octets = yield from program.receive(socket, timeout=(yield from exchange.left(end)))
            found = exchange.match(octets, queries[:sent])
            if found is None or heard.replies[found[0]] is not None:
                continue
            self._got_somewhere = True
            index, reply = found
            if reply.code in _REFUSALS or reply.is_lame:
                self._code = reply.code
                heard.failed.add(index)
                if heard.has_reply:
                    return socket
            elif reply.is_truncated:
                raise _Truncated
            else:
                heard.replies[index] = reply
            if sent < len(queries):
                if self.reopen:
                    yield from program.close(socket)
                    socket = yield from exchange.open_socket(server)
                yield from program.send(socket, queries[sent].octets)
                sent += 1
        return socket
