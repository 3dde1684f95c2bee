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
from tests.kernel.linux import LinuxLab, built

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent.parent / "unit" / "tools" / "samples"
_CARRIER_DELAY: Final = 1.2  # s; Linux tells of a carrier once a second
_RANDOM: Final = (
    (r',"link_netnsid":\d+', ""),
    (r',\n *"link_netnsid": \d+', ""),
    (r" link-netns(id)? \S+", ""),
    (r"gc_timer +[\d.]+", "gc_timer    0.00"),
    (r'"gc_timer":[\d.]+', '"gc_timer":0.00'),
)
"""What differs from run to run: numbers of other namespaces, and a timer."""


def _answer(lab: LinuxLab, namespace: str, command: str) -> Iterator[str]:
    done = lab.ask(namespace, shlex.split(command))
    text = done.stdout
    for pattern, replacement in _RANDOM:
        text = re.sub(pattern, replacement, text)
    yield from text.splitlines()
    yield from (f"stderr: {line}" for line in done.stderr.splitlines())
    if done.returncode:
        yield f"status {done.returncode}"
    if re.match(r"ip link set \S+ (up|down)", command):
        time.sleep(_CARRIER_DELAY)


def record(transcript: str) -> str:
    """Return `transcript` with what Linux answers to its commands."""
    lines: list[str] = []
    namespace = "node"
    with built(load_network(FOLDER / "node.yaml")) as lab:
        time.sleep(_CARRIER_DELAY)
        for line in transcript.splitlines():
            if line.startswith(("$ ", "# ", "@ ")):
                lines.append(line)
            if line.startswith("@ "):
                namespace = line[2:]
            if line.startswith("$ "):
                lines += _answer(lab, namespace, line[2:])
    return "\n".join(lines) + "\n"


@pytest.mark.kernel
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_linux_still_says_what_was_recorded(name: str) -> None:
    """Running a recording's commands on this machine gives the recorded answers."""
    transcript = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert record(transcript).splitlines() == transcript.splitlines()


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(record(file.read_text(encoding="utf-8")), encoding="utf-8")
