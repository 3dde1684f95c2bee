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


def text(telling: Telling) -> str:
    """Return an answer as plain text in eighty columns."""
    lines = [telling.answer]
    for label, words in telling.facts():
        lines += paragraph(label, words)
    if len(telling.verdict.outcomes) > 1:
        lines += ["", *_fates(telling.fates())]
    for number, outcome in telling.branches():
        lines += ["", *_way(telling, number, outcome)]
    if below := [*_below(telling)]:
        lines += ["", *below]
    return "\n".join(lines)


def _fates(found: Sequence[Fate]) -> Iterator[str]:
    """Yield a table of what can become of it."""
    cells = [("BRANCH", "SHARE", "RESULT", "PICKED", "REASON")]
    for fate in found:
        picked = f"{fate.names} ({fate.vicinity})" if fate.vicinity else fate.names
        cells.append(
            (
                shortened(fate.numbered, _NUMBERS),
                str(fate.probability),
                fate.outcome.result.value,
                picked,
                fate.code,
            )
        )
    widths = [max(len(row[column]) for row in cells) for column in range(5)]
    widths[3] = min(widths[3], WIDTH - 8 - sum(widths) + widths[3])
    for row in cells:
        fitted = (*row[:3], shortened(row[3], widths[3]), row[4])
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(fitted, widths, strict=True)).rstrip()


def _way(telling: Telling, number: int, outcome: Outcome) -> Iterator[str]:
    if len(telling.verdict.outcomes) > 1:
        yield from paragraph(f"branch {number}", telling.title(outcome))
    if telling.is_verbose:
        yield from step_lines(outcome.story, telling.places)
        return
    halves = telling.halves(outcome)
    if not halves:
        yield "no packet was sent"
        return
    names = names_of(row for half in halves for row in half.rows)
    yield heading(names)
    count = 1
    for half in halves:
        yield from paragraph(half.way.value, half.packet)
        yield from lines_of(half.rows, names, count)
        count += len(half.rows)
    if again := sent_again(outcome.story):
        yield again


def _below(telling: Telling) -> Iterator[str]:
    for fix in telling.remedies():
        yield from verbatim("fix", fix) if telling.fixes else paragraph("fix", fix[0])
    for label, words in telling.remarks():
        yield from paragraph(label, words)
