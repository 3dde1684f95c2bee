# SPDX-License-Identifier: GPL-2.0-only
"""What Linux 6.18 answered to `ip` (iproute2 6.1.0), command after command.

The files in `transcripts` were recorded by `tests/kernel/test_transcripts_on_linux.py`
in a namespace with `lo` and the veths `eth0`, `eth1`, `eth2`, all down at first;
their other ends, in the namespace `peer`, are up.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.unit.kernel.iproute import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent / "transcripts"


def replay(transcript: str) -> Iterator[str]:
    """Yield the lines of `transcript` with our answers in the place of those recorded."""
    lab = Lab()
    for line in transcript.splitlines():
        if line.startswith(("$ ", "#")):
            yield line
        if line.startswith("$ "):
            yield from lab.answer(line[2:])


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_every_command_is_answered_as_linux_answered_it(name: str) -> None:
    """Routes, addresses, rules and refusals are those of the recording, in its order."""
    transcript = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert list(replay(transcript)) == transcript.splitlines()
