# SPDX-License-Identifier: GPL-2.0-only
"""The recordings of real tools: commands, and the lines that they printed.

A line `$ COMMAND` is followed by what it printed, then `stderr: ` lines, then
`status N` if that is not 0. `@ NAME` changes the namespace, `#` is a comment.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.sim.time import MILLISECOND, Duration

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent.parent.parent / "tools" / "samples"
NAMES: Final = sorted(path.stem for path in FOLDER.glob("*.txt"))
CARRIER_DELAY: Final[Duration] = 1200 * MILLISECOND  # Linux tells of a carrier once a second

_CARRIER: Final = re.compile(r"ip link set \S+ (up|down)")
_UNORDERED: Final = re.compile(r"ip (-\S+ )*n(eigh\w*)?( show| list|$)")


class Answer(NamedTuple):
    """A command, where it was given, and what it printed."""

    namespace: str
    command: str
    lines: list[str]

    @property
    def changes_carrier(self) -> bool:
        """Whether it takes a moment to show."""
        return _CARRIER.match(self.command) is not None

    def comparable(self) -> list[str]:
        """Return the lines without what Linux has no order for, and without mere warnings."""
        lines = self.lines
        if not any(line.startswith("status ") for line in lines):
            lines = [line for line in lines if not line.startswith("stderr: ")]
        if not _UNORDERED.match(self.command):
            return lines
        if lines and lines[0].startswith("[{"):
            return sorted(json.dumps(entry) for entry in json.loads(lines[0]))
        return sorted(lines)


def recorded(name: str) -> Iterator[Answer]:
    """Yield what recording `name` holds."""
    namespace, command, lines = "node", "", list[str]()
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(("$ ", "@ ")):
            if command:
                yield Answer(namespace, command, lines)
            namespace = line[2:] if line.startswith("@ ") else namespace
            command, lines = line[2:] if line.startswith("$ ") else "", []
        elif not line.startswith("# "):
            lines.append(line)
    yield Answer(namespace, command, lines)
