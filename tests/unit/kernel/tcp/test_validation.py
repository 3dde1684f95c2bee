# SPDX-License-Identifier: GPL-2.0-only
"""Segments that do not fit into an established connection; compared with Linux 6.18."""

from __future__ import annotations

import errno

import pytest

from emu.kernel.drops import DropReason
from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.states import State
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.tcp_pair import LATENCY, TcpPair
from emu.wire.tcp import ACK, FIN, PSH, RST, SYN, TcpOptions


def server_alone(config: TcpConfig | None = None) -> TcpPair:
    """Return a pair whose server has read `GET` and hears only what is injected; its own is lost."""
    passed = iter([(LATENCY,), (LATENCY,)])
    pair = TcpPair(config, fate=lambda sent: next(passed, ()) if sent.side == "server" else (LATENCY,))
    pair.connect()
    pair.write("client", b"GET")
    pair.run(SECOND)
    pair.read("server")
    pair.clear()
    return pair


@pytest.mark.parametrize(
    ("segment", "reason", "answers"),
    [
        pytest.param(Segment(RST, 5, 0, 0), DropReason.TCP_RESET, 1, id="a RST inside the window"),
        pytest.param(Segment(RST, -6, 0, 0), DropReason.TCP_OLD_SEQUENCE, 0, id="a RST from before"),
        pytest.param(Segment(RST, 200_000, 0, 0), DropReason.TCP_INVALID_SEQUENCE, 0, id="a RST from beyond"),
        pytest.param(Segment(SYN, 4, 0, 0), DropReason.TCP_INVALID_SYN, 1, id="a SYN inside the window"),
        pytest.param(Segment(SYN, 0, 0, 0), DropReason.TCP_INVALID_SYN, 1, id="the first SYN again"),
        pytest.param(Segment(ACK, 4, -200_000, 500), DropReason.TCP_TOO_OLD_ACK, 1, id="an ACK far too old"),
        pytest.param(
            Segment(ACK, 4, 500, 500), DropReason.TCP_ACK_UNSENT_DATA, 1, id="an ACK of nothing sent"
        ),
        pytest.param(Segment(0, 4, 0, 500), DropReason.TCP_FLAGS, 0, id="no flags"),
        pytest.param(Segment(PSH, 4, 0, 500, payload=b"x"), DropReason.TCP_FLAGS, 0, id="data without ACK"),
        pytest.param(Segment(FIN, 4, 0, 500), DropReason.TCP_FLAGS, 0, id="FIN without ACK"),
        pytest.param(Segment(ACK, 100_004, 1, 500), DropReason.TCP_INVALID_SEQUENCE, 1, id="from beyond"),
        pytest.param(Segment(ACK, 0, 1, 500), DropReason.TCP_OLD_SEQUENCE, 1, id="a keepalive probe"),
    ],
)
def test_what_does_not_fit_is_dropped(segment: Segment, reason: DropReason | None, answers: int) -> None:
    """It changes nothing; some of it is answered by an ACK that says where we are (RFC 5961)."""
    pair = server_alone()
    pair.inject("client", segment._replace(seq=segment.seq & 0xFFFFFFFF, ack=segment.ack & 0xFFFFFFFF))
    assert pair.drops == ([] if reason is None else [reason])
    assert pair.sent("server") == ["A 1 ack 4"] * answers
    assert pair.server.state is State.ESTABLISHED


def test_a_rst_with_the_next_number_resets() -> None:
    """Exactly the number we expect: only who sees the connection knows it."""
    pair = server_alone()
    pair.inject("client", Segment(RST, 4, 0, 0))
    assert pair.server.take_error() == errno.ECONNRESET
    assert pair.server.state is State.CLOSED


def test_a_rst_at_the_end_of_what_was_sacked_resets_too() -> None:
    """The peer's next number may be beyond a gap."""
    pair = server_alone()
    pair.inject("client", Segment(ACK, 10, 1, 500, payload=b"gap"))
    pair.inject("client", Segment(RST, 13, 0, 0))
    assert pair.server.state is State.CLOSED


def test_a_rst_with_the_number_of_the_fin_before_it_resets() -> None:
    """As some stacks send it after their FIN."""
    pair = server_alone()
    pair.inject("client", Segment(FIN | ACK, 4, 1, 500))
    pair.inject("client", Segment(RST, 4, 0, 0))
    assert pair.server.state is State.CLOSED


def test_challenges_are_limited_to_one_in_half_a_second() -> None:
    """tcp_invalid_ratelimit, so that two confused peers do not answer each other for ever."""
    pair = server_alone()
    for _ in range(5):
        pair.inject("client", Segment(SYN, 4, 0, 0))
        pair.run(110 * MILLISECOND)
    assert len(pair.sent("server")) == 1
    pair.run(SECOND)
    pair.inject("client", Segment(SYN, 4, 0, 0))
    assert len(pair.sent("server")) == 2


def test_data_is_always_answered() -> None:
    """The limit is for segments without data."""
    pair = server_alone()
    for _ in range(3):
        pair.inject("client", Segment(ACK | PSH, 1, 1, 500, payload=b"GE"))
    assert pair.sent("server") == ["A 1 ack 4 sack 1-3"] * 3


def test_an_old_timestamp_is_refused() -> None:
    """PAWS: the segment is a duplicate from long ago (RFC 7323 §5)."""
    pair = server_alone(TcpConfig())
    recent = pair.server.tcb.stamps.recent
    old = TcpOptions(timestamps=(recent - 10, 0))
    pair.inject("client", Segment(ACK | PSH, 4, 1, 500, old, b"old"))
    assert pair.drops == [DropReason.TCP_RFC7323_PAWS]
    assert pair.sent("server") == ["A 1 ack 4"]
    pair.inject("client", Segment(ACK | PSH, 4, 1, 500, TcpOptions(timestamps=(recent, 0)), b"new"))
    assert pair.read("server") == b"new"


def test_a_rst_needs_no_timestamp() -> None:
    """PAWS does not protect from the end of a connection (RFC 7323 §5.2)."""
    pair = server_alone(TcpConfig())
    old = TcpOptions(timestamps=(pair.server.tcb.stamps.recent - 10, 0))
    pair.inject("client", Segment(RST, 4, 0, 0, old))
    assert pair.server.state is State.CLOSED


def test_a_harmless_duplicate_ack_with_an_old_timestamp_passes() -> None:
    """It changes nothing but may tell of a loss."""
    pair = server_alone(TcpConfig())
    snd, recent = pair.server.tcb.snd, pair.server.tcb.stamps.recent
    again = Segment(ACK, 4, 1, snd.wnd >> snd.scale, TcpOptions(timestamps=(recent, 0)))
    pair.inject("client", again)
    old = TcpOptions(timestamps=(pair.server.tcb.stamps.recent - 10, 0))
    pair.inject("client", again._replace(options=old))
    assert pair.drops == []
