# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a namespace, taken out for iptables and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.xtables import ChainCounts
from emu.tools.iptables import restore as text
from emu.tools.iptables.program import TABLES
from emu.tools.iptables.snapshot import Counted, Snapshot, blank

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.namespace import Namespace
    from emu.tools.iptables.draft import Draft


def take(net: Namespace, name: str) -> Snapshot:
    """Return table `name` and its counters; a blank one, which is not made by this, if nobody has used it.

    Raises:
        KeyError: there is no such table.
    """
    xtable = net.netfilter.tables.get(name)
    if xtable is None:
        return blank(name)
    counted = {
        chain: Counted(tuple(counts.rules), counts.policy) for chain, counts in xtable.known_counts().items()
    }
    return Snapshot(xtable.table, counted)


def take_all(net: Namespace) -> Mapping[str, Snapshot]:
    """Return the tables that somebody has used, in the order in which iptables-save prints them."""
    return {name: take(net, name) for name in TABLES if name in net.netfilter.tables}


def put(net: Namespace, snapshot: Snapshot, draft: Draft | None = None) -> None:
    """Put a table in the place of what is there.

    With iptables-legacy that is a whole new table, none of whose rules remembers anything.

    Args:
        net: the namespace.
        snapshot: the table.
        draft: what it was made from, if rules that were there before shall
            remember what they did.
    """
    present = net.netfilter.tables.get(snapshot.table.name)
    old = {} if net.netfilter.is_legacy or present is None else present.memories
    memories = {now: old[was] for now, was in draft.moves() if was in old} if draft and old else {}
    counts = {
        chain: ChainCounts(counted.rules, counted.policy) for chain, counted in snapshot.counted.items()
    }
    net.netfilter.replace(snapshot.table, counts, memories)


def restore(
    net: Namespace,
    rules: str,
    *,
    counters: bool = False,
    flush: bool = True,
    only: str = "",
    test: bool = False,
) -> None:
    """Do what iptables-restore does.

    Args:
        net: the namespace.
        rules: what it reads.
        counters: those in brackets are taken over (`-c`).
        flush: what a table held before goes (no `--noflush`).
        only: name of the one table that is restored (`-T`); empty for all.
        test: nothing is changed (`--test`).

    Raises:
        RulesError: they have faults; nothing is restored.
    """
    present = {name: take(net, name) for name in net.netfilter.tables}
    restored = text.restore(rules, present, counters=counters, flush=flush, only=only)
    for snapshot, draft in () if test else restored.values():
        put(net, snapshot, draft)
