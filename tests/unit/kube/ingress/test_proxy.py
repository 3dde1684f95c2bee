# SPDX-License-Identifier: GPL-2.0-only
"""What a proxy hands on is what it was given."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Final

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps import proxy_protocol
from emu.apps.channel import Plain
from emu.apps.http.client import Connection, Failed, Fetched, connect, fetch, over
from emu.apps.http.message import MOST_BODY, MOST_PASSED_ON, Request, Response
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


def lab_with(view: Known, *ports: int, is_proxied: bool = False, is_secure: bool = False) -> Lab:
    """Return two hosts; on the second a proxy, and endpoints behind it."""
    lab = two_hosts()
    proxy = Proxy(view, Userland(), random.Random(1))
    handler = proxy.secure if is_secure else proxy.plain
    lab.start("b", serve(80, handler, is_proxied=lambda: is_proxied, most=MOST_PASSED_ON))
    for port in ports:
        lab.start("b", serve(port, echo, most=MOST_PASSED_ON))
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
PATHS = st.from_regex(r"/[a-zA-Z0-9._~!$&'()*+,;=:@/%-]{0,30}(\?[a-z0-9=&]{0,20})?", fullmatch=True).filter(
    lambda target: not re.search(r"%(?![0-9a-fA-F]{2})|%00|\.\.|%2[eE]", target)
)


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

    @pytest.mark.parametrize(("port", "status"), [(80, 308), (443, 200)])
    @pytest.mark.parametrize("version", proxy_protocol.VERSIONS)
    def test_what_came_to_443_came_by_https(self, version: int, port: int, status: int) -> None:
        """Where the balancer in front has ended TLS, nobody is redirected."""
        view = known(attrs.evolve(Handling(), always_redirects=True), 8080)
        view.options = attrs.evolve(view.options, proxy_protocol=True)
        src, dst = IpAddress.parse("203.0.113.5"), IpAddress.parse("10.0.0.2")
        header = proxy_protocol.header(version, proxy_protocol.Ends(src, 4711, dst, port))
        found = self.ask_with(lab_with(view, 8080, is_proxied=True), header)
        assert isinstance(found, Response)
        assert found.status == status

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


@pytest.mark.parametrize(
    ("limit", "size", "status"),
    [
        (MOST_BODY, MOST_BODY + 1, 413),
        (MOST_BODY + 9, MOST_BODY + 9, 200),
        (MOST_BODY + 9, MOST_BODY + 10, 413),
        (0, MOST_BODY + 9, 200),
    ],
)
def test_a_body_may_be_as_long_as_is_said(limit: int, size: int, status: int) -> None:
    """Above the usual limit, too."""
    view = known(attrs.evolve(Handling(), body_limit=limit, read_timeout=3600), 8080)
    lab = lab_with(view)
    lab.start("b", serve(8080, lambda asked: Response.text(str(len(asked.body))), most=MOST_PASSED_ON))
    found = ask(lab, Request("POST", "/", (("Host", "w"),), bytes(size)))
    assert found.status == status
    assert status == 413 or found.body == str(size).encode()


def test_an_answer_that_is_too_long_to_hold_is_a_502(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody else is asked."""
    monkeypatch.setattr("emu.kube.ingress.proxy.MOST_PASSED_ON", 100)
    lab = lab_with(known(Handling(), 8080))
    lab.start("b", serve(8080, lambda _: Response.text("x" * 101)))
    assert ask(lab, Request()).status == 502


def seen_by(view: Known, *fields: tuple[str, str], target: str = "/", is_secure: bool = False) -> Request:
    """Return the request as the endpoint gets it."""
    seen: list[Request] = []

    def look(request: Request) -> Response:
        seen.append(request)
        return Response()

    lab = lab_with(view, is_secure=is_secure)
    lab.start("b", serve(8080, look))
    assert ask(lab, Request("GET", target, (("Host", "web.example:81"), *fields))).status == 200
    return seen[0]


TRUSTING: Final = attrs.evolve(Options(), trusts_forwarded=True)


class TestForwarded:
    """What a proxy in front says of a request."""

    FIELDS = (
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Port", "8443"),
        ("X-Forwarded-Host", "front.example:8443,second.example"),
    )

    def view(self, options: Options = TRUSTING, **handling: object) -> Known:
        """Return what a proxy knows whose host has TLS."""
        found = known(attrs.evolve(Handling(), **handling), 8080)  # type: ignore[arg-type]  # attributes of it
        server = attrs.evolve(found.configuration.servers["_"], has_tls=True)
        found.configuration = Configuration({"_": server})
        found.options = options
        return found

    def test_it_goes_on_to_endpoints(self) -> None:
        """Scheme, port and host, the latter as Host, too."""
        found = seen_by(self.view(), *self.FIELDS)
        names = ("Host", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Scheme")
        host = "front.example:8443"
        assert [found.header(name) for name in names] == [host, host, "8443", "https", "https"]

    def test_without_trust_it_does_not(self) -> None:
        """What the client says is not what is so."""
        found = seen_by(self.view(Options(), redirects=False), *self.FIELDS)
        names = ("Host", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto")
        assert [found.header(name) for name in names] == ["web.example:81", "web.example:81", "80", "http"]

    def test_a_redirect_leads_to_the_host_that_is_said(self) -> None:
        """Without its port."""
        fields = (("Host", "inner"), ("X-Forwarded-Host", "front.example:81, x"))
        found = ask(lab_with(self.view()), Request("GET", "/a", fields))
        assert (found.status, found.header("Location")) == (308, "https://front.example/a")

    @pytest.mark.parametrize(("scheme", "status"), [("http", 308), ("https", 200), ("wss", 200), ("", 200)])
    def test_only_what_came_by_http_is_redirected(self, scheme: str, status: int) -> None:
        """A scheme of another name is not."""
        lab = lab_with(self.view(), 8080)
        assert ask(lab, Request("GET", "/", (("Host", "w"), ("X-Forwarded-Proto", scheme)))).status == status

    @pytest.mark.parametrize("is_secure", [True, False])
    def test_hsts_is_for_connections_by_tls(self, *, is_secure: bool) -> None:
        """Whatever is said."""
        lab = lab_with(self.view(), 8080, is_secure=is_secure)
        found = ask(lab, Request("GET", "/", (("Host", "w"), ("X-Forwarded-Proto", "https"))))
        assert found.status == 200
        assert (found.header("Strict-Transport-Security") is not None) is is_secure


@pytest.mark.parametrize(("keeps", "target"), [(False, "/a"), (True, "/a/")])
def test_a_redirect_keeps_the_slash_at_the_end_if_that_is_said(*, keeps: bool, target: str) -> None:
    """Else it is taken away."""
    view = known(attrs.evolve(Handling(), always_redirects=True, keeps_slash=keeps))
    found = ask(lab_with(view), Request("GET", "/a/", (("Host", "w.example"),)))
    assert found.header("Location") == f"https://w.example{target}"


@pytest.mark.parametrize(("timeout", "tries"), [(0, 3), (1, 1), (3, 2)])
def test_nobody_else_is_asked_when_the_time_is_over(timeout: int, tries: int) -> None:
    """An endpoint that says nothing takes two seconds each time."""
    asked: list[str] = []

    def say_nothing() -> Program[None]:
        listener = yield from program.socket(SocketKind.TCP)
        yield from program.bind(listener, ANY_IP4, 8080)
        yield from program.listen(listener)
        while True:
            connection = yield from program.accept(listener, repeats=True)
            asked.append(str(connection.remote))

    view = known(attrs.evolve(Handling(), read_timeout=2, tries_timeout=timeout), 8080)
    lab = lab_with(view)
    lab.start("b", say_nothing())
    assert ask(lab, Request("GET", "/", (("Host", "w"),))).status == 504
    assert len(asked) == tries


def test_the_port_that_is_said_is_the_one_that_was_asked() -> None:
    """Where the controller listens elsewhere than usual."""
    seen: list[Request] = []

    def look(request: Request) -> Response:
        seen.append(request)
        return Response()

    lab = two_hosts()
    proxy = Proxy(known(Handling(), 8080), Userland(), random.Random(1), 8081)
    lab.start("b", serve(8081, proxy.plain))
    lab.start("b", serve(8080, look))
    ask(lab, Request("GET", "/", (("Host", "w"),)), 8081)
    assert seen[0].header("X-Forwarded-Port") == "8081"


class TestPaths:
    """Locations are met by what a path means; endpoints get it as it came."""

    def view(self, rewrite: str = "") -> Known:
        """Return what a proxy knows that has one path."""
        handling = attrs.evolve(Handling(), rewrite=rewrite)
        path, match = ("/admin/(.*)", "regex") if rewrite else ("/admin", "prefix")
        server = Server("_", (Location(path, match, WEB, handling),))  # type: ignore[arg-type]  # a literal
        return Known(Configuration({"_": server}), Options(), {WEB: (Endpoint("10.0.0.2", 8080),)})

    @pytest.mark.parametrize("target", ["/%61dmin/x?y=%2F", "//admin//x", "/a/../admin", "/admin%2Fx"])
    def test_they_are_passed_on_as_they_came(self, target: str) -> None:
        """And are met."""
        assert seen_by(self.view(), target=target).target == target

    @pytest.mark.parametrize(("target", "status"), [("/%zz", 400), ("/../admin", 400), ("/admin/../x", 404)])
    def test_what_is_no_path_is_refused(self, target: str, status: int) -> None:
        """Bad escapes, and what leads above the root."""
        assert ask(lab_with(self.view(), 8080), Request("GET", target, (("Host", "w"),))).status == status

    @pytest.mark.parametrize(
        ("rewrite", "rewritten"), [("/$1", "/a%20b?c=d"), ("/y?of=$1", "/y?of=a%20b&c=d")]
    )
    def test_what_is_rewritten_is_what_it_means(self, rewrite: str, rewritten: str) -> None:
        """Escaped again; its query stays."""
        assert seen_by(self.view(rewrite), target="//admin/a%20b?c=d").target == rewritten


@pytest.mark.parametrize("is_taken", [True, False])
def test_fields_with_underscores_are_left_out_unless_that_is_said(*, is_taken: bool) -> None:
    """And other names that nginx does not take always are."""
    view = known(Handling(), 8080)
    view.options = attrs.evolve(view.options, takes_underscores=is_taken)
    found = seen_by(view, ("x_user", "me"), ("X.Dot", "1"), ("X-Own", "1"))
    assert [found.header(name) is not None for name in ("x_user", "X.Dot", "X-Own")] == [
        is_taken,
        False,
        True,
    ]
