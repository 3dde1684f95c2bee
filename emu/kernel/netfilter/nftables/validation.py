# SPDX-License-Identifier: GPL-2.0-only
"""What a table must keep to before it is walked: how deep jumps go, and what may stand where.

Source: net/netfilter/nf_tables_api.c `nft_chain_validate`, and the `validate` of expressions.
"""

from __future__ import annotations

import errno
from functools import cache
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import statements as st
from emu.kernel.netfilter.nftables.changes import refuse
from emu.kernel.netfilter.nftables.references import of_element

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.nftables.live import LiveChain, LiveRule, LiveTable
    from emu.kernel.netfilter.nftables.ruleset import Hooked, Rule

_DEEPEST: Final = 16
"""Chains within each other, the base chain counted (`NFT_JUMP_STACK_SIZE`)."""

_NAT_HOOKS: Final = {
    "dnat": ("prerouting", "output"),
    "redirect": ("prerouting", "output"),
    "snat": ("postrouting", "input"),
    "masquerade": ("postrouting",),
}
_REJECT: Final = "reject"
_REJECTING: Final = ("prerouting", "input", "forward", "output", "ingress")


def validate(table: LiveTable) -> None:
    """Look at all that can be reached from base chains.

    Raises:
        OSError: jumps go too deep or in circles (EMLINK), or a statement cannot
            stand where it does (EOPNOTSUPP).
    """
    if _is_surely_right(table):
        return
    for error, _ in refusals(table):
        raise error


def _is_surely_right(table: LiveTable) -> bool:
    """Return whether nothing is wrong by the height of each chain and what is below it; False if in doubt."""
    known: dict[str, tuple[int, frozenset[str]]] = {}
    targets = _Targets(table)
    for name in table.chains:
        if name in known:
            continue
        below = targets.of(name)
        stack = [(name, below, iter(below))]
        while stack:
            at, below, rest = stack[-1]
            missing = next((each for each in rest if each not in known), None)
            if missing is not None:
                if len(stack) > _DEEPEST:
                    return False
                further = targets.of(missing)
                stack.append((missing, further, iter(further)))
                continue
            heights, kinds = zip(*(known[each] for each in below), strict=True) if below else ((0,), ())
            known[at] = 1 + max(heights), targets.kinds(at).union(*kinds)
            stack.pop()
    for name, chain in table.chains.items():
        hooked = chain.value.hooked
        if hooked is not None:
            height, found = known[name]
            if height > _DEEPEST or not found <= _allowed(hooked.type, hooked.hook):
                return False
    return True


@cache
def _allowed(kind: str, hook: str) -> frozenset[str]:
    """Return which statements that are bound to hooks may stand there."""
    found = {name for name, hooks in _NAT_HOOKS.items() if kind == "nat" and hook in hooks}
    return frozenset(found | ({_REJECT} if hook in _REJECTING else set()))


class _Targets:
    """Where chains lead to, and what they have that is bound to hooks."""

    def __init__(self, table: LiveTable) -> None:
        self._table = table
        self._maps: dict[str, tuple[str, ...]] = {}

    def of(self, chain: str) -> list[str]:
        """Return the chains that `chain` leads to."""
        found: list[str] = []
        for rule in self._table.chains[chain].rules:
            for kind, name in rule.names:
                if kind == "chain":
                    found.append(name)
                elif kind == "set" and self._table.sets[name].value.is_map:
                    found += self._of_map(name)
        return found

    def kinds(self, chain: str) -> frozenset[str]:
        """Return which statements its own rules have that may not stand everywhere."""
        rules = self._table.chains[chain].rules
        return frozenset(kind for rule in rules for kind in rule.value.bound)

    def _of_map(self, name: str) -> tuple[str, ...]:
        found = self._maps.get(name)
        if found is None:
            slots = self._table.sets[name].slots.values()
            references = {each for slot in slots for each in of_element(slot.element)}
            found = self._maps[name] = tuple(sorted(each for kind, each in references if kind == "chain"))
        return found


def refusals(table: LiveTable) -> Iterator[tuple[OSError, Rule | None]]:
    """Yield what `validate` refuses, each with the rule at fault; None where jumps are."""
    told: set[int] = set()
    for chain in table.chains.values():
        if chain.value.hooked is None:
            continue
        walk = _Walk(table, chain.value.hooked)
        try:
            walk.visit(chain, 1)
        except OSError as error:
            yield error, None
            return
        for rule in walk.misplaced:
            if rule.handle not in told:
                told.add(rule.handle)
                yield refuse(errno.EOPNOTSUPP), rule.value


class _Walk:
    def __init__(self, table: LiveTable, hooked: Hooked) -> None:
        self.table = table
        self.hooked = hooked
        self.depths: dict[str, int] = {}
        self.misplaced: list[LiveRule] = []

    def visit(self, chain: LiveChain, depth: int) -> None:
        """Look at a chain that is reached at `depth`."""
        name = chain.value.name
        if depth > _DEEPEST:
            raise refuse(errno.EMLINK)
        if self.depths.get(name, 0) >= depth:
            return
        is_new = name not in self.depths
        self.depths[name] = depth
        for rule in chain.rules:
            if is_new:
                self._check(rule)
            for target in self._targets(rule):
                self.visit(self.table.chains[target], depth + 1)

    def _targets(self, rule: LiveRule) -> Iterator[str]:
        for kind, name in rule.names:
            if kind == "chain":
                yield name
            elif kind == "set" and self.table.sets[name].value.is_map:
                yield from self._of_map(name)

    def _of_map(self, name: str) -> Iterator[str]:
        targets = {
            reference
            for slot in self.table.sets[name].slots.values()
            for reference in of_element(slot.element)
        }
        yield from sorted(name for kind, name in targets if kind == "chain")

    def _check(self, rule: LiveRule) -> None:
        for statement in rule.value.statements:
            if isinstance(statement, st.Nat):
                is_fine = self.hooked.type == "nat" and self.hooked.hook in _NAT_HOOKS[statement.kind]
            elif isinstance(statement, st.Reject):
                is_fine = self.hooked.hook in _REJECTING
            else:
                continue
            if not is_fine:
                self.misplaced.append(rule)
                return
