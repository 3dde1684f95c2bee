# SPDX-License-Identifier: GPL-2.0-only
"""Paths that are regular expressions: which ones are none, and how much work they are.

A search that goes back may try every way in which the parts of an expression can
share a path out between them. How many steps that takes at most is counted
before anything is searched: `(a+)+` doubles with every letter, `/(.*)/(.*)/x`
grows with the square. What is beyond `MOST_STEPS` is not searched.

Source: PCRE2's match limit (pcre2api, 10,000,000), nginx' longest parameter (src/core/ngx_conf_file.c).
"""

from __future__ import annotations

import importlib
import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_STEPS: Final = 10_000_000
MOST_LETTERS: Final = 4096
"""Of an expression."""
USUAL_LETTERS: Final = 64
"""Of a path that every expression should be able to search."""
_DEEPEST: Final = 100  # groups within groups


_Operand: TypeAlias = Any
"""A letter, an expression, several of them, a tuple: as the operation has it."""


class _Parsed(Protocol):
    """An expression as `re` has read it: operations with their operands."""

    data: list[tuple[object, _Operand]]

    def getwidth(self) -> tuple[int, int]:
        """Return the fewest and the most letters that it means."""


# The parser that `re` itself uses has no public name.
_PARSER: Final = importlib.import_module("re._parser")


class _Work(NamedTuple):
    """In how many ways an expression can be met from one place, and the steps to try them all."""

    ways: int
    steps: int


_ONE: Final = _Work(1, 1)
_ENDLESS: Final = _Work(MOST_STEPS + 1, MOST_STEPS + 1)


@lru_cache(maxsize=1024)
def compiled(text: str) -> re.Pattern[str] | None:
    """Return a path as an expression from its start, whatever the case of letters; None for what is none."""
    if len(text) > MOST_LETTERS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # `[[:alpha:]]` would mean something else here
            return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError, Warning):
        return None


def fault(text: str) -> str:
    """Return what is amiss with a path that is a regular expression, empty for nothing."""
    if len(text) > MOST_LETTERS:
        return f"it has more than {MOST_LETTERS} letters, which nginx refuses: the path is left out"
    if compiled(text) is None:
        return f"{text!r} is no regular expression that is modelled: the path is left out"
    if steps(text, USUAL_LETTERS) > MOST_STEPS:
        return (
            f"{text!r} may take more than {MOST_STEPS} steps for a path of {USUAL_LETTERS} letters: "
            "such requests get a 500"
        )
    return ""


def is_beyond(text: str, path: str) -> bool:
    """Return whether a path is not searched, as that may take too many steps."""
    head = _head(text)
    if path.isascii() and path[: len(head)].lower() != head:
        return False
    return steps(text, max(len(path) - len(head), 0)) > MOST_STEPS


@lru_cache(maxsize=4096)
def steps(text: str, letters: int) -> int:
    """Return the most steps of a search from the start of a path, as far as `MOST_STEPS` and one more.

    Args:
        text: an expression that can be compiled.
        letters: of the path, behind what the expression begins with by its letters.
    """
    parts = _parse(text).data
    if not parts:
        return 1
    before = _sequence(parts[:-1], letters, 0)
    return _capped(before.steps + before.ways * _last(parts[-1], letters))


@lru_cache(maxsize=1024)
def _parse(text: str) -> _Parsed:
    return cast("_Parsed", _PARSER.parse(text, re.IGNORECASE))


@lru_cache(maxsize=1024)
def _head(text: str) -> str:
    """Return the letters that all paths begin with, in small ones; only such as have one other case."""
    letters: list[str] = []
    for operation, operand in _parse(text).data:
        if str(operation) != "LITERAL" or operand > 0x7F:
            break
        letters.append(chr(operand).lower())
    return "".join(letters)


def _last(part: tuple[object, _Operand], letters: int) -> int:
    """Return the steps of what comes last: a repeated letter is met at once, and nobody comes back to it."""
    operation, operand = part
    while str(operation) == "SUBPATTERN" and len(operand[-1].data) == 1:
        operation, operand = operand[-1].data[0]
    if str(operation) in {"MAX_REPEAT", "MIN_REPEAT"}:
        least, _, body = operand
        if least <= 1 and body.getwidth() == (1, 1) and _body(body, letters, 0) == _ONE:
            return 1
    return _part(str(operation), operand, letters, 0).steps


def _body(body: _Parsed, letters: int, depth: int) -> _Work:
    return _ENDLESS if depth > _DEEPEST else _sequence(body.data, letters, depth)


def _sequence(parts: Sequence[tuple[object, _Operand]], letters: int, depth: int) -> _Work:
    ways, steps_ = 1, 0
    for operation, operand in parts:
        work = _part(str(operation), operand, letters, depth)
        steps_ = _capped(steps_ + ways * work.steps)
        ways = _capped(ways * work.ways)
    return _Work(ways, max(steps_, 1))


def _part(name: str, operand: _Operand, letters: int, depth: int) -> _Work:
    match name:
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN" | "AT" | "FAILURE":
            return _ONE
        case "GROUPREF" | "GROUPREF_IGNORE":
            return _Work(1, letters + 1)
        case "SUBPATTERN":
            return _body(operand[-1], letters, depth + 1)
        case "BRANCH":
            return _either([_body(each, letters, depth + 1) for each in operand[1]])
        case "MAX_REPEAT" | "MIN_REPEAT":
            return _repeated(operand, letters, depth)
        case "POSSESSIVE_REPEAT":
            return _Work(1, _repeated(operand, letters, depth).steps)
        case "ATOMIC_GROUP":
            return _Work(1, _body(operand, letters, depth + 1).steps)
        case "ASSERT" | "ASSERT_NOT":
            return _Work(1, _body(operand[1], letters, depth + 1).steps)
        case "GROUPREF_EXISTS":
            _, yes, no = operand
            return _either([_body(each, letters, depth + 1) for each in (yes, no) if each is not None])
        case _:
            return _ENDLESS


def _either(works: Sequence[_Work]) -> _Work:
    """Return the work of what is met by one or the other."""
    return _Work(_capped(sum(each.ways for each in works)), _capped(sum(each.steps + 1 for each in works)))


def _repeated(operand: tuple[int, int, _Parsed], letters: int, depth: int) -> _Work:
    """Return the work of a repetition: by each number of times, each time in each of its ways."""
    least, most, body = operand
    once = _body(body, letters, depth + 1)
    width = body.getwidth()[0]
    times = min(int(most), letters // width + 1 if width else int(least) + letters + 1)
    if once.ways == 1:
        return _Work(_capped(max(times - least, 0) + 1), _capped(times * once.steps + 1))
    ways, steps_, power = 0, 1, 1
    for number in range(times + 1):
        ways += power if number >= least else 0
        steps_ += power * once.steps
        power *= once.ways
        if steps_ > MOST_STEPS:  # before long: it doubles at least
            return _ENDLESS
    return _Work(max(ways, 1), steps_)


def _capped(number: int) -> int:
    return min(number, MOST_STEPS + 1)
