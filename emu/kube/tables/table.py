# SPDX-License-Identifier: GPL-2.0-only
"""From objects to the text of a table. Source: `k8s.io/cli-runtime/pkg/printers/tableprinter.go`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from emu.kube.tables.cells import OTHERS, PRINTERS
from emu.kube.tables.cells.words import pairs
from emu.kube.tables.formats.columns import LEAST, PADDING
from emu.kube.tables.formats.tabs import align

if TYPE_CHECKING:
    from emu.kube.tables.find import Group
    from emu.kube.tables.request import Options
    from emu.kube.tables.world import World


def render(group: Group, options: Options, world: World, *, with_kind: bool) -> str:
    """Return the table of a group, nothing if it is empty.

    Args:
        group: objects of one kind.
        options: which columns there are beside those of the kind.
        world: the time and the version; a wide one has more columns.
        with_kind: whether names have their kind before them.
    """
    if not group.objects:
        return ""
    printer = PRINTERS.get(group.kind.name, OTHERS)
    shown = [number for number, column in enumerate(printer.columns) if column.is_shown(world)]
    with_namespace = options.all_namespaces and group.kind.is_namespaced
    header = [printer.columns[number].name.upper() for number in shown]
    header += [key.rpartition("/")[2].upper() for key in options.label_columns]
    lines = (
        []
        if options.no_headers
        else [
            "\t".join(
                (
                    *(["NAMESPACE"] if with_namespace else []),
                    *header,
                    *(["LABELS"] if options.show_labels else []),
                )
            )
        ]
    )
    for one in group.objects:
        row = printer.row(one, world)
        cells = [str(row[number]) for number in shown]
        if with_kind:
            cells = [
                f"{group.kind.prefix}/{cell}" if printer.columns[number].name == "Name" else cell
                for number, cell in zip(shown, cells, strict=True)
            ]
        labels = one.metadata.labels
        cells += [labels.get(key, "") for key in options.label_columns]
        cells += [pairs(labels)] if options.show_labels else []
        lines.append("\t".join(map(_cell, ([one.metadata.namespace] if with_namespace else []) + cells)))
    return align(lines, least=LEAST, padding=PADDING)


def _cell(text: str) -> str:
    """Return the first line of a cell, without what would move a terminal's cursor."""
    first, *others = re.split(r"[\f\n\r]", text, maxsplit=1)
    return first.replace("\x1b", "^[").replace("\t", " ") + ("..." if others else "")
