# SPDX-License-Identifier: GPL-2.0-only
"""Times, rates, probabilities and names of ports as the keys of a `Fabric` document have them.

Units are those of tc(8): `200us`, `10mbit`, `0.5%`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from emu.document.fields import measured, text
from emu.sim.time import MICROSECOND, MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from emu.document.fields import Place

_NUMBER: Final = r"(\d{1,12}(?:\.\d{1,9})?)"
_TIME: Final = re.compile(rf"{_NUMBER}(ns|us|ms|s)")
_TIMES: Final = {"ns": 1, "us": MICROSECOND, "ms": MILLISECOND, "s": SECOND}
_A_TIME: Final = "a time with its unit, like 200us, 5ms or 1s, an hour at the most"
_LONGEST: Final = 3600 * SECOND
_RATE: Final = re.compile(rf"{_NUMBER}([kmgt]?)bit", re.IGNORECASE)
_A_RATE: Final = "a bandwidth with its unit, like 10mbit or 1gbit"
_RATES: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_SHARE: Final = re.compile(rf"{_NUMBER}\s*(%?)|(\d{{1,9}})/(\d{{1,9}})")
PORT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}")


def duration(place: Place) -> Duration:
    """Read a time with its unit, an hour at the most."""
    words = measured(place, _A_TIME)
    if words == "0":
        return 0
    found = _TIME.fullmatch(words)
    length = round(Fraction(found[1]) * _TIMES[found[2]]) if found is not None else -1
    if 0 <= length <= _LONGEST:
        return length
    if isinstance(place.value, str):
        place.wrong(_A_TIME)
    return 0


def rate(place: Place) -> int:
    """Read a bandwidth, bit/s, one at least."""
    found = _RATE.fullmatch(measured(place, _A_RATE))
    bits = round(Fraction(found[1]) * _RATES[found[2].lower()]) if found is not None else 0
    if bits < 1 and isinstance(place.value, str):
        place.wrong(_A_RATE)
    return max(bits, 0)


def share(place: Place) -> Fraction:
    """Read a probability: `5%`, `1/20`, or a number from 0 to 1."""
    value = place.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = Fraction(str(value)) if 0 <= value <= 1 else Fraction(-1)
    else:
        match = _SHARE.fullmatch(text(place))
        found = Fraction(-1)
        if match is not None and match[1]:
            found = Fraction(match[1]) / (100 if match[2] else 1)
        elif match is not None and int(match[4]):
            found = Fraction(int(match[3]), int(match[4]))
    if 0 <= found <= 1:
        return found
    place.wrong("a probability like 5%, 1/20 or 0.05")
    return Fraction(0)


def port(place: Place) -> str:
    """Read what a port is called: a number or a name, as the device it becomes."""
    value = place.value
    words = str(value) if isinstance(value, int) and not isinstance(value, bool) else text(place)
    if not PORT.fullmatch(words):
        place.wrong("a port: a number, or the name of a device of 15 characters at the most")
        return "port1"
    return device_of(words)


def device_of(port: str) -> str:
    """Return the device that a port is: `3` is `port3`."""
    return f"port{port}" if port.isdecimal() else port
