# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with one manifest, collected."""

from __future__ import annotations

import re
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import Fault

if TYPE_CHECKING:
    from emu.document import MappingNode

_STEP: Final = re.compile(r"\.[\w<-]+|\[[^\]]*\]")


@attrs.frozen
class ManifestNode:
    """One object as it stands in a file.

    `path` leads from the top of the document to the object: `$`, or
    `$.items[3]` in a list.
    """

    file: str
    node: MappingNode
    path: str = "$"


@attrs.define
class Report:
    """Collects the faults of one manifest.

    `version` is that of Kubernetes: (1, 35).
    """

    manifest: ManifestNode
    version: tuple[int, int] = (1, 35)
    errors: list[Fault] = attrs.field(factory=list)
    warnings: list[Fault] = attrs.field(factory=list)
    missing: list[Fault] = attrs.field(factory=list)  # told unless a rule says the same better
    unreadable: set[str] = attrs.field(factory=set)  # paths of which, and of what is below, no rule speaks

    def error(self, line: int, path: str, message: str) -> None:
        """Take a fault that an API server refuses the object for, unless the place is unreadable."""
        if not self.unreadable or not self._is_unreadable(path):
            self.errors.append(Fault(self.manifest.file, line, path, message))

    def warning(self, line: int, path: str, message: str) -> None:
        """Take something that an API server warns of."""
        if not self.unreadable or not self._is_unreadable(path):
            self.warnings.append(Fault(self.manifest.file, line, path, message))

    def lacks(self, line: int, path: str) -> None:
        """Take that a field is missing of which the schema says that it is required."""
        self.missing.append(Fault(self.manifest.file, line, path, "Required value"))

    def finish(self) -> None:
        """Tell of the missing fields of which, and of what is below, no rule has spoken."""
        told = {above for fault in self.errors for above in self._way(fault.path)}
        self.errors += [
            fault for fault in self.missing if fault.path not in told and not self._is_unreadable(fault.path)
        ]
        self.missing.clear()

    def _is_unreadable(self, path: str) -> bool:
        return not self.unreadable.isdisjoint(self._way(path))

    def _way(self, path: str) -> list[str]:
        """Return the paths on the way from the object to a place, itself among them."""
        top = self.manifest.path
        return list(accumulate(_STEP.findall(path[len(top) :]), initial=top))
