# SPDX-License-Identifier: GPL-2.0-only
"""HTTP between two namespaces, every octet of it in a packet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps.http.client import Connection, Failed, Failure, Fetched, connect, fetch
from emu.apps.http.handlers import hostname, netexec
from emu.apps.http.message import MOST_BODY, Request, Response
from emu.apps.http.server import serve
from emu.fabric import program
from emu.fabric.userland import Userland
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.answering import answer_once
from emu.testing.lab import Lab, two_hosts

if TYPE_CHECKING:
    from emu.fabric.program import Program

PIECES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /x HTTP/1.0\r\n",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
]


def echo(request: Request) -> Response:
    """Answer with what was asked."""
    text = f"{request.method} {request.target} {request.body.decode(errors='replace')}"
    return Response.text(text)


def lab_with(handler: object = echo) -> Lab:
    """Return two hosts, the second of which serves."""
    lab = two_hosts()
    lab.start("b", serve(80, handler))  # type: ignore[arg-type]  # handlers of all shapes
    return lab


def get(lab: Lab, request: Request | None = None, **options: int) -> Fetched | Failed:
    """Ask host `b` from host `a`."""
    return lab.run("a", fetch(lab.address("b"), 80, request, **options))  # type: ignore[arg-type]


def raw(lab: Lab, octets: bytes) -> bytes:
    """Send `octets` to host `b` and return all that comes until it closes."""

    def talk() -> Program[bytes]:
        socket = yield from program.socket(SocketKind.TCP)
        yield from program.connect(socket, lab.address("b"), 80)
        yield from program.send(socket, octets)
        received = b""
        while piece := (yield from program.receive(socket, timeout=10 * SECOND)):
            received += piece
        yield from program.close(socket)
        return received

    return lab.run("a", talk())


class TestFetch:
    """What a client gets."""

    def test_an_answer_is_read_whole(self) -> None:
        """With its status, fields, body, and who gave it."""
        lab = lab_with()
        got = get(lab, Request("POST", "/x?y=1", body=b"data"))
        assert isinstance(got, Fetched)
        assert (got.response.status, got.response.reason, got.response.body) == (
            200,
            "OK",
            b"POST /x?y=1 data",
        )
        assert got.response.header("content-length") == "16"
        assert (got.remote, got.remote_port, got.local) == (lab.address("b"), 80, lab.address("a"))

    def test_nothing_pauses(self) -> None:
        """Without delay on the cable no virtual time passes."""
        got = get(lab_with())
        assert isinstance(got, Fetched)
        assert got.elapsed < MILLISECOND

    @pytest.mark.parametrize("chunked", [False, True])
    def test_long_bodies_arrive(self, chunked: bool) -> None:  # noqa: FBT001 - a parameter of the test
        """By their length, and in chunks."""
        body = bytes(range(256)) * 1000
        got = get(lab_with(lambda _: Response(body=body, chunked=chunked)))
        assert isinstance(got, Fetched)
        assert (got.response.body, got.response.chunked) == (body, chunked)

    def test_head_gets_the_fields_alone(self) -> None:
        """Content-Length says what GET would bring."""
        got = get(lab_with(), Request("HEAD"))
        assert isinstance(got, Fetched)
        assert (got.response.body, got.response.header("Content-Length")) == (b"", "7")

    def test_a_handler_may_be_a_program(self) -> None:
        """It can take its time, or ask others."""

        def slow(_: Request) -> Program[Response]:
            yield from program.sleep(SECOND)
            return Response.text("late")

        got = get(lab_with(slow))
        assert isinstance(got, Fetched)
        assert (got.response.body, got.elapsed // SECOND) == (b"late", 1)

    def test_two_clients_are_served_side_by_side(self) -> None:
        """A slow answer holds nobody else up."""

        def slow(_: Request) -> Program[Response]:
            yield from program.sleep(SECOND)
            return Response.text("late")

        lab = lab_with(slow)
        both = [lab.start("a", fetch(lab.address("b"), 80)) for _ in range(2)]
        lab.wait(1500 * MILLISECOND)
        assert all(isinstance(process.result, Fetched) for process in both)


class TestFailures:
    """What a client gets instead."""

    def test_a_closed_port_refuses(self) -> None:
        """At once."""
        got = get(two_hosts())
        assert isinstance(got, Failed)
        assert got.failure is Failure.REFUSED

    def test_a_silent_host_costs_the_timeout(self) -> None:
        """Of the connection, if that is the shorter."""
        lab = two_hosts()
        lab.namespace("b").run("iptables -A INPUT -p tcp -j DROP")
        got = get(lab, connect_timeout=2 * SECOND)
        assert isinstance(got, Failed)
        assert (got.failure, got.elapsed) == (Failure.CONNECT_TIMEOUT, 2 * SECOND)

    def test_a_server_that_never_answers_costs_the_timeout(self) -> None:
        """Though the connection stands."""

        def never(_: Request) -> Program[Response]:
            yield from program.sleep(1000 * SECOND)
            return Response()

        got = get(lab_with(never), timeout=3 * SECOND)
        assert isinstance(got, Failed)
        assert (got.failure, got.elapsed) == (Failure.TIMEOUT, 3 * SECOND)

    def test_without_a_route_there_is_no_way(self) -> None:
        """The errno tells."""
        lab = two_hosts()
        lab.namespace("a").run("ip route flush table main")
        got = get(lab)
        assert isinstance(got, Failed)
        assert got.failure is Failure.NO_ROUTE

    @pytest.mark.parametrize(
        ("octets", "failure"),
        [
            (b"", Failure.EMPTY),
            (b"SSH-2.0-OpenSSH_9.2\r\n", Failure.MALFORMED),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Failure.PARTIAL),
        ],
    )
    def test_a_server_that_speaks_no_http_is_told_apart(self, octets: bytes, failure: Failure) -> None:
        """It said nothing, something else, or too little."""
        lab = two_hosts()
        lab.start("b", answer_once(octets))
        got = get(lab)
        assert isinstance(got, Failed)
        assert got.failure is failure

    def test_a_body_that_is_too_long_is_refused(self) -> None:
        """At the length the client allows."""
        got = get(lab_with(lambda _: Response(body=bytes(2000))), most=1000)
        assert isinstance(got, Failed)
        assert got.failure is Failure.TOO_LARGE


def test_every_connection_finds_a_port() -> None:
    """One in TIME_WAIT is passed over, and only when all are does connecting fail."""
    lab = lab_with()
    lab.namespace("a").run("sysctl -w net.ipv4.ip_local_port_range=40000\\ 40009")
    closing_first = Request(headers=(("Connection", "keep-alive"),))
    outcomes = [get(lab, closing_first) for _ in range(11)]
    assert [isinstance(got, Fetched) for got in outcomes] == [True] * 10 + [False]
    ports = {got.local_port for got in outcomes if isinstance(got, Fetched)}
    assert ports == set(range(40000, 40010))


class TestServer:
    """What a server makes of what comes."""

    def test_a_connection_is_kept(self) -> None:
        """Several requests go by it, one after the other."""

        def ask_twice() -> Program[list[bytes]]:
            connection = yield from connect(lab.address("b"), 80)
            assert isinstance(connection, Connection)
            bodies = []
            for target in ("/1", "/2"):
                got = yield from connection.ask(Request("GET", target, (("Host", "b"),)))
                assert isinstance(got, Response)
                bodies.append(got.body)
                assert connection.is_open
            yield from connection.close()
            return bodies

        lab = lab_with()
        assert lab.run("a", ask_twice()) == [b"GET /1 ", b"GET /2 "]

    def test_requests_sent_at_once_are_answered_in_order(self) -> None:
        """Pipelining."""
        one = b"GET /1 HTTP/1.1\r\nHost: b\r\n\r\n"
        two = b"GET /2 HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
        got = raw(lab_with(), one + two)
        assert got.index(b"GET /1") < got.index(b"GET /2")

    @pytest.mark.parametrize(
        "octets", [b"garbage\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello\n\n"]
    )
    def test_garbage_gets_400(self, octets: bytes) -> None:
        """And the connection ends."""
        assert raw(lab_with(), octets).startswith(b"HTTP/1.1 400 Bad Request\r\n")

    def test_a_head_that_is_too_long_gets_431(self) -> None:
        """The server does not collect for ever."""
        octets = b"GET / HTTP/1.1\r\nHost: b\r\nX: " + b"x" * 100_000
        assert raw(lab_with(), octets).startswith(b"HTTP/1.1 431 ")

    def test_a_body_that_is_too_long_gets_413(self) -> None:
        """Whatever it says of its length."""
        octets = b"POST / HTTP/1.1\r\nHost: b\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY + 1)
        assert raw(lab_with(), octets + bytes(MOST_BODY + 1)).startswith(b"HTTP/1.1 413 ")

    def test_chunks_of_a_request_are_put_together(self) -> None:
        """As curl sends them with Transfer-Encoding: chunked."""
        octets = b"POST / HTTP/1.1\r\nHost: b\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert raw(lab_with(), octets + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").endswith(b"POST / abcde")

    def test_a_client_of_1_0_gets_the_end_of_the_connection(self) -> None:
        """Chunks are not for it."""
        got = raw(lab_with(lambda _: Response(body=b"hello", chunked=True)), b"GET / HTTP/1.0\r\n\r\n")
        assert got.endswith(b"\r\n\r\nhello")

    def test_a_response_that_is_no_http_becomes_500(self) -> None:
        """Its fields are wrong."""
        got = get(lab_with(lambda _: Response(headers=(("a b", "c"),))))
        assert isinstance(got, Fetched)
        assert got.response.status == 500

    def test_a_handler_that_fails_at_asking_others_becomes_502(self) -> None:
        """As a proxy says it."""

        def proxy(_: Request) -> Program[Response]:
            socket = yield from program.socket(SocketKind.TCP)
            yield from program.connect(socket, lab.address("a"), 81)
            return Response()

        lab = lab_with(proxy)
        got = get(lab)
        assert isinstance(got, Fetched)
        assert got.response.status == 502

    @given(octets=st.lists(st.binary(max_size=60) | st.sampled_from(PIECES), max_size=8).map(b"".join))
    @settings(max_examples=60, deadline=None)
    def test_nothing_that_comes_breaks_it(self, octets: bytes) -> None:
        """The next client is served."""
        lab = lab_with()
        lab.start("b", serve(81, echo, patience=SECOND))

        def disturb() -> Program[None]:
            socket = yield from program.socket(SocketKind.TCP)
            yield from program.connect(socket, lab.address("b"), 81)
            yield from program.send(socket, octets)
            yield from program.close(socket)

        lab.run("a", disturb())
        assert isinstance(lab.run("a", fetch(lab.address("b"), 81)), Fetched)

    def test_an_idle_connection_ends(self) -> None:
        """After the server's patience."""
        lab = two_hosts()
        lab.start("b", serve(80, echo, patience=2 * SECOND))
        assert raw(lab, b"") == b""


def test_the_hostname_server_says_its_name() -> None:
    """And a newline."""
    got = get(lab_with(hostname(Userland("web-0"))))
    assert isinstance(got, Fetched)
    assert got.response.body == b"web-0\n"


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/hostname", "web-0"),
        ("/echo?msg=hi", "hi"),
        ("/header?key=host", "10.0.0.2"),
        ("/healthz", ""),
        ("/nope", "404 page not found\n"),
    ],
)
def test_netexec_tells(target: str, body: str) -> None:
    """Who answers, and what it was asked."""
    got = get(lab_with(netexec(Userland("web-0"))), Request("GET", target))
    assert isinstance(got, Fetched)
    assert got.response.body.decode() == body


def test_netexec_tells_who_asks() -> None:
    """The address and port that reached it."""
    lab = lab_with(netexec(Userland("web-0")))
    got = get(lab, Request("GET", "/clientip"))
    assert isinstance(got, Fetched)
    assert got.response.body.decode() == f"{got.local}:{got.local_port}"
