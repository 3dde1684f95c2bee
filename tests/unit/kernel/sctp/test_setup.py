# SPDX-License-Identifier: GPL-2.0-only
"""How associations begin, and how they fail to."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from emu.apps import association
from emu.fabric import program
from emu.fabric.cable import Cable
from emu.kernel.sctp.states import State
from emu.kernel.sockets import SocketKind
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.lab import Lab, two_hosts
from emu.wire import sctp
from emu.wire.addresses import ANY_IP4
from emu.wire.sctp import CauseCode, Chunk, ChunkType, Data, Init, Parameter, ParameterType
from tests.unit.kernel.sctp.wire_talk import AT, put, said, sctp_steps, seconds, tags

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.sockets import Socket

SET_UP = ["INIT", "INIT_ACK", "COOKIE_ECHO", "COOKIE_ACK"]
INIT = Init(77, 9000, 3, 3, 1000)


def hosts() -> Lab:
    """Return two hosts, `b` with an echoing server on port 5000."""
    lab = two_hosts()
    lab.start("b", association.serve(5000))
    return lab


def deaf() -> Lab:
    """Return the same, but `a` does not hear what is answered to packets that it did not send."""
    lab = hosts()
    lab.ping("a", "b")
    lab.namespace("a").run("iptables -A INPUT -p sctp -j DROP")
    return lab


def connecting(lab: Lab, port: int = 5000, src_port: int = 4000) -> Program[Socket]:
    """Return a program that associates with `b` and returns its socket."""

    def run() -> Program[Socket]:
        socket = yield from program.socket(SocketKind.SCTP)
        yield from program.bind(socket, ANY_IP4, src_port)
        yield from program.connect(socket, lab.address("b"), port)
        return socket

    return run()


def states(lab: Lab, name: str) -> list[State]:
    """Return the states of the associations in a namespace."""
    return [entry.association.state for entry in lab.net(name).sctp.entries()]


class TestFourPackets:
    """INIT, INIT ACK, COOKIE ECHO, COOKIE ACK."""

    def test_they_establish_at_both_ends(self) -> None:
        """Each side's packets carry the tag that the other chose."""
        lab = hosts()
        lab.run("a", connecting(lab))
        assert said(lab, "a/eth0") == SET_UP
        assert states(lab, "a") == states(lab, "b") == [State.ESTABLISHED]
        payloads = [step.octets[AT:] for step in sctp_steps(lab, "a/eth0")]
        asked, answered = (Init.parse(next(sctp.read_chunks(payload)).value) for payload in payloads[:2])
        assert tags(lab, "a/eth0") == [0, asked.tag, answered.tag, asked.tag]

    def test_the_server_remembers_nothing_of_an_init(self) -> None:
        """It is all in the cookie."""
        lab = deaf()
        put(lab, 0, INIT.chunk(ChunkType.INIT))
        assert said(lab, "b/eth0")[-1] == "INIT_ACK"
        assert states(lab, "b") == []

    def test_a_cookie_that_was_changed_begins_nothing(self) -> None:
        """It is dropped without an answer."""
        lab = deaf()
        put(lab, 0, INIT.chunk(ChunkType.INIT))
        tag, cookie = given(lab)
        put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie[:-1] + bytes((cookie[-1] ^ 1,))))
        assert (states(lab, "b"), lab.drops[-1].detail) == ([], "a cookie that was never given")
        put(lab, tag ^ 1, Chunk(ChunkType.COOKIE_ECHO, 0, cookie))
        assert states(lab, "b") == []
        put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie))
        assert states(lab, "b") == [State.ESTABLISHED]

    def test_a_cookie_of_another_peer_begins_nothing(self) -> None:
        """It is good for one pair of ports alone."""
        lab = deaf()
        put(lab, 0, INIT.chunk(ChunkType.INIT))
        tag, cookie = given(lab)
        put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie), ports=(4001, 5000))
        assert states(lab, "b") == []

    def test_a_cookie_is_good_for_a_minute(self) -> None:
        """Then its owner is told by how much it is too old."""
        lab = deaf()
        put(lab, 0, INIT.chunk(ChunkType.INIT))
        tag, cookie = given(lab)
        lab.wait(61 * SECOND)
        put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie))
        assert states(lab, "b") == []
        (step,) = list(sctp_steps(lab, "b/eth0"))[-1:]
        (complaint,) = sctp.read_chunks(step.octets[AT:])
        ((code, value),) = sctp.read_parameters(complaint.value)
        assert (complaint.type, code) == (ChunkType.ERROR, CauseCode.STALE_COOKIE)
        assert SECOND // 1000 < int.from_bytes(value, "big") < 2 * SECOND // 1000

    def test_data_behind_the_cookie_is_taken(self) -> None:
        """COOKIE ECHO and DATA in one packet."""
        lab = deaf()
        put(lab, 0, INIT.chunk(ChunkType.INIT))
        tag, cookie = given(lab)
        put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie), Data(1000, 0, 0, 0, b"early").chunk())
        assert said(lab, "b/eth0")[-3:] == ["COOKIE_ACK", "SACK", "DATA"]

    def test_what_an_init_says_and_nobody_knows_is_reported_as_it_asks(self) -> None:
        """By the two highest bits of its type."""
        lab = deaf()
        unknown = tuple(Parameter(kind, b"what") for kind in (0x8123, 0xC123, 0x4123, 0xC124))
        put(lab, 0, INIT._replace(parameters=unknown).chunk(ChunkType.INIT))
        answer = Init.parse(next(sctp.read_chunks(list(sctp_steps(lab, "b/eth0"))[-1].octets[AT:])).value)
        reported = [one.value[:2] for one in answer.parameters if one.type == ParameterType.UNRECOGNIZED]
        assert reported == [b"\xc1\x23", b"\x41\x23"]


def given(lab: Lab) -> tuple[int, bytes]:
    """Return tag and cookie of the last INIT ACK that `b` sent."""
    payloads = [step.octets[AT:] for step in sctp_steps(lab, "b/eth0")]
    answers = [chunk for payload in payloads for chunk in sctp.read_chunks(payload)]
    last = Init.parse([chunk for chunk in answers if chunk.type == ChunkType.INIT_ACK][-1].value)
    cookie = last.parameter(ParameterType.STATE_COOKIE)
    assert cookie is not None
    return last.tag, cookie


class TestFailures:
    """An association that does not come about."""

    def test_nobody_listens(self) -> None:
        """ABORT, with the tag of the INIT."""
        lab = two_hosts()
        with pytest.raises(ConnectionRefusedError):
            lab.run("a", connecting(lab))
        assert said(lab, "a/eth0") == ["INIT", "ABORT"]
        assert states(lab, "a") == []

    def test_nobody_answers(self) -> None:
        """INIT nine times, 3 s apart, then 6, ... 60; then the program is told."""
        lab = two_hosts()
        lab.ping("a", "b")
        lab.namespace("b").run("iptables -A INPUT -p sctp -j DROP")
        with pytest.raises(TimeoutError):
            lab.run("a", connecting(lab))
        assert said(lab, "a/eth0") == ["INIT"] * 9
        assert seconds(lab, "a/eth0") == [0, 3, 9, 21, 45, 93, 153, 213, 273]
        assert lab.fabric.loop.now // SECOND == 333

    def test_the_cookie_is_not_answered(self) -> None:
        """COOKIE ECHO nine times, each of them acknowledged, but the program hears of none."""
        lab = hosts()
        lab.namespace("a").run("iptables -A INPUT -p sctp --chunk-types any COOKIE_ACK -j DROP")
        with pytest.raises(TimeoutError):
            lab.run("a", connecting(lab))
        assert said(lab, "a/eth0").count("COOKIE_ECHO") == 9
        assert said(lab, "b/eth0").count("COOKIE_ACK") == 9

    def test_a_cookie_that_comes_too_late_is_asked_for_again(self) -> None:
        """RFC 9260 §5.2.6: INIT anew, and the association stands."""
        lab = hosts()
        lab.namespace("b").run("iptables -A INPUT -p sctp --chunk-types any COOKIE_ECHO -j DROP")
        process = lab.start("a", connecting(lab))
        lab.wait(61 * SECOND)
        lab.namespace("b").run("iptables -F INPUT")
        lab.wait(33 * SECOND)
        assert said(lab, "a/eth0") == ["INIT", "INIT_ACK", *["COOKIE_ECHO"] * 6, "ERROR", *SET_UP]
        assert process.done
        assert states(lab, "a") == states(lab, "b") == [State.ESTABLISHED]

    def test_a_timeout_of_the_program_ends_it_earlier(self) -> None:
        """As any call's."""
        lab = two_hosts()
        lab.namespace("b").run("iptables -A INPUT -p sctp -j DROP")
        exchange = lab.run("a", association.request(lab.address("b"), 5000, b"x", timeout=SECOND))
        assert exchange.outcome == "timeout"
        assert states(lab, "a") == []

    @pytest.mark.parametrize(
        ("word", "expected"),
        [("icmp-proto-unreachable", errno.ECONNREFUSED), ("icmp-port-unreachable", errno.ETIMEDOUT)],
    )
    def test_icmp_errors(self, word: str, expected: int) -> None:
        """*Protocol unreachable* gives it up at once; *port unreachable* does not, as in Linux."""
        lab = two_hosts()
        lab.namespace("b").run(f"iptables -A INPUT -p sctp -j REJECT --reject-with {word}")
        with pytest.raises(OSError, match=r"\w") as caught:
            lab.run("a", connecting(lab))
        assert caught.value.errno == expected

    def test_an_icmp_error_about_another_tag_is_not_believed(self) -> None:
        """Nobody who does not see the packets can make one."""
        lab = hosts()
        socket = lab.run("a", connecting(lab))
        entry = socket.sctp.entry
        assert entry is not None
        entry.association.peer_tag ^= 1
        lab.namespace("b").run("iptables -A INPUT -p sctp -j REJECT --reject-with icmp-proto-unreachable")
        lab.start("a", program.send(socket, b"x"))
        lab.wait(SECOND)
        assert states(lab, "a") == [State.ESTABLISHED]

    def test_a_full_queue_refuses_the_cookie(self) -> None:
        """Backlog 0 has room for one."""
        lab = two_hosts()

        def idle() -> Program[None]:
            socket = yield from program.socket(SocketKind.SCTP)
            yield from program.bind(socket, ANY_IP4, 5000)
            yield from program.listen(socket, 0)

        lab.run("b", idle())
        lab.run("a", connecting(lab))
        with pytest.raises(ConnectionRefusedError):
            lab.run("a", connecting(lab, src_port=4001))
        assert said(lab, "a/eth0")[-2:] == ["COOKIE_ECHO", "ABORT+T"]


class TestTwice:
    """A set-up where there is one already."""

    def test_both_sides_begin(self) -> None:
        """One association comes of it (RFC 9260 §5.2.1, §5.2.4 B)."""
        lab = two_hosts()
        lab.ping("a", "b")
        lab.plug("a/eth0", "b/eth0", Cable(latency=10 * MILLISECOND))

        def crossing(name: str, other: str) -> Program[Socket]:
            socket = yield from program.socket(SocketKind.SCTP)
            yield from program.bind(socket, lab.address(name), 4000)
            yield from program.connect(socket, lab.address(other), 4000)
            return socket

        processes = [lab.start("a", crossing("a", "b")), lab.start("b", crossing("b", "a"))]
        lab.wait(SECOND)
        for process, data in zip(processes, (b"one", b"two"), strict=True):
            lab.start(process.net.name, program.send(process.result, data))
        lab.wait(SECOND)
        assert lab.run("a", program.receive(processes[0].result)) == b"two"
        assert lab.run("b", program.receive(processes[1].result)) == b"one"
        assert states(lab, "a") == states(lab, "b") == [State.ESTABLISHED]

    def test_a_copy_of_the_cookie_is_acknowledged_again(self) -> None:
        """RFC 9260 §5.2.4 D: the COOKIE ACK was lost."""
        lab = deaf()
        put(lab, 0, INIT.chunk(ChunkType.INIT))
        tag, cookie = given(lab)
        for _ in range(2):
            put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie))
        assert said(lab, "b/eth0").count("COOKIE_ACK") == 2
        assert states(lab, "b") == [State.ESTABLISHED]

    def test_a_peer_that_begins_anew_takes_the_old_association_over(self) -> None:
        """RFC 9260 §5.2.2, §5.2.4 A: with new tags, new numbers, and the socket that was there."""
        lab = deaf()
        for init in (INIT, INIT._replace(tag=78, tsn=5)):
            put(lab, 0, init.chunk(ChunkType.INIT))
            tag, cookie = given(lab)
            put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie))
        assert states(lab, "b") == [State.ESTABLISHED]
        put(lab, tag, Data(5, 0, 0, 0, b"again").chunk())
        assert said(lab, "b/eth0")[-1] == "DATA"
        assert tags(lab, "b/eth0")[-1] == 78

    def test_an_old_cookie_does_not_touch_an_association(self) -> None:
        """That of an INIT from before, RFC 9260 §5.2.4: it fits nothing."""
        lab = deaf()
        put(lab, 0, INIT._replace(tag=78).chunk(ChunkType.INIT))
        old_tag, old = given(lab)
        put(lab, 0, INIT.chunk(ChunkType.INIT))
        tag, cookie = given(lab)
        put(lab, tag, Chunk(ChunkType.COOKIE_ECHO, 0, cookie))
        put(lab, old_tag, Chunk(ChunkType.COOKIE_ECHO, 0, old))
        assert lab.drops[-1].detail == "a cookie that does not fit (-)"
        put(lab, tag, Data(1000, 0, 0, 0, b"still").chunk())
        assert said(lab, "b/eth0")[-1] == "DATA"
