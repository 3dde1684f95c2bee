# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import errno

import attrs
import pytest

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.states import State
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.tcp_pair import LATENCY, Sent, TcpPair, lose
from emu.wire.tcp import ACK, FIN

PLAIN = TcpConfig(timestamps=False)


def talked(config: TcpConfig = PLAIN, **keywords: object) -> TcpPair:
    """Return a connected pair whose client has sent a request that the server has read."""
    pair = TcpPair(config, **keywords)  # type: ignore[arg-type]  # arguments of TcpPair
    pair.connect()
    pair.write("client", b"GET")
    pair.run(100 * MILLISECOND)
    pair.read("server")
    pair.clear()
    return pair


def test_a_connection_ends_with_a_fin_in_each_direction() -> None:
    """FIN, its late ACK, the other FIN, and the ACK of TIME-WAIT."""
    pair = talked()
    pair.close("client")
    pair.run(150 * MILLISECOND)
    assert pair.client.state is State.FIN_WAIT_2
    assert pair.read("server") == b""
    assert pair.server.state is State.CLOSE_WAIT
    pair.close("server")
    pair.run(SECOND)
    assert pair.sent("client") == ["FA 4 ack 1", "A 5 ack 2"]
    assert pair.sent("server") == ["A 1 ack 5", "FA 1 ack 5"]
    assert (pair.client.state, pair.server.state) == (State.TIME_WAIT, State.CLOSED)


def test_time_wait_lasts_a_minute() -> None:
    """Then nothing is left."""
    pair = talked()
    pair.close("client")
    pair.close("server")
    pair.run(59 * SECOND)
    assert pair.client.state is State.TIME_WAIT
    pair.run(4 * SECOND)
    assert pair.client.is_gone


def test_both_sides_may_close_at_once() -> None:
    """The FINs cross: CLOSING, then TIME-WAIT on both sides."""
    pair = talked()
    pair.close("client")
    pair.close("server")
    pair.run(SECOND)
    assert pair.sent("client") == ["FA 4 ack 1", "A 5 ack 2"]
    assert pair.sent("server") == ["FA 1 ack 4", "A 2 ack 5"]
    assert (pair.client.state, pair.server.state) == (State.TIME_WAIT, State.TIME_WAIT)


def test_one_direction_may_be_closed_alone() -> None:
    """After `shutdown` the other side goes on writing, and is read."""
    pair = talked()
    pair.shut("client")
    pair.run(SECOND)
    pair.write("server", b"late answer")
    pair.run(SECOND)
    assert pair.read("client") == b"late answer"
    with pytest.raises(BrokenPipeError):
        pair.write("client", b"more")
    pair.close("server")
    pair.run(SECOND)
    assert pair.read("client") == b""
    assert pair.client.state is State.TIME_WAIT


def test_closing_with_unread_data_resets() -> None:
    """RFC 2525 §2.17: the peer has to know that its data was lost."""
    pair = talked()
    pair.write("client", b"unread")
    pair.run(100 * MILLISECOND)
    pair.clear()
    pair.close("server")
    pair.run(SECOND)
    assert pair.sent("server") == ["RA 1 ack 10"]
    assert pair.client.take_error() == errno.ECONNRESET


def test_lingering_for_no_time_resets() -> None:
    """SO_LINGER with 0 seconds."""
    pair = talked()
    pair.close("client", linger=0)
    pair.run(SECOND)
    assert pair.sent("client") == ["RA 4 ack 1"]
    assert pair.server.take_error() == errno.ECONNRESET
    assert (pair.client.state, pair.server.state) == (State.CLOSED, State.CLOSED)


def test_a_reset_after_the_peers_fin_is_a_broken_pipe() -> None:
    """In CLOSE-WAIT RST means EPIPE, as on BSD."""
    pair = talked()
    pair.shut("client")
    pair.run(SECOND)
    pair.client.tcb.state = State.ESTABLISHED
    pair.close("client", linger=0)
    pair.run(SECOND)
    assert pair.server.take_error() == errno.EPIPE


def test_data_for_a_closed_program_is_answered_by_rst() -> None:
    """Once its FIN is acknowledged, an orphan takes a FIN and nothing else."""
    pair = talked()
    pair.close("client")
    pair.run(SECOND)
    pair.write("server", b"too late")
    pair.run(SECOND)
    assert pair.sent("client")[-1] == "R 5"
    assert pair.client.is_gone
    assert pair.server.take_error() == errno.EPIPE


def test_an_orphan_waits_a_minute_for_the_peers_fin() -> None:
    """tcp_fin_timeout, or less if it says so."""
    pair = talked(attrs.evolve(PLAIN, fin_timeout=3 * SECOND))
    pair.close("client")
    pair.run(2 * SECOND)
    assert pair.client.state is State.FIN_WAIT_2
    pair.run(3 * SECOND)
    assert pair.client.is_gone


def test_a_long_fin_timeout_keeps_the_connection_longer() -> None:
    """What goes beyond a minute is waited for twice, as on Linux: 80 s for 100 s."""
    pair = talked(attrs.evolve(PLAIN, fin_timeout=100 * SECOND))
    pair.close("client")
    pair.run(75 * SECOND)
    assert pair.client.state is State.FIN_WAIT_2
    pair.run(15 * SECOND)
    assert pair.client.is_gone


def test_a_program_that_keeps_its_socket_may_wait_for_ever() -> None:
    """Only orphans are cleared away; what was shut waits for the peer."""
    pair = talked()
    pair.shut("client")
    pair.run(1000 * SECOND)
    assert pair.client.state is State.FIN_WAIT_2
    pair.close("client")
    pair.run(100 * SECOND)
    assert pair.client.is_gone


def test_a_lost_fin_is_sent_again() -> None:
    """It takes sequence space, like an octet."""
    pair = TcpPair(PLAIN, fate=lose(("client", 4)))
    pair.connect()
    pair.write("client", b"GET")
    pair.run(100 * MILLISECOND)
    pair.close("client")
    pair.run(SECOND)
    assert pair.sent("client")[3:] == ["FA 4 ack 1", "FA 4 ack 1"]
    assert pair.server.state is State.CLOSE_WAIT


def test_an_orphan_whose_fin_stays_unanswered_is_given_up() -> None:
    """After the FIN and its probe, tcp_orphan_retries and one more timeouts."""

    def cut(sent: Sent) -> tuple[int, ...]:
        return () if sent.side == "client" and sent.number > 3 else (LATENCY,)

    config = attrs.evolve(PLAIN, orphan_retries=3)
    pair = TcpPair(config, fate=cut)
    pair.connect()
    pair.write("client", b"GET")
    pair.run(100 * MILLISECOND)
    pair.close("client")
    pair.run(60 * SECOND)
    assert pair.client.is_gone
    assert pair.sent("client")[3:] == ["FA 4 ack 1"] * 6


def test_a_connection_that_nobody_answers_times_out() -> None:
    """tcp_retries2 doublings of 200 ms, then ETIMEDOUT."""

    def cut(sent: Sent) -> tuple[int, ...]:
        return () if sent.number > 2 else (LATENCY,)

    pair = TcpPair(attrs.evolve(PLAIN, retries2=4), fate=cut)
    pair.connect()
    pair.write("client", b"hello?")
    pair.run(60 * SECOND)
    assert pair.client.take_error() == errno.ETIMEDOUT
    assert pair.client.is_gone
    assert pair.read("client", 0) == b""


def test_an_error_that_icmp_reported_is_what_a_timeout_tells() -> None:
    """A soft error does not end a connection, but names the reason in the end."""

    def cut(sent: Sent) -> tuple[int, ...]:
        return () if sent.number > 2 else (LATENCY,)

    pair = TcpPair(attrs.evolve(PLAIN, retries2=4), fate=cut)
    pair.connect()
    pair.write("client", b"hello?")
    seq = pair.trace[-1].segment.seq
    pair.client.unreachable(errno.EHOSTUNREACH, seq, pair.now, reverts=True)
    assert pair.client.state is State.ESTABLISHED
    pair.run(60 * SECOND)
    assert pair.client.take_error() == errno.EHOSTUNREACH


def test_a_route_that_comes_back_is_used_without_waiting_out_the_doubled_timeout() -> None:
    """RFC 6069: an ICMP error for a retransmission takes one doubling back."""

    def cut(sent: Sent) -> tuple[int, ...]:
        return () if sent.number > 2 else (LATENCY,)

    pair = TcpPair(PLAIN, fate=cut)
    pair.connect()
    pair.write("client", b"hello?")
    pair.run(10 * SECOND, until=lambda: len(pair.sent("client")) == 6)
    doubled = pair.client.tcb.rtt.rto
    seq = pair.trace[-1].segment.seq
    pair.client.unreachable(errno.EHOSTUNREACH, seq, pair.now, reverts=True)
    assert pair.client.tcb.rtt.rto == doubled // 2


def test_keepalive_probes_a_silent_peer_and_gives_it_up() -> None:
    """After tcp_keepalive_time, each tcp_keepalive_intvl, tcp_keepalive_probes times; then RST."""
    config = attrs.evolve(
        PLAIN, keepalive_time=100 * SECOND, keepalive_interval=10 * SECOND, keepalive_probes=3
    )

    def cut(sent: Sent) -> tuple[int, ...]:
        return () if sent.side == "client" and sent.number > 3 else (LATENCY,)

    pair = TcpPair(config, fate=cut)
    pair.connect()
    pair.client.keep_alive(pair.now, on=True)
    pair.write("client", b"x")
    pair.run(1000 * SECOND)
    assert pair.sent("client")[3:] == ["A 1 ack 1"] * 3 + ["RA 2 ack 1"]
    assert pair.client.take_error() == errno.ETIMEDOUT


def test_keepalive_leaves_a_peer_alone_that_answers() -> None:
    """Its ACKs count as life."""
    config = attrs.evolve(PLAIN, keepalive_time=100 * SECOND)
    pair = talked(config)
    pair.client.keep_alive(pair.now, on=True)
    pair.write("client", b"x")
    pair.run(350 * SECOND)
    assert pair.sent("client").count("A 4 ack 1") == 3
    assert pair.client.state is State.ESTABLISHED
    pair.client.keep_alive(pair.now, on=False)
    assert pair.client.next_deadline is None


def test_abort_resets_at_once() -> None:
    """What a listener does to connections that were never accepted."""
    pair = talked()
    pair.abort("server")
    assert pair.sent("server") == ["RA 1 ack 4"]


def test_closing_a_connection_that_is_being_made_sends_nothing() -> None:
    """The peer has not answered: there is nobody to tell."""
    pair = TcpPair(PLAIN, fate=lambda _: ())
    pair.open("client")
    pair.close("client")
    pair.run(100 * SECOND)
    assert pair.sent("client") == ["S 0"]
    assert pair.client.is_gone


def test_a_fin_that_also_acknowledges_ours_ends_in_time_wait() -> None:
    """Two steps at once: FIN-WAIT-1, FIN-WAIT-2, TIME-WAIT."""
    pair = talked()
    pair.shut("client")
    pair.inject("server", Segment(FIN | ACK, 1, 5, 500))
    assert pair.client.state is State.TIME_WAIT
