# SPDX-License-Identifier: GPL-2.0-only
"""What a run of a document leaves: five files that can be compared with a recording.

`pcap/NS.IF.pcap` for every capture, `times.json`, `frames.json`, `state.json`
and `results.json`, always all of them. They are made in a folder of their own
and take their places when all are whole.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emu.errors import OutputError
from emu.observe.canonical.frames import canonical_frames
from emu.sim.time import MICROSECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.cluster.network.run import NetworkRun, Outcome

_DEPTHS: Final = {"times.json": 1, "frames.json": 2, "state.json": 5, "results.json": 1}


def write_results(run: NetworkRun, outcome: Outcome, folder: Path) -> None:
    """Write the files into `folder`, which is made if need be; what else is in it stays.

    Raises:
        OutputError: they cannot be written; the folder is as it was.
    """
    with folder_for_results(folder):
        _write(run, outcome, folder)


@contextmanager
def folder_for_results(folder: Path) -> Iterator[None]:
    """Make sure that `folder` is there while the block runs; take it away if that fails and it is empty.

    Raises:
        OutputError: it cannot be made or written to, which is found out before the block runs.
    """
    if "\0" in str(folder):
        raise OutputError(f"{folder}: {os.strerror(errno.EINVAL)}")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: {os.strerror(errno.ENOTDIR)}")
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _failures(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def _write(run: NetworkRun, outcome: Outcome, folder: Path) -> None:
    with _failures(folder), tempfile.TemporaryDirectory(prefix=".emu-", dir=folder) as name:
        scratch = Path(name)
        _write_captures(run, scratch / "pcap")
        for file, content in _contents(run, outcome).items():
            (scratch / file).write_text(_lines(content, _DEPTHS[file]) + "\n", encoding="utf-8")
        _take_places(scratch, folder)


@contextmanager
def _failures(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from None


def _take_places(scratch: Path, folder: Path) -> None:
    """Move everything below `scratch` to its place in `folder`, or nothing if something is in the way."""
    made = [path.relative_to(scratch) for path in sorted(scratch.rglob("*"))]
    for path in made:
        if (folder / path).exists() and (folder / path).is_dir() != (scratch / path).is_dir():
            raise OutputError(f"{folder / path}: is in the way")
    for path in made:
        if (scratch / path).is_dir():
            (folder / path).mkdir(exist_ok=True)
        else:
            (scratch / path).replace(folder / path)


def _write_captures(run: NetworkRun, folder: Path) -> None:
    folder.mkdir()
    for index, point in enumerate(run.document.captures):
        with (folder / f"{point.ns}.{point.iface}.pcap").open("wb") as stream:
            run.capture.write_pcap(stream, point=index)


def _contents(run: NetworkRun, outcome: Outcome) -> dict[str, Any]:
    frames: dict[str, Any] = {}
    times: dict[str, Any] = {}
    normalize = run.document.normalize
    first = min((frame.time_ns for frame in run.capture.frames), default=0)
    for point in run.document.captures:
        seen = [(frame.octets, frame.direction.name.lower()) for frame in run.capture.at(point)]
        frames[str(point)] = canonical_frames(
            seen, random_ports=normalize.random_ports, known_ports=normalize.known_ports
        )
        times[str(point)] = {
            "t": [_seconds(frame.time_ns - first) for frame in run.capture.at(point)],
            "dir": [direction for _, direction in seen],
        }
    return {
        "times.json": times,
        "frames.json": frames,
        "state.json": outcome.dumps,
        "results.json": outcome.results,
    }


def _seconds(duration: int) -> float:
    """Return `duration` in seconds, to the microsecond."""
    return round(duration / MICROSECOND) / (SECOND // MICROSECOND)


def _lines(content: Any, depth: int) -> str:  # noqa: ANN401 - any JSON value
    """Return JSON with a line for each item down to `depth` levels, the rest of it on that line."""

    def encode(value: Any, level: int) -> str:  # noqa: ANN401
        if level == depth or not value or not isinstance(value, dict | list):
            return json.dumps(value)
        indent = " " * (level + 1)
        inner: Callable[[Any], str] = lambda item: encode(item, level + 1)  # noqa: E731
        if isinstance(value, dict):
            items = [f"{json.dumps(str(key))}: {inner(item)}" for key, item in value.items()]
            opening, closing = "{", "}"
        else:
            items = [inner(item) for item in value]
            opening, closing = "[", "]"
        body = ",\n".join(indent + item for item in items)
        return f"{opening}\n{body}\n{' ' * level}{closing}"

    return encode(content, 0)
