# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno

import pytest

from emu.kernel.drops import DropReason
from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.connection import Connection
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.states import State
from emu.sim.time import MILLISECOND, SECOND, START
from emu.testing.tcp_pair import LATENCY, Sent, TcpPair, lose
from emu.wire.tcp import ACK, FIN, PSH, RST, SYN, TcpOptions

PLAIN = TcpConfig(timestamps=False)


def nobody(_: Sent) -> tuple[int, ...]:
    """Let nothing through."""
    return ()


def test_a_connection_opens_with_three_segments() -> None:
    """SYN, SYN-ACK, ACK; then both sides are ESTABLISHED."""
    pair = TcpPair()
    pair.connect()
    assert pair.sent("client") == ["S 0", "A 1 ack 1"]
    assert pair.sent("server") == ["SA 0 ack 1"]
    assert (pair.client.state, pair.server.state) == (State.ESTABLISHED, State.ESTABLISHED)


def test_a_syn_offers_mss_sack_and_window_scaling_in_twelve_octets() -> None:
    """MSS, NOP NOP SACK-permitted, NOP window scale: as Linux orders them without timestamps."""
    pair = TcpPair()
    pair.open("client")
    syn = pair.trace[0].segment
    assert syn.options == TcpOptions(mss=1460, window_scale=10, sack_permitted=True)
    assert syn.options.build() == bytes.fromhex("020405b4 01010402 0103030a")
    assert syn.window == 64240


def test_timestamps_make_the_options_of_a_syn_twenty_octets() -> None:
    """With tcp_timestamps 1 SACK-permitted stands where the two NOPs stood."""
    pair = TcpPair(TcpConfig())
    pair.open("client")
    assert len(pair.trace[0].segment.options.build()) == 20


def test_a_syn_ack_offers_nothing_that_the_syn_did_not() -> None:
    """A client without SACK, timestamps and window scaling is answered with an MSS alone."""
    bare = TcpConfig(timestamps=False, sack=False, window_scaling=False)
    pair = TcpPair(bare, server_config=TcpConfig())
    pair.connect()
    assert pair.trace[1].segment.options == TcpOptions(mss=1460)
    assert pair.server.tcb.rcv.window.scale == 0


def test_the_mss_follows_the_mtu_and_timestamps_take_twelve_octets_of_each_segment() -> None:
    """An MTU of 1000 gives an MSS of 960, and segments of 948 octets with timestamps."""
    pair = TcpPair(TcpConfig(), mtu=1000)
    pair.connect()
    pair.write("client", bytes(2000))
    assert pair.trace[0].segment.options.mss == 960
    assert max(len(sent.segment.payload) for sent in pair.trace) == 948


def test_a_peer_without_an_mss_option_gets_536_octets() -> None:
    """What RFC 9293 §3.7.1 has a stack assume."""
    pair = TcpPair(fate=nobody)
    pair.open("client")
    pair.inject("server", Segment(SYN | ACK, 0, 1, 60000))
    assert pair.client.tcb.snd.mss == 536


def test_a_syn_is_repeated_four_times_at_the_same_pace_then_slower() -> None:
    """At 1, 2, 3, 4 and 5 seconds, then after 2, 4, 8, 16 and 32 more; each put off a little by the wheel."""
    pair = TcpPair(fate=nobody)
    pair.open("client")
    pair.run(200 * SECOND)
    assert pair.sent("client") == ["S 0"] * 11
    nominal = [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67]
    for instant, expected in zip(pair.instants("client"), nominal, strict=True):
        assert expected <= instant <= expected * 1.07 + 0.1
    assert pair.client.take_error() == errno.ETIMEDOUT
    assert pair.client.state is State.CLOSED


def test_a_syn_ack_is_repeated_after_1_3_7_15_and_31_seconds() -> None:
    """Then the half-open connection is forgotten; a late ACK meets a RST."""
    pair = TcpPair(fate=lambda sent: () if sent.side == "client" and sent.number > 1 else (LATENCY,))
    pair.open("client")
    pair.run(100 * SECOND)
    nominal = [0, 1, 3, 7, 15, 31]
    assert pair.sent("server") == ["SA 0 ack 1"] * 6
    for instant, expected in zip(pair.instants("server"), nominal, strict=True):
        assert expected <= instant <= expected * 1.07 + 0.1
    pair.inject("client", Segment(ACK, 1, 1, 500))
    assert pair.sent("server")[-1] == "R 1"


def test_a_refused_syn_tells_the_program() -> None:
    """RST in answer to a SYN is ECONNREFUSED."""
    pair = TcpPair(fate=nobody)
    pair.open("client")
    pair.inject("server", Segment(RST | ACK, 0, 1, 0))
    assert pair.client.take_error() == errno.ECONNREFUSED
    assert pair.client.state is State.CLOSED


@pytest.mark.parametrize(
    ("segment", "reason", "answer"),
    [
        (Segment(ACK, 0, 500, 100), DropReason.TCP_INVALID_ACK_SEQUENCE, ["R 500"]),
        (Segment(RST | ACK, 0, 500, 100), DropReason.TCP_INVALID_ACK_SEQUENCE, []),
        (Segment(RST, 0, 0, 100), DropReason.TCP_RESET, []),
        (Segment(ACK, 0, 1, 100), DropReason.TCP_FLAGS, []),
        (Segment(FIN, 0, 0, 100), DropReason.TCP_FLAGS, []),
    ],
)
def test_what_is_no_answer_to_a_syn_is_dropped(
    segment: Segment, reason: DropReason, answer: list[str]
) -> None:
    """In SYN-SENT only SYN, SYN-ACK and a RST that acknowledges the SYN count (RFC 9293 §3.10.7.3)."""
    pair = TcpPair(fate=nobody)
    pair.open("client")
    pair.inject("server", segment)
    assert pair.drops == [reason]
    assert pair.sent("client")[1:] == answer
    assert pair.client.state is State.SYN_SENT


def test_connections_that_cross_become_one() -> None:
    """Both sides send SYN, SYN-ACK and an ACK which tells, as Linux does, that the SYN came twice."""
    pair = TcpPair()
    pair.open("client")
    pair.open("server")
    pair.run(SECOND)
    assert pair.sent("client") == ["S 0", "SA 0 ack 1", "A 1 ack 1 sack 0-1"]
    assert pair.sent("server") == ["S 0", "SA 0 ack 1", "A 1 ack 1 sack 0-1"]
    assert (pair.client.state, pair.server.state) == (State.ESTABLISHED, State.ESTABLISHED)


def test_an_unreachable_peer_ends_the_attempt_with_the_errors_number() -> None:
    """An ICMP error about the SYN closes the connection (RFC 1122 §4.2.3.9)."""
    connection = Connection.open(PLAIN, now=START, iss=100, mtu=1500)
    connection.unreachable(errno.EHOSTUNREACH, 100, START, reverts=True)
    assert connection.take_error() == errno.EHOSTUNREACH
    assert connection.state is State.CLOSED


def test_an_error_about_another_segment_is_ignored() -> None:
    """A sequence number that is not in flight shows a forged or an old error."""
    connection = Connection.open(PLAIN, now=START, iss=100, mtu=1500)
    connection.unreachable(errno.EHOSTUNREACH, 99, START, reverts=True)
    assert connection.state is State.SYN_SENT


def test_after_repeated_syns_the_first_timeout_is_three_seconds() -> None:
    """RFC 6298 §5.7: the handshake has measured nothing."""
    pair = TcpPair(fate=lose(("client", 1), ("client", 4)))
    pair.connect(within=5 * SECOND)
    pair.nodelay("client")
    assert pair.client.tcb.rtt.rto == 3 * SECOND


def test_timestamps_measure_a_handshake_whose_syn_was_repeated() -> None:
    """The echoed timestamp tells which SYN was answered."""
    pair = TcpPair(TcpConfig(), fate=lose(("client", 1)))
    pair.connect(within=5 * SECOND)
    assert pair.client.tcb.rtt.rto < SECOND


def test_data_may_come_with_the_ack_of_the_handshake() -> None:
    """If the bare ACK is lost, the first data completes the handshake."""
    pair = TcpPair(fate=lose(("client", 2)))
    pair.open("client")
    pair.run(MILLISECOND, until=lambda: pair.client.is_established)
    pair.write("client", b"first")
    pair.run(MILLISECOND)
    assert pair.read("server") == b"first"
    assert pair.sent("client")[-1] == "PA 1:6 ack 1"


def test_writing_before_the_connection_stands_would_block() -> None:
    """As `send` on a connecting socket does."""
    pair = TcpPair(fate=nobody)
    pair.open("client")
    with pytest.raises(BlockingIOError):
        pair.write("client", b"early")


def test_the_last_ack_of_a_handshake_may_carry_a_fin() -> None:
    """A client may be done before the server has heard of it."""
    pair = TcpPair(fate=lose(("client", 2)))
    pair.open("client")
    pair.run(MILLISECOND, until=lambda: pair.client.is_established)
    pair.close("client")
    pair.run(SECOND)
    assert pair.server.state is State.CLOSE_WAIT
    assert not PSH & pair.trace[-1].segment.flags
