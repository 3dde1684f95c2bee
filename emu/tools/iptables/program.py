# SPDX-License-Identifier: GPL-2.0-only
"""How the programs `iptables`, `iptables-save` and `iptables-restore` call themselves and complain."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.errors import CommandError

if TYPE_CHECKING:
    from emu.errors import Complaint
    from emu.tools.iptables.check import Problem

VERSION: Final = "v1.8.9"
TABLES: Final = ("mangle", "security", "raw", "filter", "nat")
"""The order in which iptables-save prints tables."""

_USAGE: Final = 2  # exit status
_NETLINK: Final = 4
_VERBS: Final = {"A": "APPEND", "I": "INSERT", "R": "REPLACE"}


class Backend(enum.Enum):
    """Which of the two programs of the same name it is; the value is what it says of itself."""

    NFT = "nf_tables"
    LEGACY = "legacy"


def version(program: str, backend: Backend) -> str:
    """Return what `-V` prints, without the newline."""
    return f"{program} {VERSION} ({backend.value})"


def complained(error: CommandError, backend: Backend) -> CommandError:
    """Return what `iptables` prints about `error`, with its exit status."""
    message, status = str(error), error.status
    if status == _USAGE:
        before = "" if message.startswith("Bad argument") else f"{version('iptables', backend)}: "
        said = f"{before}{message}\n" if message else ""
        return CommandError(f"{said}Try `iptables -h' or 'iptables --help' for more information.", _USAGE)
    if status == _NETLINK and backend is Backend.LEGACY:
        links = message.startswith("CHAIN_DEL")
        said = "Too many links." if links else "Invalid argument. Run `dmesg' for more information."
        return CommandError(f"iptables: {said}", 1)
    if status == _NETLINK:
        return CommandError(f"{version('iptables', backend)}:  {message}", _NETLINK)
    return CommandError(f"iptables: {message}", status)


def refusal(problem: Problem, operation: str) -> CommandError:
    """Return the complaint about a rule that the kernel did not take, without the program's name.

    Args:
        problem: what is wrong.
        operation: letter of what was done with the rule.
    """
    if not problem.error:
        return CommandError(problem.hint, _USAGE)
    verb = _VERBS.get(operation, "APPEND")
    return CommandError(f"RULE_{verb} failed ({problem.error}): rule in chain {problem.chain}", _NETLINK)


def no_table(name: str, backend: Backend) -> CommandError:
    """Return the complaint about a table that does not exist."""
    said = (
        f"table '{name}' does not exist"
        if backend is Backend.NFT
        else f"can't initialize iptables table `{name}': Table does not exist (do you need to insmod?)"
    )
    return CommandError(
        f"{version('iptables', backend)}: {said}\nPerhaps iptables or your kernel needs to be upgraded.", 3
    )


def no_chain(chain: str, table: str, backend: Backend) -> CommandError:
    """Return the complaint about a chain that shall be shown and does not exist."""
    if backend is Backend.LEGACY:
        return CommandError("iptables: No chain/target/match by that name.", 1)
    said = f"chain `{chain}' in table `{table}' is incompatible, use 'nft' tool."
    return CommandError(f"{version('iptables', backend)}: {said}", 1)


def restore_complained(complaint: Complaint, backend: Backend) -> CommandError:
    """Return what iptables-restore prints about the first fault of a text, with its exit status."""
    program, message, line = "iptables-restore", complaint.message, complaint.line
    if complaint.status == _USAGE:
        before = "" if message.startswith("Bad argument") else f"{version(program, backend)}: "
        return CommandError(
            f"{before}{message}\nError occurred at line: {line}\n"
            f"Try `{program} -h' or '{program} --help' for more information.",
            _USAGE,
        )
    if message.startswith("COMMIT expected"):
        return CommandError(f"{program}: {message}", 1)
    if complaint.status == _NETLINK and backend is Backend.NFT:
        return CommandError(f"{version(program, backend)}: \nline {line}: {message}", _NETLINK)
    said = f": {message}" if message and backend is Backend.NFT else ""
    return CommandError(f"{program}: line {line} failed{said}", 1)
