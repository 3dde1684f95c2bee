# SPDX-License-Identifier: GPL-2.0-only
"""What a proxy hands on is what it was given."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps import proxy_protocol
from emu.apps.channel import Plain
from emu.apps.http.client import Connection, Failed, Fetched, connect, fetch, over
from emu.apps.http.message import Request, Response
from emu.apps.http.server import serve
from emu.fabric import program
from emu.fabric.userland import Userland
from emu.kernel.sockets import SocketKind
from emu.kube.ingress.balancing import Endpoint
from emu.kube.ingress.controller import Known
from emu.kube.ingress.proxy import Proxy
from emu.kube.ingress.servers import Backend, Configuration, Handling, Location, Server
from emu.kube.ingress.settings import Options
from emu.testing.lab import Lab, two_hosts
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from emu.fabric.program import Program

WEB: Final = Backend("default", "web", 80)
ADDED: Final = {
    "host",
    "x-request-id",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-scheme",
    "content-length",
    "connection",
}


def echo(request: Request) -> Response:
    """Answer with all of the question."""
    told = {
        "method": request.method,
        "target": request.target,
        "headers": [each for each in request.headers if each[0].lower() not in ADDED],
        "body": request.body.hex(),
    }
    status = int(request.header("X-Status") or 200)
    fields = (("X-Answer", "kept"), ("Content-Type", "application/json"))
    return Response(status, fields, json.dumps(told).encode(), chunked=request.header("X-Chunked") == "yes")


def known(handling: Handling, *ports: int) -> Known:
    """Return what a proxy knows that has endpoints on ports of its own host."""
    server = Server("_", (Location("/", "prefix", WEB, handling),))
    endpoints = {WEB: tuple(Endpoint("10.0.0.2", port) for port in ports)}
    return Known(Configuration({"_": server}), Options(handling=handling), endpoints)


def lab_with(view: Known, *ports: int, is_proxied: bool = False) -> Lab:
    """Return two hosts; on the second a proxy, and endpoints behind it."""
    lab = two_hosts()
    proxy = Proxy(view, Userland(), random.Random(1))
    lab.start("b", serve(80, proxy.plain, is_proxied=lambda: is_proxied))
    for port in ports:
        lab.start("b", serve(port, echo))
    return lab


def ask(lab: Lab, request: Request, port: int = 80) -> Response:
    """Ask host `b` from host `a`."""
    found = lab.run("a", fetch(lab.address("b"), port, request))
    assert isinstance(found, Fetched), found
    return found.response


NAMES = st.from_regex(r"X-[A-Za-z][A-Za-z0-9-]{0,10}", fullmatch=True).filter(
    lambda name: name.lower() not in ADDED | {"x-status", "x-chunked", "x-original-forwarded-for"}
)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
PATHS = st.from_regex(r"/[a-zA-Z0-9._~!$&'()*+,;=:@/%-]{0,30}(\?[a-z0-9=&]{0,20})?", fullmatch=True)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Any request that a client may send, but for upgrades."""
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    status = draw(st.sampled_from(["200", "201", "404", "500"]))
    chunked = draw(st.sampled_from(["yes", "no"]))
    fields += [("X-Status", status), ("X-Chunked", chunked)]
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]))
    body = draw(st.binary(max_size=2000)) if method in {"POST", "PUT", "PATCH"} else b""
    return Request(method, draw(PATHS), (("Host", "web.example"), *fields), body)


@settings(max_examples=60, deadline=None)
@given(asked=st.lists(requests(), min_size=1, max_size=3))
def test_an_answer_by_the_proxy_is_the_answer(asked: list[Request]) -> None:
    """Method, target, fields and body arrive, and so do status, fields and body of the answer."""
    lab = lab_with(known(Handling(), 8080), 8080)
    for each in asked:
        direct, proxied = ask(lab, each, 8080), ask(lab, each)
        assert (proxied.status, proxied.body) == (direct.status, direct.body)
        assert proxied.header("X-Answer") == "kept"
        assert proxied.header("Content-Type") == "application/json"


def test_fields_between_neighbours_go_no_further() -> None:
    """Connection and its like are about one connection."""
    fields = (("Host", "w"), ("TE", "gzip"), ("Keep-Alive", "5"), ("Upgrade", "websocket"), ("X-Own", "1"))
    told = json.loads(ask(lab_with(known(Handling(), 8080), 8080), Request("GET", "/", fields)).body)
    assert told["headers"] == [["X-Own", "1"]]


class TestTries:
    """What happens where endpoints fail."""

    def test_the_next_one_is_asked_where_one_refuses(self) -> None:
        """Nobody notices."""
        lab = lab_with(known(Handling(), 8080, 8081), 8080)
        assert {ask(lab, Request()).status for _ in range(6)} == {200}

    @pytest.mark.parametrize(("tries", "status"), [(1, {200, 502}), (2, {200}), (0, {200})])
    def test_it_is_tried_as_often_as_is_said(self, tries: int, status: set[int]) -> None:
        """Of two endpoints one refuses; 0 stands for all of them."""
        view = known(attrs.evolve(Handling(), tries=tries), 8080, 8081)
        lab = lab_with(view, 8080)
        assert {ask(lab, Request()).status for _ in range(4)} == status

    @pytest.mark.parametrize(("method", "status", "times"), [("GET", 502, 3), ("POST", 502, 1)])
    def test_what_may_have_been_done_is_not_done_again(self, method: str, status: int, times: int) -> None:
        """An endpoint that hangs up is asked again, but not by POST."""
        asked: list[str] = []

        def hang_up() -> Program[None]:
            listener = yield from program.socket(SocketKind.TCP)
            yield from program.bind(listener, ANY_IP4, 8080)
            yield from program.listen(listener)
            while True:
                connection = yield from program.accept(listener, repeats=True)
                data = yield from program.receive(connection)
                asked.append(data.split()[0].decode())
                yield from program.close(connection)

        lab = lab_with(known(Handling(), 8080))
        lab.start("b", hang_up())
        assert (
            ask(lab, Request(method, "/", (("Host", "w"),), b"x" if method == "POST" else b"")).status
            == status
        )
        assert asked == [method] * times

    def test_a_connection_that_the_endpoint_has_closed_is_not_used_again(self) -> None:
        """It is looked at before."""
        lab = two_hosts()
        proxy = Proxy(known(Handling(), 8080), Userland(), random.Random(1))
        lab.start("b", serve(80, proxy.plain))
        lab.start("b", serve(8080, echo, patience=1_000_000_000))
        post = Request("POST", "/", (("Host", "w"),), b"x")
        assert ask(lab, post).status == 200
        lab.wait(2_000_000_000)
        assert ask(lab, post).status == 200


class TestProxyProtocol:
    """Connections that begin with a header."""

    def ask_with(self, lab: Lab, header: bytes) -> Response | Failed:
        """Ask behind some octets."""

        def talk() -> Program[Response | Failed]:
            made = yield from connect(lab.address("b"), 80)
            assert isinstance(made, Connection)
            yield from made.channel.send(header)
            return (yield from over(Plain(made.socket)).ask(Request("GET", "/", (("Host", "w"),))))

        return lab.run("a", talk())

    @pytest.mark.parametrize("version", proxy_protocol.VERSIONS)
    def test_the_client_is_who_the_header_names(self, version: int) -> None:
        """Endpoints are told of it."""
        seen: list[str | None] = []

        def look(request: Request) -> Response:
            seen.append(request.header("X-Forwarded-For"))
            return Response.text("ok")

        lab = lab_with(known(Handling(), 8080), is_proxied=True)
        lab.start("b", serve(8080, look))
        src, dst = IpAddress.parse("203.0.113.5"), IpAddress.parse("10.0.0.2")
        found = self.ask_with(lab, proxy_protocol.header(version, proxy_protocol.Ends(src, 4711, dst, 80)))
        assert isinstance(found, Response)
        assert seen == ["203.0.113.5"]

    def test_who_sends_none_is_left(self) -> None:
        """As nginx does with a broken header."""
        assert isinstance(
            self.ask_with(lab_with(known(Handling(), 8080), 8080, is_proxied=True), b""), Failed
        )


def test_a_trial_uses_no_connection_that_is_kept() -> None:
    """What a connection has said cannot be taken back; afterwards it is there again."""
    view = known(Handling(), 8080)
    proxy = Proxy(view, Userland(), random.Random(1))
    lab = two_hosts()
    lab.start("b", serve(80, proxy.plain))
    lab.start("b", serve(8080, echo))
    assert ask(lab, Request()).status == 200
    pool = proxy._pool
    kept = dict(pool._kept)
    assert kept
    end = pool.begin_trial()
    took = lab.run("b", pool.take(Endpoint("10.0.0.2", 8080), "HTTP"))
    end()
    assert took is None
    assert pool._kept == kept


@pytest.mark.parametrize("code", [303, 308, 418])
def test_a_redirect_of_any_code_is_answered(code: int) -> None:
    """One without a name of its own has its number for a title."""
    found = ask(
        lab_with(known(attrs.evolve(Handling(), permanent="https://x.example", permanent_code=code))),
        Request(),
    )
    assert (found.status, found.header("Location")) == (code, "https://x.example")
