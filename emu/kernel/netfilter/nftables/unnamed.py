# SPDX-License-Identifier: GPL-2.0-only
"""The sets and maps in braces of a rule: nft makes a set of each, numbered like all else in a table.

Source: nftables, src/evaluate.c `implicit_set_declaration`; net/netfilter/nf_tables_api.c `nf_tables_newset`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.ruleset import Rule

_LEAVES: Final = (int, str, ex.Decision, type(None))


def unnamed_sets(rule: Rule) -> int:
    """Return how many sets without a name a rule has."""
    return sum(map(_count, rule.statements))


def _count(value: object) -> int:
    if isinstance(value, _LEAVES):
        return 0
    if isinstance(value, ex.Members):
        return 1
    if isinstance(value, tuple):
        return sum(map(_count, value))
    return sum(_count(getattr(value, name)) for name in getattr(type(value), "__match_args__", ()))
