# SPDX-License-Identifier: GPL-2.0-only
"""A matrix for people and machines: a table for each port, CSV, JSON, Markdown, HTML."""

from __future__ import annotations

import csv
import html
import io
import json
from typing import TYPE_CHECKING, Final

from emu.verify.verdict import Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from emu.verify.matrix.matrix import Cell, Matrix
    from emu.verify.questions import Port

_SIGNS: Final = {Word.ALWAYS: ".", Word.NEVER: "X", Word.UNKNOWN: "?"}
_LEGEND: Final = ". always   X never   k/n sometimes   ? not known   - not asked"
_KEYS: Final = ("from", "to", "port", "protocol", "verdict", "delivered", "reason")


def sign(cell: Cell | None) -> str:
    """Return a cell in a character, or the odds."""
    if cell is None:
        return "-"
    return _SIGNS.get(cell.word) or str(cell.delivered)


def _tables(matrix: Matrix) -> Iterator[tuple[Port, list[str], list[str], dict[tuple[str, str], Cell]]]:
    """Yield for each port who asks, who is asked, and the cells."""
    by_port: dict[Port, list[Cell]] = {}
    for cell in matrix.cells:
        by_port.setdefault(cell.port, []).append(cell)
    for port, cells in by_port.items():
        sources = list(dict.fromkeys(cell.source for cell in cells))
        targets = list(dict.fromkeys(cell.target for cell in cells))
        yield port, sources, targets, {(cell.source, cell.target): cell for cell in cells}


def _title(matrix: Matrix, port: Port) -> str:
    return "/".join(filter(None, (matrix.ports_of(port), port.protocol)))


def table(matrix: Matrix) -> str:
    """Return tables of characters, the columns numbered where their names are long."""
    lines: list[str] = []
    for port, sources, targets, cells in _tables(matrix):
        lines += ["", _title(matrix, port)] if lines else [_title(matrix, port)]
        width = max(map(len, sources))
        lines += [f"{'':{width}}  {number:>2} {target}" for number, target in enumerate(targets, 1)]
        signs = {pair: sign(cell) for pair, cell in cells.items()}
        column = max([2, *map(len, signs.values())])
        lines.append(f"{'':{width}}  " + " ".join(f"{n:>{column}}" for n in range(1, len(targets) + 1)))
        for source in sources:
            row = " ".join(f"{signs.get((source, target), '-'):>{column}}" for target in targets)
            lines.append(f"{source:{width}}  {row}")
    reasons = sorted({cell.reason for cell in matrix.cells if cell.reason})
    return "\n".join([*lines, "", _LEGEND, *([f"because {', '.join(reasons)}"] if reasons else []), ""])


def _record(matrix: Matrix, cell: Cell) -> tuple[object, ...]:
    """Return a cell; its port is a number, a range like `81-4999`, or None for ICMP."""
    delivered = None if cell.delivered is None else str(cell.delivered)
    ports = matrix.ports_of(cell.port)
    number: object = int(ports) if ports.isdigit() else ports or None
    return cell.source, cell.target, number, cell.port.protocol, cell.word.value, delivered, cell.reason


def as_csv(matrix: Matrix) -> str:
    """Return a line for each cell, behind a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_KEYS)
    writer.writerows(_record(matrix, cell) for cell in matrix.cells)
    return text.getvalue()


def as_json(matrix: Matrix) -> str:
    """Return a list of objects, one a line."""
    lines = [f"  {json.dumps(dict(zip(_KEYS, _record(matrix, cell), strict=True)))}" for cell in matrix.cells]
    return "[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n"


def markdown(matrix: Matrix) -> str:
    """Return a table for each port."""
    lines: list[str] = []
    for port, sources, targets, cells in _tables(matrix):
        lines += ["", f"### {_title(matrix, port)}", ""]
        lines.append("| from \\ to | " + " | ".join(map(_cell, targets)) + " |")
        lines.append("| --- |" + " --- |" * len(targets))
        for source in sources:
            row = (_in_words(cells.get((source, target))) for target in targets)
            lines.append(f"| {_cell(source)} | " + " | ".join(map(_cell, row)) + " |")
    return "\n".join([*lines[1:], ""])


def _cell(text: str) -> str:
    """Return a text that ends no cell of a table."""
    return text.replace("|", "\\|")


def _in_words(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    share = f" {cell.delivered}" if cell.word is Word.SOMETIMES else ""
    return f"{cell.word.value}{share}" + (f" {cell.reason}" if cell.reason else "")


_STYLE: Final = (
    "body{font:14px sans-serif}table{border-collapse:collapse}td,th{border:1px solid #999;padding:2px 6px}"
    ".ALWAYS{background:#cfc}.NEVER{background:#fcc}.SOMETIMES{background:#ffc}.UNKNOWN{background:#ddd}"
)


def as_html(matrix: Matrix) -> str:
    """Return one page that needs nothing else."""
    lines = [f"<!doctype html><meta charset=utf-8><title>emu matrix</title><style>{_STYLE}</style>"]
    for port, sources, targets, cells in _tables(matrix):
        lines.append(f"<h2>{html.escape(_title(matrix, port))}</h2><table><tr><th>from \\ to</th>")
        lines += [f"<th>{html.escape(target)}</th>" for target in targets]
        for source in sources:
            lines.append(f"</tr><tr><th>{html.escape(source)}</th>")
            lines += [_html_cell(cells.get((source, target))) for target in targets]
        lines.append("</tr></table>")
    return "\n".join([*lines, ""])


def _html_cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td>-</td>"
    title = html.escape(_in_words(cell), quote=True)
    return f'<td class={cell.word.value} title="{title}">{html.escape(sign(cell))}</td>'


FORMS: Final[Mapping[str, Callable[[Matrix], str]]] = {
    "table": table,
    "json": as_json,
    "csv": as_csv,
    "md": markdown,
    "html": as_html,
}
"""How a matrix can be written."""
