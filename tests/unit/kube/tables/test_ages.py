# SPDX-License-Identifier: GPL-2.0-only
"""How old things are said to be."""

from __future__ import annotations

import pytest

from emu.kube.tables.ages import human
from emu.sim.time import MILLISECOND, SECOND

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 3, "2m3s"),
        (10 * MINUTE - 1, "9m59s"),
        (10 * MINUTE, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 5 * MINUTE, "3h5m"),
        (8 * HOUR, "8h"),
        (48 * HOUR - 1, "47h"),
        (2 * DAY, "2d"),
        (3 * DAY + 4 * HOUR, "3d4h"),
        (8 * DAY, "8d"),
        (2 * YEAR - 1, "729d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + 10 * DAY, "2y10d"),
        (3 * YEAR, "3y"),
        (8 * YEAR + 100 * DAY, "8y"),
    ],
)
def test_ages_have_at_most_two_units(seconds: int, text: str) -> None:
    """Units are whole, cut, and grow with the age."""
    assert human(seconds * SECOND) == text


def test_parts_of_a_second_are_cut() -> None:
    """1.9 seconds is one second, and -1.9 seconds still no error of the clock."""
    assert human(1900 * MILLISECOND) == "1s"
    assert human(-1900 * MILLISECOND) == "0s"
