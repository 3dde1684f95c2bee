# SPDX-License-Identifier: GPL-2.0-only
"""Schedules as cron has them: five fields, names, and words such as `@hourly`.

    minute hour day-of-month month day-of-week
    */15   8-18 *            *     mon-fri

If both days are given, one of them is enough; `*` and `?` without a step give none.

Source: vendor/github.com/robfig/cron/v3/{parser,spec}.go.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emu.errors import EmuError
from emu.kube.api.numbers import whole

if TYPE_CHECKING:
    from collections.abc import Mapping

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

MACROS: Final[Mapping[str, str]] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_EVERY: Final = "@every "
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)", re.ASCII)
_LONGEST: Final = (2**63 - 1) / 10**9  # seconds in the longest of Go's durations
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DAY: Final = 86400
_YEARS: Final = 5
"""How far ahead a time is looked for: beyond, as for the 30th of February, there is none."""


class ScheduleError(EmuError, ValueError):
    """A text is no schedule, or there is no such time zone."""


class Field(NamedTuple):
    """What one of the five fields may hold."""

    name: str
    low: int
    high: int
    names: Mapping[str, int]


FIELDS: Final = (
    Field("minute", 0, 59, {}),
    Field("hour", 0, 23, {}),
    Field("day of month", 1, 31, {}),
    Field("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    Field("day of week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


class Schedule(NamedTuple):
    """Times that recur; `every` seconds if it is no matter of the clock's fields."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False
    any_weekday: bool = False
    every: int = 0

    def after(self, seconds: int, zone: str = "") -> int | None:
        """Return the first time after `seconds`, None if there is none in the next years.

        Args:
            seconds: since 1970.
            zone: the time zone whose clock counts, UTC without one.

        Raises:
            ScheduleError: there is no such time zone.
        """
        if self.every:
            return seconds + self.every
        place = zone_of(zone)
        instant = seconds - seconds % 60 + 60
        last = instant + _YEARS * 366 * _DAY
        while instant < last:
            # What the clock leaps over is never seen here, and what it shows twice is seen twice.
            local = datetime.fromtimestamp(instant, UTC).astimezone(place)
            if local.month not in self.months or not self._has_day(local):
                instant = _next_day(local, instant, is_next_month=local.month not in self.months)
            elif local.hour not in self.hours:
                instant += 3600 - 60 * local.minute
            elif local.minute not in self.minutes:
                instant += 60
            else:
                return instant
        return None

    def latest(self, seconds: int, since: int, zone: str = "") -> int | None:
        """Return the last time up to `seconds` and after `since`, None if there is none between them."""
        for reach in (3600, _DAY, 32 * _DAY, 366 * _DAY, seconds - since):
            found = None
            following = self.after(max(since, seconds - reach), zone)
            while following is not None and following <= seconds:
                found, following = following, self.after(following, zone)
            if found is not None:
                return found
        return None

    def _has_day(self, day: datetime) -> bool:
        in_month = day.day in self.days
        in_week = day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return in_month and in_week
        return in_month or in_week


def _next_day(local: datetime, instant: int, *, is_next_month: bool) -> int:
    """Return when the next local day, or month, begins."""
    day = local.replace(hour=0, minute=0, fold=0)
    if is_next_month:
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    else:
        day += timedelta(days=1)
    return max(instant + 60, int(day.timestamp()))


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by name.

    Raises:
        ScheduleError: there is none.
    """
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


def parse(text: str) -> Schedule:
    """Return the schedule that `text` describes.

    Raises:
        ScheduleError: it describes none.
    """
    words = text.strip()
    if words.startswith(_EVERY):
        return Schedule(every=_seconds(words.removeprefix(_EVERY)))
    if words.startswith("@") and words not in MACROS:
        raise ScheduleError(f"unrecognized descriptor: {words}")
    parts = MACROS.get(words, words).split()
    if len(parts) != len(FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(parts)}: {parts}")
    minutes, hours, days, months, weekdays = map(_field, parts, FIELDS)
    return Schedule(minutes, hours, days, months, weekdays, _is_any(parts[2]), _is_any(parts[4]))


def _is_any(part: str) -> bool:
    return any(each in {"*", "?", "*/1", "?/1"} for each in part.split(","))


def _field(part: str, field: Field) -> frozenset[int]:
    found: set[int] = set()
    for each in part.split(","):
        found |= set(_range(each, field))
    return frozenset(found)


def _range(text: str, field: Field) -> range:
    """Return the numbers of one part: `*`, `3`, `1-5`, each perhaps with a step as in `*/5`."""
    bounds, slash, step_text = text.partition("/")
    low_text, dash, high_text = bounds.partition("-")
    if low_text in {"*", "?"} and not dash:
        low, high = field.low, field.high
    else:
        low = _number(low_text, field)
        high = _number(high_text, field) if dash else low
        if slash and not dash:
            high = field.high
    step = whole(step_text) if slash else 1
    if not step:
        raise ScheduleError(f"step of range should be a positive number: {text}")
    if low < field.low or high > field.high or low > high:
        raise ScheduleError(f"{field.name} {text} is not in {field.low}-{field.high}")
    return range(low, high + 1, step)


def _number(text: str, field: Field) -> int:
    named = field.names.get(text.lower())
    if named is not None:
        return named
    number = whole(text)
    if number is None:
        raise ScheduleError(f"failed to parse int from {text}")
    return number


def _seconds(text: str) -> int:
    """Return a duration such as `1h30m` in whole seconds, one at least."""
    if not text or _DURATION.sub("", text):
        raise ScheduleError(f"failed to parse duration @every {text}")
    found = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(text))
    if found > _LONGEST:
        raise ScheduleError(f"failed to parse duration @every {text}")
    return max(1, int(found))
