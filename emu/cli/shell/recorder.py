# SPDX-License-Identifier: GPL-2.0-only
"""A capture that goes on from line to line: `record -w lab.pcapng`, ..., `record stop`."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from emu.cli.capture import print_lines
from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.emulation import Emulation
    from emu.cluster.recorded import Recorded


class Recorder:
    """At most one capture at a time, with the file that it goes to."""

    def __init__(self) -> None:
        self._recorded: Recorded | None = None
        self._emulation: Emulation | None = None
        self._file: Path | None = None
        self._open = ExitStack()

    @property
    def is_recording(self) -> bool:
        """Whether something is recorded."""
        return self._recorded is not None

    def start(self, emulation: Emulation, points: Sequence[str], condition: str, file: str) -> None:
        """Record from now on.

        Args:
            emulation: what is looked at.
            points: capture points; none means any.
            condition: a pcap filter.
            file: where the frames go at the end; empty to print them then.

        Raises:
            CommandError: something is recorded already.
            UnknownNameError: a point is none.
            FilterError: the condition is wrong.
        """
        if self._recorded is not None:
            raise CommandError("something is recorded already: record stop", 2)
        self._recorded = self._open.enter_context(emulation.capture(*points, condition=condition))
        self._emulation, self._file = emulation, Path(file) if file else None

    def stop(self) -> str:
        """End it: write the file or print the frames, and return what has come of it in words.

        Raises:
            OutputError: the file cannot be written.
        """
        recorded, file = self._recorded, self._file
        if recorded is None:
            return "nothing is recorded"
        self._recorded = self._emulation = self._file = None
        self._open.close()
        if file is None:
            print_lines(recorded)
            return f"{len(recorded)} frames"
        recorded.write(file)
        return f"{len(recorded)} frames in {file}"

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing inside the block: a question's packets will not have been there."""
        recorded, emulation = self._recorded, self._emulation
        if recorded is None or emulation is None:
            yield
            return
        emulation.recording.remove(recorded.capture)
        try:
            yield
        finally:
            emulation.recording.add(recorded.capture)
