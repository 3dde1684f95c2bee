# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.api.timestamps import age, parse, stamp
from emu.sim.time import EPOCH, SECOND, START, Instant


@given(seconds=st.integers(0, 10**9))
def test_what_was_stamped_is_read_as_the_same_instant(seconds: int) -> None:
    """To the second."""
    instant = Instant(seconds * SECOND)
    assert parse(stamp(instant, EPOCH), EPOCH) == instant


def test_the_clock_begins_with_2025() -> None:
    """Fractions of a second are cut off, as the API does."""
    assert stamp(START, EPOCH) == "2025-01-01T00:00:00Z"
    assert stamp(Instant(SECOND - 1), EPOCH) == "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2025-01-01T00:00:05Z", 5),
        ("2025-01-01T00:00:05.123456Z", 5),  # of a Lease or an Event
        ("2025-01-01T02:00:05+02:00", 5),
        ("2024-12-31T23:59:59Z", -1),
    ],
)
def test_a_time_is_read_in_all_forms_of_rfc_3339(text: str, seconds: int) -> None:
    """Fractions are cut off; a time may be before the start of the run, and of another zone."""
    assert parse(text, EPOCH) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "soon", "2025-13-01T00:00:00Z", "2025-01-01", "2025-01-01T00:00:00"])
def test_what_is_no_time_is_none(text: str) -> None:
    """Nothing is raised for it."""
    assert parse(text, EPOCH) is None


def test_an_age_is_counted_from_a_time_to_now() -> None:
    """What has no time has no age."""
    assert age("2025-01-01T00:00:05Z", Instant(65 * SECOND), EPOCH) == 60 * SECOND
    assert age(None, START, EPOCH) is None
    assert age("never", START, EPOCH) is None
