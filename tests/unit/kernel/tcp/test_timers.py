# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.tcp.timers import JIFFY, Purpose, Timers, expiry, round_up
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, Duration, Instant, later

INSTANTS = st.integers(0, 1 << 50).map(Instant)
DELAYS = st.integers(0, 120 * SECOND)


@pytest.mark.parametrize(
    ("delay", "fires"),
    [
        (0, 4 * MILLISECOND),
        (1, 8 * MILLISECOND),
        (40 * MILLISECOND, 44 * MILLISECOND),
        (200 * MILLISECOND, 204 * MILLISECOND),
        (251 * MILLISECOND, 256 * MILLISECOND),
        (252 * MILLISECOND, 256 * MILLISECOND),
        (SECOND, 1024 * MILLISECOND),
        (2 * SECOND, 2016 * MILLISECOND),
        (16 * SECOND, 16128 * MILLISECOND),
    ],
)
def test_the_wheel_puts_a_timer_off_to_the_next_slot_of_its_level(delay: Duration, fires: Instant) -> None:
    """63 slots of a jiffy, then of eight, of sixty-four and so on, as counted on Linux."""
    assert expiry(Instant(0), delay) == fires


@given(INSTANTS, DELAYS)
def test_a_timer_never_fires_early_and_at_most_an_eighth_late(now: Instant, delay: Duration) -> None:
    """But for the jiffy that is under way, which counts as a whole one."""
    late = expiry(now, delay) - now - delay
    assert -JIFFY < late <= delay // 7 + 2 * JIFFY


@given(INSTANTS, DELAYS, DELAYS)
def test_a_longer_delay_never_fires_before_a_shorter_one(now: Instant, a: Duration, b: Duration) -> None:
    """The levels of the wheel do not overtake each other."""
    shorter, longer = sorted((a, b))
    assert expiry(now, shorter) <= expiry(now, longer)


@given(DELAYS)
def test_rounding_up_gives_whole_jiffies(delay: Duration) -> None:
    """Not less than was asked for, and less than a jiffy more."""
    assert round_up(delay) % JIFFY == 0
    assert 0 <= round_up(delay) - delay < JIFFY


def test_the_earliest_deadline_is_next() -> None:
    """Of all the timers that are set."""
    timers, now = Timers(), Instant(0)
    timers.set_send(Purpose.RETRANSMIT, now, SECOND)
    assert timers.next == timers.send_at
    timers.set_ack(now, later(now, 40 * MILLISECOND))
    assert timers.next == timers.ack_at == 44 * MILLISECOND
    timers.compressed_ack_at = Instant(300 * MICROSECOND)
    assert timers.next == timers.compressed_ack_at
    timers.stop_acks()
    assert timers.next == timers.send_at
    timers.keepalive_at = Instant(500 * MILLISECOND)
    assert timers.next == timers.keepalive_at
    timers.stop_send()
    assert timers.purpose is None
    timers.stop_all()
    assert timers.next is None


def test_no_timer_is_set_at_first() -> None:
    """There is nothing to wait for."""
    assert Timers().next is None
