# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import attrs
import pytest

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.states import State
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.tcp_pair import TcpPair
from emu.wire.tcp import ACK, FIN, PSH, RST, SYN, TcpOptions

PLAIN = TcpConfig(timestamps=False)
REFUSAL = "RA 256 ack 2"  # its sequence number is a plain 0; the text counts from the initial one


def waiting(state: State, config: TcpConfig = PLAIN) -> TcpPair:
    """Return a pair whose client is an orphan in `state`; what it sends is lost from then on."""
    silent = False

    def fate(_: object) -> tuple[int, ...]:
        return () if silent else (100_000,)

    pair = TcpPair(config, fate=fate)
    pair.connect()
    pair.write("client", b"GET")
    pair.run(100 * MILLISECOND)
    pair.read("server")
    pair.close("client")
    pair.run(100 * MILLISECOND)
    if state is State.TIME_WAIT:
        pair.close("server")
        pair.run(100 * MILLISECOND)
    assert pair.client.state is state
    silent = True
    pair.clear()
    return pair


@pytest.mark.parametrize(
    ("segment", "answer", "state"),
    [
        pytest.param(Segment(ACK, 2, 5, 500), [], State.TIME_WAIT, id="the last ACK again"),
        pytest.param(Segment(ACK | FIN, 1, 5, 500), ["A 5 ack 2"], State.TIME_WAIT, id="the FIN again"),
        pytest.param(Segment(ACK | PSH, 2, 5, 500, payload=b"x"), ["A 5 ack 2"], State.TIME_WAIT, id="data"),
        pytest.param(Segment(SYN, 1, 0, 500), ["A 5 ack 2"], State.TIME_WAIT, id="an old SYN"),
        pytest.param(Segment(RST, 7, 0, 500), [], State.TIME_WAIT, id="a RST elsewhere"),
        pytest.param(Segment(RST, 2, 0, 500), [], State.CLOSED, id="a RST with the next number"),
    ],
)
def test_time_wait_answers_what_is_late(segment: Segment, answer: list[str], state: State) -> None:
    """With the ACK that its peer may have missed."""
    pair = waiting(State.TIME_WAIT)
    pair.inject("server", segment)
    assert pair.sent("client") == answer
    assert pair.client.state is state


def test_a_new_syn_may_take_the_place_of_time_wait() -> None:
    """RFC 1122 §4.2.2.13: if its number is higher than all of the old connection's."""
    pair = waiting(State.TIME_WAIT)
    pair.inject("server", Segment(SYN, 5000, 0, 500))
    assert pair.client.reopen is not None
    assert pair.sent("client") == []
    pair.client.decline_reopening(pair.now)
    pair._flush("client")
    assert pair.sent("client") == ["A 5 ack 2"]


def test_with_tcp_rfc1337_a_rst_does_not_end_time_wait() -> None:
    """RFC 1337: the hazards of TIME-WAIT assassination."""
    pair = waiting(State.TIME_WAIT, attrs.evolve(PLAIN, rfc1337=True))
    pair.inject("server", Segment(RST, 2, 0, 500))
    assert pair.client.state is State.TIME_WAIT


def test_what_comes_late_makes_time_wait_begin_anew() -> None:
    """A minute from the last FIN that was answered."""
    pair = waiting(State.TIME_WAIT)
    pair.run(50 * SECOND)
    pair.inject("server", Segment(ACK | FIN, 1, 5, 500))
    pair.run(50 * SECOND)
    assert pair.client.state is State.TIME_WAIT
    pair.run(20 * SECOND)
    assert pair.client.is_gone


def test_acks_without_data_are_answered_once_in_half_a_second() -> None:
    """tcp_invalid_ratelimit."""
    pair = waiting(State.TIME_WAIT)
    for _ in range(4):
        pair.inject("server", Segment(ACK, 0, 5, 500))
    assert pair.sent("client") == ["A 5 ack 2"]


@pytest.mark.parametrize(
    ("segment", "answer", "state"),
    [
        pytest.param(Segment(ACK | FIN, 1, 5, 500), ["A 5 ack 2"], State.TIME_WAIT, id="the FIN"),
        pytest.param(Segment(ACK | PSH, 1, 5, 500, payload=b"x"), ["R 5"], State.CLOSED, id="data"),
        pytest.param(
            Segment(ACK | PSH | FIN, 1, 5, 500, payload=b"x"), ["R 5"], State.CLOSED, id="data with FIN"
        ),
        pytest.param(Segment(SYN, 1, 0, 500), [REFUSAL], State.CLOSED, id="a SYN"),
        pytest.param(Segment(RST, 1, 0, 500), [], State.CLOSED, id="a RST"),
        pytest.param(Segment(ACK, 1, 5, 500), [], State.FIN_WAIT_2, id="an ACK"),
        pytest.param(Segment(ACK, 900_000, 5, 500), ["A 5 ack 1"], State.FIN_WAIT_2, id="from beyond"),
    ],
)
def test_an_orphan_in_fin_wait_2_takes_a_fin_and_nothing_else(
    segment: Segment, answer: list[str], state: State
) -> None:
    """Data for a program that is gone is answered by RST."""
    pair = waiting(State.FIN_WAIT_2)
    pair.inject("server", segment)
    assert pair.sent("client") == answer
    assert pair.client.state is state


def test_timestamps_are_checked_and_answered_in_time_wait_too() -> None:
    """PAWS keeps a new SYN with an old timestamp out."""
    pair = waiting(State.TIME_WAIT, TcpConfig())
    pair.inject("server", Segment(SYN, 5000, 0, 500, TcpOptions(timestamps=(1, 0))))
    assert pair.client.reopen is None
    assert pair.sent("client") == ["A 5 ack 2"]
    assert pair.trace[0].segment.options.timestamps is not None
