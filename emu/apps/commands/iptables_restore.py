# SPDX-License-Identifier: GPL-2.0-only
"""`iptables-restore`: rules read from a text, all of it or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.apps.commands.iptables_tables import restore
from emu.errors import CommandError, RulesError
from emu.tools.iptables import program
from emu.tools.iptables.program import Backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace

_NAME: Final = "iptables-restore"
_FLAGS: Final = {
    "-c": "c",
    "--counters": "c",
    "-n": "n",
    "--noflush": "n",
    "-t": "t",
    "--test": "t",
    "-v": "v",
    "--verbose": "v",
    "-w": "w",
    "--wait": "w",
    "-4": "4",
    "--ipv4": "4",
}


def _apart(word: str) -> list[str]:
    """Return the options that are written as one word, `-n -T nat` for `-nTnat`."""
    if word[:1] != "-" or word[1:2] in {"", "-"}:
        return [word]
    letters, has_table, table = word[1:].partition("T")
    apart = [f"-{letter}" for letter in letters + has_table]
    return [*apart, table] if table else apart


def prepare(argv: Sequence[str], backend: Backend = Backend.NFT, text: str | None = None) -> Action:
    """Read the arguments of `iptables-restore` and return what they ask for.

    Args:
        argv: the words behind the program's name.
        backend: which of the two programs it is.
        text: its standard input.

    Raises:
        CommandError: they make no sense, or there is no standard input.
    """
    flags, table, words = set[str](), "", list(argv)
    while words:
        words[:1] = _apart(words[0])
        word = words.pop(0)
        if word in {"-V", "--version"}:
            return lambda _: f"{program.version(_NAME, backend)}\n"
        if word in _FLAGS:
            flags.add(_FLAGS[word])
            if _FLAGS[word] == "w" and words and words[0].isdigit():
                words.pop(0)
        elif word in {"-T", "--table"} and words:
            table = words.pop(0)
        elif word.startswith("--table="):
            table = word.partition("=")[2]
        elif word.startswith("-") and word != "-":
            said = f"{_NAME}: invalid option -- '{word.lstrip('-')[:1] or '-'}'"
            raise CommandError(f"{said}\nTry `{_NAME} -h' for more information.", 1)
        else:
            raise CommandError(f"Can't open {word}: No such file or directory", 1)
    if text is None:
        raise CommandError(f"{_NAME}: there is no standard input to read rules from", 1)
    rules = text

    def action(net: Namespace) -> str:
        try:
            restore(net, rules, counters="c" in flags, flush="n" not in flags, only=table, test="t" in flags)
        except RulesError as error:
            raise program.restore_complained(error.complaints[0], backend) from None
        return ""

    return action
