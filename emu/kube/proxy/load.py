# SPDX-License-Identifier: GPL-2.0-only
"""Putting the rules of a node into its kernel, as `iptables-restore --noflush --counters` does.

Chains that kube-proxy does not know stay as they are, and so do built-in ones
but for the jumps that are put in front. Nodes on which the same rules meet the
same strangers get the same table object.
"""

from __future__ import annotations

from collections import ChainMap
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs

from emu.errors import CommandError
from emu.kernel.netfilter.ruleset import Goto, Jump, Table, empty
from emu.kernel.netfilter.xtables import ChainCounts, Count
from emu.kube.proxy.iptables import CANARY, ENSURED, JUMPS, TABLES, TableRules
from emu.kube.proxy.lines import Written, read_rule
from emu.kube.proxy.names import PER_SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ruleset import Chain, Rule
    from emu.kernel.netfilter.xtables import XTable
    from emu.kube.proxy.iptables import Ruleset


class Strangers(NamedTuple):
    """What is in a table beside the rules that kube-proxy wants.

    Attributes:
        chains: built-in chains, canaries, and chains of others.
        stale: chains that kube-proxy had for service ports and no longer wants.
    """

    chains: tuple[Chain, ...]
    stale: tuple[Chain, ...] = ()


class Loaded(NamedTuple):
    """A table as it was left, and what it was made of."""

    table: Table
    rules: TableRules
    strangers: Strangers


_NO_RULES: Final = TableRules("mangle", ())


@attrs.define
class Loader:
    """Puts rules into the tables of nodes, and remembers which tables came of it, for equal nodes."""

    _made: dict[tuple[int, Strangers, bool], Loaded] = attrs.field(factory=dict, init=False)
    _gone: dict[tuple[int, int], tuple[Loaded, tuple[str, ...]]] = attrs.field(factory=dict, init=False)

    def forget(self) -> None:
        """Forget the tables of rules that nobody will load again."""
        self._made.clear()
        self._gone.clear()

    def load(
        self, net: Namespace, ruleset: Ruleset, before: Mapping[str, Loaded], *, full: bool, deletes: bool
    ) -> Mapping[str, Loaded]:
        """Have the rules of `ruleset` in `net`, and return what was loaded, by table.

        Args:
            net: the namespace of a node.
            ruleset: its rules.
            before: what the last call for this namespace returned; nothing at first.
            full: jumps and canaries are looked after, and all rules begin to count anew;
                otherwise only those that have changed, and those in chains that all ports share.
            deletes: chains that are no longer wanted are deleted.

        Raises:
            CommandError: a rule of somebody else leads to a chain that is to be deleted.
        """
        wanted = {each.name: each for each in ruleset.tables}
        steps: list[tuple[Loaded, TableRules]] = []
        for name in TABLES if full else wanted:
            rules = wanted.get(name, _NO_RULES)
            steps.append((self._prepare(net, rules, before.get(name), full=full, deletes=deletes), rules))
        for loaded, rules in steps:
            xtable = net.netfilter.tables.get(rules.name)
            if xtable is None or xtable.table is not loaded.table or full:
                counts, memories = _kept(xtable, loaded.table, rules, full=full)
                net.netfilter.replace(loaded.table, counts, memories)
        return {**before, **{rules.name: loaded for loaded, rules in steps}}

    def _prepare(
        self, net: Namespace, rules: TableRules, before: Loaded | None, *, full: bool, deletes: bool
    ) -> Loaded:
        xtable = net.netfilter.tables.get(rules.name)
        present = xtable.table if xtable is not None else empty(rules.name)
        strangers = self._strangers(present, rules, before)
        if deletes:
            _check_unused(strangers)
            strangers = Strangers(strangers.chains)
        key = id(rules), strangers, full
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = _merged(present, rules, strangers, full=full)
        return found

    def _strangers(self, present: Table, rules: TableRules, before: Loaded | None) -> Strangers:
        """Return what of the present table is not wanted by `rules`."""
        if before is None or before.table is not present:
            return _found_strangers(present, rules)
        key = id(before), id(rules)
        known = self._gone.get(key)
        if known is None:
            known = self._gone[key] = before, _gone(before.rules, rules)
        stale = (*before.strangers.stale, *(present.by_name[name] for name in known[1]))
        if before.strangers.stale:
            wanted = {written.name for written in rules.ports.own}
            stale = tuple([chain for chain in stale if chain.name not in wanted])
        chains = [chain for chain in before.strangers.chains if chain.name not in rules.common_names]
        chains += [present.by_name[name] for name in sorted(before.rules.common_names - rules.common_names)]
        return Strangers(tuple(chains), stale)


def _gone(before: TableRules, after: TableRules) -> tuple[str, ...]:
    """Return the names of the ports' own chains that are no longer wanted."""
    if before is after:
        return ()
    old, new = {id(each) for each in before.ports.ports}, {id(each) for each in after.ports.ports}
    gone = {each.name for port in before.ports.ports if id(port) not in new for each in port.own}
    come = {each.name for port in after.ports.ports if id(port) not in old for each in port.own}
    return tuple(sorted(gone - come))


def _found_strangers(present: Table, rules: TableRules) -> Strangers:
    """Return what of a table that somebody else left is not wanted by `rules`."""
    others = [chain for chain in present.chains if chain.name not in rules.common_names]
    chains = tuple([chain for chain in others if not chain.name.startswith(PER_SERVICE)])
    if len(chains) == len(others):
        return Strangers(chains)
    wanted = {written.name for written in rules.ports.own}
    stale = [chain for chain in others if chain.name.startswith(PER_SERVICE) and chain.name not in wanted]
    return Strangers(chains, tuple(stale))


def is_intact(net: Namespace) -> bool:
    """Return whether the canaries are all there: nobody has flushed the tables."""
    tables = net.netfilter.tables
    return all(name in tables and CANARY in tables[name].table.by_name for name in TABLES)


def _check_unused(strangers: Strangers) -> None:
    """Raise what iptables-restore says where a chain that is to be deleted is still in use."""
    gone = {chain.name for chain in strangers.stale}
    for chain in strangers.chains if gone else ():
        for rule in chain.rules:
            if isinstance(rule.target, (Jump, Goto)) and rule.target.chain in gone:
                raise CommandError(
                    f"CHAIN_DEL failed (Device or resource busy): chain {rule.target.chain}", 4
                )


def _merged(present: Table, rules: TableRules, strangers: Strangers, *, full: bool) -> Loaded:
    """Return the table that comes of it."""
    others = {chain.name: chain for chain in strangers.chains}
    if full:
        for name in ENSURED[rules.name]:
            if name not in rules.common_names:
                others.setdefault(name, Written(name).chain)
        for name, rule in _jumps(rules.name):
            chain = others[name]
            if rule not in chain.rules:
                others[name] = attrs.evolve(chain, rules=(rule, *chain.rules))
    builtin = [chain for chain in others.values() if chain.policy is not None]
    foreign = [chain for chain in others.values() if chain.policy is None]
    beside = [*rules.common_chains, *foreign, *strangers.stale]
    chains = rules.ports.merged(beside)
    if not all(chain.name.isascii() for chain in foreign):
        chains.sort(key=_octets)
    table = Table(rules.name, (*builtin, *chains), present.family)
    uniform = rules.ports.uniform
    if uniform.chains:
        # Tables of different nodes have almost all chains in common: a dictionary of the others is enough.
        known = {chain.name: chain for chain in (*builtin, *beside)}
        for port in rules.ports.others:
            known.update(port.by_name)
        object.__setattr__(table, "by_name", ChainMap(known, uniform.by_name))
    return Loaded(table, rules, Strangers((*builtin, *foreign), strangers.stale))


def _octets(chain: Chain) -> bytes:
    return chain.name.encode(errors="surrogateescape")


@cache
def _jumps(table: str) -> tuple[tuple[str, Rule], ...]:
    """Return the jumps that are ensured in a table: chain and rule."""
    return tuple([(chain, read_rule(chain, line)) for name, chain, line in JUMPS if name == table])


def _kept(
    xtable: XTable | None, table: Table, rules: TableRules, *, full: bool
) -> tuple[dict[str, ChainCounts], dict[tuple[str, int], dict[Any, Any]]]:
    """Return what rules that stay have counted, and what they remember."""
    if xtable is None:
        return {}, {}
    moved = {}
    for name in {*xtable.known_counts(), *(chain for chain, _ in xtable.memories)} - rules.common_names:
        if full and name.startswith(PER_SERVICE):
            continue
        was, chain = xtable.table.by_name[name], table.by_name.get(name)
        if chain is not None and (chain.policy is not None or chain.rules == was.rules):
            moved[name] = len(chain.rules) - len(was.rules)
    counts = {
        name: ChainCounts([Count()] * moved[name] + known.rules, known.policy)
        for name, known in xtable.known_counts().items()
        if name in moved
    }
    memories = {
        (name, number + moved[name]): memory
        for (name, number), memory in xtable.memories.items()
        if name in moved
    }
    return counts, memories
