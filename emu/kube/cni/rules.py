# SPDX-License-Identifier: GPL-2.0-only
"""iptables rules as plugins and daemons write them: ensured, not just added.

A rule is the words behind the chain's name, as they are given to `iptables`.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.commands import iptables
from emu.errors import CommandError
from emu.kernel.netfilter.ruleset import Jump
from emu.tools.iptables import command
from emu.tools.iptables.program import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ruleset import Chain
    from emu.tools.iptables.command import Command

Words = tuple[str, ...]
"""A rule without its chain: `("-s", "10.244.1.2/32", "-j", "ACCEPT")`."""

_CACHED: Final = 4096


@lru_cache(maxsize=_CACHED)
def _parse(words: Words) -> Command:
    return command.parse(words)


@attrs.frozen
class Tables:
    """The iptables of a namespace."""

    fabric: Fabric
    net: Namespace

    def run(self, table: str, *words: str) -> None:
        """Do what `iptables -t TABLE WORDS` does.

        Raises:
            CommandError: it is refused.
        """
        backend = Backend.LEGACY if self.net.netfilter.is_legacy else Backend.NFT
        asked = _parse(words)
        self.fabric.call(self.net, partial(iptables.run, asked=asked, table=table, backend=backend))

    def chain(self, table: str, name: str) -> Chain | None:
        """Return a chain as it is now, None if there is none."""
        netfilter = self.net.used_netfilter
        found = None if netfilter is None else netfilter.tables.get(table)
        return None if found is None else found.table.by_name.get(name)

    def has(self, table: str, chain: str, rule: Words) -> bool:
        """Return whether `rule` stands in `chain` (`iptables -C`)."""
        try:
            self.run(table, "-C", chain, *rule)
        except CommandError:
            return False
        return True

    def ensure_chain(self, table: str, name: str) -> None:
        """Make a chain unless it is there."""
        if self.chain(table, name) is None:
            self.run(table, "-N", name)

    def append(self, table: str, chain: str, rule: Words) -> None:
        """Put `rule` at the end of `chain` (`-A`)."""
        self.run(table, "-A", chain, *rule)

    def append_unique(self, table: str, chain: str, rule: Words) -> None:
        """Put `rule` at the end of `chain` unless it stands there somewhere."""
        if not self.has(table, chain, rule):
            self.append(table, chain, rule)

    def insert_unique(self, table: str, chain: str, rule: Words) -> None:
        """Put `rule` at the top of `chain` unless it stands there somewhere."""
        if not self.has(table, chain, rule):
            self.run(table, "-I", chain, *rule)

    def remove(self, table: str, chain: str, rule: Words) -> None:
        """Delete `rule` from `chain`, if it stands there."""
        if self.has(table, chain, rule):
            self.run(table, "-D", chain, *rule)

    def remove_chain(self, table: str, name: str, callers: Iterable[str] = ()) -> None:
        """Delete a chain with its rules, and before it what leads there from the chains `callers`."""
        if self.chain(table, name) is None:
            return
        for caller in callers:
            found = self.chain(table, caller)
            rules = () if found is None else found.rules
            for number in range(len(rules), 0, -1):
                if rules[number - 1].target == Jump(name):
                    self.run(table, "-D", caller, str(number))
        self.run(table, "-F", name)
        self.run(table, "-X", name)
