# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu.kernel.tcp.congestion import INFINITE, Algorithm, Cubic, Reno, Window, algorithm
from emu.sim.time import MILLISECOND, SECOND, START, Instant, later

RTT = 100 * MILLISECOND


def loss(window: Window, control: Algorithm, now: Instant) -> None:
    """Shrink `window` as a loss does."""
    window.ssthresh = control.ssthresh(window)
    window.set(window.ssthresh, now)


def trips(window: Window, control: Algorithm, count: int, now: Instant = START) -> list[int]:
    """Return the window after each of `count` round trips in which all of it was acknowledged."""
    sizes = []
    for _ in range(count):
        now = later(now, RTT)
        for _ in range(window.cwnd):
            control.acked(window, 1, now, RTT)
        sizes.append(window.cwnd)
    return sizes


@pytest.mark.parametrize("control", [Reno(), Cubic()])
def test_slow_start_doubles_the_window_each_round_trip(control: Algorithm) -> None:
    """From ten segments."""
    assert trips(Window(), control, 4) == [20, 40, 80, 160]


@pytest.mark.parametrize("control", [Reno(), Cubic()])
def test_slow_start_ends_at_the_threshold(control: Algorithm) -> None:
    """What is left of the acknowledged segments counts for what comes after."""
    window = Window()
    window.ssthresh = 15
    assert window.in_slow_start
    control.acked(window, 8, START, RTT)
    assert window.cwnd == 15
    assert not window.in_slow_start


def test_reno_grows_by_one_segment_a_round_trip() -> None:
    """Once it is out of slow start, at half the window of the loss."""
    window, control = Window(), Reno()
    window.set(20, START)
    loss(window, control, START)
    assert window.cwnd == 10
    assert trips(window, control, 5) == [11, 12, 13, 14, 15]


def test_reno_never_takes_a_loss_for_less_than_two_segments() -> None:
    """Also not from a window of one."""
    window = Window()
    window.set(1, START)
    assert Reno().ssthresh(window) == 2
    assert Cubic().ssthresh(window) == 2


def test_cubic_falls_to_seven_tenths_and_comes_back_on_its_curve() -> None:
    """Steep at first, flat near the old window, steep again beyond."""
    window, control = Window(), Cubic()
    window.set(1000, START)
    loss(window, control, START)
    assert window.cwnd == 700
    sizes = trips(window, control, 130)
    back = next(number for number, size in enumerate(sizes) if size >= 1000)
    assert 70 < back < 90  # of 100 ms; the curve is flat about the cube root of 300 / 0.4, 9.1 s
    assert sizes[9] - 700 > 3 * (sizes[back] - sizes[back - 10])
    assert sizes[129] - sizes[119] > 2 * (sizes[back + 10] - sizes[back])


def test_cubic_makes_room_for_others_after_a_second_loss() -> None:
    """Fast convergence: a loss below the last one lowers the mark further."""
    slow, control = Window(), Cubic()
    slow.set(1000, START)
    loss(slow, control, START)
    loss(slow, control, START)
    again = trips(slow, control, 200)
    fresh, other = Window(), Cubic()
    fresh.set(700, START)
    loss(fresh, other, START)
    assert again[60] < trips(fresh, other, 200)[60]


def test_cubic_is_no_slower_than_reno_in_small_windows() -> None:
    """The TCP-friendly region of RFC 9438 §4.3: 0.53 segments a round trip, after 0.7 of the window."""
    window, control = Window(), Cubic()
    window.set(10, START)
    loss(window, control, START)
    assert trips(window, control, 20)[-1] == 7 + 9


def test_cubic_forgets_its_curve_at_a_timeout() -> None:
    """And begins a new one at the window of then."""
    window, control = Window(), Cubic()
    window.set(100, START)
    loss(window, control, START)
    trips(window, control, 10)
    control.lost()
    window.ssthresh = window.cwnd
    before = window.cwnd
    assert before < trips(window, control, 3, Instant(9 * SECOND))[-1] < before + 20


@pytest.mark.parametrize(
    ("cwnd", "ssthresh", "out", "limited", "grows"),
    [
        (10, INFINITE, 5, False, False),
        (10, INFINITE, 6, False, True),
        (10, 5, 6, False, False),
        (10, 5, 10, True, True),
    ],
)
def test_a_window_grows_only_if_it_is_used(
    cwnd: int, ssthresh: int, out: int, *, limited: bool, grows: bool
) -> None:
    """The sender has to be held back by it, or in slow start to have used half of it."""
    window = Window()
    window.set(cwnd, START)
    window.ssthresh = ssthresh
    window.validate(limited=limited, una=0, nxt=out, out=out, now=START, rto=SECOND)
    assert window.may_grow == grows


def test_an_unused_window_decays_by_half_of_the_unused_part() -> None:
    """Each RTO (RFC 2861)."""
    window = Window()
    window.set(50, START)
    window.ssthresh = 20
    window.validate(limited=False, una=0, nxt=5, out=4, now=Instant(SECOND), rto=SECOND)
    assert (window.cwnd, window.ssthresh) == (30, 37)
    window.validate(limited=False, una=5, nxt=9, out=4, now=Instant(SECOND + 1), rto=SECOND)
    assert window.cwnd == 30


def test_silence_halves_the_window_each_timeout() -> None:
    """Down to the initial one, and the threshold remembers."""
    window = Window()
    window.set(64, START)
    window.restart_after_idle(SECOND, SECOND, START)
    assert window.cwnd == 64
    window.restart_after_idle(SECOND * 5 // 2, SECOND, START)
    assert (window.cwnd, window.ssthresh) == (16, INFINITE)
    window.restart_after_idle(100 * SECOND, SECOND, START)
    assert window.cwnd == 10


def test_the_algorithm_goes_by_name_and_anything_unknown_is_cubic() -> None:
    """As `tcp_congestion_control` names it."""
    assert isinstance(algorithm("reno"), Reno)
    assert isinstance(algorithm("cubic"), Cubic)
    assert isinstance(algorithm("bbr"), Cubic)
