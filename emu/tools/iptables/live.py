# SPDX-License-Identifier: GPL-2.0-only
"""From snapshots to the tables of a namespace, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.xtables import ChainCounts
from emu.tools.iptables.snapshot import Counted, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kernel.netfilter.netfilter import Netfilter
    from emu.kernel.netfilter.xtables import XTable

    Position = tuple[str, int]


def snapshot_of(table: XTable) -> Snapshot:
    """Return `table` with what its rules have counted until now."""
    counted = {
        name: Counted(tuple(counts.rules), counts.policy) for name, counts in table.known_counts().items()
    }
    return Snapshot(table.table, counted)


def snapshots_of(netfilter: Netfilter) -> Mapping[str, Snapshot]:
    """Return all tables that somebody has used, by name."""
    return {name: snapshot_of(table) for name, table in netfilter.tables.items()}


def install(
    netfilter: Netfilter, snapshot: Snapshot, moves: Iterable[tuple[Position, Position]] = ()
) -> None:
    """Put `snapshot` in the place of the table of its name.

    Args:
        netfilter: the tables of a namespace.
        snapshot: the new table.
        moves: where each rule that stays is now, and where it was: it keeps its memory.
    """
    table = netfilter.table(snapshot.table.name)
    before = table.memories
    memories = {now: before[was] for now, was in moves if was in before} if before else {}
    counts = {name: ChainCounts(found.rules, found.policy) for name, found in snapshot.counted.items()}
    table.replace(snapshot.table, counts, memories)
    netfilter.changed()
