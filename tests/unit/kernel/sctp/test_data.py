# SPDX-License-Identifier: GPL-2.0-only
"""Messages on their way, and the end of an association."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest

from emu.apps import association
from emu.apps.stream import Exchange
from emu.fabric import program
from emu.fabric.program import READ_SIZE
from emu.kernel import sctp as kernel
from emu.kernel.sctp.config import RECEIVE_WINDOW, SEND_BUFFER
from emu.kernel.sctp.states import State
from emu.kernel.sockets import SocketKind
from emu.observe.recording import Kind
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.lab import Lab, routed_chain, two_hosts
from emu.wire import sctp
from emu.wire.addresses import ANY_IP4
from emu.wire.sctp import Chunk, ChunkType, Data, Sack
from tests.unit.kernel.sctp.wire_talk import AT, put, said, sctp_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket

DROP = "iptables -A INPUT -p sctp -j DROP"


class Pair(NamedTuple):
    """A lab and both ends of an association in it."""

    lab: Lab
    client: Socket
    server: Socket

    def send(self, data: bytes) -> None:
        """Have the client send a message."""
        self.lab.run("a", program.send(self.client, data))

    def receive(self) -> bytes:
        """Have the server receive one."""
        return self.lab.run("b", program.receive(self.server, timeout=100 * SECOND))

    def last(self, *, of: int) -> list[str]:
        """Return what was said last at the client's device."""
        self.lab.wait(MILLISECOND)
        return said(self.lab, "a/eth0")[-of:]

    def states(self) -> list[State | None]:
        """Return the states of all associations, the client's first."""
        self.lab.wait(MILLISECOND)
        return [
            info.state
            for name in ("a", "b")
            for info in kernel.listing(self.lab.net(name))
            if info.state is not None
        ]


def associated(make: Callable[[], Lab] = two_hosts) -> Pair:
    """Return an association between `a` (port 4000) and `b` (port 5000) that stands."""
    lab = make()

    def listening() -> Program[Socket]:
        socket = yield from program.socket(SocketKind.SCTP)
        yield from program.bind(socket, ANY_IP4, 5000)
        yield from program.listen(socket)
        return socket

    def connecting() -> Program[Socket]:
        socket = yield from program.socket(SocketKind.SCTP)
        yield from program.bind(socket, ANY_IP4, 4000)
        yield from program.connect(socket, lab.address("b"), 5000)
        return socket

    listener = lab.run("b", listening())
    client = lab.run("a", connecting())
    return Pair(lab, client, lab.run("b", program.accept(listener)))


def sacks(pair: Pair) -> list[Sack]:
    """Return the SACKs at the client's device."""
    chunks = [
        chunk for step in sctp_steps(pair.lab, "a/eth0") for chunk in sctp.read_chunks(step.octets[AT:])
    ]
    return [Sack.parse(chunk.value) for chunk in chunks if chunk.type == ChunkType.SACK]


class TestMessages:
    """What is sent is what is received."""

    def test_a_message_stays_one(self) -> None:
        """Two sends are two receives; a short receive leaves the rest."""
        pair = associated()
        pair.send(b"first")
        pair.send(b"second")
        assert pair.lab.run("b", program.receive(pair.server, 3)) == b"fir"
        assert [pair.receive(), pair.receive()] == [b"st", b"second"]

    def test_a_long_one_goes_in_fragments_that_fit(self) -> None:
        """B, then neither, then E; all but the last fill their packets."""
        pair = associated()
        message = random.Random(1).randbytes(4000)
        pair.send(message)
        assert pair.receive() == message
        frames = [step.octets for step in sctp_steps(pair.lab, "b/eth0")]
        chunks = [chunk for frame in frames for chunk in sctp.read_chunks(frame[AT:])]
        data = [Data.parse(chunk) for chunk in chunks if chunk.type == ChunkType.DATA]
        assert [one.flags for one in data] == [sctp.BEGIN, 0, sctp.END]
        assert [len(one.payload) for one in data] == [1452, 1452, 1096]
        assert max(map(len, frames)) == 1514

    def test_the_first_is_acknowledged_at_once_then_every_second(self) -> None:
        """The others after 200 ms at the latest."""
        pair = associated()
        for _ in range(4):
            pair.send(bytes(1452))
            pair.lab.wait(100 * MILLISECOND)
        pair.lab.wait(SECOND)
        steps = list(sctp_steps(pair.lab, "a/eth0"))
        assert pair.last(of=7) == ["DATA", "SACK", "DATA", "DATA", "SACK", "DATA", "SACK"]
        assert steps[-1].time - steps[-2].time == 200 * MILLISECOND

    def test_small_messages_wait_for_an_acknowledgement_and_share_a_packet(self) -> None:
        """Nagle's algorithm: three that are sent meanwhile go together."""
        pair = associated()
        for _ in range(4):
            pair.send(b"x")
        pair.lab.wait(SECOND)
        assert pair.last(of=4) == ["DATA", "SACK", "DATA DATA DATA", "SACK"]

    def test_many_more_than_the_window_arrive(self) -> None:
        """Ten messages of 60,000 octets, read as they come."""
        pair = associated()
        messages = [random.Random(place).randbytes(60_000) for place in range(10)]

        def sending() -> Program[None]:
            for message in messages:
                yield from program.send(pair.client, message)

        pair.lab.start("a", sending())
        assert [pair.receive() for _ in messages] == messages

    def test_a_slow_reader_holds_the_sender_up(self) -> None:
        """The window closes, the sender probes, and goes on when there is room."""
        pair = associated()
        for place in range(3):
            pair.send(bytes((place,)) * 60_000)
        pair.lab.wait(120 * SECOND)
        assert sacks(pair)[-1].window < RECEIVE_WINDOW // 10
        assert pair.states() == [State.ESTABLISHED] * 2
        assert [pair.receive()[:1] for _ in range(3)] == [b"\0", b"\1", b"\2"]

    def test_what_is_lost_is_sent_again(self) -> None:
        """After the timeout: 3 s before any round trip is known, 1 s at least then."""
        pair = associated()
        pair.send(b"known")
        pair.lab.wait(SECOND)
        pair.lab.namespace("b").run(DROP)
        pair.send(b"lost")
        pair.lab.wait(2 * SECOND)
        pair.lab.namespace("b").run("iptables -F INPUT")
        assert [pair.receive(), pair.receive()] == [b"known", b"lost"]
        times = [step.time for step in sctp_steps(pair.lab, "a/eth0") if step.kind is Kind.OUT][-3:]
        assert [after - before for before, after in pairwise(times)] == [SECOND, 2 * SECOND]

    def test_who_never_acknowledges_is_given_up(self) -> None:
        """After ten timeouts in a row, and ABORT says so."""
        pair = associated()
        pair.lab.namespace("b").run(DROP)
        pair.send(b"x")
        with pytest.raises(TimeoutError):
            pair.lab.run("a", program.receive(pair.client))
        assert pair.last(of=12) == ["DATA"] * 11 + ["ABORT"]

    @pytest.mark.parametrize("size", [1400, 20_000])
    def test_a_path_that_is_narrower_than_it_seemed_is_learned(self, size: int) -> None:
        """The first packet is refused by a router, the message arrives all the same."""
        lab = routed_chain(1, (1500, 800))

        def serving() -> Program[bytes]:
            socket = yield from program.socket(SocketKind.SCTP)
            yield from program.bind(socket, ANY_IP4, 5000)
            yield from program.listen(socket)
            accepted = yield from program.accept(socket)
            return (yield from program.receive(accepted))

        def sending() -> Program[None]:
            socket = yield from program.socket(SocketKind.SCTP)
            yield from program.connect(socket, lab.address("server"), 5000)
            yield from program.send(socket, message)

        message = random.Random(2).randbytes(size)
        server = lab.start("server", serving())
        lab.run("client", sending())
        lab.wait(60 * SECOND)
        assert server.result == message

    def test_the_loopback_carries_packets_of_the_greatest_length(self) -> None:
        """Its MTU is more than an IP packet can be."""
        lab = two_hosts()
        lab.start("a", association.serve(5000))
        message = random.Random(3).randbytes(100_000)
        exchange = lab.run("a", association.request(lab.address("a"), 5000, message))
        assert exchange == Exchange("ok", message[:READ_SIZE])

    def test_a_heartbeat_is_answered_with_its_own_words(self) -> None:
        """Though we send none."""
        pair = associated()
        tag = local_tag(pair.server)
        put(pair.lab, tag, Chunk(ChunkType.HEARTBEAT, 0, b"\0\1\0\6hi"))
        assert pair.last(of=1) == ["HEARTBEAT_ACK"]

    def test_unknown_chunks_are_told_or_passed_over_as_they_ask(self) -> None:
        """By the two highest bits of the type: what stands behind them is taken, or not."""
        pair = associated()
        tag, tsn = local_tag(pair.server), tsn_of(pair.client)
        put(pair.lab, tag, Chunk(0x3F), Data(tsn, 0, 0, 0, b"no").chunk())
        put(pair.lab, tag, Chunk(0xBF), Data(tsn, 0, 0, 0, b"yes").chunk())
        assert pair.receive() == b"yes"
        put(pair.lab, tag, Chunk(0xFF))
        assert "ERROR" in pair.last(of=2)

    @pytest.mark.parametrize(
        "chunk", [Data(1, 0, 0, 0, b"x").chunk(), Chunk(ChunkType.SHUTDOWN, 0, bytes(4))]
    )
    def test_a_wrong_tag_is_dropped(self, chunk: Chunk) -> None:
        """Nothing is answered."""
        pair = associated()
        before = said(pair.lab, "a/eth0")
        put(pair.lab, local_tag(pair.server) ^ 1, chunk)
        assert said(pair.lab, "a/eth0") == before
        assert pair.lab.drops[-1].detail == "the verification tag is wrong"


def local_tag(socket: Socket) -> int:
    """Return the tag that what is sent to `socket` has to carry."""
    assert socket.sctp.entry is not None
    return socket.sctp.entry.association.local_tag


def tsn_of(socket: Socket) -> int:
    """Return the number of the next DATA of `socket`."""
    assert socket.sctp.entry is not None
    return socket.sctp.entry.association.outgoing.next_tsn & 0xFFFFFFFF


class TestEnd:
    """SHUTDOWN, ABORT, and what programs see of them."""

    def test_a_close_is_three_packets(self) -> None:
        """And the other program reads the end."""
        pair = associated()
        pair.lab.run("a", program.close(pair.client))
        assert pair.receive() == b""
        assert pair.last(of=3) == ["SHUTDOWN", "SHUTDOWN_ACK", "SHUTDOWN_COMPLETE"]
        assert pair.states() == []

    def test_what_was_sent_before_the_close_arrives_first(self) -> None:
        """SHUTDOWN waits until all is acknowledged."""
        pair = associated()
        pair.send(bytes(50_000))
        pair.lab.run("a", program.close(pair.client))
        pair.lab.wait(SECOND)
        assert [pair.receive(), pair.receive()] == [bytes(50_000), b""]

    def test_both_close_at_once(self) -> None:
        """SHUTDOWN meets SHUTDOWN."""
        pair = associated()
        pair.lab.start("a", program.close(pair.client))
        pair.lab.start("b", program.close(pair.server))
        pair.lab.wait(SECOND)
        assert pair.states() == []

    @pytest.mark.parametrize("by", ["unread data", "linger 0"])
    def test_a_rude_close_is_an_abort(self, by: str) -> None:
        """The other program is told ECONNRESET."""
        pair = associated()
        if by == "unread data":
            pair.send(b"unread")
            pair.lab.wait()
        else:
            pair.lab.run("b", program.linger(pair.server, 0))
        pair.lab.run("b", program.close(pair.server))
        assert pair.last(of=1) == ["ABORT"]
        with pytest.raises(ConnectionResetError):
            pair.lab.run("a", program.receive(pair.client))
        assert pair.states() == []

    def test_a_shutdown_that_nobody_answers_ends_in_time(self) -> None:
        """It is sent eleven times, then comes ABORT."""
        pair = associated()
        pair.lab.namespace("b").run(DROP)
        pair.lab.run("a", program.close(pair.client))
        pair.lab.wait(1000 * SECOND)
        assert pair.last(of=12) == ["SHUTDOWN"] * 11 + ["ABORT"]
        assert pair.states() == [State.ESTABLISHED]

    def test_a_lost_shutdown_complete_is_no_matter(self) -> None:
        """Who does not know the association any more says it again, with the flag T."""
        pair = associated()
        pair.lab.namespace("b").run(
            "iptables -A INPUT -p sctp --chunk-types any SHUTDOWN_COMPLETE -m limit --limit 1/hour "
            "--limit-burst 1 -j DROP"
        )
        pair.lab.run("a", program.close(pair.client))
        pair.lab.wait(10 * SECOND)
        assert pair.last(of=3) == ["SHUTDOWN_COMPLETE", "SHUTDOWN_ACK", "SHUTDOWN_COMPLETE+T"]
        assert pair.states() == []

    def test_nothing_is_sent_after_the_end(self) -> None:
        """EPIPE; and ENOTCONN without any association."""
        pair = associated()
        pair.lab.run("b", program.close(pair.server))
        pair.lab.wait()
        with pytest.raises(BrokenPipeError):
            pair.send(b"late")
        lone = pair.lab.run("a", program.socket(SocketKind.SCTP))
        with pytest.raises(OSError, match="not connected"):
            pair.lab.run("a", program.send(lone, b"x"))

    def test_a_message_may_be_as_long_as_the_send_buffer(self) -> None:
        """No longer."""
        pair = associated()
        with pytest.raises(OSError, match="too long"):
            pair.send(bytes(SEND_BUFFER + 1))

    def test_a_listener_that_closes_closes_what_waits(self) -> None:
        """Whoever was not accepted is shut down."""
        lab = two_hosts()

        def listening() -> Program[Socket]:
            socket = yield from program.socket(SocketKind.SCTP)
            yield from program.bind(socket, ANY_IP4, 5000)
            yield from program.listen(socket)
            return socket

        def connecting() -> Program[bytes]:
            socket = yield from program.socket(SocketKind.SCTP)
            yield from program.connect(socket, lab.address("b"), 5000)
            return (yield from program.receive(socket))

        listener = lab.run("b", listening())
        client = lab.start("a", connecting())
        lab.wait()
        lab.run("b", program.close(listener))
        lab.wait()
        assert client.result == b""
        assert list(kernel.listing(lab.net("b"))) == []
