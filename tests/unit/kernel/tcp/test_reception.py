# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.kernel.drops import DropReason
from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.segment import Segment
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.tcp_pair import LATENCY, TcpPair
from emu.wire.tcp import ACK, FIN, PSH


def connected(config: TcpConfig | None = None) -> TcpPair:
    """Return a pair that is connected, its trace empty."""
    pair = TcpPair(config)
    pair.connect()
    pair.run(MILLISECOND)
    pair.clear()
    return pair


def server_alone(config: TcpConfig | None = None) -> TcpPair:
    """Return a pair whose client hears nothing but the SYN-ACK: what comes to the server is injected."""
    syn_acks = iter([(LATENCY,)])
    pair = TcpPair(config, fate=lambda sent: next(syn_acks, ()) if sent.side == "server" else (LATENCY,))
    pair.connect()
    pair.run(MILLISECOND)
    pair.clear()
    return pair


def patient(pair: TcpPair) -> TcpPair:
    """Have the server's first ACKs no longer go at once."""
    acks = pair.server.tcb.acks
    acks.quick = 0
    acks.ato = 40 * MILLISECOND
    acks.last_received = pair.now
    window = pair.server.tcb.rcv.window
    window.clamp = window._ssthresh  # a window that grows would call for a quick ACK again
    return pair


def data(seq: int, payload: bytes, flags: int = ACK | PSH) -> Segment:
    """Return a segment of the client's, the server having sent nothing but its SYN-ACK."""
    return Segment(flags, seq, 1, 500, payload=payload)


def test_the_first_segments_are_acknowledged_at_once() -> None:
    """A connection begins in quick ACK mode."""
    pair = server_alone()
    pair.inject("client", data(1, b"GET"))
    assert pair.sent("server") == ["A 1 ack 4"]


def test_sixteen_quick_acks_and_then_every_second_segment() -> None:
    """Small segments of a one-way stream are acknowledged late once quick ACK mode is spent."""
    pair = connected()
    pair.nodelay("client")
    for _ in range(17):
        pair.write("client", bytes(50))
        pair.run(10 * MILLISECOND)
    assert pair.sent("server") == [f"A 1 ack {51 + 50 * number}" for number in range(16)]
    pair.run(40 * MILLISECOND)
    assert pair.sent("server")[16:] == ["A 1 ack 851"]


def test_two_full_segments_are_acknowledged_together() -> None:
    """RFC 5681 §4.2, once quick ACK mode is over."""
    pair = patient(server_alone())
    pair.readers = {"server"}
    pair.server.tcb.acks.peer_mss = 1460
    pair.inject("client", data(1, bytes(1460), ACK))
    assert pair.sent("server") == []
    pair.inject("client", data(1461, bytes(1460), ACK))
    assert pair.sent("server") == ["A 1 ack 2921"]


def test_an_interactive_peer_gets_its_ack_with_the_answer() -> None:
    """Once the program has answered quickly, ACKs wait for its next answer."""
    pair = connected()
    for number in range(3):
        pair.write("client", bytes(100))
        pair.run(MILLISECOND)
        pair.read("server")
        pair.write("server", bytes(100))
        pair.run(MILLISECOND)
        pair.read("client")
        begin, end = 1 + 100 * number, 101 + 100 * number
        assert pair.sent("server")[-1] == f"PA {begin}:{end} ack {end}"
    assert pair.sent("server")[0] == "A 1 ack 101"
    assert len(pair.sent("server")) == 4


def test_a_fin_is_acknowledged_after_forty_milliseconds() -> None:
    """A FIN makes the connection interactive: the program's own FIN may carry the ACK."""
    pair = connected()
    pair.write("client", b"GET")
    pair.run(100 * MILLISECOND)
    pair.close("client")
    pair.run(SECOND)
    begin, answer = pair.instants("client")[1], pair.instants("server")[1]
    assert 0.040 <= answer - begin <= 0.045
    assert pair.sent("server") == ["A 1 ack 4", "A 1 ack 5"]


def test_a_fin_answered_by_a_fin_needs_no_ack_of_its_own() -> None:
    """The program closes within the forty milliseconds."""
    pair = connected()
    pair.write("client", b"GET")
    pair.run(100 * MILLISECOND)
    pair.read("server")
    pair.close("client")
    pair.run(10 * MILLISECOND)
    pair.close("server")
    pair.run(SECOND)
    assert pair.sent("server") == ["A 1 ack 4", "FA 1 ack 5"]


def test_quick_ack_sends_a_delayed_ack_at_once() -> None:
    """TCP_QUICKACK leaves the interactive mode and acknowledges what waits."""
    pair = connected()
    pair.server.acknowledge_quickly(pair.now, on=False)
    pair.write("client", b"GET")
    pair.run(5 * MILLISECOND)
    pair.read("server")
    assert pair.sent("server") == []
    pair.server.acknowledge_quickly(pair.now, on=True)
    pair.run(0)
    assert pair.server.take_segments()[0].flags == ACK


def test_reading_a_short_segment_to_the_end_acknowledges_it() -> None:
    """`tcp_cleanup_rbuf`: the buffer is drained, and the peer pushed."""
    pair = patient(connected())
    pair.write("client", b"GET")
    pair.run(MILLISECOND)
    assert pair.sent("server") == []
    pair.read("server")
    assert pair.sent("server") == ["A 1 ack 4"]


def test_reading_opens_a_window_that_was_closed() -> None:
    """The peer is told once twice as much room is there as it knows of."""
    pair = connected()
    pair.write("client", bytes(300_000))
    pair.run(2 * SECOND)
    assert pair.server.tcb.rcv.left == 0
    pair.clear()
    pair.read("server", 60_000)
    assert pair.sent("server")[0].startswith("A 1 ack")
    assert pair.trace[0].segment.window > 0


def test_what_comes_beyond_a_gap_is_acknowledged_at_once_with_sack() -> None:
    """The newest block first, four at most (RFC 2018 §4)."""
    pair = server_alone()
    for seq in (10, 20, 30, 40, 50):
        pair.inject("client", data(seq, b"abc"))
        pair.run(10 * MILLISECOND)
    assert pair.sent("server") == [
        "A 1 ack 1 sack 10-13",
        "A 1 ack 1 sack 20-23 sack 10-13",
        "A 1 ack 1 sack 30-33 sack 20-23 sack 10-13",
        "A 1 ack 1 sack 40-43 sack 30-33 sack 20-23 sack 10-13",
        "A 1 ack 1 sack 50-53 sack 40-43 sack 30-33 sack 20-23",
    ]


def test_data_that_came_before_is_reported_by_a_duplicate_sack() -> None:
    """RFC 2883: the first block tells what came twice."""
    pair = server_alone()
    pair.inject("client", data(1, b"abcdef"))
    pair.inject("client", data(1, b"abcdef"))
    assert pair.sent("server") == ["A 1 ack 7", "A 1 ack 7 sack 1-7"]
    assert pair.drops == [DropReason.TCP_OLD_DATA]
    assert pair.read("server") == b"abcdef"


def test_pieces_that_overlap_are_put_together() -> None:
    """Each octet is read once."""
    pair = server_alone()
    pair.inject("client", data(5, b"efgh"))
    pair.inject("client", data(3, b"cdef"))
    pair.inject("client", data(1, b"abcd"))
    assert pair.read("server") == b"abcdefgh"
    assert pair.sent("server")[-1].startswith("A 1 ack 9")


def test_a_fin_beyond_a_gap_counts_when_the_gap_is_filled() -> None:
    """Not before: the data between comes first."""
    pair = server_alone()
    pair.inject("client", data(4, b"def", ACK | PSH | FIN))
    with pytest.raises(BlockingIOError):
        pair.read("server")
    pair.inject("client", data(1, b"abc"))
    assert pair.read("server") == b"abcdef"
    assert pair.read("server") == b""


def test_data_beyond_the_window_is_acknowledged_and_dropped() -> None:
    """The peer is told where we are."""
    pair = server_alone()
    pair.inject("client", data(100_000, b"abc"))
    assert pair.drops == [DropReason.TCP_INVALID_SEQUENCE]
    assert pair.sent("server") == ["A 1 ack 1"]


def test_after_three_acks_of_a_gap_the_next_are_held_back_and_merged() -> None:
    """ACK compression: at most a millisecond, at most a twentieth of the round-trip time."""
    pair = patient(server_alone())
    pair.server.tcb.rtt.srtt = 8 * 20_000
    pair.server.tcb.rcv.window.round_trip = 20 * MILLISECOND
    for number in range(10):
        pair.inject("client", data(100 + 10 * number, b"0123456789"))
    assert len(pair.sent("server")) == 3
    pair.run(MILLISECOND)
    assert pair.sent("server")[3:] == ["A 1 ack 1 sack 100-200"]


def test_data_after_our_reader_is_gone_is_refused() -> None:
    """RFC 1122 §4.2.2.13: nobody will ever read it, so the peer is told by RST."""
    pair = connected()
    pair.close("client")
    pair.run(SECOND)
    pair.write("server", b"anybody there?")
    pair.run(SECOND)
    assert pair.sent("client")[-1] == "R 2"
    assert pair.server.is_gone


def test_small_buffers_lose_nothing() -> None:
    """A receiver with a buffer of 8 KiB takes what fits and gets the rest later."""
    pair = connected(TcpConfig(timestamps=False, rmem=(4096, 8192, 8192)))
    sent = bytes(range(256)) * 400
    pair.readers = {"server"}
    left = sent
    while left:
        left = left[pair.write("client", left) :]
        pair.run(SECOND)
    assert bytes(pair.received["server"]) == sent


def test_a_full_buffer_drops_what_the_window_would_have_let_in() -> None:
    """Small segments take more memory than they have octets; the ACK then says that the window is closed."""
    pair = server_alone(TcpConfig(timestamps=False, rmem=(4096, 8192, 8192)))
    taken = 0
    while not pair.drops:
        taken += 1
        pair.inject("client", data(taken, b"x"))
    assert pair.drops == [DropReason.SOCKET_RCVBUFF]
    assert (pair.sent("server")[-1], pair.trace[-1].segment.window) == (f"A 1 ack {taken}", 0)
    assert pair.read("server") == b"x" * (taken - 1)
    assert pair.trace[-1].segment.window > 0


def test_pieces_beyond_a_gap_are_given_up_for_what_is_next() -> None:
    """They will come again; SACK, which promised otherwise, allows it."""
    pair = server_alone(TcpConfig(timestamps=False, rmem=(4096, 8192, 8192)))
    for seq in range(100, 120, 2):
        pair.inject("client", data(seq, b"x"))
    pair.drops.clear()
    for seq in range(1, 6):
        pair.inject("client", data(seq, b"y"))
    assert pair.read("server") == b"yyyyy"
    assert pair.drops == []


def test_data_for_a_closed_window_is_acknowledged_and_dropped() -> None:
    """Even the next octet: a window probe, or a peer that does not listen."""
    pair = server_alone(TcpConfig(timestamps=False, rmem=(4096, 8192, 8192)))
    seq = 1
    while pair.server.tcb.rcv.left:
        size = min(pair.server.tcb.rcv.left, 1460)
        pair.inject("client", data(seq, bytes(size)))
        seq += size
    pair.clear()
    pair.inject("client", data(seq, b"x"))
    assert pair.drops == [DropReason.TCP_INVALID_SEQUENCE]
    assert pair.sent("server") == [f"A 1 ack {seq}"]
