# SPDX-License-Identifier: GPL-2.0-only
"""A file of a dump, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.document import MAX_FAULTS
from emu.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.errors import Complaint


@attrs.define
class TextFile:
    """A file of text, and what is wrong with it."""

    path: str
    text: str
    faults: list[Fault]

    def fault(self, line: int, message: str) -> None:
        """Report what is wrong in a line."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(self.path, line, "$", message))

    def complain(self, complaints: Iterable[Complaint]) -> None:
        """Report what a tool's reader says is wrong."""
        for complaint in complaints:
            self.fault(complaint.line, str(complaint))
