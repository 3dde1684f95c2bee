# SPDX-License-Identifier: GPL-2.0-only
"""What YAML's scalars mean.

Plain scalars are those of YAML 1.1 as PyYAML's `safe_load` reads them (`yes` is
true, `0755` is 493, `1e3` without a dot is text), with two exceptions: there are
no numbers to the base of 60 and no dates, so an unquoted MAC address or time
stamp stays the text that was written.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emu.document.nodes import Scalar

_WORDS: Final[dict[str, bool | None]] = {
    spelling: value
    for value, words in ((True, ("yes", "true", "on")), (False, ("no", "false", "off")), (None, ("null",)))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
} | {"~": None, "": None}
_INTEGER: Final = re.compile(r"([-+]?)(?:0b([01_]+)|0x([0-9a-fA-F_]+)|(0[0-7_]+)|(0|[1-9][0-9_]*))")
_BASES: Final = (2, 16, 8, 10)
_REAL: Final = re.compile(
    r"(?:[-+]?[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@lru_cache(maxsize=65536)
def plain(text: str) -> Scalar:
    """Return what the unquoted `text` means in YAML 1.1."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    try:
        if number := _INTEGER.fullmatch(text):
            sign, *digits = number.groups()
            magnitude = next(int(d.replace("_", ""), b) for d, b in zip(digits, _BASES, strict=True) if d)
            return -magnitude if sign == "-" else magnitude
        if _REAL.fullmatch(text):
            return float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:  # `0x_`, or more digits than Python converts: nobody means a number by it
        pass
    return text


YAML_TAG: Final = "tag:yaml.org,2002:"
_TAGGED: Final[dict[str, type]] = {"int": int, "float": float, "bool": bool, "null": type(None)}


def tagged(tag: str, text: str) -> Scalar:
    """Return the scalar `text` under an explicit `tag`.

    Raises:
        ValueError: the tag is none of YAML's plain scalars, or `text` is none of its values.
    """
    kind = tag.removeprefix(YAML_TAG)
    if kind in {"!", "str"}:
        return text
    if kind not in _TAGGED:
        raise ValueError(f"the tag {shown_tag(tag)} is not supported")
    value = plain(text)
    if kind == "float" and type(value) is int:
        return float(value)
    if type(value) is not _TAGGED[kind]:
        raise ValueError(f"{text!r} is no {kind}")
    return value


def shown_tag(tag: str) -> str:
    """Return a tag as people write it."""
    return f"!!{tag.removeprefix(YAML_TAG)}" if tag.startswith(YAML_TAG) else tag
