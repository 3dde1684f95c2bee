# SPDX-License-Identifier: GPL-2.0-only
"""`env` and `printenv`: the environment, or some variables of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.fabric import program

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.fabric.program import Program
    from emu.fabric.userland import Userland


def run(argv: Sequence[str], userland: Userland) -> Program[Finished]:
    """Print all variables, or the values of those that are named."""
    yield from program.now()
    if any(word.startswith("-") or "=" in word for word in argv):
        raise CommandError("env: options and assignments are not modelled", 125)
    variables = userland.environment
    if not argv:
        return Finished("".join(f"{name}={value}\n" for name, value in variables.items()))
    found = [variables[name] for name in argv if name in variables]
    return Finished("".join(f"{value}\n" for value in found), status=int(len(found) < len(argv)))
