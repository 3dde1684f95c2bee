# SPDX-License-Identifier: GPL-2.0-only
"""The recordings of `ip`, `bridge` and others that the unit tests replay, asked again of the real kernel.

`python -m tests.kernel.test_samples_on_linux FILE...` (as root) writes down anew what Linux
answers to the commands in the files.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.network.reader import load_network
from emu.sim.time import SECOND
from tests.kernel.linux import LinuxLab, built
from tests.unit.apps.commands.recording import CARRIER_DELAY, FOLDER, NAMES, Answer, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

_RANDOM: Final = (
    (r',"link_netnsid":\d+', ""),
    (r',\n *"link_netnsid": \d+', ""),
    (r" link-netns(id)? \S+", ""),
    (r"gc_timer +[\d.]+", "gc_timer    0.00"),
    (r'"gc_timer":[\d.]+', '"gc_timer":0.00'),
)
"""What differs from run to run: numbers of other namespaces, and a timer."""


def ask(lab: LinuxLab, asked: Answer) -> Answer:
    """Return what Linux answers."""
    done = lab.ask(asked.namespace, shlex.split(asked.command))
    text = done.stdout
    for pattern, replacement in _RANDOM:
        text = re.sub(pattern, replacement, text)
    if asked.changes_carrier:
        time.sleep(CARRIER_DELAY / SECOND)
    lines = text.splitlines() + [f"stderr: {line}" for line in done.stderr.splitlines()]
    return asked._replace(lines=lines + ([f"status {done.returncode}"] if done.returncode else []))


def answers(name: str) -> Iterator[tuple[Answer, Answer]]:
    """Yield what is recorded in `name`, and what Linux says now."""
    with built(load_network(FOLDER / "node.yaml")) as lab:
        time.sleep(CARRIER_DELAY / SECOND)
        for answer in recorded(name):
            yield answer, ask(lab, answer)


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_linux_still_says_what_was_recorded(name: str) -> None:
    """Running a recording's commands on this machine gives the recorded answers."""
    for then, now in answers(name):
        assert now.comparable() == then.comparable(), then.command


def record(file: Path) -> None:
    """Write down anew what Linux answers to the commands in `file`."""
    fresh = iter([now.lines for _, now in answers(file.stem)])
    lines: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith(("$ ", "@ ", "# ")):
            lines.append(line)
        if line.startswith("$ "):
            lines += next(fresh)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        record(Path(argument))
