# SPDX-License-Identifier: GPL-2.0-only
"""Which rules hold on to sets: a set that is named by one can be neither destroyed nor renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.netfilter.matches.set import SetMatch
from emu.kernel.netfilter.targets.set import SetTarget

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kernel.netfilter.ruleset import Rule, Table


def count_uses(tables: Iterable[Table], name: str) -> int:
    """Return how often the rules of `tables` name the set `name`."""
    return sum(
        set_names(rule).count(name) for table in tables for chain in table.chains for rule in chain.rules
    )


def fills_sets(table: Table) -> bool:
    """Return whether rules of `table` change sets by the packets that they meet."""
    return any(isinstance(rule.target, SetTarget) for chain in table.chains for rule in chain.rules)


def set_names(rule: Rule) -> list[str]:
    """Return the sets that `rule` names, each as often as it does."""
    names = [name for match in rule.matches if isinstance(match, SetMatch) for name in match.set_names]
    if isinstance(rule.target, SetTarget):
        names += rule.target.set_names
    return names
