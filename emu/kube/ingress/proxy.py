# SPDX-License-Identifier: GPL-2.0-only
"""One request: from a client to an endpoint, and the answer back, by connections of the proxy's own.

Requests and answers are held until they are whole, as nginx buffers them by
default; what is larger than its buffers is not streamed. Upgrades (WebSocket) and
HTTP/2 are not modelled.

Source: ingress-nginx rootfs/etc/nginx/template/nginx.tmpl, rootfs/etc/nginx/lua/{lua_ingress,balancer}.lua.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import h11

from emu.apps.http.client import Connection, Failed, Failure, Secured, connect
from emu.apps.http.message import MOST_PASSED_ON, Request, Response
from emu.apps.resolver.lookup import Unresolved, look_up, numeric
from emu.fabric import program
from emu.kube.ingress import pages, paths
from emu.kube.ingress.access import access, taken
from emu.kube.ingress.balancing import Endpoint, Pool, Turns
from emu.kube.ingress.servers import NOWHERE
from emu.sim.time import SECOND, later
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from emu.apps.http.message import Headers
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kube.ingress.access import Access
    from emu.kube.ingress.servers import Backend, Configuration, Handling, Location
    from emu.kube.ingress.settings import Options
    from emu.wire.addresses import IpAddress

_HOP_BY_HOP: Final = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
_OWN: Final = frozenset(
    (
        "host",
        "x-request-id",
        "x-real-ip",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-forwarded-scheme",
        "x-scheme",
        "x-original-forwarded-for",
        "proxy",
        "content-length",
        "expect",
    )
)
_ONCE: Final = frozenset(("POST", "LOCK", "PATCH"))
"""Methods that are not tried again once they have been sent."""


class View(Protocol):
    """What a proxy knows, as it is now."""

    @property
    def configuration(self) -> Configuration:
        """Hosts and paths."""

    @property
    def options(self) -> Options:
        """What the ConfigMap says."""

    @property
    def endpoints(self) -> Mapping[Backend, Sequence[Endpoint]]:
        """Who stands behind each backend."""


class _Outcome(enum.Enum):
    """How asking one endpoint went wrong."""

    ERROR = 502
    TIMEOUT = 504
    INVALID = 0  # an answer that is none: nobody else is asked


class Proxy:
    """A reverse proxy, one for each container.

    Args:
        view: what it knows.
        userland: of its container.
        random: for first turns and the ids of requests.
        port: where it is asked without TLS.
    """

    def __init__(self, view: View, userland: Userland, random: random.Random, port: int = 80) -> None:
        self._view = view
        self._userland = userland
        self._random = random
        self._port = port
        self._turns = Turns(random)
        self._pool = Pool()

    def plain(self, request: Request) -> Response | Program[Response]:
        """Answer a request by HTTP."""
        return self._answer(request, self._port)

    def secure(self, request: Request) -> Response | Program[Response]:
        """Answer a request by HTTPS."""
        return self._answer(request, None)

    def _answer(self, request: Request, port: int | None) -> Response | Program[Response]:
        options = self._view.options
        request = taken(request, options)
        came = access(request, options, port)
        path = paths.normalised(request.path)
        if path is None:
            return pages.page(400, (("Connection", "close"),))
        server = self._view.configuration.server(request.header("Host") or "")
        location = server.location(path)
        if location is not None and location.is_beyond(path):
            return _kept_alive(pages.page(500))
        handling = location.handling if location is not None else options.handling
        if came.scheme == "http" and (handling.always_redirects or (handling.redirects and server.has_tls)):
            target = request.target if handling.keeps_slash else request.target.removesuffix("/")
            fields = (("Location", f"https://{came.name}{target}"),)
            return _kept_alive(pages.page(options.redirect_code, fields))
        own: Headers = (
            (("Strict-Transport-Security", options.hsts),) if came.is_secure and options.hsts else ()
        )
        if location is None or location.backend == NOWHERE:
            return _kept_alive(pages.page(404, own))
        if handling.permanent:
            return _kept_alive(pages.page(handling.permanent_code, (("Location", handling.permanent), *own)))
        if handling.allowed and not _is_within(request.client, handling.allowed):
            return _kept_alive(pages.page(403, own))
        if handling.body_limit and len(request.body) > handling.body_limit:
            return _kept_alive(pages.page(413, own))
        endpoints = self._view.endpoints.get(location.backend, ())
        if not endpoints:
            return _kept_alive(pages.page(503, own))
        asked = self._for_endpoints(request, path, location, came)
        return self._pass_on(asked, location, endpoints, own)

    def _pass_on(
        self,
        asked: Request,
        location: Location,
        endpoints: Sequence[Endpoint],
        own: Headers,
    ) -> Program[Response]:
        """Ask endpoints in turn until one answers."""
        handling = location.handling
        begun = yield from program.now()
        failed = _Outcome.ERROR
        for _ in range(handling.tries or len(endpoints)):
            endpoint = self._turns.next(location.backend, endpoints)
            answer, was_sent = yield from self._ask(endpoint, asked, handling)
            if isinstance(answer, Response):
                fields = tuple(each for each in answer.headers if each[0].lower() not in _HOP_BY_HOP)
                return _kept_alive(attrs.evolve(answer, headers=(*fields, *own)))
            failed = answer
            if failed is _Outcome.INVALID or (was_sent and asked.method in _ONCE):
                break
            now = yield from program.now()
            if handling.tries_timeout and now - begun >= handling.tries_timeout * SECOND:
                break
        return _kept_alive(pages.page(504 if failed is _Outcome.TIMEOUT else 502, own))

    def _ask(
        self, endpoint: Endpoint, asked: Request, handling: Handling
    ) -> Program[tuple[Response | _Outcome, bool]]:
        """Ask one endpoint; return its answer or how that went wrong, and whether it got the request."""
        protocol = handling.protocol
        connection = yield from self._pool.take(endpoint, protocol)
        if connection is None:
            made = yield from self._connect(endpoint, handling)
            if isinstance(made, _Outcome):
                return made, False
            connection = made
        now = yield from program.now()
        try:
            answer = yield from connection.ask(
                asked, later(now, handling.read_timeout * SECOND), most=MOST_PASSED_ON
            )
        except h11.LocalProtocolError:
            yield from connection.close()
            return _Outcome.INVALID, False
        if isinstance(answer, Failed):
            yield from connection.close()
            return _outcome(answer), True
        yield from self._pool.keep(endpoint, protocol, connection, self._view.options.keeps)
        return answer, True

    def _connect(self, endpoint: Endpoint, handling: Handling) -> Program[Connection | _Outcome]:
        address = numeric(endpoint.host)
        if address is None:
            found = yield from look_up(endpoint.host, self._userland)
            if isinstance(found, Unresolved) or not found.ipv4:
                return _Outcome.ERROR
            address = found.ipv4[0]
        tls = None
        if handling.protocol == "HTTPS":
            from emu.apps.tls.contexts import Wishes  # noqa: PLC0415 - 10 ms, for who needs it

            tls = Secured(str(address), Wishes())  # proxy_ssl_server_name and proxy_ssl_verify are off
        timeout = handling.connect_timeout * SECOND
        made = yield from connect(address, endpoint.port, timeout=timeout, tls=tls)
        if isinstance(made, Failed):
            return _Outcome.TIMEOUT if made.failure is Failure.CONNECT_TIMEOUT else _Outcome.ERROR
        return made

    def _for_endpoints(self, request: Request, path: str, location: Location, came: Access) -> Request:
        """Return the request as endpoints get it; `path` is its own, normalised."""
        options = self._view.options
        forwarded = request.header("X-Forwarded-For")
        client = str(request.client)
        if options.appends_forwarded and forwarded:
            client = f"{forwarded}, {client}"
        fields = [
            ("Host", location.handling.upstream_host or came.host),
            ("X-Request-ID", request.header("X-Request-ID") or f"{self._random.getrandbits(128):032x}"),
            ("X-Real-IP", str(request.client)),
            ("X-Forwarded-For", client),
            ("X-Forwarded-Host", came.host),
            ("X-Forwarded-Port", came.port),
            ("X-Forwarded-Proto", came.scheme),
            ("X-Forwarded-Scheme", came.scheme),
            ("X-Scheme", came.scheme),
        ]
        if forwarded:
            fields.append(("X-Original-Forwarded-For", forwarded))
        left_out = _OWN | _HOP_BY_HOP
        fields += [each for each in request.headers if each[0].lower() not in left_out]
        if request.body or request.header("Content-Length") is not None:
            fields.append(("Content-Length", str(len(request.body))))
        rewritten = location.rewritten(path)
        target = request.target
        if rewritten is not None:
            _, question, query = target.partition("?")
            target = rewritten + (f"&{query}" if "?" in rewritten and query else question + query)
        return Request(request.method, target, tuple(fields), request.body)


def _outcome(failed: Failed) -> _Outcome:
    if failed.failure is Failure.TIMEOUT:
        return _Outcome.TIMEOUT
    is_lost = failed.failure in {Failure.RESET, Failure.EMPTY} or failed.response is None
    return _Outcome.ERROR if is_lost and failed.failure is not Failure.MALFORMED else _Outcome.INVALID


def _kept_alive(response: Response) -> Response:
    return attrs.evolve(response, headers=(*response.headers, ("Connection", "keep-alive")))


def _is_within(client: IpAddress, ranges: Sequence[str]) -> bool:
    return any(client in Prefix.parse(each if "/" in each else f"{each}/32") for each in ranges)
