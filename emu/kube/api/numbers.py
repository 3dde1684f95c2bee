# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that stand in text: in annotations, percentages, schedules."""

from __future__ import annotations

from typing import Final

MOST: Final = 2**31 - 1
"""The largest number of Kubernetes' usual type, int32."""

MOST_GENERATIONS: Final = 2**63 - 2
"""The largest number of which there is a next one in an int64."""


def whole(text: str, most: int = MOST) -> int | None:
    """Return the number that `text` writes in ASCII digits, None if it writes none, or more than `most`."""
    if not (text.isascii() and text.isdecimal()):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None
