# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.apps import relay
from emu.apps.http.client import Failed, Failure, Fetched, fetch
from emu.apps.http.message import Request, Response
from emu.apps.http.server import serve
from emu.fabric import program
from emu.kernel.sockets import SocketKind
from emu.sim.time import SECOND, later
from emu.testing.lab import Lab, routed_chain

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket


def lab(port: int | None = 80, *, header: int = 0, expects: bool = False) -> Lab:
    """Return a client, a router that is a proxy of the server, and the server, which serves at port 80."""
    made = routed_chain(1)

    def choose(_: Socket) -> Program[relay.Peer | None]:
        yield from program.now()
        return None if port is None else relay.Peer(made.address("server"), port)

    def answer(request: Request) -> Response:
        return Response.text(f"{request.body.decode()} from {request.client}")

    made.start("server", serve(80, answer, is_proxied=lambda: expects))
    made.start("r1", relay.serve(8080, choose, header=header, connect_timeout=2 * SECOND))
    return made


def ask(made: Lab, body: bytes = b"hello") -> Fetched | Failed:
    """Ask the proxy."""
    return made.run("client", fetch(made.address("r1"), 8080, Request("POST", "/", body=body)))


def own_address(made: Lab) -> str:
    """Return the proxy's address towards the server."""
    return str(made.fabric.namespace("r1").devices["eth1"].addresses[0].address)


def test_octets_are_carried_both_ways() -> None:
    """By two connections: the server sees the proxy."""
    made = lab()
    found = ask(made)
    assert isinstance(found, Fetched)
    assert found.response.body.decode() == f"hello from {own_address(made)}"


def test_a_header_tells_the_server_whom_the_proxy_speaks_for() -> None:
    """In either version."""
    for version in (1, 2):
        made = lab(header=version, expects=True)
        found = ask(made)
        assert isinstance(found, Fetched)
        assert found.response.body.decode() == f"hello from {made.address('client')}"


def test_a_client_is_reset_where_nobody_is_behind() -> None:
    """No server to choose, or one that refuses: the handshake stood all the same."""
    for port in (None, 81):
        found = ask(lab(port))
        assert isinstance(found, Failed)
        assert found.failure is Failure.RESET


def test_connections_end_on_both_sides() -> None:
    """Nothing is left of a conversation but what TCP keeps for a while."""
    made = lab()
    ask(made)
    made.fabric.loop.run_until(later(made.fabric.loop.now, 200 * SECOND))
    sockets = made.fabric.namespace("r1").sockets.of(SocketKind.TCP)
    assert [each for each in sockets if each.is_connected] == []


@given(body=st.binary(max_size=40_000).map(lambda octets: octets.hex().encode()))
@settings(max_examples=8, deadline=None)
def test_nothing_is_lost_however_much_it_is(body: bytes) -> None:
    """More than windows and buffers hold."""
    found = ask(lab(), body)
    assert isinstance(found, Fetched)
    assert found.response.body.startswith(body)
