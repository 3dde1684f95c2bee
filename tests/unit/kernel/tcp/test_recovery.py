# SPDX-License-Identifier: GPL-2.0-only
"""Losses, and how they are repaired: the sequences were compared with those of Linux 6.18."""

from __future__ import annotations

from itertools import pairwise

import attrs

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.tcb import Phase
from emu.sim.time import MILLISECOND, SECOND, Duration
from emu.testing.tcp_pair import LATENCY, Fate, Sent, Side, TcpPair, lose
from emu.wire.tcp import TcpOptions

PLAIN = TcpConfig(timestamps=False, congestion_control="reno")
HANDSHAKE = 2  # segments of the client before its first data


def upload(size: int, fate: Fate, config: TcpConfig = PLAIN) -> TcpPair:
    """Have the client send `size` octets to a server that reads."""
    pair = TcpPair(config, fate=fate)
    pair.readers = {"server"}
    pair.connect()
    pair.run(MILLISECOND)
    pair.write("client", bytes(size))
    pair.run(10 * SECOND)
    assert len(pair.received["server"]) == size
    return pair


def again(pair: TcpPair) -> list[str]:
    """Return what the client sent more than once, in the order of the repetitions."""
    seen: set[int] = set()
    repeated = []
    for sent, text in zip((s for s in pair.trace if s.side == "client"), pair.sent("client"), strict=True):
        if sent.segment.payload:
            if sent.segment.seq in seen:
                repeated.append(text)
            seen.add(sent.segment.seq)
    return repeated


def data(*numbers: int) -> tuple[tuple[Side, int], ...]:
    """Return the client's data segments with these numbers, from 1."""
    return tuple(("client", HANDSHAKE + number) for number in numbers)


def test_three_sacked_segments_repair_a_loss_at_once() -> None:
    """Fast retransmit: within a round trip, without any timer."""
    pair = upload(20000, lose(*data(3)))
    assert again(pair) == ["A 2921:4381 ack 1"]
    assert pair.client.tcb.loss.total_timeouts == 0
    assert max(pair.instants("client")) < 0.01


def test_two_losses_of_one_flight_are_repaired_together() -> None:
    """SACK shows both holes."""
    pair = upload(20000, lose(*data(3, 6)))
    assert again(pair) == ["A 2921:4381 ack 1", "A 7301:8761 ack 1"]
    assert max(pair.instants("client")) < 0.01


def test_a_retransmission_that_is_lost_too_is_sent_a_third_time() -> None:
    """RACK notices it by what was sent after it and has arrived, or the timer does."""
    pair = upload(60000, lose(*data(3), ("client", 17)))
    assert again(pair).count("A 2921:4381 ack 1") == 2


def test_a_lost_tail_is_repaired_by_a_probe() -> None:
    """The last segment is sent again two round trips later; its SACK shows what else is missing."""
    pair = upload(20000, lose(*data(13, 14)))
    assert again(pair) == ["PA 18981:20001 ack 1", "A 17521:18981 ack 1"]
    assert pair.client.tcb.loss.total_timeouts == 0
    assert max(pair.instants("client")) < 0.05


def test_a_lone_lost_segment_is_probed_after_the_least_timeout() -> None:
    """With one segment under way the probe allows for a delayed ACK: 200 ms."""
    pair = upload(3, lose(*data(1)))
    assert again(pair) == ["PA 1:4 ack 1"]
    assert 0.2 <= pair.instants("client")[-1] < 0.22


def test_repeated_losses_double_the_timeout() -> None:
    """A probe after 0.2 s, then retransmissions after 0.2, 0.4, 0.8 and 1.6 s."""
    pair = upload(3, lose(*data(1, 2, 3, 4, 5)))
    instants = pair.instants("client")[HANDSHAKE:]
    pauses = [later - earlier for earlier, later in pairwise(instants)]
    for pause, expected in zip(pauses, [0.2, 0.2, 0.4, 0.8, 1.6], strict=True):
        assert expected <= pause <= expected * 1.1 + 0.01


def test_without_sack_three_duplicate_acks_repair_a_loss() -> None:
    """NewReno (RFC 6582)."""
    pair = upload(20000, lose(*data(3)), attrs.evolve(PLAIN, sack=False))
    assert again(pair) == ["A 2921:4381 ack 1"]
    assert pair.client.tcb.loss.total_timeouts == 0


def test_without_sack_a_second_loss_is_repaired_by_the_partial_ack() -> None:
    """One hole a round trip."""
    pair = upload(20000, lose(*data(3, 6)), attrs.evolve(PLAIN, sack=False))
    assert again(pair) == ["A 2921:4381 ack 1", "A 7301:8761 ack 1"]
    assert pair.client.tcb.loss.total_timeouts == 0


def test_without_sack_a_lost_tail_waits_for_the_timeout() -> None:
    """Loss probes are for connections with SACK (RFC 8985 §7)."""
    pair = upload(20000, lose(*data(14)), attrs.evolve(PLAIN, sack=False))
    assert again(pair) == ["PA 18981:20001 ack 1"]
    assert pair.client.tcb.loss.total_timeouts == 1


def test_a_loss_shrinks_the_congestion_window() -> None:
    """Reno halves it, CUBIC takes it to 0.7."""
    reno = upload(20000, lose(*data(3))).client.tcb.cwnd
    assert reno.ssthresh == reno.prior_cwnd // 2
    cubic = upload(20000, lose(*data(3)), attrs.evolve(PLAIN, congestion_control="cubic")).client.tcb.cwnd
    assert cubic.ssthresh == cubic.prior_cwnd * 717 // 1024


def test_small_segments_are_joined_when_they_are_sent_again() -> None:
    """Three writes and the FIN, all lost and the probe too, become one segment (`tcp_retrans_collapse`)."""
    pair = TcpPair(PLAIN, fate=lose(*data(1, 2, 3, 4, 5)))
    pair.readers = {"server"}
    pair.connect()
    pair.nodelay("client")
    pair.run(MILLISECOND)
    for _ in range(3):
        pair.write("client", b"abc")
    pair.close("client")
    pair.run(SECOND)
    assert pair.sent("client")[HANDSHAKE : HANDSHAKE + 4] == [
        "PA 1:4 ack 1",
        "PA 4:7 ack 1",
        "PA 7:10 ack 1",
        "FA 10 ack 1",
    ]
    assert pair.sent("client")[HANDSHAKE + 4 :] == ["FA 10 ack 1", "FPA 1:10 ack 1"]
    assert bytes(pair.received["server"]) == b"abc" * 3


def test_reordering_by_less_than_three_segments_repeats_nothing() -> None:
    """Duplicate ACKs below the threshold are no loss."""

    def late(sent: Sent) -> tuple[Duration, ...]:
        number = sent.number - HANDSHAKE
        return (LATENCY + 10_000 * number + (15_000 if (sent.side, number) == ("client", 3) else 0),)

    pair = upload(14600, late)
    assert again(pair) == []


def test_a_needless_timeout_is_undone() -> None:
    """F-RTO: the ACKs of what was late show that nothing was lost (RFC 5682)."""

    def slow(sent: Sent) -> tuple[Duration, ...]:
        held = sent.side == "server" and 1 < sent.number < 20
        return (600 * MILLISECOND if held else LATENCY,)

    pair = upload(14600, slow, attrs.evolve(PLAIN, timestamps=True))
    assert pair.client.tcb.loss.total_timeouts >= 1
    assert pair.client.tcb.loss.phase is Phase.OPEN
    assert pair.client.tcb.cwnd.cwnd >= 10


def test_lost_acks_are_covered_by_later_ones() -> None:
    """Nothing is sent again for an ACK that is lost."""
    pair = upload(14600, lose(*(("server", number) for number in range(3, 9))))
    assert again(pair) == []


def test_sack_blocks_appear_in_the_acks_of_what_is_beyond_the_hole() -> None:
    """The receiver's side of a repair."""
    pair = upload(7300, lose(*data(2)))
    blocks = [sent.segment.options for sent in pair.trace if sent.segment.options.sack]
    assert len(blocks) == 3
    assert all(isinstance(options, TcpOptions) for options in blocks)


def test_a_narrow_path_is_met_with_smaller_segments_at_once() -> None:
    """An ICMP *fragmentation needed* has all that was too large sent again, cut anew (RFC 1191)."""
    pair = TcpPair(PLAIN, fate=lose(*data(1, 2, 3)))
    pair.readers = {"server"}
    pair.connect()
    pair.run(MILLISECOND)
    pair.write("client", bytes(4000))
    pair.run(MILLISECOND)
    pair.client.path_is_narrow(1400, pair.now)
    pair.run(SECOND)
    assert pair.sent("client")[HANDSHAKE + 3 :] == [
        "A 1:1361 ack 1",
        "A 1361:2721 ack 1",
        "PA 2721:4001 ack 1",
    ]
    assert pair.client.tcb.cwnd.cwnd >= 10


def test_a_narrow_path_reported_during_a_write_is_met_after_it() -> None:
    """While the program's call is under way, the connection is its own: until this instant is over."""
    pair = TcpPair(PLAIN, fate=lose(*data(1, 2, 3)))
    pair.connect()
    pair.run(MILLISECOND)
    pair.write("client", bytes(4000))
    before = len(pair.trace)
    pair.client.path_is_narrow(1400, pair.now)
    assert pair.client.take_segments() == []
    pair.clear()
    pair._wake("client", pair.client.next_deadline or pair.now)
    pair.run(MILLISECOND)
    assert before > 0
    assert pair.sent("client")[0] == "A 1:1361 ack 1"
