# SPDX-License-Identifier: GPL-2.0-only
"""Tab stops that fit the text: how kubectl lays out tables and descriptions.

A cell is text that a tab ends. Cells one below the other in lines without a gap
make a column, as wide as its widest cell and a padding; what is behind the last
tab of a line is no cell and is not padded. Source: Go's `text/tabwriter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def align(lines: Sequence[str], *, least: int = 0, padding: int = 2) -> str:
    """Return lines with their tabs turned into blanks, each line ended by a newline.

    Args:
        lines: text with tabs, without newlines.
        least: the smallest width of a column, padding included.
        padding: blanks behind the widest cell of a column.
    """
    rows = [line.split("\t") for line in lines]
    widths = [[0] * (len(row) - 1) for row in rows]
    open_columns: list[list[int]] = []  # the rows of each column that the line before reached
    for number, row in enumerate((*rows, [""])):
        for column in range(len(row) - 1, len(open_columns)):
            members = open_columns[column]
            widest = max(len(rows[member][column]) for member in members)
            width = max(least, widest + padding)
            for member in members:
                widths[member][column] = width
        del open_columns[len(row) - 1 :]
        for column in range(len(row) - 1):
            if column == len(open_columns):
                open_columns.append([])
            open_columns[column].append(number)
    return "".join(map(_padded, rows, widths))


def _padded(row: list[str], widths: list[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True))
    return "".join(cells) + row[-1] + "\n"
