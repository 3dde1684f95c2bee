# SPDX-License-Identifier: GPL-2.0-only
"""A line of the prompt: statements between semicolons, words between blanks."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.sim.time import MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from collections.abc import Iterator

ARROW: Final = "->"
_BREAKS: Final = ";&"
_DURATION: Final = re.compile(
    r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,8})(?:\.(\d{1,9}))?s)?(?:(\d{1,8})ms)?",
    re.ASCII,
)
_LONGEST: Final = 365 * 86_400 * SECOND


@attrs.frozen
class Statement:
    """One thing that is to be done.

    Attributes:
        words: at least one.
        is_background: the prompt comes back at once (`&` at the end).
    """

    words: tuple[str, ...]
    is_background: bool = False


def statements(line: str) -> Iterator[Statement]:
    """Yield the statements of a line; what follows a `#` is a remark.

    Raises:
        CommandError: a quotation is not closed.
    """
    reader = shlex.shlex(line, posix=True, punctuation_chars=_BREAKS)
    reader.whitespace_split = True
    words: list[str] = []
    try:
        for word in reader:
            if word and set(word) <= set(_BREAKS):
                if words:
                    yield Statement(tuple(words), word.startswith("&"))
                words = []
            else:
                words.append(word)
    except ValueError as error:
        raise CommandError(f"cannot be read: {error}", 2) from None
    if words:
        yield Statement(tuple(words))


def duration(text: str) -> Duration:
    """Return the ns of a time like `5s`, `1m30s`, `250ms`, or a bare number of seconds.

    Raises:
        CommandError: it is none, or longer than a year.
    """
    found = _DURATION.fullmatch(f"{text}s" if text.isascii() and text.isdecimal() else text)
    if found is None or not text:
        raise CommandError(f"{text!r} is no time; it is written like 5s, 1m30s or 250ms", 2)
    hours, minutes, seconds, part, milliseconds = found.groups()
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    total = whole * SECOND + int((part or "").ljust(9, "0")) + int(milliseconds or 0) * MILLISECOND
    if total > _LONGEST:
        raise CommandError(f"{text} is more than a year", 2)
    return total
