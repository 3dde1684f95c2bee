# SPDX-License-Identifier: GPL-2.0-only
"""An answer as one HTML file that needs nothing but a browser."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from emu.verify.telling.every_step import step_rows
from emu.verify.telling.telling import sent_again
from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.verify.telling.telling import Telling
    from emu.verify.verdict import Outcome

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222 }
h1 { font-size: 1.3em; padding: .5em .7em; border-left: .4em solid #b00020; background: #f6f6f6 }
h1.good { border-color: #1b7837 }
table { border-collapse: collapse; margin: .5em 0 1.5em }
th, td { text-align: left; vertical-align: top; padding: .2em .8em; border-bottom: 1px solid #ddd }
td, pre { font-family: ui-monospace, monospace; font-size: .9em }
td small { color: #666; display: block }
tr.half td { background: #eef3fa }
dt { float: left; clear: left; width: 6em; color: #666 }
dd { margin-left: 6em }
pre { background: #f6f6f6; padding: .7em }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd }
  h1, pre { background: #242424 }
  th, td { border-color: #444 }
  tr.half td { background: #223 }
}
"""


def html(telling: Telling) -> str:
    """Return an answer as a page, styles included; every word of it is escaped."""
    answer = escape(telling.answer)
    mood = ' class="good"' if telling.verdict.word is Word.ALWAYS else ""
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f"<title>{answer}</title><style>{_STYLE}</style></head><body>",
        f"<h1{mood}>{answer}</h1>",
        _list(telling.facts()),
    ]
    if telling.has_fates:
        parts.append(_fates(telling))
    for number, outcome in telling.branches():
        if telling.has_fates:
            parts.append(f"<h2>Branch {number}: {escape(telling.title(outcome))}</h2>")
        parts += [_way(telling, outcome), _every_step(telling, outcome)]
    for fix in telling.remedies():
        words = escape("\n".join(fix))
        parts += ["<h2>Fix</h2>", f"<pre>{words}</pre>" if telling.fixes else f"<p>{words}</p>"]
    parts += [_list(telling.remarks()), "</body></html>"]
    return "\n".join(part for part in parts if part)


def _list(facts: Iterable[tuple[str, str]]) -> str:
    items = "".join(f"<dt>{escape(label)}</dt><dd>{escape(words)}</dd>" for label, words in facts)
    return f"<dl>{items}</dl>" if items else ""


def _table(headings: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in headings)
    return "\n".join(("<table>", f"<tr>{head}</tr>", *rows, "</table>"))


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _half(way: str, packet: str, columns: int) -> str:
    return (
        f'<tr class="half"><td></td><td>{escape(way)}</td><td colspan="{columns}">{escape(packet)}</td></tr>'
    )


def _fates(telling: Telling) -> str:
    return _table(
        ("Branch", "Share", "Result", "Picked", "Reason"),
        (
            _row(
                fate.numbered,
                fate.share,
                fate.outcome.result.value,
                f"{fate.names} ({fate.vicinity})" if fate.vicinity else fate.names,
                fate.code,
            )
            for fate in telling.fates()
        ),
    )


def _way(telling: Telling, outcome: Outcome) -> str:
    halves = telling.halves(outcome)
    if not halves:
        return "<p>No packet was sent.</p>"
    rows: list[str] = []
    count = 0
    for half in halves:
        rows.append(_half(half.label, half.packet, 2))
        for row in half.rows:
            count += 1
            notes = "".join(f"<small>{escape(note)}</small>" for note in row.notes)
            cells = "".join(f"<td>{escape(cell)}</td>" for cell in (str(count), row.net))
            rows.append(f"<tr>{cells}<td>{escape(row.what)}{notes}</td><td>{escape(row.change)}</td></tr>")
    again = sent_again(outcome.story)
    table = _table(("#", "Where", "What", "Src > Dst"), rows)
    return f"{table}\n<p>{escape(again.capitalize())}.</p>" if again else table


def _every_step(telling: Telling, outcome: Outcome) -> str:
    """Return all steps, folded away until somebody asks for them."""

    def rows() -> Iterator[str]:
        count = 0
        for row in step_rows(outcome.story, telling.places, telling.frames):
            if not row.time:
                yield _half(row.where, row.what, 5)
                continue
            count += 1
            yield _row(str(count), row.where, row.time, row.what, row.addresses, row.object, row.module)

    headings = ("#", "Where", "Time", "What", "Src > Dst", "Object", "Module")
    is_open = " open" if telling.is_verbose else ""
    return f"<details{is_open}><summary>Every step</summary>{_table(headings, rows())}</details>"
