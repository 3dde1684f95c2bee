# SPDX-License-Identifier: GPL-2.0-only
"""A file for iptables-restore, loaded into a namespace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps.commands.iptables_tables import put
from emu.errors import Complaint, RulesError
from emu.kernel.netfilter.ipset.users import set_names
from emu.tools.iptables import restore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ruleset import Table


def load(net: Namespace | None, text: str) -> None:
    """Make the tables of `net` what `text` says; with None only look for faults.

    Raises:
        RulesError: it has faults.
    """
    snapshots = restore.parse(text).values()
    if net is None:
        return
    missing = list(_missing_sets(net, (snapshot.table for snapshot in snapshots), text))
    if missing:
        raise RulesError(missing)
    for snapshot in snapshots:
        put(net, snapshot)


def _missing_sets(net: Namespace, tables: Iterable[Table], text: str) -> Iterator[Complaint]:
    """Yield a complaint for each ipset that rules name and nobody has made."""
    rules = (rule for table in tables for chain in table.chains for rule in chain.rules)
    asked = {name for rule in rules for name in set_names(rule)}
    for name in sorted(asked):
        if net.netfilter.ipsets.get(name) is None:
            lines = (number for number, line in enumerate(text.splitlines(), 1) if name in line.split())
            yield Complaint(next(lines, 1), f"Set {name} doesn't exist.")
