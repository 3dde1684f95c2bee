# SPDX-License-Identifier: GPL-2.0-only
"""Times as the API writes them (RFC 3339, whole seconds, UTC), and as emu counts them."""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emu.sim.time import SECOND, Instant

if TYPE_CHECKING:
    from emu.sim.time import Duration

_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
_READ: Final = "%Y-%m-%dT%H:%M:%S%z"
_FRACTION: Final = re.compile(r"\.\d+(?=(?:Z|[+-]\d\d:\d\d)$)")


def stamp(instant: Instant, epoch: int) -> str:
    """Return `instant` as text.

    Args:
        instant: of the virtual clock.
        epoch: nanoseconds since 1970 of the clock's zero.
    """
    return _text((epoch + instant) // SECOND)


@lru_cache(maxsize=64)
def _text(seconds: int) -> str:
    """Return a time as text: one object for all that happens within a second."""
    return time.strftime(_FORM, time.gmtime(seconds))


def parse(text: str, epoch: int) -> Instant | None:
    """Return the instant that `text` names, None if it is no time."""
    try:
        parts = time.strptime(_FRACTION.sub("", text), _READ)
    except ValueError:
        return None
    return Instant((calendar.timegm(parts) - parts.tm_gmtoff) * SECOND - epoch)


def age(text: str | None, now: Instant, epoch: int) -> Duration | None:
    """Return how long ago `text` was, None if it is no time."""
    instant = parse(text, epoch) if text else None
    return None if instant is None else now - instant
