# SPDX-License-Identifier: GPL-2.0-only
"""What ipset 7.17 answered on Linux 6.18, command after command.

The files in `ipset_transcripts` are recorded by `tests/kernel/test_ipset_on_linux.py`.
"""

from __future__ import annotations

import random

import pytest

from emu.apps.commands import execute
from emu.apps.commands.ipset import restore_file
from emu.errors import CommandError
from emu.kernel.namespace import Namespace
from emu.sim.choice import DrawnChoice
from tests.unit.apps.commands.ipset_recording import FOLDER, Answer, Answered, Asked, replay


def ours() -> Answer:
    """Return what answers as emu does, in one namespace."""
    net = Namespace("node", random=random.Random(1), choice=DrawnChoice(random.Random(2)))

    def answer(asked: Asked) -> Answered:
        try:
            if asked.argv[-1] == "restore":
                return Answered(restore_file(net, asked.file, exist="-exist" in asked.argv), 0)
            return Answered(execute(net, asked.argv), 0)
        except CommandError as error:
            return Answered(f"{error.stdout}{error}", error.status)

    return answer


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_every_command_is_answered_as_ipset_answered_it(name: str) -> None:
    """Sets, listings, files and refusals are those of the recording, in its order."""
    transcript = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert replay(transcript, ours()).splitlines() == transcript.splitlines()
