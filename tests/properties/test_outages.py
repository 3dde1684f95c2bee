# SPDX-License-Identifier: GPL-2.0-only
"""Outages and black holes of any attempts; and planted faults are found."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.cluster.timeline import windows as told
from emu.cluster.timeline.traffic import OK, Attempt
from emu.cluster.timeline.windows import CALM, CALM_ATTEMPTS, outages, windows
from emu.sim.time import SECOND, Instant

if TYPE_CHECKING:
    from collections.abc import Sequence


@st.composite
def attempts(draw: st.DrawFn) -> list[Attempt]:
    """Draw attempts in order, alone and in rows, some at one instant; shrinks to none."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from((OK, "timeout")),
                st.integers(1, 12),
                st.sampled_from((0, 1, 3, 4, 30, 60)),
            ),
            max_size=12,
        )
    )
    made: list[Attempt] = []
    now = 0
    for outcome, count, every in rows:
        for _ in range(count):
            now += every * SECOND
            drops = {} if outcome == OK else {("NO_ROUTE", "node/a"): 1}
            made.append(Attempt(len(made) + 1, Instant(now), Instant(now), outcome, drops=drops))
    return made


def check(made: Sequence[Attempt], end: Instant) -> None:
    """Check everything that holds for outages, by looking at each attempt.

    Raises:
        AssertionError: something does not hold.
    """
    found = outages(made, end)
    lost = [each for each in made if not each.is_ok]
    left = iter(lost)
    before: Attempt | None = None
    for outage in found:
        window = outage.window
        inside = [next(left) for _ in range(window.lost)]
        first, last = inside[0], inside[-1]
        assert before is None or is_calm(made, before, first), "it is another one"
        before = last
        assert window.begin == first.sent, "it begins with a loss"
        later = [each.sent for each in made[last.number :] if each.is_ok and each.sent > last.sent]
        assert window.end == (later[0] if later else end), "it ends behind a loss"
        assert window.is_open == (not later)
        assert outage.sent == last.number - first.number + 1
        assert window.packets == window.lost == sum(window.outcomes.values())
        assert sum(each.lost for each in outage.blackholes) == window.lost
        assert all(window.begin <= each.begin <= each.end <= window.end for each in outage.blackholes)
        assert outage.is_blackhole == (len(outage.blackholes) == 1)
        assert not any(is_calm(made, *pair) for pair in pairwise(inside)), "it is one"
    assert next(left, None) is None, "each loss is in one"
    assert [hole for each in found for hole in each.blackholes] == windows(made, end)
    for one, other in pairwise(found):
        assert one.window.end < other.window.begin, "they are apart"


def is_calm(made: Sequence[Attempt], before: Attempt, after: Attempt) -> bool:
    """Return whether two losses that follow each other belong to two outages."""
    well = made[before.number : after.number - 1]
    later = [each.sent for each in well if each.sent > before.sent]
    return len(well) >= CALM_ATTEMPTS and bool(later) and after.sent - later[0] >= CALM


@given(made=attempts(), rest=st.integers(1, 100))
def test_each_loss_is_in_one_outage_and_outages_are_apart(made: list[Attempt], rest: int) -> None:
    """They begin and end with losses, hold all black holes, and have no calm in them but between them."""
    last = made[-1].sent if made else 0
    check(made, Instant(last + rest * SECOND))


@pytest.mark.parametrize(("name", "value"), [("CALM", 0), ("CALM_ATTEMPTS", 0), ("CALM", 1000 * SECOND)])
def test_an_outage_that_ends_too_soon_or_too_late_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    """Planted: another time, or another number."""
    monkeypatch.setattr(told, name, value)
    made: list[Attempt] = []
    now = 0
    for every, well in ((1, 12), (10, 4), (10, 12)):  # too soon, too few, and enough of both
        for outcome in ("timeout", *[OK] * well):
            now += every * SECOND
            drops = {} if outcome == OK else {("NO_ROUTE", "node/a"): 1}
            made.append(Attempt(len(made) + 1, Instant(now), outcome=outcome, drops=drops))
    made.append(Attempt(len(made) + 1, Instant(now), outcome="timeout", drops={("NO_ROUTE", "node/a"): 1}))
    with pytest.raises(AssertionError):
        check(made, Instant(500 * SECOND))
