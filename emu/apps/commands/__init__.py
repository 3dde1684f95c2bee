# SPDX-License-Identifier: GPL-2.0-only
"""The modelled commands: arguments in, tables changed, text out.

Each is read as a whole before anything happens, so `check` can judge a command
line without running it. What a tool warns of on standard error while it does
what it was asked is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias

from emu.apps.commands.action import Action
from emu.errors import CommandError

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

Command: TypeAlias = Callable[[Sequence[str]], Action]
"""Takes the arguments of a command and returns what they ask for."""

COMMANDS: Final[Mapping[str, str]] = {
    "ip": "emu.apps.commands.ip",
    "bridge": "emu.apps.commands.bridge",
    "ss": "emu.apps.commands.ss",
    "sysctl": "emu.apps.commands.sysctl",
    "hostname": "emu.apps.commands.hostname",
    "ethtool": "emu.apps.commands.ethtool",
    "iptables": "emu.apps.commands.iptables",
    "iptables-save": "emu.apps.commands.iptables_save",
    "iptables-restore": "emu.apps.commands.iptables_restore",
    "iptables-nft": "emu.apps.commands.iptables",
    "iptables-nft-save": "emu.apps.commands.iptables_save",
    "iptables-nft-restore": "emu.apps.commands.iptables_restore",
    "iptables-legacy": "emu.apps.commands.iptables_legacy",
    "iptables-legacy-save": "emu.apps.commands.iptables_legacy_save",
    "iptables-legacy-restore": "emu.apps.commands.iptables_legacy_restore",
    "ipset": "emu.apps.commands.ipset",
    "ipvsadm": "emu.apps.commands.ipvsadm",
    "conntrack": "emu.apps.commands.conntrack",
    "nft": "emu.apps.commands.nft",
}
"""The commands that there are, and where each is: its `prepare` is a `Command`.

A module is imported when its command is used: most runs use few of them.
"""

_NOT_YET: Final = frozenset(
    {
        "ip6tables",
    }
)
_NOT_FOUND: Final = 127  # exit status of a shell


def execute(net: Namespace, argv: Sequence[str], *, beside: Sequence[str] = ()) -> str:
    """Run a command in `net` and return what it prints on standard output.

    Args:
        net: the namespace.
        argv: the command's name and arguments.
        beside: further commands, which the caller has; for the complaint of one that is unknown.

    Raises:
        CommandError: it failed; `str()` of it is what it prints on standard
            error, and it has the exit status.
    """
    return _prepare(argv, beside)(net)


def check(argv: Sequence[str]) -> str | None:
    """Return what is wrong with a command as far as one can tell without running it, in a line, or None."""
    try:
        _prepare(argv)
    except CommandError as error:
        return next(iter(str(error).splitlines()), "is refused")
    return None


def _prepare(argv: Sequence[str], beside: Sequence[str] = ()) -> Action:
    if not argv:
        raise CommandError("no command is given", _NOT_FOUND)
    name, *arguments = map(str, argv)
    if name in _NOT_YET:
        raise CommandError(f"{name} is not modelled yet", _NOT_FOUND)
    if name not in COMMANDS:
        raise CommandError(f"{name} is not modelled; there are {', '.join((*COMMANDS, *beside))}", _NOT_FOUND)
    prepare: Command = import_module(COMMANDS[name]).prepare
    return prepare(arguments)
