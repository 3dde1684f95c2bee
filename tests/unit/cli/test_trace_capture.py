# SPDX-License-Identifier: GPL-2.0-only
"""`emu trace -w`: the packets of an answer, in a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from emu.cli import cli
from emu.observe.capture_file import read_capture

TOPOLOGY = Path(__file__).parents[3] / "topologies" / "reply-past-the-nat.yaml"


def trace(*words: str) -> Result:
    """Ask for the Service whose answers bypass NAT on one of two branches."""
    return CliRunner().invoke(cli, ["trace", "-f", str(TOPOLOGY), *words, "client", "10.96.0.20:80"])


def test_the_branch_that_is_told_is_written(tmp_path: Path) -> None:
    """The answer is what it is without a file; the frames that -v names are in it."""
    path = tmp_path / "lab.pcapng"
    result = trace("-v", "-w", str(path))
    assert result.exit_code == 1
    assert result.stdout.startswith("SOMETIMES 1/2  fails when kube-proxy picks web1   REPLY_NOT_UNNATED\n")
    with path.open("rb") as stream:
        frames = list(read_capture(stream))
    told = [int(number) for number in re.findall(r"frame\s+(\d+)", result.stdout)]
    assert len(told) > 20
    for number in told:  # what happened to other copies, and how the answer ended, is not told frame by frame
        assert frames[number - 1].comments[0].startswith("emu step=")
    assert result.stderr.startswith(f"{path}: {len(frames) - 1} frames, request frame.packet_id == ")


def test_another_branch_can_be_written(tmp_path: Path) -> None:
    """As it can be told."""
    path = tmp_path / "lab.pcapng"
    result = trace("--branch", "2", "-w", str(path))
    with path.open("rb") as stream:
        frames = list(read_capture(stream))
    assert f"{path}: {len(frames)} frames, " in result.stderr
    assert not any("DROP" in text for frame in frames for text in frame.comments)


@pytest.mark.parametrize("words", [("--all-branches",), ("-o", "json")])
def test_one_way_alone_is_written(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Several begin at the same time; nothing is written then."""
    path = tmp_path / "lab.pcapng"
    result = trace(*words, "-w", str(path))
    assert (result.exit_code, path.exists()) == (2, False)
    assert "-w FILE writes the branch that is told" in result.stderr
