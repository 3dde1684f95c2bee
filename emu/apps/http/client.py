# SPDX-License-Identifier: GPL-2.0-only
"""An HTTP/1.1 client: connections that are asked one request after another, and `fetch` for a single one."""

from __future__ import annotations

import errno
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
import h11

from emu.apps.channel import Plain
from emu.apps.http.failure import Failed, Failure
from emu.apps.http.message import MOST_BODY, MOST_HEAD, Request, Response, find
from emu.apps.http.secured import Secured, secure
from emu.apps.http.server import headers_of, is_done
from emu.fabric import program
from emu.kernel import tcp
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND, Duration, Instant, later
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.apps.channel import Channel
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress

__all__ = [
    "CONNECT_TIMEOUT",
    "Connection",
    "Failed",
    "Failure",
    "Fetched",
    "Secured",
    "connect",
    "fetch",
    "host_field",
    "over",
]

CONNECT_TIMEOUT: Final = 300 * SECOND
"""How long curl waits; the kernel gives up before."""


@attrs.frozen
class Fetched:
    """A request that was answered.

    Attributes:
        response: the answer.
        remote: who gave it.
        remote_port: the port there.
        local: our address.
        local_port: our port.
        connected: when the connection stood, ns since the beginning.
        elapsed: when the answer was complete, ns since the beginning.
    """

    response: Response
    remote: IpAddress
    remote_port: int
    local: IpAddress
    local_port: int
    connected: Duration
    elapsed: Duration


_CONNECTING: Final = {
    errno.ECONNREFUSED: Failure.REFUSED,
    errno.ETIMEDOUT: Failure.CONNECT_TIMEOUT,
    errno.ECONNRESET: Failure.RESET,
}


@attrs.define(eq=False)
class Connection:
    """A connection to a server, made by `connect`.

    Attributes:
        channel: what it is made of.
        is_open: another request can follow.
        asked: how many requests have been sent.
        answered: when the last answer began, None if it has not.
    """

    channel: Channel
    _http: h11.Connection
    is_open: bool = True
    asked: int = 0
    answered: Instant | None = None

    @property
    def socket(self) -> Socket:
        """Where the connection ends here."""
        return self.channel.socket

    def ask(
        self, request: Request, deadline: Instant | None = None, *, most: int = MOST_BODY
    ) -> Program[Response | Failed]:
        """Send `request` and return its answer.

        Args:
            request: must have a Host; a Content-Length is added.
            deadline: when to give up, None for never.
            most: octets of the body.

        Raises:
            h11.LocalProtocolError: the request is no HTTP.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        octets = _octets(self._http, request)
        self.asked += 1
        self.answered = None
        begun = _Begun()
        try:
            yield from self.channel.send(octets, timeout=(yield from _left(deadline)))
            failure = yield from self._read(begun, deadline, most)
        except TimeoutError as error:
            failure = Failed(Failure.TIMEOUT, error.errno or 0)
        except OSError as error:
            failure = Failed(Failure.RESET, error.errno or 0)
        except h11.RemoteProtocolError as error:
            failure = self._judge(error, begun)
        response = begun.response
        if failure is not None:
            self.is_open = False
            return attrs.evolve(failure, response=response)
        assert response is not None, "without a failure there is an answer"
        self.is_open = is_done(self._http)
        return response

    def close(self) -> Program[None]:
        """End the connection."""
        self.is_open = False
        yield from self.channel.close()

    def _read(self, begun: _Begun, deadline: Instant | None, most: int) -> Program[Failed | None]:
        """Read an answer to its end.

        Raises:
            OSError: the connection is lost, or too slow.
            h11.RemoteProtocolError: what comes is no HTTP, or ends early.
        """
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                left = yield from _left(deadline)
                data = yield from self.channel.receive(timeout=left)
                if self.answered is None:
                    self.answered = yield from program.now()
                begun.octets += len(data)
                self._http.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                continue
            elif isinstance(event, h11.Response):
                begun.head = event
            elif isinstance(event, h11.Data):
                begun.body += event.data
                if len(begun.body) > most:
                    return Failed(Failure.TOO_LARGE)
            elif isinstance(event, h11.EndOfMessage):
                return None
            else:
                return Failed(Failure.EMPTY)

    def _judge(self, error: h11.RemoteProtocolError, begun: _Begun) -> Failed:
        if begun.octets == 0:
            return Failed(Failure.EMPTY)
        if begun.head is None:
            return Failed(Failure.MALFORMED, detail=str(error))
        length = find(headers_of(begun.head), "Content-Length")
        left = f"{int(length) - len(begun.body)} " if length is not None and length.isdecimal() else ""
        return Failed(Failure.PARTIAL, detail=left.strip())


@attrs.define
class _Begun:
    """What has been read of an answer."""

    head: h11.Response | None = None
    body: bytearray = attrs.field(factory=bytearray)
    octets: int = 0

    @property
    def response(self) -> Response | None:
        if self.head is None:
            return None
        return Response(
            self.head.status_code,
            headers_of(self.head),
            bytes(self.body),
            self.head.reason.decode("latin-1"),
            "chunked" in (find(headers_of(self.head), "Transfer-Encoding") or "").lower(),
            self.head.http_version.decode(),
        )


def _octets(http: h11.Connection, request: Request) -> bytes:
    headers = [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in request.headers
    ]
    if request.body and request.header("Content-Length") is None:
        headers.append((b"Content-Length", str(len(request.body)).encode()))
    head = h11.Request(
        method=request.method.encode("latin-1", "replace"),
        target=request.target.encode("latin-1", "replace"),
        headers=headers,
    )
    pieces = [http.send(head)]
    if request.body:
        pieces.append(http.send(h11.Data(data=request.body)))
    pieces.append(http.send(h11.EndOfMessage()))
    return b"".join(piece or b"" for piece in pieces)


def _left(deadline: Instant | None) -> Program[Duration | None]:
    """Return how long it is until `deadline`.

    Raises:
        TimeoutError: it has passed.
    """
    if deadline is None:
        return None
    now = yield from program.now()
    if now >= deadline:
        raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")
    return deadline - now


def connect(
    address: IpAddress,
    port: int,
    *,
    source: IpAddress = ANY_IP4,
    timeout: Duration | None = CONNECT_TIMEOUT,
    tls: Secured | None = None,
) -> Program[Connection | Failed]:
    """Connect to a server.

    Args:
        address: of the server.
        port: there.
        source: our address; unspecified for the kernel's choice.
        timeout: ns; None for as long as the kernel tries.
        tls: what is spoken below HTTP, None for nothing.
    """
    if address.family != 4:
        return Failed(Failure.NO_ROUTE, errno.ENETUNREACH)
    begin = yield from program.now()
    socket = yield from program.socket(SocketKind.TCP)
    try:
        if source != ANY_IP4:
            yield from program.bind(socket, source)
        yield from program.call(partial(tcp.set_nodelay, sock=socket, on=True))
        yield from program.connect(socket, address, port, timeout=timeout)
    except OSError as error:
        yield from program.close(socket)
        number = error.errno or 0
        return Failed(_CONNECTING.get(number, Failure.NO_ROUTE), number)
    if tls is None:
        return over(Plain(socket))
    channel = yield from secure(socket, tls, None if timeout is None else later(begin, timeout))
    if isinstance(channel, Failed):
        yield from program.close(socket)
        return channel
    return over(channel)


def over(channel: Channel) -> Connection:
    """Return a connection for HTTP by a channel that stands."""
    return Connection(channel, h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_HEAD))


def fetch(
    address: IpAddress,
    port: int,
    request: Request | None = None,
    *,
    source: IpAddress = ANY_IP4,
    connect_timeout: Duration | None = CONNECT_TIMEOUT,
    timeout: Duration | None = None,
    most: int = MOST_BODY,
    tls: Secured | None = None,
) -> Program[Fetched | Failed]:
    """Connect, ask, and close; nothing is raised, not even for a request that is no HTTP.

    Args:
        address: of the server.
        port: there.
        request: what to ask; None for `GET /`. It gets a Host if it has none,
            and asks the server to close.
        source: our address; unspecified for the kernel's choice.
        connect_timeout: ns; None for as long as the kernel tries.
        timeout: for all of it, ns; None for ever.
        most: octets of the body.
        tls: what is spoken below HTTP, None for nothing.
    """
    begin = yield from program.now()
    deadline = None if timeout is None else later(begin, timeout)
    limits = [limit for limit in (connect_timeout, timeout) if limit is not None]
    connection = yield from connect(address, port, source=source, timeout=min(limits, default=None), tls=tls)
    connected = yield from program.now()
    if isinstance(connection, Failed):
        return attrs.evolve(connection, elapsed=connected - begin)
    answer: Response | Failed
    try:
        answer = yield from connection.ask(
            _complete(request or Request(), address, port, tls), deadline, most=most
        )
    except h11.LocalProtocolError as error:
        answer = Failed(Failure.MALFORMED, detail=str(error))
    socket = connection.socket
    ends = (socket.remote, socket.remote_port, socket.local, socket.local_port)
    yield from connection.close()
    end = yield from program.now()
    if isinstance(answer, Failed):
        return attrs.evolve(answer, elapsed=end - begin)
    return Fetched(answer, *ends, connected=connected - begin, elapsed=end - begin)


def _complete(request: Request, address: IpAddress, port: int, tls: Secured | None) -> Request:
    headers = request.headers
    if request.header("Host") is None:
        usual = 80 if tls is None else 443
        headers = (("Host", host_field(str(address), port, usual)), *headers)
    if request.header("Connection") is None:
        headers = (*headers, ("Connection", "close"))
    return attrs.evolve(request, headers=headers)


def host_field(host: str, port: int, usual: int = 80) -> str:
    """Return the Host field for a server: without the port where it is the `usual` one."""
    written = f"[{host}]" if ":" in host else host
    return written if port == usual else f"{written}:{port}"
