# SPDX-License-Identifier: GPL-2.0-only
"""The tables of a node in mode ipvs, as `iptables-restore --noflush --counters` leaves them.

All chains of the mode are written with each change and count anew; chains of
others stay as they are, but for the jumps that are put in front.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter.ruleset import Chain, Goto, Jump, Table, empty
from emu.kernel.netfilter.xtables import ChainCounts, Count
from emu.kube.proxy.ipvs import names
from emu.kube.proxy.lines import read_rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.netfilter.xtables import XTable
    from emu.kube.proxy.lines import Written


@cache
def _jumps(table: str) -> tuple[tuple[str, Rule], ...]:
    return tuple([(chain, read_rule(chain, line)) for name, chain, line in names.JUMPS if name == table])


def load(net: Namespace, wanted: Mapping[str, tuple[Written, ...]]) -> None:
    """Have the chains of `wanted` in the tables of `net`, and the jumps that lead there."""
    for name, chains in wanted.items():
        xtable = net.netfilter.tables.get(name)
        present = xtable.table if xtable is not None else empty(name)
        own = {written.name: written.chain for written in chains}
        others = {chain.name: chain for chain in present.chains if chain.name not in own}
        for chain_name, rule in _jumps(name):
            chain = others[chain_name]
            if rule not in chain.rules:
                others[chain_name] = attrs.evolve(chain, rules=(rule, *chain.rules))
        _replace(net, xtable, present, [*others.values(), *own.values()], frozenset(own))


def is_intact(net: Namespace, wanted: Mapping[str, tuple[Written, ...]]) -> bool:
    """Return whether all chains are as they were written, and all jumps there."""
    for name, chains in wanted.items():
        xtable = net.netfilter.tables.get(name)
        by_name = xtable.table.by_name if xtable is not None else {}
        if any(by_name.get(each.name) != each.chain for each in chains):
            return False
        if any(rule not in by_name[chain].rules for chain, rule in _jumps(name)):
            return False
    return True


def clean_up(net: Namespace) -> None:
    """Take away the chains and jumps; a table where rules of others lead to them keeps them."""
    for name, chains in names.CHAINS.items():
        xtable = net.netfilter.tables.get(name)
        if xtable is None or not any(chain.name in chains for chain in xtable.table.chains):
            continue
        jumps = _jumps(name)
        kept = [
            attrs.evolve(
                chain, rules=tuple([rule for rule in chain.rules if (chain.name, rule) not in jumps])
            )
            for chain in xtable.table.chains
            if chain.name not in chains
        ]
        targets = [rule.target for chain in kept for rule in chain.rules]
        if not any(isinstance(target, (Jump, Goto)) and target.chain in chains for target in targets):
            _replace(net, xtable, xtable.table, kept, frozenset(chains))


def _replace(
    net: Namespace, xtable: XTable | None, present: Table, chains: list[Chain], own: frozenset[str]
) -> None:
    """Put `chains` in place of a table's, those that others have with what they have counted."""
    builtin = [chain for chain in chains if chain.policy is not None]
    users = sorted((chain for chain in chains if chain.policy is None), key=_octets)
    table = Table(present.name, (*builtin, *users), present.family)
    if xtable is not None and table.chains == present.chains:
        return
    counts, memories = ({}, {}) if xtable is None else _kept(xtable, table, own)
    net.netfilter.replace(table, counts, memories)


def _octets(chain: Chain) -> bytes:
    return chain.name.encode(errors="surrogateescape")


def _kept(
    xtable: XTable, table: Table, own: frozenset[str]
) -> tuple[dict[str, ChainCounts], dict[tuple[str, int], dict[Any, Any]]]:
    """Return what rules of others have counted and remember, under their new numbers."""
    counts: dict[str, ChainCounts] = {}
    memories: dict[tuple[str, int], dict[Any, Any]] = {}
    for name in {*xtable.known_counts(), *(chain for chain, _ in xtable.memories)} - own:
        was, now = xtable.table.by_name[name], table.by_name.get(name)
        if now is None:
            continue
        places = _places(was.rules, now.rules)
        known = xtable.known_counts().get(name)
        if known is not None:
            found = [Count()] * len(now.rules)
            counted = known.rules
            for old, new in places.items():
                found[new] = counted[old]
            counts[name] = ChainCounts(found, known.policy)
        for (chain, number), memory in xtable.memories.items():
            if chain == name and number in places:
                memories[name, places[number]] = memory
    return counts, memories


def _places(was: tuple[Rule, ...], now: tuple[Rule, ...]) -> dict[int, int]:
    """Return the new number of each rule that stayed: some were put before all others, or taken out."""
    places: dict[int, int] = {}
    at = len(now)
    for number in range(len(was) - 1, -1, -1):
        for place in range(at - 1, -1, -1):
            if now[place] == was[number]:
                places[number], at = place, place
                break
    return places
