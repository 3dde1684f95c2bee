# SPDX-License-Identifier: GPL-2.0-only
"""An answer as plain text in eighty columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.verify.telling.every_step import step_lines
from emu.verify.telling.layout import (
    WIDTH,
    heading,
    lines_of,
    names_of,
    paragraph,
    shortened,
    verbatim,
)
from emu.verify.telling.telling import sent_again

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.verify.telling.fates import Fate
    from emu.verify.telling.telling import Telling
    from emu.verify.verdict import Outcome

_NUMBERS: Final = 10  # columns
_GAP: Final = "  "
_NAME: Final = 12  # columns that a name has at least
_REASON: Final = 3  # its place in a row of fates


def text(telling: Telling) -> str:
    """Return an answer as plain text in eighty columns."""
    lines = [telling.answer]
    for label, words in telling.facts():
        lines += paragraph(label, words)
    if telling.has_fates:
        lines += ["", *_fates(telling.fates())]
    for number, outcome in telling.branches():
        lines += ["", *_way(telling, number, outcome)]
    if under := [*below(telling)]:
        lines += ["", *under]
    return "\n".join(lines)


def _fates(found: Sequence[Fate]) -> Iterator[str]:
    """Yield a table of what can become of it; what is picked is shortened where that is too long."""
    cells = [("BRANCH", "SHARE", "RESULT", "REASON", "PICKED", "")]
    for fate in found:
        numbers = shortened(fate.numbered, _NUMBERS)
        where = f" ({fate.vicinity})" if fate.vicinity else ""
        cells.append((numbers, fate.share, fate.outcome.result.value, fate.code, fate.names, where))
    shown = [column for column in range(4) if column != _REASON or any(row[_REASON] for row in cells[1:])]
    widths = {column: max(len(row[column]) for row in cells) for column in shown}
    room = WIDTH - sum(widths.values()) - len(_GAP) * len(shown)
    for row in cells:
        start = "".join(f"{row[column]:<{widths[column]}}{_GAP}" for column in shown)
        where = row[-1] if len(row[-1]) + _NAME <= room else ""
        yield f"{start}{shortened(row[-2], room - len(where))}{where}".rstrip()


def _way(telling: Telling, number: int, outcome: Outcome) -> Iterator[str]:
    if telling.has_fates:
        yield from paragraph(f"branch {number}", telling.title(outcome))
    if telling.is_verbose:
        yield from step_lines(outcome.story, telling.places, telling.frames)
        return
    halves = telling.halves(outcome)
    if not halves:
        yield "no packet was sent"
        return
    names = names_of(row for half in halves for row in half.rows)
    yield heading(names)
    count = 1
    for half in halves:
        yield from paragraph(half.label, half.packet)
        yield from lines_of(half.rows, names, count)
        count += len(half.rows)
    if again := sent_again(outcome.story):
        yield again


def below(telling: Telling) -> Iterator[str]:
    """Yield what stands below the ways: what would help, and remarks."""
    for fix in telling.remedies():
        yield from verbatim("fix", fix) if telling.fixes else paragraph("fix", fix[0])
    for label, words in telling.remarks():
        yield from paragraph(label, words)
