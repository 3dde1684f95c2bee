# SPDX-License-Identifier: GPL-2.0-only
"""What a step of a `Scenario` is expected to print, and how its program is expected to end.

- run: "exec ext/laptop -- curl -s https://shop.example/"
  prints: the shop
- run: "exec ext/laptop -- curl https://blog.example/"
  exits: 60
  contains: self-signed certificate
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.document import SequenceNode
from emu.document.fields import elements, integer, text

if TYPE_CHECKING:
    from emu.apps.tools.finished import Finished
    from emu.document.fields import Fields, Place

KEYS = ("prints", "contains", "exits")
_MOST = 255


@attrs.frozen
class OutputExpectation:
    """What is expected of a step.

    Attributes:
        step: its words.
        prints: all of its standard output, but for what is blank at its end; None for anything.
        contains: what stands somewhere in what it prints, errors too.
        exits: its exit status, None for any.
        file: where it stands.
        line: the same.
    """

    step: str
    prints: str | None = None
    contains: tuple[str, ...] = ()
    exits: int | None = None
    file: str = attrs.field(default="", eq=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, kw_only=True)

    @property
    def parties(self) -> str:
        """The step."""
        return self.step

    @property
    def verdict(self) -> str:
        """What is expected, in words."""
        parts = [] if self.prints is None else [f"prints {self.prints!r}"]
        parts += [f"contains {each!r}" for each in self.contains]
        parts += [] if self.exits is None else [f"exits {self.exits}"]
        return ", ".join(parts)

    @property
    def text(self) -> str:
        """All of it, in a line."""
        return f"{self.step} {self.verdict}"

    @property
    def place(self) -> str:
        """Where it stands; empty if nobody knows."""
        return f"{self.file}:{self.line}" if self.file else ""

    def missed(self, finished: Finished) -> str:
        """Return what came in the place of what was expected, empty if it is as expected."""
        if self.exits is not None and finished.status != self.exits:
            return f"exits {finished.status}"
        if self.prints is not None and finished.stdout.rstrip() != self.prints.rstrip():
            return f"prints {finished.stdout.rstrip()!r}"
        everything = finished.stdout + finished.stderr
        absent = next((each for each in self.contains if each not in everything), None)
        return "" if absent is None else f"no {absent!r}"


def read_output(fields: Fields, words: tuple[str, ...], file: str, line: int) -> OutputExpectation | None:
    """Read what a step is expected to say, None if nothing is said of it."""
    found = [key for key in KEYS if fields.has(key)]
    prints = fields.get("prints", text, None)
    contains = fields.get("contains", _texts, ())
    exits = fields.get("exits", integer(0, _MOST), None)
    if not found:
        return None
    return OutputExpectation(" ".join(words), prints, contains, exits, file=file, line=line)


def _texts(place: Place) -> tuple[str, ...]:
    return elements(place, text) if isinstance(place.value, SequenceNode) else (text(place),)
