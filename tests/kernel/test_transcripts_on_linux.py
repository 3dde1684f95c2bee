# SPDX-License-Identifier: GPL-2.0-only
"""The transcripts of `ip` that the unit tests replay, asked again of the real kernel.

`python -m tests.kernel.test_transcripts_on_linux FILE...` (as root) writes down
anew what the kernel answers to the commands in the files.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.kernel.linux import namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = Path(__file__).parent.parent / "unit" / "kernel" / "transcripts"
_CARRIER_DELAY: Final = 1.2  # s; Linux tells of a carrier once a second


@contextmanager
def _namespaces() -> Iterator[tuple[str, str]]:
    """Make `lo` and three veths, all down, whose ends in a second namespace are up."""
    with namespace() as name, namespace() as peer:
        for netns in (name, peer):
            for conf in ("all", "default"):
                _in(netns, f"sysctl -qw net.ipv6.conf.{conf}.disable_ipv6=1")
        for device in ("eth0", "eth1", "eth2"):
            _in(name, f"ip link add {device} type veth peer name {device} netns {peer}")
            _in(peer, f"ip link set {device} up")
        yield name, peer


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _in(netns: str, command: str) -> str:
    return _run("ip", "netns", "exec", netns, *shlex.split(command))


def _ask(pair: tuple[str, str], command: str) -> Iterator[str]:
    """Yield the lines that Linux answers to one command, without what differs from run to run."""
    netns, peer = pair
    if command.startswith("ip -n peer "):
        text = _in(peer, command.replace(" -n peer", ""))
        time.sleep(_CARRIER_DELAY)
    else:
        text = _in(netns, "ip -4 -o addr" if command == "ip addr" else command)
    for line in text.splitlines():
        if line.strip() != "cache" and not line.strip().startswith("cache <"):
            words = line.partition("\\")[0].replace(" uid 0", "").split()
            yield ("    " if line[0].isspace() else "") + " ".join(words)


def record(transcript: str) -> str:
    """Return `transcript` with what Linux answers to its commands."""
    lines: list[str] = []
    with _namespaces() as pair:
        for line in transcript.splitlines():
            if line.startswith(("$ ", "#")):
                lines.append(line)
            if line.startswith("$ "):
                lines += _ask(pair, line[2:])
    return "\n".join(lines) + "\n"


@pytest.mark.kernel
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.txt")))
def test_linux_still_says_what_was_recorded(name: str) -> None:
    """Running a transcript's commands on this machine gives the recorded answers."""
    transcript = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert record(transcript).splitlines() == transcript.splitlines()


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(record(file.read_text(encoding="utf-8")), encoding="utf-8")
