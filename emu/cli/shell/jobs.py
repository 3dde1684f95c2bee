# SPDX-License-Identifier: GPL-2.0-only
"""Commands that run while the prompt is back: `client ping web &`."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING

import attrs

from emu.apps import console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.tools.finished import Finished
    from emu.cluster.emulation import Emulation, Host
    from emu.fabric.process import Process


@attrs.frozen
class Job:
    """A command under way.

    Attributes:
        number: counted from 1.
        place: the network namespace it runs in.
        words: the command.
        process: what runs.
    """

    number: int
    place: str
    words: tuple[str, ...]
    process: Process[Finished]

    def __str__(self) -> str:
        return f"[{self.number}]  {self.place} {shlex.join(self.words)}"


class Jobs:
    """All that runs while the prompt is back."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._count = 0

    def start(self, emulation: Emulation, host: Host, words: Sequence[str]) -> Job:
        """Start a command; time passes for it when it passes for all."""
        again = tuple(words)
        _spawn_again = partial(_spawn, name=host.net.name, words=again)
        emulation.remember(_spawn_again)
        process = emulation.fabric.spawn(host.net, console.run(again, host.userland))
        self._count += 1
        job = Job(self._count, host.net.name, again, process)
        self._jobs.append(job)
        return job

    def finished(self) -> Iterator[Job]:
        """Yield those that have come to an end, each once."""
        done = [job for job in self._jobs if job.process.done]
        self._jobs = [job for job in self._jobs if not job.process.done]
        yield from done

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs)


def _spawn(emulation: Emulation, *, name: str, words: tuple[str, ...]) -> None:
    """Start a command in the namespace `name`, as part of doing everything again."""
    host = emulation.namespace(name)
    emulation.fabric.spawn(host.net, console.run(words, host.userland))
