# SPDX-License-Identifier: GPL-2.0-only
"""Transcripts of `ipset`: a command behind `$`, a file behind `<`, then what was answered.

What differs from run to run is made the same: random keys, the order of a hash's
elements, and seconds that have just passed (timeouts in transcripts are multiples of ten).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

FOLDER: Final = Path(__file__).parent / "ipset_transcripts"

_KEY: Final = re.compile(r"initval 0x[0-9a-f]{8}")
_TIMEOUT: Final = re.compile(r"timeout (\d*9)\b")


class Asked(NamedTuple):
    """A command of a transcript: its words, and the file it reads."""

    argv: tuple[str, ...]
    file: str


class Answered(NamedTuple):
    """What a command printed, standard output first, and its exit status."""

    text: str
    status: int


Answer: TypeAlias = Callable[[Asked], Answered]


def questions(transcript: str) -> list[tuple[list[str], Asked]]:
    """Return the commands of a transcript, each with the lines it is written in."""
    found: list[tuple[list[str], Asked]] = []
    for line in transcript.splitlines():
        if line.startswith("$ "):
            found.append(([line], Asked(tuple(shlex.split(line[2:])), "")))
        elif line.startswith("<"):
            lines, asked = found[-1]
            found[-1] = ([*lines, line], asked._replace(file=f"{asked.file}{line[2:]}\n"))
    return found


def replay(transcript: str, answer: Answer) -> str:
    """Return `transcript` with the answers of `answer` in the place of those it has."""
    lines: list[str] = []
    for written, asked in questions(transcript):
        answered = answer(asked)
        status = [f"=> {answered.status}"] if answered.status else []
        lines += [*written, *normal(answered.text), *status]
    return "".join(f"{line}\n" for line in lines)


def normal(text: str) -> list[str]:
    """Return the lines of an answer without what differs from run to run."""
    lines = [
        _TIMEOUT.sub(lambda found: f"timeout {int(found[1]) + 1}", _KEY.sub("initval 0x00000000", line))
        for line in text.splitlines()
        if not line.startswith("Warning: ")
    ]
    for start, end in _unordered(lines):
        lines[start:end] = sorted(lines[start:end])
    return lines


def _unordered(lines: list[str]) -> list[tuple[int, int]]:
    """Return where the elements of hashes stand."""
    places = []
    start, is_hash = 0, False
    for number, line in enumerate([*lines, ""]):
        if start and (not line or line.startswith("create ")):
            places.append((start, number))
            start = 0
        if line.startswith(("Type: ", "create ")):
            is_hash = "hash:" in line
        if is_hash and (line == "Members:" or line.startswith("create ")):
            start = number + 1
    return places
