# SPDX-License-Identifier: GPL-2.0-only
"""The modelled commands: arguments in, tables changed, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from emu.apps.commands import bridge, ip, sysctl
from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.namespace import Namespace

Command: TypeAlias = "Callable[[Namespace, list[str]], str]"

COMMANDS: Final[Mapping[str, Command]] = {"ip": ip.run, "bridge": bridge.run, "sysctl": sysctl.run}
"""The commands that there are."""


def execute(net: Namespace, argv: Sequence[str]) -> str:
    """Run a command in `net` and return what it prints on standard output.

    Raises:
        CommandError: it failed; the error carries what it prints on standard
            error, and its exit status.
    """
    name, *arguments = map(str, argv)
    command = COMMANDS.get(name)
    if command is None:
        raise CommandError(f"{name} is not modelled; there are {', '.join(COMMANDS)}", 127)
    return command(net, arguments)
