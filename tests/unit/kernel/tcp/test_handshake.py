# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.handshake import Handshake, Step, advertised_mss, is_request
from emu.kernel.tcp.segment import Segment
from emu.sim.time import MILLISECOND, SECOND, START, later
from emu.wire.tcp import ACK, CWR, ECE, FIN, RST, SYN, TcpOptions

REQUEST = Segment(SYN, 5000, 0, 8192)


def handshake(syn: Segment = REQUEST, config: TcpConfig | None = None, *, ect: bool = False) -> Handshake:
    """Return a handshake that has answered `syn` with sequence number 100."""
    return Handshake(config or TcpConfig(timestamps=False), syn, iss=100, mtu=1500, now=START, ect=ect)


def test_it_begins_with_a_syn_ack() -> None:
    """The answer acknowledges the SYN and has the listener's own number."""
    made = handshake()
    assert made.outbox == [Segment(SYN | ACK, 100, 5001, 64240, TcpOptions(mss=1460))]


def test_the_right_ack_completes_it() -> None:
    """An ACK of our SYN with the next number is all it takes."""
    assert handshake().receive(Segment(ACK, 5001, 101, 500), START) is Step.DONE


def test_an_ack_of_something_else_is_strange() -> None:
    """It is answered as if there were no handshake, and the handshake goes on."""
    assert handshake().receive(Segment(ACK, 5001, 77, 500), START) is Step.STRANGE


def test_the_same_syn_again_gets_the_same_answer_but_not_too_often() -> None:
    """A repeated SYN is answered once in tcp_invalid_ratelimit."""
    made = handshake()
    for instant in (10, 20, 600):
        assert made.receive(REQUEST, later(START, instant * MILLISECOND)) is Step.WAIT
    assert [segment.flags for segment in made.outbox] == [SYN | ACK] * 3


def test_another_syn_inside_the_window_is_reset() -> None:
    """The peer has forgotten the first one (RFC 9293 §3.10.7.4)."""
    assert handshake().receive(Segment(SYN, 5100, 0, 500), START) is Step.RESET


def test_another_syn_outside_the_window_is_acknowledged() -> None:
    """An ACK tells a half-open peer where we are."""
    made = handshake()
    assert made.receive(Segment(SYN, 900_000_000, 0, 500), START) is Step.WAIT
    assert made.outbox[-1].flags == ACK
    assert (made.outbox[-1].seq, made.outbox[-1].ack) == (101, 5001)


def test_a_rst_with_the_next_number_ends_it() -> None:
    """Nothing is left, and nothing answered."""
    assert handshake().receive(Segment(RST, 5001, 0, 0), START) is Step.OVER


def test_a_rst_elsewhere_in_the_window_is_challenged() -> None:
    """An ACK asks whether it was meant (RFC 5961 §3.2)."""
    made = handshake()
    assert made.receive(Segment(RST, 5002, 0, 0), START) is Step.WAIT
    assert made.outbox[-1].flags == ACK


@pytest.mark.parametrize("seq", [4000, 900_000_000])
def test_a_rst_outside_the_window_is_ignored(seq: int) -> None:
    """Who does not know the numbers cannot end a handshake."""
    made = handshake()
    assert made.receive(Segment(RST, seq, 0, 0), START) is Step.WAIT
    assert len(made.outbox) == 1


def test_data_without_ack_is_ignored() -> None:
    """Every segment but the first SYN and RST has ACK."""
    assert handshake().receive(Segment(0, 5001, 0, 500, payload=b"x"), START) is Step.WAIT


def test_an_old_timestamp_is_acknowledged_only() -> None:
    """PAWS holds during the handshake too (RFC 7323 §5)."""
    syn = REQUEST._replace(options=TcpOptions(timestamps=(1000, 0)))
    made = handshake(syn, TcpConfig())
    late = Segment(ACK, 5001, 101, 500, TcpOptions(timestamps=(999, 0)))
    assert made.receive(late, START) is Step.WAIT
    assert made.outbox[-1].flags == ACK


def test_it_agrees_to_ecn_when_asked() -> None:
    """With tcp_ecn 2, the default, a SYN with ECE and CWR is answered with ECE."""
    asking = REQUEST._replace(flags=SYN | ECE | CWR)
    assert handshake(asking).outbox[0].flags == SYN | ACK | ECE
    assert handshake(asking, ect=True).outbox[0].flags == SYN | ACK
    assert handshake(asking, TcpConfig(ecn=False)).outbox[0].flags == SYN | ACK


def test_it_is_given_up_after_the_configured_retries() -> None:
    """tcp_synack_retries 1: one repetition, and the end when that stays unanswered."""
    made = handshake(config=TcpConfig(synack_retries=1))
    assert 1 * SECOND <= made.deadline <= 1.1 * SECOND
    assert made.timeout(made.deadline)
    assert not made.timeout(made.deadline)
    assert len(made.outbox) == 2


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (SYN, True),
        (SYN | ACK, False),
        (SYN | RST, False),
        (SYN | FIN, False),
        (ACK, False),
        (SYN | ECE, True),
    ],
)
def test_a_request_is_a_syn_without_ack_rst_and_fin(flags: int, *, expected: bool) -> None:
    """What else comes to a listener begins no connection."""
    assert is_request(Segment(flags, 0, 0, 0)) is expected


@pytest.mark.parametrize(("mtu", "mss"), [(1500, 1460), (65536, 65495), (100, 256)])
def test_the_advertised_mss_is_the_mtu_less_headers_within_bounds(mtu: int, mss: int) -> None:
    """At least 256 (min_adv_mss), at most what an IP packet holds."""
    assert advertised_mss(mtu) == mss
