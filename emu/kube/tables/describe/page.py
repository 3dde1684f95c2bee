# SPDX-License-Identifier: GPL-2.0-only
"""A description: lines with tab stops, two blanks a level. Source: `k8s.io/kubectl/pkg/describe`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from emu.kube.api.timestamps import parse
from emu.kube.tables.cells.words import NONE
from emu.kube.tables.formats.tabs import align
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kube.api.objects.meta import Condition, Meta

UNSET: Final = "<unset>"

_INDENT: Final = "  "
_HIDDEN: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
_LONGEST_ANNOTATION: Final = 140


class Page:
    """The lines of one description, in the order in which they are written."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def line(self, text: str, level: int = 0) -> None:
        """Write one line; tabs end cells."""
        self._lines.append(_INDENT * level + text)

    def field(self, title: str, value: object, level: int = 0) -> None:
        """Write a title and a value."""
        self.line(f"{title}:\t{value}", level)

    def table(self, level: int, header: str, rows: Iterable[str]) -> None:
        """Write a header, dashes beneath each of its words, and rows."""
        self.line(header, level)
        self.line("\t".join("-" * len(word) for word in header.split("\t")), level)
        for row in rows:
            self.line(row, level)

    def several(self, title: str, texts: Iterable[str]) -> None:
        """Write a title and values, one a line, below each other."""
        first, *others = list(texts) or [NONE]
        self.line(f"{title}:\t{first}")
        for text in others:
            self.line(f"\t{text}")

    def labels(self, title: str, labels: Mapping[str, str]) -> None:
        """Write labels, sorted, one a line."""
        self.several(title, (f"{key}={labels[key]}" for key in sorted(labels)))

    def annotations(self, title: str, annotations: Mapping[str, str]) -> None:
        """Write annotations, sorted; long ones begin on a line of their own and are cut."""
        texts: list[str] = []
        for key in sorted(set(annotations) - _HIDDEN):
            value = annotations[key].removesuffix("\n")
            if len(key) + len(value) + 2 > _LONGEST_ANNOTATION or "\n" in value:
                texts.append(f"{key}:")
                texts += [f"  {_shortened(line)}" for line in value.split("\n")]
            else:
                texts.append(f"{key}: {value}")
        self.several(title, texts)

    def metadata(self, metadata: Meta) -> None:
        """Write labels and annotations."""
        self.labels("Labels", metadata.labels)
        self.annotations("Annotations", metadata.annotations)

    def controller(self, metadata: Meta) -> None:
        """Write who manages the object, if somebody does."""
        if owner := metadata.controller:
            self.field("Controlled By", f"{owner.kind}/{owner.name}")

    def conditions(self, conditions: Iterable[Condition]) -> None:
        """Write the conditions of a workload, if it has some."""
        rows = [f"{one.type} \t{one.status}\t{one.reason}" for one in conditions]
        if rows:
            self.line("Conditions:")
            self.table(1, "Type\tStatus\tReason", rows)

    def text(self) -> str:
        """Return all of it, laid out."""
        lines = [line for written in self._lines for line in written.split("\n")]
        return align(lines)


def _shortened(text: str) -> str:
    longest = _LONGEST_ANNOTATION - 2
    return text if len(text) <= longest else text[:longest] + "..."


def date(text: str | None) -> str:
    """Return a time of an object as `Fri, 20 Nov 2026 11:19:47 +0000` (RFC 1123)."""
    instant = parse(text, 0) if text else None
    if instant is None:
        return "Mon, 01 Jan 0001 00:00:00 +0000"  # Go's zero time
    return time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(instant // SECOND))
