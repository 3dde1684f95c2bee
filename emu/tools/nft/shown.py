# SPDX-License-Identifier: GPL-2.0-only
"""What `nft list` shows of a ruleset. Source: nftables, src/rule.c (`do_command_list`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter.nftables.ruleset import Ruleset
from emu.kernel.netfilter.nftables.states import CounterState
from emu.tools.nft import elements, listing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.nftables.changes import Transaction
    from emu.kernel.netfilter.nftables.ruleset import Set, Table
    from emu.tools.nft.asked import Listing, Reset
    from emu.tools.nft.listing import Options


def sorted_sets(ruleset: Ruleset) -> Ruleset:
    """Return a ruleset with the elements of its sets in the order in which they are listed."""
    tables = [
        attrs.evolve(table, sets=tuple([_sorted(found) for found in table.sets])) for table in ruleset.tables
    ]
    return Ruleset(tuple(tables))


def _sorted(found: Set) -> Set:
    ordered = elements.in_order(found.elements, found.key, interval=found.is_interval)
    return attrs.evolve(found, elements=tuple(ordered))


def listed(asked: Listing | Reset, ruleset: Ruleset, options: Options) -> str | None:
    """Return what is asked for, None where there is none of it."""
    shown = sorted_sets(ruleset)
    tables = [
        table
        for table in shown.tables
        if asked.family in ("", table.family) and asked.table in ("", table.name)
    ]
    if asked.what == "ruleset":
        return "".join(listing.render_table(table, options) for table in tables)
    if asked.what == "tables":
        return "".join(f"table {table.family} {table.name}\n" for table in tables)
    if asked.table and not tables:
        return None
    if asked.what == "table":
        return listing.render_table(tables[0], options)
    texts = [(table, list(_blocks(table, asked, options))) for table in tables]
    if asked.name and not any(blocks for _, blocks in texts):
        return None
    is_object = asked.what in ("counters", "limits")
    kept = [
        (table, blocks)
        for table, blocks in texts
        if blocks or not (asked.name or (is_object and not table.objects))
    ]
    return "".join(listing.render_some(table, blocks, options) for table, blocks in kept)


def _blocks(table: Table, asked: Listing | Reset, options: Options) -> Iterator[str]:
    """Yield what of a table is asked for."""
    what = asked.what
    if what == "chains":
        for chain in table.chains:
            yield listing.chain_head(chain, table.family, options)
    elif what == "chain":
        for chain in table.chains:
            if chain.name == asked.name:
                yield listing.chain(chain, table.family, options)
    elif what in ("sets", "maps", "set", "map"):
        for found in table.sets:
            if found.is_map is what.startswith("map") and asked.name in ("", found.name):
                yield listing.named_set(found, options)
    else:
        for one in table.objects:
            if one.kind == what.rstrip("s") and asked.name in ("", one.name):
                yield listing.named_object(one, options)


def reset(asked: Reset, transaction: Transaction) -> None:
    """Set the counters that were shown to zero."""
    for (family, name), table in transaction.tables.items():
        if asked.family not in ("", family) or asked.table not in ("", name):
            continue
        for (_, label), found in table.objects.items():
            if isinstance(found.state, CounterState) and asked.name in ("", label):
                found.state.packets = found.state.octets = 0
