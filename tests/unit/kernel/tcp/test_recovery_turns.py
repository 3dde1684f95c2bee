# SPDX-License-Identifier: GPL-2.0-only
"""Turns that loss recovery takes: it was needless, the peer changes its mind, nobody answers any more."""

from __future__ import annotations

import errno

import attrs

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.congestion import INFINITE
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.states import State
from emu.kernel.tcp.tcb import Phase
from emu.sim.time import MILLISECOND, SECOND, Duration
from emu.testing.tcp_pair import LATENCY, Fate, Sent, TcpPair, lose
from emu.wire.tcp import ACK, TcpOptions

PLAIN = TcpConfig(timestamps=False, congestion_control="reno")
HANDSHAKE = 2  # segments of the client before its first data


def only_the_handshake(sent: Sent) -> tuple[Duration, ...]:
    """Lose all that the server sends after its SYN-ACK."""
    return () if sent.side == "server" and sent.number > 1 else (LATENCY,)


def started(size: int, fate: Fate, config: TcpConfig = PLAIN, **settings: object) -> TcpPair:
    """Have the client begin to send `size` octets to a server that reads."""
    pair = TcpPair(attrs.evolve(config, **settings), fate=fate)  # type: ignore[arg-type]  # fields of TcpConfig
    pair.readers = {"server"}
    pair.connect()
    pair.run(MILLISECOND)
    pair.write("client", bytes(size))
    return pair


def repeated(pair: TcpPair) -> list[str]:
    """Return the client's data segments whose first octet had been sent before."""
    seen: set[int] = set()
    found = []
    for sent, text in zip((s for s in pair.trace if s.side == "client"), pair.sent("client"), strict=True):
        if sent.segment.payload:
            if sent.segment.seq in seen:
                found.append(text)
            seen.add(sent.segment.seq)
    return found


def phase(pair: TcpPair) -> Phase:
    """Return where the client's recovery is."""
    return pair.client.tcb.loss.phase


def is_probed(pair: TcpPair) -> bool:
    """Return whether the client waits to see what its loss probe shows."""
    return pair.client.tcb.loss.probe_end is not None


def sack(ack: int, *blocks: tuple[int, int], window: int = 500) -> Segment:
    """Return an ACK of the server with SACK blocks, their numbers counted from its peer's initial one."""
    first = 0xFFFFFF00
    wrapped = tuple((left + first & 0xFFFFFFFF, right + first & 0xFFFFFFFF) for left, right in blocks)
    return Segment(ACK, 1, ack, window, TcpOptions(sack=wrapped))


# --- it was needless ---


def test_a_recovery_is_undone_when_the_peer_got_everything_twice() -> None:
    """A segment was late, not lost: DSACK tells (RFC 2883), and the window comes back."""

    def one_is_late(sent: Sent) -> tuple[Duration, ...]:
        late = sent.side == "client" and sent.number == HANDSHAKE + 3
        return (3 * MILLISECOND if late else LATENCY,)

    pair = started(14600, one_is_late)
    pair.run(SECOND)
    assert repeated(pair) == ["A 2921:4381 ack 1"]
    assert phase(pair) is Phase.OPEN
    assert pair.client.tcb.cwnd.ssthresh == INFINITE
    assert pair.client.tcb.cwnd.cwnd >= 10


def test_a_path_that_reorders_gets_time_to_do_so() -> None:
    """Once reordering was seen a hole counts as a loss only after a quarter of a round trip (RFC 8985 §6)."""

    def reorder_then_lose(sent: Sent) -> tuple[Duration, ...]:
        number = sent.number - HANDSHAKE
        if (sent.side, number) == ("client", 15):
            return ()
        late = 15_000 if (sent.side, number) == ("client", 3) else 0
        return (8 * MILLISECOND + 10_000 * number + late,)

    pair = started(14600, reorder_then_lose)
    pair.run(SECOND)
    assert pair.client.tcb.loss.reordering_seen
    pair.write("client", bytes(14600))
    begin = pair.now / SECOND
    pair.run(SECOND)
    again = "A 20441:21901 ack 1"
    assert repeated(pair) == [again]
    assert 0.02 < max(pair.instants("client")) - begin < 0.03
    assert pair.client.tcb.loss.total_timeouts == 0
    assert len(pair.received["server"]) == 2 * 14600


def test_a_probe_that_was_needless_costs_nothing() -> None:
    """The peer tells that it came twice."""

    def slow(sent: Sent) -> tuple[Duration, ...]:
        return (250 * MILLISECOND if sent.side == "server" and sent.number == 2 else LATENCY,)

    pair = started(3, slow)
    pair.run(SECOND)
    assert repeated(pair) == ["PA 1:4 ack 1"]
    assert not is_probed(pair)
    assert pair.client.tcb.cwnd.ssthresh == INFINITE


def test_a_probe_that_repaired_a_loss_costs_as_much_as_one() -> None:
    """Or congestion would go unseen (RFC 8985 §7.4)."""
    pair = started(3, lose(("client", HANDSHAKE + 1)))
    pair.run(SECOND)
    assert is_probed(pair)
    pair.write("client", b"more")
    pair.run(SECOND)
    assert not is_probed(pair)
    assert pair.client.tcb.cwnd.ssthresh < INFINITE


def held_back(sent: Sent) -> tuple[Duration, ...]:
    """Let no ACK arrive before half a second is over, then all in order."""
    if sent.side == "client" or sent.number == 1:
        return (LATENCY,)
    return (max(500 * MILLISECOND + 1000 * sent.number - sent.instant, LATENCY),)


def test_a_needless_timeout_is_recognised_without_timestamps() -> None:
    """F-RTO sends new data; ACKs of what was never repeated show that only the ACKs were late (RFC 5682)."""
    pair = started(60000, held_back, early_retrans=0)
    pair.run(10 * SECOND)
    assert repeated(pair) == ["A 1:1461 ack 1"]
    assert pair.client.tcb.loss.total_timeouts == 1
    assert phase(pair) is Phase.OPEN
    assert len(pair.received["server"]) == 60000


def test_without_f_rto_the_same_timeout_repeats_more() -> None:
    """tcp_frto=0."""
    pair = started(60000, held_back, early_retrans=0, frto=False)
    pair.run(10 * SECOND)
    assert len(repeated(pair)) > 1
    assert len(pair.received["server"]) == 60000


def test_reordering_without_sack_raises_the_threshold() -> None:
    """More duplicate ACKs than segments can be missing: it was reordering."""

    def one_is_late(sent: Sent) -> tuple[Duration, ...]:
        late = sent.side == "client" and sent.number == HANDSHAKE + 1
        return (2 * MILLISECOND if late else LATENCY,)

    pair = started(14600, one_is_late, sack=False)
    pair.run(SECOND)
    assert repeated(pair) == ["A 1:1461 ack 1"]
    assert phase(pair) is Phase.RECOVERY  # kept until something new is acknowledged
    pair.write("client", b"new")
    pair.run(SECOND)
    assert phase(pair) is Phase.OPEN
    assert len(pair.received["server"]) == 14603


# --- what SACK says ---


def test_a_peer_may_drop_what_it_had_sacked() -> None:
    """Reneging (RFC 2018 §8): after a short wait everything counts as lost."""
    pair = started(14600, only_the_handshake)
    pair.run(MILLISECOND)
    before = len(pair.sent("client"))
    pair.inject("server", sack(1, (1461, 4381)))
    pair.inject("server", Segment(ACK, 1, 1461, 500))
    assert pair.client.tcb.snd.inflight[0].sacked
    pair.run(50 * MILLISECOND)
    assert pair.sent("client")[before] == "A 1461:2921 ack 1"
    assert 0.01 <= pair.instants("client")[before] - 0.002 < 0.03
    assert not pair.client.tcb.snd.inflight[0].sacked


def test_blocks_that_cannot_be_are_ignored() -> None:
    """Beyond what was sent, inside out, or acknowledged already."""
    pair = started(14600, only_the_handshake)
    pair.run(MILLISECOND)
    pair.inject("server", sack(1461))
    for block in ((14601, 20000), (5000, 4000), (1, 700), (2000, 2000)):
        pair.inject("server", sack(1461, block))
    assert not any(chunk.sacked for chunk in pair.client.tcb.snd.inflight)


def test_a_segment_counts_as_sacked_only_as_a_whole() -> None:
    """A block that covers parts of segments at its ends says nothing of them."""
    pair = started(14600, only_the_handshake)
    pair.run(MILLISECOND)
    pair.inject("server", sack(1, (2000, 7000)))
    sacked = [(chunk.seq, chunk.end) for chunk in pair.client.tcb.snd.inflight if chunk.sacked]
    first = pair.client.tcb.snd.una - 1
    assert {(seq - first, end - first) for seq, end in sacked} <= {(2921, 5841), (2921, 4381), (4381, 5841)}
    assert sum(end - seq for seq, end in sacked) == 2 * 1460


# --- nobody answers any more ---


def test_data_for_a_peer_that_shut_its_window_and_fell_silent_is_given_up_earlier() -> None:
    """After twice the longest timeout, not after tcp_retries2."""
    pair = started(3, only_the_handshake)
    pair.run(MILLISECOND)
    pair.inject("server", Segment(ACK, 1, 1, 0))
    pair.run(230 * SECOND)
    assert pair.client.state is State.ESTABLISHED
    pair.run(200 * SECOND)
    assert pair.client.take_error() == errno.ETIMEDOUT


def test_a_closed_window_is_probed_tcp_retries2_times() -> None:
    """If not even the probes are answered."""
    pair = started(3, only_the_handshake, retries2=3)
    pair.run(MILLISECOND)
    pair.inject("server", Segment(ACK, 1, 4, 0))
    pair.write("client", b"unsent")
    pair.run(100 * SECOND)
    assert pair.sent("client")[HANDSHAKE + 1 :] == ["A 3 ack 1"] * 3
    assert pair.client.take_error() == errno.ETIMEDOUT


def test_an_orphan_probes_a_closed_window_less_often() -> None:
    """tcp_orphan_retries."""
    pair = started(3, only_the_handshake, orphan_retries=2)
    pair.run(MILLISECOND)
    pair.inject("server", Segment(ACK, 1, 4, 0))
    pair.write("client", b"unsent")
    pair.close("client")
    pair.run(100 * SECOND)
    assert pair.sent("client")[HANDSHAKE + 1 :] == ["A 3 ack 1"] * 2
    assert pair.client.is_gone


def test_an_orphan_at_the_longest_timeout_is_given_up_at_once() -> None:
    """If an ICMP error said that there is no way either."""
    pair = started(3, only_the_handshake, rto_max=SECOND, retries2=100)
    pair.close("client")
    pair.run(500 * MILLISECOND)
    una = pair.trace[HANDSHAKE + 1].segment.seq
    pair.client.unreachable(errno.EHOSTUNREACH, una, pair.now, reverts=False)
    pair.run(3 * SECOND)
    assert pair.client.is_gone


def test_keepalive_waits_while_data_is_under_way() -> None:
    """The retransmission timer looks after the peer then."""
    pair = started(3, only_the_handshake, keepalive_time=SECOND)
    pair.client.keep_alive(pair.now, on=True)
    pair.run(10 * SECOND)
    assert set(pair.sent("client")[HANDSHAKE:]) == {"PA 1:4 ack 1"}
    assert pair.client.state is State.ESTABLISHED
