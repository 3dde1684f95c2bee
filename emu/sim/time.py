# SPDX-License-Identifier: GPL-2.0-only
"""Virtual time: integer nanoseconds, so that nothing is ever rounded away."""

from __future__ import annotations

from typing import Final, NewType

Instant = NewType("Instant", int)
"""Nanoseconds since the start of the run."""

Duration = int
"""Nanoseconds. Plain `int`, so that durations can be scaled and added."""

MICROSECOND: Final[Duration] = 1_000
MILLISECOND: Final[Duration] = 1_000_000
SECOND: Final[Duration] = 1_000_000_000

START: Final = Instant(0)
EPOCH: Final = 1_735_689_600 * SECOND
"""Where captures place the start of the run unless told otherwise: 2025-01-01T00:00:00Z."""


def later(instant: Instant, duration: Duration) -> Instant:
    """Return the instant `duration` after `instant`."""
    return Instant(instant + duration)


def from_seconds(seconds: float) -> Duration:
    """Return `seconds`, as people and files write them, in nanoseconds."""
    return round(seconds * SECOND)


def to_seconds(duration: Duration) -> float:
    """Return `duration` in seconds, to print it."""
    return duration / SECOND
