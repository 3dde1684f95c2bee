# SPDX-License-Identifier: GPL-2.0-only
"""Rows and paragraphs in eighty columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.verify.telling.stages import Row

WIDTH: Final = 80
LABEL: Final = 9  # of a paragraph: `object  Service default/web`
_WIDEST_NAME: Final = 22
_GAP: Final = "  "
_SMALLEST: Final = 24  # columns that a decision has at least beside the addresses


def paragraph(label: str, words: str) -> list[str]:
    """Return `words` behind a label, wrapped; those that cannot be broken elsewhere are broken anywhere."""
    return textwrap.wrap(
        words,
        WIDTH,
        initial_indent=f"{label:<{LABEL}}",
        subsequent_indent=" " * LABEL,
        break_on_hyphens=False,
    )


def verbatim(label: str, lines: Iterable[str]) -> list[str]:
    """Return lines to be copied as they are, the first one behind a label."""
    return [f"{label if not at else '':<{LABEL}}{line}".rstrip() for at, line in enumerate(lines)]


def shortened(text: str, width: int) -> str:
    """Return `text`, its middle left out if it is longer than `width`."""
    if len(text) <= width:
        return text
    head = (width - 2) // 2
    return f"{text[:head]}..{text[len(text) - (width - 2 - head) :]}"


def heading(names: int) -> str:
    """Return the line above the rows, for a column of names so wide."""
    line = f"{'#':>2}{_GAP}{'WHERE':<{names}}{_GAP}WHAT"
    return f"{line:<{WIDTH - len('SRC > DST')}}SRC > DST"


def names_of(table: Iterable[Row]) -> int:
    """Return how wide the column of names is to be."""
    return min(max((len(row.net) for row in table), default=0), _WIDEST_NAME)


def lines_of(table: Sequence[Row], names: int, first: int) -> Iterator[str]:
    """Yield rows as lines; each namespace is named once, where the packet comes to it.

    Args:
        table: the rows.
        names: how wide the column of names is.
        first: the number of the first row.
    """
    indent = 2 + len(_GAP) + names + len(_GAP)
    shown = ""
    for number, row in enumerate(table, first):
        net = "" if row.net == shown else row.net
        shown = row.net
        parts = _decision(row, WIDTH - indent)
        start = f"{number:>2}{_GAP}"
        if len(start) + len(net) + len(_GAP) + len(parts[0]) <= WIDTH:
            yield f"{start}{net:<{names}}{_GAP}{parts[0]}".rstrip()
            yield from (f"{'':<{indent}}{part}" for part in parts[1:])
            continue
        if len(net) > names:
            yield from textwrap.wrap(net, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
            start, net = " " * len(start), ""
        yield f"{start}{net:<{names}}{_GAP}{parts[0]}".rstrip()
        yield from (f"{'':<{indent}}{part}" for part in parts[1:])


def _decision(row: Row, width: int) -> list[str]:
    """Return a decision, what it rewrote at the right, and the notes below it."""
    room = width
    if row.change:
        room = max(width - len(row.change) - len(_GAP), _SMALLEST)
    lines = textwrap.wrap(row.what, room, subsequent_indent=_GAP, break_on_hyphens=False) or [""]
    if row.change and len(lines[0]) + len(_GAP) + len(row.change) <= width:
        lines[0] += f"{row.change:>{width - len(lines[0])}}"
    elif row.change:
        lines += textwrap.wrap(row.change, width, initial_indent=_GAP, subsequent_indent=_GAP)
    for note in row.notes:
        lines += textwrap.wrap(
            note, width, initial_indent=_GAP, subsequent_indent=_GAP * 2, break_on_hyphens=False
        )
    return lines
