# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.rtt import RoundTrip
from emu.kernel.tcp.timers import JIFFY
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, Duration


def measured(*samples: Duration) -> RoundTrip:
    """Return an estimator that has taken `samples`, one a round trip."""
    rtt = RoundTrip(TcpConfig())
    for number, sample in enumerate(samples):
        rtt.sample(sample, sample, una=10 * number, nxt=10 * number + 5)
    return rtt


def test_without_a_measurement_the_timeout_is_a_second() -> None:
    """RFC 6298 §2.1."""
    rtt = measured()
    assert (rtt.rto, rtt.smoothed, rtt.least) == (SECOND, 0, None)


def test_the_deviation_is_never_taken_for_less_than_200_ms() -> None:
    """So the least timeout is 200 ms and the round-trip time, in whole jiffies."""
    assert measured(100 * MICROSECOND).rto == 204 * MILLISECOND
    assert measured(10 * MILLISECOND).rto == 212 * MILLISECOND


def test_the_first_measurement_counts_wholly_and_later_ones_an_eighth() -> None:
    """RFC 6298 §2.2, §2.3."""
    assert measured(80 * MILLISECOND).smoothed == 80 * MILLISECOND
    rtt = measured(80 * MILLISECOND, 160 * MILLISECOND)
    assert rtt.smoothed == 90 * MILLISECOND
    assert rtt.least == 80 * MILLISECOND // MICROSECOND


def test_a_wild_round_trip_time_widens_the_timeout_and_a_calm_one_narrows_it() -> None:
    """By the mean deviation of the last round trips."""
    wild = measured(*([100 * MILLISECOND, 400 * MILLISECOND] * 5))
    assert wild.rto > 600 * MILLISECOND
    calm = measured(*([100 * MILLISECOND, 400 * MILLISECOND] * 5), *([100 * MILLISECOND] * 60))
    assert calm.rto < 320 * MILLISECOND


def test_a_timeout_is_doubled_up_to_two_minutes() -> None:
    """Until something new is measured."""
    rtt = measured(1 * MILLISECOND)
    timeouts = []
    for _ in range(12):
        timeouts.append(rtt.rto // MILLISECOND)
        rtt.back_off()
    assert timeouts == [204, 408, 816, 1632, 3264, 6528, 13056, 26112, 52224, 104448, 120000, 120000]
    rtt.sample(MILLISECOND, MILLISECOND, 100, 110)
    assert (rtt.rto, rtt.backoff) == (204 * MILLISECOND, 0)


def test_a_doubling_can_be_taken_back() -> None:
    """RFC 6069: the route was away, not the peer."""
    rtt = measured(1 * MILLISECOND)
    rtt.undo_back_off()
    assert rtt.backoff == 0
    rtt.back_off()
    rtt.back_off()
    rtt.undo_back_off()
    assert (rtt.rto, rtt.backoff) == (408 * MILLISECOND, 1)
    silent = measured()
    silent.back_off()
    silent.undo_back_off()
    assert silent.rto == SECOND


def test_a_handshake_that_measured_nothing_gives_three_seconds() -> None:
    """RFC 6298 §5.7."""
    rtt = measured()
    rtt.handshake_gave_nothing()
    assert rtt.rto == 3 * SECOND


@given(st.lists(st.integers(0, 200 * SECOND), min_size=1, max_size=50))
def test_the_timeout_stays_within_its_bounds_whatever_is_measured(samples: list[Duration]) -> None:
    """And in whole jiffies."""
    rtt = measured(*samples)
    assert 200 * MILLISECOND <= rtt.rto <= 120 * SECOND
    assert rtt.rto % JIFFY == 0
    assert min(samples) // MICROSECOND == rtt.least
