# SPDX-License-Identifier: GPL-2.0-only
"""Black holes, counted from attempts."""

from __future__ import annotations

from emu.cluster.timeline.traffic import Attempt
from emu.cluster.timeline.windows import summary, windows
from emu.sim.time import SECOND, Instant

END = Instant(100 * SECOND)


def attempts(outcomes: str) -> list[Attempt]:
    """Return an attempt a second: `.` went well, `t` timed out, `r` was reset."""
    words = {".": "ok", "t": "timeout", "r": "reset"}
    made = []
    for number, letter in enumerate(outcomes, 1):
        sent = Instant(number * SECOND)
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
