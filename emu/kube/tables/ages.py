# SPDX-License-Identifier: GPL-2.0-only
"""How old something is, in the few signs that a table has for it.

Source: `k8s.io/apimachinery/pkg/util/duration`, `HumanDuration`.
"""

from __future__ import annotations

from emu.sim.time import SECOND, Duration


def human(age: Duration) -> str:
    """Return a duration in ns as `47h`, `3d4h` or `2y10d`: whole units, cut, at most two of them.

    A clock may be a little ahead, so what lies less than two seconds in the future is `0s`.
    """
    seconds = abs(age) // SECOND * (1 if age >= 0 else -1)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    minutes, hours = seconds // 60, seconds // 3600
    days, years = hours // 24, hours // 24 // 365
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if years < 2:
        return f"{days}d"
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large}{unit}{small}{smaller}" if small else f"{large}{unit}"
