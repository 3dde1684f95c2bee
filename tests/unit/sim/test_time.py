# SPDX-License-Identifier: GPL-2.0-only
"""Virtual time in integer nanoseconds."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from emu.sim.time import (
    EPOCH,
    MICROSECOND,
    MILLISECOND,
    SECOND,
    START,
    Instant,
    from_seconds,
    later,
    to_seconds,
)


def test_units_are_multiples_of_each_other() -> None:
    """A second is a thousand milliseconds, and so on down to nanoseconds."""
    assert SECOND == 1000 * MILLISECOND == 1_000_000 * MICROSECOND == 10**9


def test_a_capture_begins_with_the_year_2025() -> None:
    """The epoch is midnight, UTC."""
    midnight = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    assert int(midnight.timestamp()) * SECOND == EPOCH


def test_later_adds_a_duration() -> None:
    """The start of the run is instant 0."""
    assert later(later(START, SECOND), 1) == Instant(SECOND + 1)


def test_tenths_of_a_second_are_exact() -> None:
    """0.1 + 0.2 s, written as people write them, is 0.3 s here."""
    assert from_seconds(0.1) + from_seconds(0.2) == from_seconds(0.3) == 300 * MILLISECOND


@given(st.integers(0, 10**6 * SECOND))
def test_microseconds_survive_printing_and_reading(duration: int) -> None:
    """What is printed of a run of days reads back to the microsecond."""
    assert abs(from_seconds(to_seconds(duration)) - duration) < MICROSECOND
