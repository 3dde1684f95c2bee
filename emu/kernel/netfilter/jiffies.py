# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's tick, by which some matches count time (`CONFIG_HZ` of the recorded kernel is 250)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.sim.time import Instant

HZ: Final = 250
"""Ticks in a second."""


def jiffies(now: Instant) -> int:
    """Return how many ticks there have been."""
    return now * HZ // SECOND
