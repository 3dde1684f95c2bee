# SPDX-License-Identifier: GPL-2.0-only
"""Black holes and outages, counted from attempts."""

from __future__ import annotations

import random

import pytest

from emu.cluster.timeline.traffic import Attempt
from emu.cluster.timeline.windows import outages, summary, windows
from emu.sim.time import MILLISECOND, SECOND, Duration, Instant

END = Instant(100 * SECOND)


def attempts(outcomes: str, every: Duration = SECOND) -> list[Attempt]:
    """Return an attempt a second: `.` went well, `t` timed out, `r` was reset."""
    words = {".": "ok", "t": "timeout", "r": "reset"}
    made = []
    for number, letter in enumerate(outcomes, 1):
        sent = Instant(number * every)
        made.append(
            Attempt(number, sent, Instant(sent + 1), words[letter], number, f"default/web-{number % 2}", 3)
        )
        if letter != ".":
            made[-1].drops = {("NO_ROUTE", "node/a"): 3}
    return made


def test_who_always_gets_an_answer_has_no_window() -> None:
    """Nothing failed."""
    assert windows(attempts("...."), END) == []


def test_a_window_lasts_from_the_first_failure_to_the_next_success() -> None:
    """Measured at the instants at which attempts began."""
    (window,) = windows(attempts(".ttr."), END)
    assert (window.begin, window.end, window.is_open) == (2 * SECOND, 5 * SECOND, False)
    assert (window.lost, window.packets) == (3, 9)
    assert window.outcomes == {"reset": 1, "timeout": 2}
    assert window.drops == {("NO_ROUTE", "node/a"): 9}


def test_each_success_begins_anew() -> None:
    """Every second request that fails makes many short windows, not a long one."""
    found = windows(attempts(".t.t.t."), END)
    assert [each.duration for each in found] == [SECOND] * 3


def test_what_never_ends_lasts_to_the_end() -> None:
    """A window without a later success is open."""
    (window,) = windows(attempts(".tt"), END)
    assert (window.is_open, window.end, window.duration) == (True, END, 98 * SECOND)


def test_a_summary_counts_what_went_well_and_where() -> None:
    """Failures, resets and places, and the longest window."""
    found = summary(attempts("..r.."), 5, END)
    assert (found.sent, found.answered, found.lost, found.resets, found.connections) == (5, 4, 1, 1, 5)
    assert found.servers == {"default/web-0": 2, "default/web-1": 2}
    assert found.longest == SECOND


class TestOutages:
    """What was lost with less than 30 s, or less than 10 attempts, between is one outage."""

    def test_who_always_gets_an_answer_has_none(self) -> None:
        """Nothing failed."""
        assert outages(attempts("...."), END) == []

    def test_every_second_request_that_fails_is_one_outage(self) -> None:
        """Of many black holes: it lasts from the first failure to the success behind the last one."""
        found = summary(attempts("..." + "t." * 250 + "...", every=100 * MILLISECOND), 1, END)
        (outage,) = found.outages
        assert (outage.window.begin, outage.window.end) == (400 * MILLISECOND, 50_300 * MILLISECOND)
        assert (outage.window.lost, outage.sent, len(outage.blackholes)) == (250, 499, 250)
        assert not outage.is_blackhole
        assert outage.window.packets == 750
        assert found.longest == 100 * MILLISECOND
        assert found.longest_outage == outage.duration == 49_900 * MILLISECOND

    def test_a_time_in_which_all_is_lost_is_one_outage_and_one_black_hole(self) -> None:
        """Of the same length."""
        made = attempts(".ttrt.")
        (outage,) = outages(made, END)
        assert outage.is_blackhole
        assert [outage.window] == list(outage.blackholes) == windows(made, END)

    @pytest.mark.parametrize("outcomes", [".t..", "..t"])
    def test_a_single_request_that_is_lost_is_an_outage(self, outcomes: str) -> None:
        """Until the next one, or the end."""
        (outage,) = outages(attempts(outcomes), Instant(4 * SECOND))
        assert (outage.window.lost, outage.sent, outage.duration) == (1, 1, SECOND)

    @pytest.mark.parametrize(
        ("every", "well", "count"),
        [
            (SECOND, 29, 1),  # 29 s from the success that would be its end to the next failure
            (SECOND, 30, 2),
            (100 * MILLISECOND, 299, 1),
            (100 * MILLISECOND, 300, 2),
            (10 * SECOND, 9, 1),  # nine are too few, whatever time they take
            (10 * SECOND, 10, 2),
            (600 * SECOND, 9, 1),
        ],
    )
    def test_an_outage_is_over_after_thirty_seconds_and_ten_attempts(
        self, every: Duration, well: int, count: int
    ) -> None:
        """Both, for those who ask often and for those who seldom do."""
        found = outages(attempts(".tt" + "." * well + "t.", every), END)
        assert len(found) == count
        assert sum(each.window.lost for each in found) == 3

    def test_losses_that_are_rare_are_outages_of_their_own(self) -> None:
        """One of a hundred, asked once a second; asked a hundred times a second they are one outage."""
        numbers = random.Random(1)
        outcomes = "".join("t" if numbers.random() < 0.01 else "." for _ in range(3000))
        lost = outcomes.count("t")
        assert len(outages(attempts(outcomes), END)) > lost / 2 > 10
        assert len(outages(attempts(outcomes, SECOND // 100), END)) == 1

    def test_what_never_ends_lasts_to_the_end(self) -> None:
        """It is open only where the last failure had no success behind it."""
        (outage,) = outages(attempts(".t.t.tt"), END)
        assert (outage.window.is_open, outage.window.end) == (True, END)
        (over,) = outages(attempts(".t.t."), END)
        assert (over.window.is_open, over.window.end) == (False, 5 * SECOND)

    def test_connections_that_ask_at_once_do_not_end_an_outage_of_one_of_them(self) -> None:
        """It ends with what is asked later."""
        made = attempts("t...")
        for each in made[1:3]:
            each.sent = made[0].sent
        (outage,) = outages(made, END)
        assert outage.duration == 3 * SECOND
        assert windows(made, END)[0].duration == 0
