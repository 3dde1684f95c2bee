# SPDX-License-Identifier: GPL-2.0-only
"""What a client of a scenario is expected to have seen, in a line of its `expect`.

    EXPECT  = "traffic/" NAME MEASURE [OP] VALUE
    MEASURE = "sent" | "answered" | "lost" | "resets" | "refused" | "timeouts" | "connections" | "servers"
            | "blackholes" | "blackhole" | "outages" | "outage" | "slowest" | "drops" CODE
    OP      = "=" | "!=" | "<" | "<=" | ">" | ">="           without one: "="
    VALUE   = a number; of blackhole, outage and slowest a time, like 0s, 250ms or 1m30s; of lost also N%

`drops CODE` counts the packets that were sent where the client runs and ended for
that reason; alone it is "drops CODE >= 1". `blackhole` is the longest time in which
nothing got through and `outage` the longest in which something was lost;
`blackholes` and `outages` are their numbers, `servers` how many places answered.
A line about a client that has sent nothing is never met.
"""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.codes import BY_DETAIL
from emu.errors import ExpectationError, did_you_mean
from emu.kernel.drops import DropReason
from emu.sim.time import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.cluster.timeline.windows import Summary

PREFIX: Final = "traffic/"
_FORM: Final = "it is traffic/NAME MEASURE [OP] VALUE"
_LINE: Final = re.compile(
    r"traffic/(?P<name>\S+)(?:\s+(?P<measure>[A-Za-z-]+)(?:(?<=drops)\s+(?P<code>[A-Z]\w*))?)?\s*(?P<op>[<>=!]*)\s*(?P<value>.*)"
)
_TIME: Final = re.compile(r"(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d{1,3})?)s)?(?:(\d{1,6})ms)?")
_PERCENT: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%")
_NUMBER: Final = re.compile(r"\d{1,9}")
_MS: Final = MILLISECOND

OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_COUNTS: Final[Mapping[str, Callable[[Summary], int]]] = {
    "sent": lambda found: found.sent,
    "answered": lambda found: found.answered,
    "lost": lambda found: found.lost,
    "resets": lambda found: found.resets,
    "refused": lambda found: found.outcomes.get("refused", 0),
    "timeouts": lambda found: found.outcomes.get("timeout", 0),
    "connections": lambda found: found.connections,
    "servers": lambda found: len(found.servers),
    "blackholes": lambda found: len(found.windows),
    "outages": lambda found: len(found.outages),
}
_OF_SENT: Final = frozenset(("answered", "lost", "refused", "timeouts"))
"""What counts attempts; other numbers are of something else."""

_TIMES: Final[Mapping[str, Callable[[Summary], int]]] = {
    "blackhole": lambda found: found.longest,
    "outage": lambda found: found.longest_outage,
    "slowest": lambda found: found.slowest,
}
_DROPS: Final = "drops"
MEASURES: Final = (*_COUNTS, *_TIMES, _DROPS)
CODES: Final = (*(reason.name for reason in DropReason), *BY_DETAIL.values())


@attrs.frozen
class TrafficExpectation:
    """One line.

    Attributes:
        text: the line, with one space between words.
        name: of the client.
        measure: what of it is looked at.
        op: how it is compared.
        value: with what: a number, ns, or per cent.
        is_share: `value` is per cent of what was sent.
        code: of drops the reason.
        file: where the line stands, empty if in none.
        line: the same, counted from 1.
        path: the way to it from the top of the document.
    """

    text: str
    name: str
    measure: str
    op: str
    value: float
    is_share: bool = False
    code: str = ""
    file: str = attrs.field(default="", kw_only=True, eq=False)
    line: int = attrs.field(default=0, kw_only=True, eq=False)
    path: str = attrs.field(default="$", kw_only=True, eq=False)

    @property
    def verdict(self) -> str:
        """What is expected, as it is written."""
        return self.text.removeprefix(f"{self.parties} ")

    @property
    def parties(self) -> str:
        """Who is meant, as it is written."""
        return f"{PREFIX}{self.name}"

    @property
    def place(self) -> str:
        """Where it stands, as `FILE:LINE`; empty if in no file."""
        return f"{self.file}:{self.line}" if self.file else ""

    def is_met(self, found: Summary) -> bool:
        """Return whether a client has seen what is expected of it."""
        if self.measure in _TIMES:
            measured: float = _TIMES[self.measure](found)
        else:
            measured = self._count(found)
            if self.is_share:
                measured = 100 * measured / max(found.sent, 1)
        return bool(found.sent) and OPERATORS[self.op](measured, self.value)

    def _count(self, found: Summary) -> int:
        return found.codes.get(self.code, 0) if self.measure == _DROPS else _COUNTS[self.measure](found)

    def got(self, found: Summary) -> str:
        """Return what a client has seen, in the words of the line."""
        if not found.sent:
            return "nothing sent"
        if self.measure in _TIMES:
            return f"{self.measure} {_TIMES[self.measure](found) / _MS:g}ms"
        count = self._count(found)
        if self.measure == _DROPS:
            told = ", ".join(f"{code} {number}" for code, number in found.codes.items())
            return f"drops {self.code} {count}" + (f" (of {told})" if told else "")
        of = f" of {found.sent}" if self.measure in _OF_SENT else ""
        return f"{self.measure} {count}{of}"


def parse_traffic_expectation(
    text: str, *, file: str = "", line: int = 0, path: str = "$"
) -> TrafficExpectation:
    """Return what a line expects of a client.

    Raises:
        ExpectationError: with all that is wrong with it.
    """
    words = " ".join(text.split())
    found = _LINE.fullmatch(words)
    if found is None:
        raise ExpectationError([f"{words!r} names no client: {_FORM}"])
    faults: list[str] = []
    measure, op = found["measure"] or "", found["op"] or "="
    if measure not in MEASURES:
        known = ", ".join(MEASURES)
        hint = did_you_mean(measure, MEASURES) if measure else ""
        what = f"{measure!r} is nothing that is measured: it is one of {known}{hint}"
        faults.append(what if measure else f"lacks what is measured: {known}")
    if op not in OPERATORS:
        faults.append(f"{op!r} compares nothing: it is one of {', '.join(OPERATORS)}")
    code, words_left = found["code"] or "", found["value"].strip()
    if measure == _DROPS:
        if code not in CODES:
            faults.append(
                f"{code!r} is no reason why packets end{did_you_mean(code, CODES)}"
                if code
                else "drops lacks a CODE"
            )
        if not found["op"] and not words_left:
            op, words_left = ">=", "1"
    value, is_share = _value(words_left, measure, faults)
    if faults:
        raise ExpectationError(faults)
    return TrafficExpectation(
        words, found["name"], measure, op, value, is_share, code, file=file, line=line, path=path
    )


def _value(text: str, measure: str, faults: list[str]) -> tuple[float, bool]:
    if not text:
        faults.append(f"lacks a value: {_FORM}")
        return 0, False
    if measure in _TIMES:
        time = _TIME.fullmatch(text)
        if time is None:
            faults.append(f"{text!r} is no time, like 0s, 250ms or 1m30s")
            return 0, False
        minutes, seconds, milliseconds = (part or "0" for part in time.groups())
        return int(minutes) * 60 * SECOND + round(float(seconds) * SECOND) + int(milliseconds) * _MS, False
    share = _PERCENT.fullmatch(text)
    if share is not None and measure == "lost":
        return float(share[1]), True
    if not _NUMBER.fullmatch(text):
        faults.append(f"{text!r} is no number")
        return 0, False
    return int(text), False
