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
    "cat": "emu.apps.tools.cat:run",
    "curl": "emu.apps.tools.curl:run",
    "dig": "emu.apps.tools.dig:run",
    "echo": "emu.apps.tools.trivia:echo",
    "env": "emu.apps.tools.env:run",
    "false": "emu.apps.tools.trivia:false",
    "getent": "emu.apps.tools.getent:run",
    "host": "emu.apps.tools.host:run",
    "hostname": "emu.apps.tools.hostname:run",
    "nc": "emu.apps.tools.nc:run",
    "nslookup": "emu.apps.tools.nslookup:run",
    "openssl": "emu.apps.tools.openssl:run",
    "ping": "emu.apps.tools.ping:run",
    "printenv": "emu.apps.tools.env:run",
    "sh": "emu.apps.tools.sh:run",
    "sleep": "emu.apps.tools.trivia:sleep",
    "traceroute": "emu.apps.tools.traceroute:run",
    "true": "emu.apps.tools.trivia:true",
    "wget": "emu.apps.tools.wget:run",
}
"""The module and function of each tool, by name; imported when it is used."""

_BESIDE: Final = tuple(name for name in TOOLS if name not in commands.COMMANDS)


def run(argv: Sequence[str], userland: Userland | None = None) -> Program[Finished]:
    """Run a command line and return what it printed; a refusal is told there, never raised.

    Args:
        argv: the command's name and arguments.
        userland: what it sees beside its namespace; None for nothing.
    """
    name = argv[0].removeprefix("/usr").removeprefix("/bin/") if argv[0].startswith("/") else argv[0]
    place = TOOLS.get(name)
    try:
        if place is not None:
            module, _, function = place.partition(":")
            tool: Tool = getattr(import_module(module), function)
            return (yield from tool(argv[1:], Userland() if userland is None else userland))
        text = yield from program.call(partial(commands.execute, argv=argv, beside=_BESIDE))
    except CommandError as error:
        return Finished(error.stdout, f"{error}\n", error.status)
    if text and not text.endswith("\n"):
        text += "\n"
    return Finished(text)
