# SPDX-License-Identifier: GPL-2.0-only
"""What Linux 6.18 (iproute2 6.1.0, procps-ng 4.0.2) printed, command after command, and what we print.

The files in `tests/unit/tools/samples` were recorded by
`tests/kernel/test_samples_on_linux.py` in the network of `node.yaml`. A line
`$ COMMAND` is followed by what it printed; `@ NAME` changes the namespace.
"""

from __future__ import annotations

import json
import re
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from emu.apps import commands
from emu.cluster.network.build import build
from emu.cluster.network.reader import load_network
from emu.errors import CommandError
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.fabric.driver import Fabric

FOLDER: Final = Path(__file__).parent.parent.parent / "tools" / "samples"
_CARRIER_DELAY: Final = 1200 * SECOND // 1000
_UNORDERED: Final = re.compile(r"ip (-\S+ )*n(eigh\w*)?( show| list|$)")
Answer = tuple[str, list[str]]


def recorded(transcript: str) -> Iterator[Answer]:
    """Yield each command (or change of namespace) and the lines behind it."""
    command, lines = "", list[str]()
    for line in transcript.splitlines():
        if line.startswith(("$ ", "@ ")):
            yield command, lines
            command, lines = line, []
        elif not line.startswith("# "):
            lines.append(line)
    yield command, lines


def ours(fabric: Fabric, namespace: str, command: str) -> list[str]:
    """Return what we answer, in the form of the recordings."""
    argv = shlex.split(command)
    try:
        text = fabric.call(fabric.namespace(namespace), partial(commands.execute, argv=argv))
        stderr, status = "", 0
    except CommandError as error:
        text, stderr, status = error.stdout, f"{error}\n", error.status
    if re.match(r"ip link set \S+ (up|down)", command):
        fabric.loop.run_until(later(fabric.loop.now, _CARRIER_DELAY))
    return [
        *text.splitlines(),
        *(f"stderr: {line}" for line in stderr.splitlines()),
        *([f"status {status}"] if status else []),
    ]


def comparable(command: str, lines: list[str]) -> list[str]:
    """Return `lines` without what Linux has no order for, and without mere warnings."""
    if not any(line.startswith("status ") for line in lines):
        lines = [line for line in lines if not line.startswith("stderr: ")]
    if not _UNORDERED.match(command):
        return lines
    if lines and lines[0].startswith("[{"):
        return sorted(json.dumps(entry) for entry in json.loads(lines[0]))
    return sorted(lines)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_every_command_prints_what_linux_printed(name: str) -> None:
    """Output, error and status are those of the real tool, letter by letter."""
    fabric = build(load_network(FOLDER / "node.yaml"))
    namespace = "node"
    differences = []
    for command, lines in recorded((FOLDER / f"{name}.txt").read_text(encoding="utf-8")):
        if command.startswith("@ "):
            namespace = command[2:]
        elif command:
            want = comparable(command[2:], lines)
            got = comparable(command[2:], ours(fabric, namespace, command[2:]))
            if want != got:
                differences.append("\n".join([f"{namespace}{command}", *want, "--- but we say", *got]))
    assert not differences, "\n".join(differences)
