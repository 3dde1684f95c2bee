# SPDX-License-Identifier: GPL-2.0-only
"""Making a node's kernel agree with what policies want there, as `ipset` and `iptables-restore --noflush` do.

Sets come before the rules that ask them, and go behind them. Only chains and sets
whose names begin as wanted (`NETPOL-` for an agent of ours) are touched, and the rules
that are kept at the ends of the built-in chains, most of them jumps at the top.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.kernel.netfilter.ipset.element import Extensions
from emu.kernel.netfilter.ipset.expansion import expand
from emu.kernel.netfilter.ipset.hash import HashSet
from emu.kernel.netfilter.ipset.spec import SetSpec
from emu.kernel.netfilter.ipset.types import TYPES
from emu.kernel.netfilter.ruleset import Chain, Jump, Table, empty
from emu.kernel.netfilter.xtables import ChainCounts, Count
from emu.kube.policy.names import PREFIX
from emu.kube.proxy.lines import read_rule
from emu.tools.ipset import entries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ipset.element import Element
    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.netfilter.xtables import XTable
    from emu.kube.policy.wanted import Hook, Wanted, WantedSet

_CACHED: Final = 1 << 16
_KEPT_AT_THE_TOP: Final = (PREFIX, "cali-")
"""Whose jumps are kept at the top: these do not mind each other."""

_PLAIN: Final = Extensions()
_SPECS: Final = {name: SetSpec(TYPES[name], 4) for name in ("hash:ip", "hash:ip,port", "hash:net")}


@lru_cache(maxsize=_CACHED)
def _rule(line: str) -> Rule:
    return read_rule(PREFIX, line)  # the chain's name is no part of the rule


@lru_cache(maxsize=_CACHED)
def _read(kind: str, text: str) -> tuple[Element, bool]:
    """Return the element that `ipset add` makes of `text`, and whether it is taken out (`nomatch`)."""
    first, *rest = text.split()
    entry = entries.parse("add", _SPECS[kind], first, rest)
    (element,) = expand(_SPECS[kind], entry)
    return element, entry.nomatch


def load(net: Namespace, before: Wanted, now: Wanted) -> None:
    """Have `now` in the kernel of a node.

    Args:
        net: the node's namespace.
        before: what the last call left; an empty one at first.
        now: what is wanted.
    """
    if before.is_empty and now.is_empty:
        return
    for each in now.sets:
        _fill(net, each)
    _replace(net, before, now)
    kept = {each.name for each in now.sets}
    for each in before.sets:
        sets = net.netfilter.ipsets
        if each.name not in kept and sets.get(each.name) is not None and not sets.references(each.name):
            sets.destroy(each.name)


def is_intact(net: Namespace, wanted: Wanted) -> bool:
    """Return whether all that was loaded is still there, the jumps first in their chains.

    Of sets the number of elements is looked at.
    """
    netfilter = net.netfilter
    for each in wanted.sets:
        known = netfilter.ipsets.get(each.name)
        if not isinstance(known, HashSet) or len(known) != len(each.elements):
            return False
    xtable = netfilter.tables.get(wanted.table)
    if xtable is None:
        return wanted.is_empty
    found = xtable.table.by_name
    return all(
        hook.chain in found and _is_in_place(found[hook.chain], hook, wanted) for hook in wanted.hooks
    ) and all(
        chain.name in found and found[chain.name].rules == tuple(map(_rule, chain.lines))
        for chain in wanted.chains
    )


def _is_in_place(chain: Chain, hook: Hook, wanted: Wanted) -> bool:
    """Return whether a hook is at its end of a chain: before it at most those that are kept there, too."""
    rule = _rule(hook.line)
    if hook.at_end:
        count = sum(each.chain == hook.chain and each.at_end for each in wanted.hooks)
        return rule in chain.rules[-count:]
    for each in chain.rules:
        if each == rule:
            return True
        if not (isinstance(each.target, Jump) and each.target.chain.startswith(_KEPT_AT_THE_TOP)):
            return False
    return False


# --- sets ---


def _fill(net: Namespace, wanted: WantedSet) -> None:
    """Have a set with exactly the elements that are wanted."""
    sets = net.netfilter.ipsets
    if sets.get(wanted.name) is None:
        sets.create(wanted.name, _SPECS[wanted.type])
    known = sets.find(wanted.name)
    assert isinstance(known, HashSet)
    present = {entries.render(known.spec, member, net.now) for member in known.listed(net.now)}
    for text in sorted(present - wanted.elements):
        known.remove(_read(wanted.type, text)[0], net.now)
    for text in sorted(wanted.elements - present):
        element, is_out = _read(wanted.type, text)
        known.put(element, _PLAIN, net.now, exist=True).nomatch = is_out


# --- rules ---


def _replace(net: Namespace, before: Wanted, wanted: Wanted) -> None:
    """Put the chains into the table in the place of those that were there."""
    hooked = frozenset([_rule(hook.line) for hook in (*before.hooks, *wanted.hooks)])
    xtable = net.netfilter.tables.get(wanted.table)
    present = xtable.table if xtable is not None else empty(wanted.table)
    own = {chain.name: _chain(chain.name, chain.lines, present) for chain in wanted.chains}
    others = [
        _hooked(chain, wanted, hooked)
        for chain in present.chains
        if chain.name not in own and not chain.name.startswith(wanted.prefixes)
    ]
    for name in wanted.ensured:
        own.setdefault(name, present.by_name.get(name) or Chain(name, ()))
    others = [chain for chain in others if chain.name not in own]
    builtin = [chain for chain in others if chain.policy is not None]
    users = [chain for chain in others if chain.policy is None]
    table = Table(wanted.table, (*builtin, *sorted((*users, *own.values()), key=_octets)), present.family)
    if table.chains == present.chains:
        return
    counts, memories = ({}, {}) if xtable is None else _kept(xtable, table, wanted, hooked)
    net.netfilter.replace(table, counts, memories)


def _octets(chain: Chain) -> bytes:
    return chain.name.encode(errors="surrogateescape")


def _chain(name: str, lines: tuple[str, ...], present: Table) -> Chain:
    """Return a chain, the one that is there if it has the same rules."""
    rules = tuple(map(_rule, lines))
    known = present.by_name.get(name)
    return known if known is not None and known.rules == rules else Chain(name, rules)


def _hooked(chain: Chain, wanted: Wanted, hooked: frozenset[Rule]) -> Chain:
    """Return a chain of others with the rules that are wanted at its ends, and without those that are not."""
    if chain.policy is None:
        return chain
    here = [hook for hook in wanted.hooks if hook.chain == chain.name]
    rules = (
        *(_rule(hook.line) for hook in here if not hook.at_end),
        *(rule for rule in chain.rules if not _is_own(rule, wanted, hooked)),
        *(_rule(hook.line) for hook in here if hook.at_end),
    )
    return chain if rules == chain.rules else attrs.evolve(chain, rules=rules)


def _is_own(rule: Rule, wanted: Wanted, hooked: frozenset[Rule]) -> bool:
    return rule in hooked or (isinstance(rule.target, Jump) and rule.target.chain.startswith(wanted.prefixes))


def _kept(
    xtable: XTable, table: Table, wanted: Wanted, hooked: frozenset[Rule]
) -> tuple[dict[str, ChainCounts], Mapping[tuple[str, int], dict[Any, Any]]]:
    """Return what rules that stay have counted, and what they remember, under their new numbers."""
    counts: dict[str, ChainCounts] = {}
    places: dict[str, dict[int, int]] = {}
    for name in {*xtable.known_counts(), *(chain for chain, _ in xtable.memories)}:
        was, now = xtable.table.by_name[name], table.by_name.get(name)
        if now is None:
            continue
        if was.rules == now.rules:
            places[name] = {number: number for number in range(len(now.rules))}
        elif now.policy is not None:
            others = (
                [number for number, rule in enumerate(each.rules) if not _is_own(rule, wanted, hooked)]
                for each in (was, now)
            )
            places[name] = dict(zip(*others, strict=True))
        known = xtable.known_counts().get(name)
        if known is not None and name in places:
            found = [Count()] * len(now.rules)
            counted = known.rules
            for old, new in places[name].items():
                found[new] = counted[old]
            counts[name] = ChainCounts(found, known.policy)
    memories = {
        (name, places[name][number]): memory
        for (name, number), memory in xtable.memories.items()
        if number in places.get(name, {})
    }
    return counts, memories
