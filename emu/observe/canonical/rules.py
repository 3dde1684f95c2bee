# SPDX-License-Identifier: GPL-2.0-only
"""iptables' tables as plain values: chains and rules with what they have counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from emu.kernel.netfilter.hooks import Hook
from emu.tools.iptables.text import rule_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.netfilter.ruleset import Chain
    from emu.kernel.netfilter.xtables import XTable

Rules = dict[str, dict[str, Any]]
"""By table: `chains`, by name, and `rules`. JSON's own types."""

_BUILTIN: Final = {hook.name: number for number, hook in enumerate(Hook)}


def rules(tables: Mapping[str, XTable]) -> Rules:
    """Return what iptables-save would tell of `tables`: built-in chains first, the others by name."""
    return {name: _table(table) for name, table in tables.items()}


def _table(table: XTable) -> dict[str, Any]:
    chains: dict[str, Any] = {}
    found: list[list[Any]] = []
    for chain in sorted(table.table.chains, key=_order):
        counts = table.counts(chain.name)
        chains[chain.name] = ["-"] if chain.policy is None else [chain.policy.value, *counts.policy]
        found += [
            [*count, rule_text(chain.name, rule)]
            for rule, count in zip(chain.rules, counts.rules, strict=True)
        ]
    return {"chains": chains, "rules": found}


def _order(chain: Chain) -> tuple[int, str]:
    return _BUILTIN.get(chain.name, len(_BUILTIN)), chain.name
