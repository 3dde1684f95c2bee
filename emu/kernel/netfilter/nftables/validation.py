# SPDX-License-Identifier: GPL-2.0-only
"""What a table must keep to before it is walked: how deep jumps go, and what may stand where.

Source: net/netfilter/nf_tables_api.c `nft_chain_validate`, and the `validate` of expressions.
"""

from __future__ import annotations

import errno
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
_REJECTING: Final = ("prerouting", "input", "forward", "output", "ingress")


def validate(table: LiveTable) -> None:
    """Look at all that can be reached from base chains.

    Raises:
        OSError: jumps go too deep or in circles (EMLINK), or a statement cannot
            stand where it does (EOPNOTSUPP).
    """
    for error, _ in refusals(table):
        raise error


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
