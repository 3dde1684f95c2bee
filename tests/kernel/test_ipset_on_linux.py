# SPDX-License-Identifier: GPL-2.0-only
"""ipsets of the real kernel beside ours: recorded transcripts, and random sets.

`python tests/kernel/test_ipset_on_linux.py FILE...` (as root) writes down anew what
ipset answers to the commands in the files.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))  # when it is run as a program

from tests.unit.apps.commands.ipset_recording import FOLDER, Answered, Asked, replay

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS: Final = itertools.count()


@contextmanager
def namespace() -> Iterator[str]:
    """Make a namespace, and take it away in the end."""
    name = f"emu-ipset-{os.getpid()}-{next(_NUMBERS)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def record(transcript: str) -> str:
    """Return `transcript` with what ipset answers to its commands."""
    with namespace() as name:

        def answer(asked: Asked) -> Answered:
            done = subprocess.run(
                ["ip", "netns", "exec", name, *asked.argv],
                input=asked.file,
                capture_output=True,
                text=True,
                check=False,
            )
            return Answered(done.stdout + done.stderr, done.returncode)

        return replay(transcript, answer)


@pytest.mark.kernel
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_ipset_still_says_what_was_recorded(name: str) -> None:
    """Running a transcript's commands on this machine gives the recorded answers.

    Under a random key two elements may fall into one bucket, and the set takes less memory: it has two tries.
    """
    transcript = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert record(transcript) == transcript or record(transcript).splitlines() == transcript.splitlines()


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(record(file.read_text(encoding="utf-8")), encoding="utf-8")
