# SPDX-License-Identifier: GPL-2.0-only
"""`echo`, `sleep`, `true` and `false`, for lines of several commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.fabric import program
from emu.sim.time import from_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def echo(argv: Sequence[str], _: Userland) -> Program[Finished]:
    """Print words; `-n` leaves the newline out."""
    yield from program.now()
    if argv[:1] == ["-n"]:
        return Finished(" ".join(argv[1:]))
    return Finished(" ".join(argv) + "\n")


def sleep(argv: Sequence[str], _: Userland) -> Program[Finished]:
    """Let time pass: a number, with `s`, `m`, `h` or `d`; several add up."""
    if not argv:
        raise CommandError("sleep: missing operand", 1)
    total = 0.0
    for word in argv:
        number, unit = (word[:-1], word[-1]) if word[-1:] in _UNITS else (word, "s")
        try:
            seconds = float(number) * _UNITS[unit]
        except ValueError:
            seconds = -1
        if not 0 <= seconds <= 365 * 86400:
            raise CommandError(f"sleep: invalid time interval '{word}'", 1)
        total += seconds
    yield from program.sleep(from_seconds(total))
    return Finished()


def true(_: Sequence[str], __: Userland) -> Program[Finished]:
    """Succeed."""
    yield from program.now()
    return Finished()


def false(_: Sequence[str], __: Userland) -> Program[Finished]:
    """Fail."""
    yield from program.now()
    return Finished(status=1)
