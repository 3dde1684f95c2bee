# SPDX-License-Identifier: GPL-2.0-only
"""Rates, as `5/sec`. Source: extensions/libxt_limit.c `parse_rate`, `print_rate`."""

from __future__ import annotations

import re
from typing import Final

from emu.kernel.netfilter.matches.limit import rate_of
from emu.tools.iptables.extension import wrong

_RATE: Final = re.compile(r"\s*([0-9]{1,9})[^/]*(?:/(.+))?")
_UNITS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
_NAMES: Final = {1: "sec", 60: "min", 3_600: "hour", 86_400: "day"}


def parse_rate(text: str, scale: int) -> tuple[int, int]:
    """Return the period of a rate, in `scale` units a second, and the seconds of its unit.

    Raises:
        CommandError: it is no rate, or too high to have a period.
    """
    found = _RATE.fullmatch(text)
    unit = 1
    if found is not None and found[2] is not None:
        named = [seconds for name, seconds in _UNITS.items() if name.startswith(found[2].lower())]
        unit = named[0] if named else 0
    if found is None or not int(found[1]) or not unit:
        raise wrong(f'bad rate "{text}"\'')
    period = scale * unit // int(found[1])
    if not period:
        raise wrong(f'Rate too fast "{text}"')
    return period, unit


def rate_text(period: int, scale: int) -> tuple[str, int]:
    """Return the text of a rate by its period, and the seconds of the unit it is given in."""
    rate, unit = rate_of(period, scale)
    return f"{rate}/{_NAMES[unit]}", unit
