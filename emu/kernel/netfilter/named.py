# SPDX-License-Identifier: GPL-2.0-only
"""What rules share by name, and is forgotten when the last of them goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.matches.hashlimit import HashLimit
from emu.kernel.netfilter.matches.recent import Recent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.netfilter.matches.hashlimit import Buckets
    from emu.kernel.netfilter.recent import RecentLists
    from emu.kernel.netfilter.ruleset import Table


def forget_unnamed(tables: Iterable[Table], recent: RecentLists, hashlimits: dict[str, Buckets]) -> None:
    """Forget the lists and tables that no rule of `tables` names.

    What old rules and new ones both name stays as it was.
    """
    if not recent and not hashlimits:
        return
    matches = [
        match for table in tables for chain in table.chains for rule in chain.rules for match in rule.matches
    ]
    recent.keep({match.name for match in matches if isinstance(match, Recent)})
    kept = {match.name for match in matches if isinstance(match, HashLimit)}
    for name in tuple(hashlimits):
        if name not in kept:
            del hashlimits[name]
