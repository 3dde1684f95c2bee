# SPDX-License-Identifier: GPL-2.0-only
"""Documents as values that know their lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    from emu.errors import Fault

Scalar: TypeAlias = "bool | int | float | str | None"
Value: TypeAlias = "Scalar | MappingNode | SequenceNode"

_SIMPLE_KEY: Final = re.compile(r"[\w<-]+")


class MappingNode(dict[str, "Value"]):
    """A mapping: a `dict` that knows the line of each of its keys.

    `line` is where it begins and `lines` has one line for each key, in the
    order of the keys; both count from 1.
    """

    __slots__ = ("_by_key", "line", "lines")

    def __init__(self, line: int = 1) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []
        self._by_key: dict[str, int] | None = None  # made when it is first asked for

    def line_of(self, key: str) -> int:
        """Return the line on which `key` stands, or the mapping's own if it has no such key."""
        if self._by_key is None or len(self._by_key) != len(self):
            self._by_key = dict(zip(self, self.lines, strict=True))
        return self._by_key.get(key, self.line)


class SequenceNode(list["Value"]):
    """A sequence: a `list` that knows the line of each of its elements.

    `line` is where it begins; both count from 1.
    """

    __slots__ = ("line", "lines")

    def __init__(self, line: int = 1) -> None:
        super().__init__()
        self.line = line
        self.lines: list[int] = []


@attrs.frozen
class Document:
    """One document of a stream: its value, and the line where it begins.

    `faults` are duplicate keys and the like: the document cannot be used, but
    it can be read on, to find what else is wrong. Without any the value is not
    null.
    """

    file: str
    line: int
    value: Value
    faults: tuple[Fault, ...] = ()


def path_step(key: str | int) -> str:
    """Return one step of a path like `$.links[0].a`; a key that is no simple word is quoted."""
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if _SIMPLE_KEY.fullmatch(key) else f"[{key!r:.80}]"
