# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.segment import Segment
from emu.sim.time import MILLISECOND, SECOND, Duration
from emu.testing.tcp_pair import TcpPair
from emu.wire.tcp import ACK, PSH


def connected(**keywords: object) -> TcpPair:
    """Return a pair that is connected, its trace empty, and a server that reads."""
    pair = TcpPair(TcpConfig(timestamps=False, **keywords))  # type: ignore[arg-type]  # fields of TcpConfig
    pair.connect()
    pair.run(SECOND)
    pair.readers = {"server"}
    pair.clear()
    return pair


def keep_closed(pair: TcpPair, duration: Duration) -> None:
    """Let time pass, every answer of the server saying that its window is closed."""
    pair.server.tcb.rcv.window.size = 0
    pair.server.tcb.rcv.window.clamp = 0
    pair.run(duration)


def test_a_write_becomes_full_segments_and_psh_on_the_last() -> None:
    """4000 octets: 1460, 1460, 1080 with PSH, as recorded in the scenario tcp-transfer."""
    pair = connected()
    pair.write("client", bytes(4000))
    assert pair.sent("client") == ["A 1:1461 ack 1", "A 1461:2921 ack 1", "PA 2921:4001 ack 1"]


def test_the_first_flight_is_ten_segments_in_bursts_of_five_that_end_with_psh() -> None:
    """The congestion window is 10, a burst at most half of it, and its last segment has PSH."""
    pair = connected()
    pair.write("client", bytes(40000))
    flags = [bool(sent.segment.flags & PSH) for sent in pair.trace]
    assert flags == [False, False, False, False, True] * 2


def test_small_writes_wait_for_the_ack_of_a_small_one_and_go_together() -> None:
    """Nagle's algorithm, as Minshall wrote it."""
    pair = connected()
    for size in (3, 5, 7):
        pair.write("client", bytes(size))
    assert pair.sent("client") == ["PA 1:4 ack 1"]
    pair.run(SECOND)
    assert pair.sent("client") == ["PA 1:4 ack 1", "PA 4:16 ack 1"]


def test_without_nagle_every_write_is_a_segment() -> None:
    """TCP_NODELAY."""
    pair = connected()
    pair.nodelay("client")
    for size in (3, 5, 7):
        pair.write("client", bytes(size))
    assert pair.sent("client") == ["PA 1:4 ack 1", "PA 4:9 ack 1", "PA 9:16 ack 1"]


def test_switching_nagle_off_sends_what_it_held_back() -> None:
    """At once, not with the next write."""
    pair = connected()
    pair.write("client", bytes(3))
    pair.write("client", bytes(5))
    pair.nodelay("client")
    assert pair.sent("client") == ["PA 1:4 ack 1", "PA 4:9 ack 1"]


def test_a_full_segment_before_a_small_one_lets_it_go() -> None:
    """Only small segments under way hold a small one back."""
    pair = connected()
    pair.write("client", bytes(1460))
    pair.write("client", bytes(3))
    assert pair.sent("client") == ["PA 1:1461 ack 1", "PA 1461:1464 ack 1"]


def test_psh_moves_to_the_end_of_a_write_that_joins_an_earlier_one() -> None:
    """Octets that wait are one segment, pushed at its end."""
    pair = connected()
    pair.write("client", bytes(3))
    pair.write("client", bytes(1000))
    pair.write("client", bytes(1000))
    pair.run(SECOND)
    assert pair.sent("client")[1:] == ["A 4:1464 ack 1", "PA 1464:2004 ack 1"]


def test_fin_rides_on_data_that_was_not_sent_yet() -> None:
    """What waited by Nagle's algorithm goes with the FIN."""
    pair = connected()
    pair.write("client", bytes(3))
    pair.write("client", bytes(5))
    pair.close("client")
    assert pair.sent("client") == ["PA 1:4 ack 1", "FPA 4:9 ack 1"]


def test_the_window_of_the_peer_is_never_overrun() -> None:
    """A peer that reads nothing gets as much as it has offered, then probes."""
    pair = connected()
    pair.readers = set()
    pair.write("client", bytes(80000))
    limit = 0
    for _ in range(100):
        pair.run(5 * MILLISECOND)
        limit = max(limit, pair.client.tcb.snd.window_end)
        assert pair.client.tcb.snd.nxt <= limit


def test_a_closed_window_is_probed_with_an_old_number_and_doubled_pauses() -> None:
    """After the retransmission timeout, then twice as long each time, for ever."""
    pair = connected()
    pair.inject("server", Segment(ACK, 1, 1, 0))
    pair.write("client", b"patience")
    begin = pair.now / SECOND
    keep_closed(pair, 7 * SECOND)
    assert pair.sent("client") == ["A 0 ack 1"] * 5
    pauses = [0.2, 0.6, 1.4, 3.0, 6.2]
    for instant, expected in zip(pair.instants("client"), pauses, strict=True):
        assert expected <= instant - begin <= expected * 1.1 + 0.01


def test_a_window_smaller_than_a_segment_is_not_used_at_once() -> None:
    """Silly windows are avoided: what fits goes when the probe timer has run out."""
    pair = connected()
    pair.inject("server", Segment(ACK, 1, 1, 0))
    pair.write("client", bytes(3000))
    pair.clear()
    pair.inject("server", Segment(ACK, 1, 1, 1))  # one unit of its scale: 1024 octets
    assert pair.sent("client") == []
    pair.run(SECOND)
    assert pair.sent("client")[0] == "PA 1:1025 ack 1"


def test_a_writer_is_stopped_by_a_full_buffer_and_let_on_by_acks() -> None:
    """`write` takes a part, then raises BlockingIOError until the peer has acknowledged enough."""
    pair = connected()
    pair.readers = set()
    taken = pair.write("client", bytes(10_000_000))
    assert 0 < taken < 1_000_000
    with pytest.raises(BlockingIOError):
        pair.write("client", b"more")
    assert not pair.client.is_writable
    pair.client.take_stir()
    pair.readers = {"server"}
    pair.run(SECOND)
    assert pair.client.take_stir()
    pair.write("client", b"more")


def test_segments_get_smaller_when_acks_carry_sack_blocks() -> None:
    """The blocks take room in the segment (RFC 2018 §3)."""
    pair = connected()
    pair.inject("server", Segment(ACK, 100, 1, 500, payload=b"gap"))
    pair.clear()
    pair.write("client", bytes(1460))
    assert pair.sent("client")[0] == "A 1:1449 ack 1 sack 100-103"


def test_an_idle_connection_begins_slowly_again() -> None:
    """After silence the window falls back to ten segments (RFC 2861)."""
    pair = connected()
    for _ in range(20):
        pair.write("client", bytes(40000))
        pair.run(100 * MILLISECOND)
    assert pair.client.tcb.cwnd.cwnd > 20
    pair.run(30 * SECOND)
    pair.write("client", b"again")
    assert pair.client.tcb.cwnd.cwnd == 10
