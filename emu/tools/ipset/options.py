# SPDX-License-Identifier: GPL-2.0-only
"""Options behind a set or an element, and how the value of each is read. Source: lib/parse.c, lib/ipset.c."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from emu.kernel.netfilter.ipset.spec import MAX32
from emu.tools.ipset.words import misused, number, wrong

_MAX_TIMEOUT: Final = 0xFFFFFFFF // 2 // 1000
_MAX64: Final = (1 << 64) - 2
_MAX_COMMENT: Final = 255
_MARK: Final = re.compile(r"0x([0-9a-fA-F]{1,16})(?:/0x([0-9a-fA-F]{1,16}))?")
_PRIORITY: Final = re.compile(r"([0-9a-fA-F]{1,8}):([0-9a-fA-F]{1,8})")

Reader: TypeAlias = Callable[[str], object]


class Option(NamedTuple):
    """An option.

    Attributes:
        field: the attribute that it sets.
        read: how its value is read; None for an option without one, which sets `value`.
        value: see there.
        group: options of one group exclude each other; the field, unless it is said.
    """

    field: str
    read: Reader | None = None
    value: object = True
    group: str = ""


def fill(draft: object, words: Sequence[str], known: Mapping[str, Option]) -> None:
    """Set the attributes of `draft` as the options in `words` say.

    Raises:
        CommandError: an option is unknown, given twice, or lacks its value.
    """
    seen: set[str] = set()
    rest = iter(words)
    for word in rest:
        called = word.removeprefix("--")
        option = known.get(called)
        if option is None:
            raise misused(f"Unknown argument: `{word}'")
        text = None
        if option.read is not None:
            text = next(rest, None)
            if text is None:
                raise misused(f"Missing mandatory argument of option `{called}'")
        group = option.group or option.field
        if group in seen and (option.read is not None or option.value is not True):
            raise wrong(f"{called} already specified")
        seen.add(group)
        setattr(
            draft, option.field, option.value if option.read is None or text is None else option.read(text)
        )


def seconds(text: str) -> int:
    """Return a timeout."""
    return number(text, 0, _MAX_TIMEOUT)


def u32(text: str) -> int:
    """Return a number of 32 bits."""
    return number(text, 0, MAX32)


def u8(text: str) -> int:
    """Return a number of 8 bits."""
    return number(text, 0, 0xFF)


def count(text: str) -> int:
    """Return where a counter begins."""
    return number(text, 0, _MAX64)


def family(text: str) -> int:
    """Return 4 or 6."""
    known = {"inet": 4, "ipv4": 4, "inet6": 6, "ipv6": 6}
    if text not in known:
        raise wrong(f"unknown inet family {text}")
    return known[text]


def comment(text: str) -> str:
    """Return a comment."""
    if '"' in text:
        raise wrong('" character is not permitted in comments')
    if len(text.encode()) > _MAX_COMMENT:
        raise wrong(f"Comment is longer than the maximum allowed {_MAX_COMMENT} characters")
    return text


def skbmark(text: str) -> tuple[int, int]:
    """Return mark and mask; what cannot be read behind the mark is passed over, as ipset does."""
    found = _MARK.match(text)
    if found is None:
        raise wrong("Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)")
    mark, mask = found.groups()
    return int(mark, 16) & MAX32, MAX32 if mask is None else int(mask, 16) & MAX32


def skbprio(text: str) -> int:
    """Return a priority, `MAJOR:MINOR`."""
    found = _PRIORITY.match(text)
    if found is None:
        raise wrong("Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)")
    major, minor = (int(half, 16) & 0xFFFF for half in found.groups())
    return major << 16 | minor


def skbqueue(text: str) -> int:
    """Return the number of a queue."""
    return number(text, 0, 0xFFFF)


def plain(text: str) -> str:
    """Return `text`, to be read later."""
    return text
