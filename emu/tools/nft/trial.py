# SPDX-License-Identifier: GPL-2.0-only
"""Commands tried one after the other, to tell what is wrong with all of them.

Source: nftables, src/libnftables.c, src/evaluate.c; net/netfilter/nfnetlink.c (`nfnetlink_rcv_batch`,
which goes on behind what it refuses, too).
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import requests as ask
from emu.kernel.netfilter.nftables.ruleset import Ruleset
from emu.kernel.netfilter.nftables.validation import refusals
from emu.tools.nft import shown
from emu.tools.nft.asked import Listing, Reset
from emu.tools.nft.faults import Fault, MissingError, SyntaxFaultError, UnmodelledError
from emu.tools.nft.recovering import ANY_NAME, fault_of
from emu.tools.nft.resolving import request_of

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.changes import Transaction
    from emu.kernel.netfilter.nftables.tables import NfTables
    from emu.tools.nft.commands import Command, Reading
    from emu.tools.nft.faults import Place
    from emu.tools.nft.listing import Options

_SEQUELS: Final = (errno.EEXIST, errno.EBUSY)


class Trial:
    """Commands carried out in a transaction.

    Attributes:
        faults: what is wrong so far, that of reading them first.
    """

    def __init__(self, transaction: Transaction, reading: Reading, text: str) -> None:
        self.faults = reading.faults
        self._transaction = transaction
        self._commands = reading.commands
        self._doubtful = reading.doubtful
        self._text = text

    def do(self, command: Command, options: Options) -> str:
        """Carry out a command, or note what is wrong with it; return what it lists."""
        try:
            return self._do(command, options)
        except MissingError as error:
            if not self._is_in_doubt(error.name):
                self.faults.append(error.fault)
        except (SyntaxFaultError, UnmodelledError) as error:
            self.faults.append(fault_of(error))
        except OSError as error:
            if not self._is_sequel(error):
                self.faults.append(_refusal(error, command.place, self._text))
        self._doubtful.update(_made(command))
        return ""

    def _do(self, command: Command, options: Options) -> str:
        transaction = self._transaction
        asked = request_of(command, transaction.find_set)
        if not isinstance(asked, Listing | Reset):
            transaction.do(asked)
            return ""
        tables = [table.snapshot(transaction.now) for table in transaction.tables.values()]
        text = shown.listed(asked, Ruleset(tuple(tables)), options)
        if text is None:
            raise MissingError(command.place, asked.name or asked.table)
        if isinstance(asked, Reset):
            shown.reset(asked, transaction)
        return text

    def _is_sequel(self, error: OSError) -> bool:
        """Return whether a refusal may be due to another fault alone."""
        name = str(error.filename or "").removeprefix("@")
        if name:
            return self._is_in_doubt(name)
        if error.errno == errno.ENOENT:
            return bool(self._doubtful)
        return error.errno in _SEQUELS and any(self._doubtful)

    def _is_in_doubt(self, name: str) -> bool:
        return name in self._doubtful or ANY_NAME in self._doubtful

    def commit(self, nft: NfTables) -> None:
        """Put in place what was done, or note what the kernel has against it."""
        try:
            nft.commit(self._transaction)
        except OSError:
            places = {
                id(asked.rule): place
                for asked, place in self._commands
                if isinstance(asked, ask.AddRule | ask.ReplaceRule)
            }
            for table in self._transaction.changed():
                for error, rule in refusals(table):
                    place = places.get(id(rule), self._commands[-1].place)
                    self.faults.append(_refusal(error, place, self._text))


def _made(command: Command) -> list[str]:
    """Return what a command would have made or deleted; of what has no name, an empty one."""
    match command.asked:
        case ask.AddTable(table):
            return [table.name]
        case ask.AddChain(_, _, chain):
            return [chain.name]
        case ask.AddSet(_, _, known):
            return [known.name]
        case ask.AddObject(_, _, known):
            return [known.name]
        case ask.DeleteTable(_, name) | ask.RenameChain(_, _, _, name):
            return [name]
        case ask.DeleteChain(_, _, name) | ask.DeleteSet(_, _, name) | ask.DeleteObject(_, _, _, name):
            return [name]
        case ask.DeleteRule() | Listing() | Reset():
            return []
        case _:
            return [""]


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
        return MissingError(place, name[1:]).fault
    named = f" ('{name}')" if name else ""
    return Fault(place, f"Could not process rule: {reason}{named}")
