# SPDX-License-Identifier: GPL-2.0-only
"""A difference as a table for people, as Markdown for a review, and as JSON for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from emu.verify.questions import asked
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.verify.difference.answer import Answer
    from emu.verify.difference.compare import Difference
    from emu.verify.difference.rows import Row, Side

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

_TITLES: Final = ("FLOW", "BEFORE", "AFTER", "CAUSE")
_GUTTER: Final = "  "


def text(difference: Difference, *, only_changes: bool = False) -> str:
    """Return a table; flows that change come first."""
    lines = [_TITLES, *map(_cells, _shown(difference, only_changes=only_changes))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES) - 1)]
    return "\n".join(
        _GUTTER.join(
            (*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1])
        ).rstrip()
        for line in lines
    )


def markdown(difference: Difference, *, only_changes: bool = False) -> str:
    """Return a headline and a table."""
    shown = _shown(difference, only_changes=only_changes)
    lines = [f"**{summary(difference)}**"]
    if shown:
        lines += ["", "| flow | before | after | cause |", "| --- | --- | --- | --- |"]
    for row in shown:
        flow, before, after, cause = (cell.replace("|", "\\|").replace("\n", " ") for cell in _cells(row))
        mark = "**" if row.is_changed else ""
        lines.append(f"| `{flow}` | {before} | {mark}{after}{mark} | {cause} |")
    return "\n".join(lines)


def report(difference: Difference, *, only_changes: bool = False) -> Mapping[str, Json]:
    """Return it as JSON has it."""
    return {
        "changed": len(difference.changed),
        "questions": difference.questions,
        "flows": [_flow(row) for row in _shown(difference, only_changes=only_changes)],
    }


def summary(difference: Difference) -> str:
    """Return in a line how much changes."""
    changed, every = len(difference.changed), len(difference.rows)
    if not changed:
        return f"No flow of {every} changes"
    return f"{changed} of {every} flows {'changes' if changed == 1 else 'change'}"


def _shown(difference: Difference, *, only_changes: bool) -> list[Row]:
    same = [] if only_changes else [row for row in difference.rows if not row.is_changed]
    return [*difference.changed, *same]


def _cells(row: Row) -> tuple[str, str, str, str]:
    return row.flow, str(row.before), str(row.after), row.cause


def _flow(row: Row) -> Mapping[str, Json]:
    return {
        "from": row.source.point,
        "to": asked(row.target.point, row.port),
        "sources": _names(row.source),
        "targets": _names(row.target),
        "changed": row.is_changed,
        "before": _answer(row.before),
        "after": _answer(row.after),
        "cause": row.cause or None,
    }


def _names(side: Side) -> list[Json]:
    return list(side.names)


def _answer(answer: Answer) -> Json:
    """Return an answer as `emu probe` gives it; None where there is no such flow."""
    if answer.word is None:
        return None
    cause = answer.cause
    return {
        "verdict": answer.word.value,
        "delivered": None if answer.delivered is None else str(answer.delivered),
        "result": "delivered" if answer.result is None else answer.result.value,
        "reason": None if cause is None else cause.code,
        "object": cause.object or None if cause is not None else None,
        "unknown": list(answer.unknown) if answer.word is Word.UNKNOWN else [],
        "seen_as": list(answer.seen_as),
    }
