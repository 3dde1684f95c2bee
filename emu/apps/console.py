# SPDX-License-Identifier: GPL-2.0-only
"""A command line inside a namespace: what people type, and what the tool prints.

The tools (`emu.apps.tools`) take time and send packets, or see the files of
their `Userland`; all other commands (`emu.apps.commands`) read and change
tables at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from emu.apps import commands
from emu.apps.tools.finished import Finished
from emu.errors import CommandError
from emu.fabric import program
from emu.fabric.userland import Userland

if TYPE_CHECKING:
    from emu.fabric.program import Program

__all__ = ["TOOLS", "Finished", "run"]

Tool: TypeAlias = Callable[[Sequence[str], Userland], "Program[Finished]"]

TOOLS: Final[Mapping[str, str]] = {
    "curl": "emu.apps.tools.curl",
    "ping": "emu.apps.tools.ping",
    "traceroute": "emu.apps.tools.traceroute",
}
"""The module of each tool, by name; imported when it is used."""


def run(argv: Sequence[str], userland: Userland | None = None) -> Program[Finished]:
    """Run a command line and return what it printed; a refusal is told there, never raised.

    Args:
        argv: the command's name and arguments.
        userland: what it sees beside its namespace; None for nothing.
    """
    module = TOOLS.get(argv[0])
    try:
        if module is not None:
            tool: Tool = import_module(module).run
            return (yield from tool(argv[1:], Userland() if userland is None else userland))
        text = yield from program.call(partial(commands.execute, argv=argv, beside=tuple(TOOLS)))
    except CommandError as error:
        return Finished(error.stdout, f"{error}\n", error.status)
    if text and not text.endswith("\n"):
        text += "\n"
    return Finished(text)
