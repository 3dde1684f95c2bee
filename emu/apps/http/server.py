# SPDX-License-Identifier: GPL-2.0-only
"""An HTTP/1.1 server: keep-alive, HEAD, bodies by length and in chunks.

It sends no Date: there is no calendar here.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

import h11

from emu.apps import proxy_protocol
from emu.apps.channel import Plain
from emu.apps.http.message import MOST_BODY, MOST_HEAD, Headers, Request, Response
from emu.fabric import program
from emu.kernel import tcp
from emu.sim.time import SECOND, later
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    import ssl

    from emu.apps.channel import Channel
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket
    from emu.wire.addresses import IpAddress

Handler: TypeAlias = "Callable[[Request], Response | Program[Response]]"
"""Answers a request, at once or by a program (which may ask others)."""

BACKLOG: Final = 511
_PATIENCE: Final = 75 * SECOND  # how long the next request, or its next piece, may take
_LINGER: Final = SECOND  # how long what still comes is read after an answer that ends the connection


class _TooLarge(Exception):  # noqa: N818 - no error of ours: the client is told
    """The body of a request is longer than the server takes."""


def serve(
    port: int,
    handler: Handler,
    address: IpAddress = ANY_IP4,
    *,
    patience: int = _PATIENCE,
    tls: Callable[[], ssl.SSLContext] | None = None,
    plain: Handler | None = None,
    is_proxied: Callable[[], bool] = lambda: False,
    most: int = MOST_BODY,
) -> Program[None]:
    """Accept connections for ever and answer each request by `handler`, connections side by side.

    Args:
        port: to listen on.
        handler: makes the responses.
        address: to bind to.
        patience: how long an idle connection is kept, ns.
        tls: gives what is spoken below HTTP (`emu.apps.tls.contexts`) when a client comes; None for nothing.
        plain: answers who does not speak TLS though it is spoken, and who is then left.
        is_proxied: tells whether connections begin with a header of the PROXY protocol.
        most: octets of a request's body; more is a 413.

    Raises:
        OSError: EADDRINUSE, EADDRNOTAVAIL.
    """
    listener = yield from program.listening(port, address, backlog=BACKLOG)
    while True:
        connection = yield from program.accept(listener, repeats=True)
        yield from program.spawn(_greet(connection, handler, patience, tls, plain, is_proxied(), most))


def _greet(  # noqa: PLR0917 - what `serve` was told
    socket: Socket,
    handler: Handler,
    patience: int,
    tls: Callable[[], ssl.SSLContext] | None,
    plain: Handler | None,
    is_proxied: bool,  # noqa: FBT001
    most: int,
) -> Program[None]:
    """Shake hands if TLS is spoken, and answer what comes by one connection."""
    yield from program.call(partial(tcp.set_nodelay, sock=socket, on=True))
    client, begun = (socket.remote, socket.remote_port, 0), b""
    if is_proxied:
        try:
            ends, begun = yield from proxy_protocol.receive(socket, patience)
        except (OSError, proxy_protocol.NoHeaderError):
            yield from program.close(socket)
            return
        client = client if ends is None else (ends.src, ends.src_port, ends.dst_port)
    if tls is None:
        yield from converse(Plain(socket), handler, patience, client, begun, most=most)
        return
    from emu.apps.tls import channel  # noqa: PLC0415 - most servers speak none, and OpenSSL takes a while

    now = yield from program.now()
    try:
        made = yield from channel.accept(socket, tls(), begun, deadline=later(now, patience))
    except OSError:
        yield from program.close(socket)
    except channel.PlainError as error:
        if plain is None:
            yield from program.close(socket)
        else:
            yield from converse(Plain(socket), plain, patience, client, error.octets, is_last=True)
    except channel.TlsError:
        yield from program.close(socket)
    else:
        yield from converse(made, handler, patience, client, most=most)


def converse(
    channel: Channel,
    handler: Handler,
    patience: int,
    client: tuple[IpAddress, int, int],
    begun: bytes = b"",
    *,
    is_last: bool = False,
    most: int = MOST_BODY,
) -> Program[None]:
    """Answer what comes by one connection, until either side ends it.

    Args:
        channel: the connection.
        handler: makes the responses.
        patience: how long an idle connection is kept, ns.
        client: who asks: address and port, and the port that the PROXY header says was asked.
        begun: what has been read of it already.
        is_last: one answer ends it.
        most: octets of a request's body.
    """
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
    try:
        if begun:
            http.receive_data(begun)
        while True:
            method = "GET"
            try:
                request = yield from _read(channel, http, patience, client, most)
                if request is None:
                    break
                method = request.method
                response = yield from _answer(handler, request)
            except h11.RemoteProtocolError as error:
                response = _complaint(error.error_status_hint)
            except _TooLarge:
                response = _complaint(413)
            if http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
                break
            yield from channel.send(_encode(http, response, method), timeout=patience)
            if is_last or not is_done(http):
                yield from _linger(channel)
                break
            http.start_next_cycle()
    except OSError:
        pass  # the client is gone; there is nobody to tell
    yield from channel.close()


def _read(
    channel: Channel, http: h11.Connection, patience: int, client: tuple[IpAddress, int, int], most: int
) -> Program[Request | None]:
    """Return the next request, None if no more comes.

    Raises:
        h11.RemoteProtocolError: it is no request.
        _TooLarge: it is too long.
    """
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if http.they_are_waiting_for_100_continue:
                go_on = http.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
                yield from channel.send(go_on or b"", timeout=patience)
            http.receive_data((yield from channel.receive(timeout=patience)))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most:
                raise _TooLarge
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None, "an end has a beginning"
            return Request(
                head.method.decode(),
                head.target.decode("latin-1"),
                headers_of(head),
                bytes(body),
                *client,
            )
        else:
            return None


def is_done(http: h11.Connection) -> bool:
    """Return whether both sides have said all of this exchange, and another may follow."""
    return http.our_state is h11.DONE and http.their_state is h11.DONE


def headers_of(event: h11.Request | h11.Response) -> Headers:
    """Return the fields of a message, spelled as they came."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers.raw_items()
    )


def _answer(handler: Handler, request: Request) -> Program[Response]:
    """Return the handler's response; one that fails at asking others becomes a 502."""
    answer = handler(request)
    if not isinstance(answer, Generator):
        return answer
    try:
        return (yield from answer)
    except OSError:
        return _complaint(502)


def _complaint(status: int) -> Response:
    text = f"{status} {HTTPStatus(status).phrase}\n"
    headers = (("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close"))
    return Response(status, headers, text.encode())


def _encode(http: h11.Connection, response: Response, method: str) -> bytes:
    """Return the octets of a response; one that is no HTTP becomes a 500, or nothing."""
    try:
        return _octets(http, response, method)
    except h11.LocalProtocolError:
        return b"" if http.our_state is h11.ERROR else _octets(http, _complaint(500), method)


def _octets(http: h11.Connection, response: Response, method: str) -> bytes:
    headers = [
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in response.headers
    ]
    known = {name.lower() for name, _ in headers}
    if response.chunked:
        headers.append((b"Transfer-Encoding", b"chunked"))
    elif b"content-length" not in known and response.status >= 200 and response.status not in {204, 304}:
        headers.append((b"Content-Length", str(len(response.body)).encode()))
    reason = response.reason
    if reason is None:
        known_status = response.status in set(HTTPStatus)
        reason = HTTPStatus(response.status).phrase if known_status else ""
    head = h11.Response(
        status_code=response.status, headers=headers, reason=reason.encode("latin-1", "replace")
    )
    pieces = [http.send(head)]
    if response.body and method != "HEAD" and response.status not in {204, 304}:
        pieces.append(http.send(h11.Data(data=response.body)))
    pieces.append(http.send(h11.EndOfMessage()))
    return b"".join(piece or b"" for piece in pieces)


def _linger(channel: Channel) -> Program[None]:
    """Say that no more comes and read on for a while, so that no RST overtakes the answer."""
    yield from channel.finish()
    now = yield from program.now()
    end = later(now, _LINGER)
    while now < end and (yield from channel.receive(timeout=end - now)):
        now = yield from program.now()
