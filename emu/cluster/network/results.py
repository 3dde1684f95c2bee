# SPDX-License-Identifier: GPL-2.0-only
"""What a run of a document leaves: five files that can be compared with a recording.

`pcap/NS.IF.pcap` for every capture, `times.json`, `frames.json`, `state.json`
and `results.json`, always all of them. They are made in a folder beside the
wanted one and take its place when they are whole.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from emu.errors import OutputError
from emu.observe.canonical.frames import canonical_frames
from emu.sim.time import MICROSECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.network.run import NetworkRun, Outcome

_DEPTHS: Final = {"times.json": 1, "frames.json": 2, "state.json": 5, "results.json": 1}


def write_results(run: NetworkRun, outcome: Outcome, folder: Path) -> None:
    """Write the files into `folder`, which is made if need be; what else is in it stays.

    Raises:
        OutputError: they cannot be written; the folder is as it was.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".emu-", dir=folder) as name:
            scratch = Path(name)
            _write_captures(run, scratch / "pcap")
            for file, content in _contents(run, outcome).items():
                (scratch / file).write_text(_lines(content, _DEPTHS[file]) + "\n", encoding="utf-8")
            _take_places(scratch, folder)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}") from None


def _take_places(scratch: Path, folder: Path) -> None:
    shutil.rmtree(folder / "pcap", ignore_errors=True)
    for made in scratch.iterdir():
        made.replace(folder / made.name)


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
