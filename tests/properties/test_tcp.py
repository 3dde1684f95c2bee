# SPDX-License-Identifier: GPL-2.0-only
"""TCP over a cable that loses, reorders and duplicates."""

from __future__ import annotations

from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from emu.fabric import program
from emu.fabric.driver import Fabric
from emu.kernel import inetdev, rtnetlink
from emu.kernel.link.veth import Veth
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND, Duration, later
from emu.wire.addresses import Interface, IpAddress, MacAddress

if TYPE_CHECKING:
    from emu.fabric.driver import Plug
    from emu.fabric.program import Program
    from emu.kernel.effects import Transmit
    from emu.kernel.namespace import Namespace

PORT: Final = 80
SERVER: Final = IpAddress.parse("10.0.0.2")
MOST_LOST_IN_A_ROW: Final = 3  # more, and a kernel may rightly give up


class Fate(NamedTuple):
    """What the cable does with one frame: how many copies arrive, and how late each is."""

    delays: tuple[Duration, ...]


PROMPT: Final = Fate((0,))


def fates() -> st.SearchStrategy[list[Fate]]:
    """What happens to the first frames of a run, all later ones arriving; shrinks to a good cable."""
    delay = st.integers(0, 300).map(lambda ms: ms * MILLISECOND)
    fate = st.lists(delay, min_size=0, max_size=3).map(lambda delays: Fate(tuple(delays)))
    return st.lists(st.one_of(st.just(PROMPT), fate), max_size=60).map(_without_long_losses)


def streams(most: int) -> st.SearchStrategy[bytes]:
    """Up to `most` octets, each telling its place; shrinks to a single one."""
    return st.integers(1, most).map(lambda size: bytes(at * 7 % 251 for at in range(size)))


def _without_long_losses(drawn: list[Fate]) -> list[Fate]:
    kept: list[Fate] = []
    for fate in drawn:
        lost = all(not earlier.delays for earlier in kept[-MOST_LOST_IN_A_ROW:])
        full = len(kept) >= MOST_LOST_IN_A_ROW
        kept.append(PROMPT if not fate.delays and lost and full else fate)
    return kept


class UnkindFabric(Fabric):
    """A fabric whose cables do with each frame what was drawn for it."""

    def __init__(self, drawn: list[Fate]) -> None:
        super().__init__(seed=1)
        self._fates = chain(drawn, repeat(PROMPT))

    def _transmit(self, net: Namespace, effect: Transmit) -> None:
        plug: Plug = self._plugs[net.name, effect.iface]
        for delay in next(self._fates).delays:
            self.loop.after(delay, self._arrive, plug, effect.frame)


def two_hosts(drawn: list[Fate]) -> tuple[UnkindFabric, Namespace, Namespace]:
    """Return a fabric with two hosts on an unkind cable."""
    fabric = UnkindFabric(drawn)
    hosts = []
    for number, name in enumerate(("client", "server"), 1):
        net = fabric.add_namespace(name)
        mac = MacAddress(bytes((2, 0, 0, 0, 0, number)))
        device = net.add_device("eth0", Veth(), mac, mtu=1500)
        inetdev.add_address(net.fib, device, Interface.parse(f"10.0.0.{number}/24"))
        hosts.append((net, device))
    (client, _), (server, _) = hosts
    fabric.connect((client, "eth0"), (server, "eth0"))
    for net, device in hosts:
        fabric.call(net, partial(rtnetlink.set_up, device=device))
    return fabric, client, server


def ask(request: bytes) -> Program[bytes]:
    """Send `request` and return everything that comes back until the server closes."""
    sock = yield from program.socket(SocketKind.TCP)
    yield from program.connect(sock, SERVER, PORT)
    yield from program.send(sock, request)
    received = b""
    while piece := (yield from program.receive(sock)):
        received += piece
    yield from program.close(sock)
    return received


def answer(expected: int, reply: bytes) -> Program[bytes]:
    """Take one connection, read `expected` octets, send `reply`, close; return what was read."""
    sock = yield from program.socket(SocketKind.TCP)
    yield from program.bind(sock, IpAddress(bytes(4)), PORT)
    yield from program.listen(sock)
    connection = yield from program.accept(sock)
    received = b""
    while len(received) < expected:
        received += yield from program.receive(connection)
    yield from program.send(connection, reply)
    yield from program.close(connection)
    return received


@given(drawn=fates(), request=streams(20000), reply=streams(40000))
def test_tcp_delivers_exactly_what_was_sent(drawn: list[Fate], request: bytes, reply: bytes) -> None:
    """Both directions, octet for octet, however frames are lost, late, reordered or doubled."""
    fabric, client, server = two_hosts(drawn)
    serving: Any = fabric.spawn(server, answer(len(request), reply))
    asking: Any = fabric.spawn(client, ask(request))
    fabric.loop.run_until(later(fabric.loop.now, 600 * SECOND))
    assert asking.result == reply
    assert serving.result == request


@given(drawn=fates(), request=streams(5000))
def test_a_connection_that_was_closed_leaves_nothing_behind(drawn: list[Fate], request: bytes) -> None:
    """Long after both sides have closed, neither has a connection nor a timer left."""
    fabric, client, server = two_hosts(drawn)
    fabric.spawn(server, answer(len(request), b"done"))
    fabric.spawn(client, ask(request))
    fabric.loop.run_until(later(fabric.loop.now, 1200 * SECOND))
    assert [list(net.tcp.entries()) for net in (client, server)] == [[], []]
