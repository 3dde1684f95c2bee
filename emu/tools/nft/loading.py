# SPDX-License-Identifier: GPL-2.0-only
"""Texts carried out: all of a text, or nothing where one thing in it is wrong.

Source: nftables, src/libnftables.c.
"""

from __future__ import annotations

import gc
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from emu.kernel.netfilter.nftables.ruleset import Ruleset
from emu.tools.nft import shown
from emu.tools.nft.asked import Listing, Reset
from emu.tools.nft.commands import parse
from emu.tools.nft.faults import Fault, NftError, SyntaxFaultError
from emu.tools.nft.listing import PLAIN
from emu.tools.nft.resolving import request_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from emu.kernel.netfilter.nftables.changes import Transaction
    from emu.kernel.netfilter.nftables.tables import NfTables
    from emu.sim.time import Instant
    from emu.tools.nft.commands import Command
    from emu.tools.nft.faults import Place
    from emu.tools.nft.listing import Options


def load(
    nft: NfTables,
    text: str,
    now: Instant,
    *,
    source: str = "",
    interfaces: Collection[str] | None = None,
    options: Options = PLAIN,
) -> str:
    """Carry out the commands in `text` and return what they list.

    Args:
        nft: where.
        text: of a file, or of a command's arguments.
        now: the time.
        source: the file's name, for complaints; empty for arguments.
        interfaces: the devices there are; None where nobody knows.
        options: how lists look.

    Raises:
        NftError: something is wrong; nothing is changed.
    """
    with _uncollected():
        return _load(nft, text, now, source=source, interfaces=interfaces, options=options)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Have no garbage looked for: of many rules much is made, and all of it stays."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _load(
    nft: NfTables,
    text: str,
    now: Instant,
    *,
    source: str,
    interfaces: Collection[str] | None,
    options: Options,
) -> str:
    commands = parse(text, source, interfaces)
    transaction = nft.begin(now)
    printed: list[str] = []
    place = commands[0].place if commands else None
    try:
        for command in commands:
            place = command.place
            printed.append(_do(command, transaction, options))
        if any(not isinstance(command.asked, Listing) for command in commands):
            nft.commit(transaction)
    except SyntaxFaultError as error:
        raise NftError([error.fault], text, source) from None
    except OSError as error:
        assert place is not None
        raise NftError([_refusal(error, place, text)], text, source) from None
    return "".join(printed)


def _do(command: Command, transaction: Transaction, options: Options) -> str:
    asked = request_of(command, transaction.find_set)
    if not isinstance(asked, Listing | Reset):
        transaction.do(asked)
        return ""
    ruleset = Ruleset(tuple([table.snapshot(transaction.now) for table in transaction.tables.values()]))
    text = shown.listed(asked, ruleset, options)
    if text is None:
        raise SyntaxFaultError(command.place, "No such file or directory")
    if isinstance(asked, Reset):
        shown.reset(asked, transaction)
    return text


def _refusal(error: OSError, place: Place, text: str) -> Fault:
    """Return what the kernel says, at the name that it is about where there is one."""
    reason = os.strerror(error.errno or 0)
    name = str(error.filename or "")
    lines = text.splitlines()
    if name and place.line <= len(lines):
        pattern = rf"(?<![\w/.@-]){re.escape(name)}(?![\w/.-])"
        line = lines[place.line - 1]
        found = re.compile(pattern).search(line, place.first - 1) or re.search(pattern, line)
        if found is not None:
            place = place._replace(first=found.start() + 1, last=found.end())
    if name.startswith("@"):  # nft itself misses a set
        return Fault(place, reason)
    return Fault(place, f"Could not process rule: {reason}")
