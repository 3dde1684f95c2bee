# SPDX-License-Identifier: GPL-2.0-only
"""An answer as Markdown, for a pull request or an issue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.verify.telling.every_step import step_rows
from emu.verify.telling.telling import sent_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.verify.telling.telling import Telling
    from emu.verify.verdict import Outcome

_SPECIAL: Final = re.compile(r"([\\`*_<>\[\]|])")


def markdown(telling: Telling) -> str:
    """Return an answer as Markdown, the first line being the answer."""
    lines = [f"**{escaped(telling.answer)}**", ""]
    lines += [f"- {label}: {escaped(words)}" for label, words in telling.facts()]
    if telling.has_fates:
        lines += ["", *_fates(telling)]
    for number, outcome in telling.branches():
        if telling.has_fates:
            lines += ["", f"Branch {number}: {escaped(telling.title(outcome))}"]
        lines += ["", *(_every_step(telling, outcome) if telling.is_verbose else _way(telling, outcome))]
    for fix in telling.remedies():
        lines += ["", "Fix:", "", *(["```", *fix, "```"] if telling.fixes else [escaped(fix[0])])]
    lines += [
        line for label, words in telling.remarks() for line in ("", f"{label.capitalize()}: {escaped(words)}")
    ]
    return "\n".join(lines)


def escaped(words: str) -> str:
    """Return words so that Markdown shows them as they are."""
    return _SPECIAL.sub(r"\\\1", words)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(headings)
    yield _row(names)
    yield _row("---" for _ in names)
    yield from (_row(cells) for cells in rows)


def _fates(telling: Telling) -> Iterator[str]:
    return _table(
        ("Branch", "Share", "Result", "Picked", "Reason"),
        (
            (
                fate.numbered,
                fate.share,
                fate.outcome.result.value,
                escaped(f"{fate.names} ({fate.vicinity})" if fate.vicinity else fate.names),
                escaped(fate.code),
            )
            for fate in telling.fates()
        ),
    )


def _way(telling: Telling, outcome: Outcome) -> Iterator[str]:
    halves = telling.halves(outcome)
    if not halves:
        yield "No packet was sent."
        return
    cells: list[tuple[str, ...]] = []
    count = 0
    for half in halves:
        cells.append(("", f"**{half.label}**", escaped(half.packet), ""))
        for row in half.rows:
            count += 1
            what = "<br>".join(map(escaped, (row.what, *row.notes)))
            cells.append((str(count), escaped(row.net), what, escaped(row.change)))
    yield from _table(("#", "Where", "What", "Src > Dst"), cells)
    if again := sent_again(outcome.story):
        yield from ("", f"{again.capitalize()}.")


def _every_step(telling: Telling, outcome: Outcome) -> Iterator[str]:
    cells: list[tuple[str, ...]] = []
    count = 0
    for row in step_rows(outcome.story, telling.places, telling.frames):
        if not row.time:
            cells.append(("", "", f"**{row.where}**", escaped(row.what), "", "", ""))
            continue
        count += 1
        words = map(escaped, (row.where, row.what, row.addresses, row.object, row.module))
        cells.append((str(count), row.time, *words))
    yield from _table(("#", "Time", "Where", "What", "Src > Dst", "Object", "Module"), cells)
