# SPDX-License-Identifier: GPL-2.0-only
"""One run of curl: URLs one after the other, over connections that are kept as long as the servers do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import attrs
import h11

from emu.apps.curl import report, security, url
from emu.apps.curl.report import Transfer
from emu.apps.deadline import bounded
from emu.apps.http.client import Connection, Failed, Failure, Secured, connect, host_field, over
from emu.apps.http.message import Request, find
from emu.apps.http.secured import secure
from emu.apps.resolver.lookup import Unresolved, look_up, numeric
from emu.errors import CommandError
from emu.fabric import program
from emu.kernel.fib import RouteType
from emu.sim.time import MILLISECOND, SECOND, later
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    from emu.apps.curl.options import Options
    from emu.apps.curl.url import Url
    from emu.apps.http.message import Headers, Response
    from emu.fabric.program import Program
    from emu.fabric.userland import Userland
    from emu.kernel.namespace import Namespace
    from emu.sim.time import Instant
    from emu.wire.addresses import IpAddress

_MOST_OCTETS: Final = 16 << 20
_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


@attrs.define
class Session:
    """What lasts from one URL to the next.

    Attributes:
        options: the command line.
        userland: has the files of the resolver.
        told: what `-v` has said.
    """

    options: Options
    userland: Userland
    told: list[str] = attrs.field(factory=list)
    _kept: dict[tuple[str, str, int], Connection] = attrs.field(factory=dict)
    _made: int = 0

    def say(self, text: str) -> None:
        """Tell `text` to who wants to know all."""
        if "verbose" in self.options.flags:
            self.told.append(f"{text}\n")

    def fetch(self, target: Url) -> Program[list[Transfer]]:
        """Fetch a URL; return a transfer for it, and for each redirect that was followed."""
        method = self.options.method or self._usual_method()
        data = None if {"get", "head"} & self.options.flags else self.options.data
        if self.options.data is not None and "get" in self.options.flags:
            joint = "&" if "?" in target.target else "?"
            target = attrs.evolve(target, target=target.target + joint + self.options.data.decode())
        begun = yield from program.now()
        transfers: list[Transfer] = []
        while True:
            now = yield from program.now()
            transfer = Transfer(target, method, now, redirects=len(transfers))
            transfers.append(transfer)
            yield from self._perform(transfer, data, begun)
            location = self._location(transfer)
            if location is None:
                return transfers
            if len(transfers) > self.options.max_redirects:
                transfer.fail(47, f"Maximum ({self.options.max_redirects}) redirects followed")
                return transfers
            assert transfer.response is not None, "it said where to go"
            if transfer.response.status == 303 or (transfer.response.status < 303 and data is not None):
                data, method = None, self.options.method or ("HEAD" if method == "HEAD" else "GET")
            target = url.follow(target, location)
            self.say(f"* Issue another request to this URL: '{target.text}'")

    def end(self) -> Program[None]:
        """Close what is still open."""
        for connection in self._kept.values():
            yield from connection.close()
        self._kept.clear()

    def _usual_method(self) -> str:
        if "head" in self.options.flags:
            return "HEAD"
        return "POST" if self.options.data is not None and "get" not in self.options.flags else "GET"

    def _location(self, transfer: Transfer) -> str | None:
        if "location" not in self.options.flags or transfer.response is None or transfer.status:
            return None
        return transfer.response.header("Location") if transfer.response.status in _REDIRECTS else None

    # --- one request ---

    def _perform(self, transfer: Transfer, data: bytes | None, begun: Instant) -> Program[None]:
        """Carry out `transfer`, and note in it what became of it."""
        limit = self.options.max_time
        deadline = None if limit is None else later(begun, limit)
        connection = yield from self._connection(transfer, deadline)
        if connection is not None:
            yield from self._ask(connection, transfer, data, deadline)
        now = yield from program.now()
        transfer.ended = now - transfer.begun

    def _ask(
        self, connection: Connection, transfer: Transfer, data: bytes | None, deadline: Instant | None
    ) -> Program[None]:
        socket = connection.socket
        transfer.remote, transfer.remote_port = socket.remote, socket.remote_port
        transfer.local, transfer.local_port = socket.local, socket.local_port
        now = yield from program.now()
        transfer.asked = now - transfer.begun
        request = self._request(transfer, data)
        self.say("".join(f"> {line}\n" for line in _head_of(request)) + "> ")
        try:
            answer = yield from connection.ask(request, deadline, most=_MOST_OCTETS)
        except h11.LocalProtocolError as error:
            yield from connection.close()
            raise CommandError(f"curl: such a request is not modelled: {error}", 2) from None
        now = yield from program.now()
        if connection.answered is not None:
            transfer.answered = connection.answered - transfer.begun
        transfer.response = answer.response if isinstance(answer, Failed) else answer
        self.say("* Request completely sent off")
        if transfer.response is not None:
            self.say("".join(f"< {line}\n" for line in head_lines(transfer.response)) + "< ")
        if isinstance(answer, Failed):
            transfer.fail(*report.not_answered(answer, now - transfer.begun))
            self.say(f"* {transfer.error}")
        yield from self._keep(connection, transfer)

    def _keep(self, connection: Connection, transfer: Transfer) -> Program[None]:
        """Leave a connection open if it can be used again, or else close it."""
        if connection.is_open:
            self._kept[transfer.url.scheme, transfer.url.host, transfer.url.port] = connection
            self.say(f"* Connection #{self._made - 1} to host {transfer.url.host} left intact")
        else:
            self.say(f"* shutting down connection #{self._made - 1}")
            yield from connection.close()

    def _request(self, transfer: Transfer, data: bytes | None) -> Request:
        """Return what is asked, its fields in curl's order."""
        options = self.options
        own: Headers = tuple(_field(header) for header in options.headers)
        replaced = {name.lower() for name, _ in own}
        fields = [("Host", find(own, "Host") or _host_of(transfer.url))]
        if options.user_agent:
            fields.append(("User-Agent", options.user_agent))
        fields.append(("Accept", "*/*"))
        if options.referer:
            fields.append(("Referer", options.referer))
        fields = [field for field in fields if field[0] == "Host" or field[0].lower() not in replaced]
        fields += [(name, value) for name, value in own if name.lower() != "host"]
        if data is not None:
            if "content-length" not in replaced:
                fields.append(("Content-Length", str(len(data))))
            if "content-type" not in replaced:
                fields.append(("Content-Type", "application/x-www-form-urlencoded"))
        kept = tuple((name, value) for name, value in fields if (name, value) not in _left_out(options))
        return Request(transfer.method, transfer.url.target, kept, data or b"")

    # --- connections ---

    def _connection(self, transfer: Transfer, deadline: Instant | None) -> Program[Connection | None]:
        """Return a connection to the server of `transfer`, a kept one if there is one; None if it failed."""
        kept = self._kept.pop((transfer.url.scheme, transfer.url.host, transfer.url.port), None)
        if kept is not None:
            self.say(f"* Re-using existing {transfer.url.scheme}: connection with host {transfer.url.host}")
            return kept
        until = later(transfer.begun, self.options.connect_timeout)
        in_all = deadline is not None and deadline <= until
        until = deadline if deadline is not None and in_all else until
        host, port = self._whom(transfer.url)
        addresses = yield from self._resolve(transfer, host, port, until)
        if not addresses:
            return None
        source = yield from self._source(transfer)
        if source is None:
            return None
        failed = Failed(Failure.NO_ROUTE)
        for index, address in enumerate(addresses):
            now = yield from program.now()
            wait = max(until - now, 0) // (1 if index == len(addresses) - 1 else 2)
            self.say(f"*   Trying {_with_port(address, port)}...")
            made = yield from connect(address, port, source=source, timeout=wait)
            if isinstance(made, Connection):
                now = yield from program.now()
                transfer.connected = now - transfer.begun
                transfer.connects += 1
                self._made += 1
                self.say(f"* Connected to {host} ({address}) port {port}")
                if transfer.url.is_secure:
                    return (yield from self._secure(made, transfer, until))
                self.say("* using HTTP/1.x")
                return made
            now = yield from program.now()
            is_over = made.failure is Failure.CONNECT_TIMEOUT and now >= until
            failed = attrs.evolve(made, number=0) if is_over else made
            self.say(f"* connect to {address} port {port} failed: {os.strerror(made.number)}")
        now = yield from program.now()
        transfer.fail(*report.not_connected(transfer, failed, now - transfer.begun, in_all=in_all))
        self.say(f"* {transfer.error}\n* closing connection #{self._made}")
        return None

    def _whom(self, target: Url) -> tuple[str, int]:
        """Return name and port of who is asked: `--connect-to` may name another."""
        for host, port, other, other_port in self.options.connect_to:
            if host in {"", target.host} and port in {0, target.port}:
                return other or target.host, other_port or target.port
        return target.host, target.port

    def _secure(self, made: Connection, transfer: Transfer, until: Instant) -> Program[Connection | None]:
        """Shake hands over a connection that was made; None if that failed."""
        secured = Secured(
            transfer.url.host, security.wishes(self.options, self.userland), self.userland.epoch
        )
        self.say(security.hello(self.options))
        channel = yield from secure(made.socket, secured, until)
        now = yield from program.now()
        if isinstance(channel, Failed):
            transfer.fail(*report.not_secured(transfer, channel, now - transfer.begun))
            self.say(f"* {transfer.error.partition(report.MORE_DETAILS)[0].rstrip()}")
            self.say(f"* closing connection #{self._made - 1}")
            yield from made.close()
            return None
        transfer.secured = now - transfer.begun
        if "verbose" in self.options.flags:
            self.say(security.agreed(channel, transfer.url.host, self.options, self.userland))
        self.say("* using HTTP/1.x")
        return over(channel)

    def _resolve(
        self, transfer: Transfer, host: str, port: int, until: Instant
    ) -> Program[tuple[IpAddress, ...]]:
        """Return the addresses of a server, none if the name has none, or not in time."""
        for name, at, addresses in self.options.resolve:
            if name in {host, "*"} and at == port:
                return addresses
        try:
            found = yield from bounded(look_up(host, self.userland, family=self.options.family), until)
        except TimeoutError:
            now = yield from program.now()
            ms = (now - transfer.begun) // MILLISECOND
            transfer.fail(28, f"Resolving timed out after {ms} milliseconds")
            return ()
        now = yield from program.now()
        transfer.named = now - transfer.begun
        if isinstance(found, Unresolved):
            transfer.fail(6, f"Could not resolve host: {host}")
            self.say(f"* {transfer.error}")
            return ()
        if numeric(host) is None:
            for family, title in ((6, "IPv6"), (4, "IPv4")):
                texts = [str(address) for address in found.addresses if address.family == family]
                begin = f"* Host {host}:{port} was resolved.\n" if family == 6 else ""
                self.say(f"{begin}* {title}: {', '.join(texts) or '(none)'}")
        return found.ipv4 or found.addresses

    def _source(self, transfer: Transfer) -> Program[IpAddress | None]:
        """Return the address to bind to: `--interface` names it, or a device that has it."""
        interface = self.options.interface
        for prefix in ("if!", "host!"):
            interface = interface.removeprefix(prefix)
        if not interface:
            return ANY_IP4
        address = numeric(interface)

        def find_own(net: Namespace) -> IpAddress | None:
            if address is not None:
                return address if net.fib.address_type(address) is RouteType.LOCAL else None
            device = net.devices.get(interface)
            return device.addresses[0].address if device is not None and device.addresses else None

        found = yield from program.call(find_own)
        if found is None:
            transfer.fail(45, f"bind failed: {interface} is no address or device of this host with one")
        return found


def head_lines(response: Response) -> list[str]:
    """Return the status line and the fields of an answer."""
    status = f"HTTP/{response.version} {response.status} {response.reason or ''}"
    return [status, *(f"{name}: {value}" for name, value in response.headers)]


def _head_of(request: Request) -> list[str]:
    return [
        f"{request.method} {request.target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in request.headers),
    ]


def _field(text: str) -> tuple[str, str]:
    """Return the name and value of `-H`; `Name;` has an empty value."""
    name, colon, value = text.partition(":")
    return (name.strip(), value.strip()) if colon else (text.rstrip("; "), "")


def _left_out(options: Options) -> set[tuple[str, str]]:
    """Return the fields that `-H Name:` takes away."""
    return {_field(header) for header in options.headers if header.rstrip().endswith(":")}


def _host_of(target: Url) -> str:
    return host_field(target.host, target.port, target.usual_port)


def _with_port(address: IpAddress, port: int) -> str:
    return f"[{address}]:{port}" if address.family == 6 else f"{address}:{port}"


def retry_delay(options: Options, attempt: int) -> int:
    """Return how long to wait before trying again for the `attempt`th time (from 0), ns."""
    if options.retry_delay is not None:
        return options.retry_delay
    return min(SECOND << min(attempt, 12), 600 * SECOND)
