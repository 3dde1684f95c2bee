# SPDX-License-Identifier: GPL-2.0-only
"""What the rules of a namespace come to: for everybody, and for each pod.

    -A FORWARD -s POD-1 -j OUT-1       for POD-1: at this place, the rules of OUT-1
    -A FORWARD -s POD-2 -j OUT-2       for POD-2: at this place, the rules of OUT-2
    -A FORWARD -p tcp -j ACCEPT        for everybody

A rule that holds for the packets of one pod alone is taken out, and becomes part
of what that pod is like, with all that only it leads to. Of two such rules that
follow each other, one about who sends and one about who gets, the order counts:
therefore they stand in blocks, of which each holds one sort. Rules of a block
about different pods never meet in one packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kernel.netfilter.ruleset import BUILTIN, Decide, Goto, Jump
from emu.kernel.netfilter.targets.reject import Reject
from emu.kernel.netfilter.verdict import Verdict
from emu.verify.likeness.condition import SOURCE, TARGET
from emu.verify.likeness.universe import Extent, only_bit

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from emu.kernel.netfilter.ruleset import Target
    from emu.verify.likeness.condition import Condition, Named
    from emu.verify.likeness.reach import Reached
    from emu.verify.likeness.universe import Universe

_OTHER: Final = {SOURCE: TARGET, TARGET: SOURCE}


class _Owner(NamedTuple):
    """A pod whose packets a rule is about: its number, and at which end it is."""

    number: int
    end: str


@attrs.define
class Meaning:
    """What rules come to.

    Attributes:
        general: for everybody, as a value that can be compared.
        of: for each pod that rules single out, by its number.
        pairs: pods that a rule singles out together.
        edges: ports at which something changes.
        asks: the sets of pods that are asked for everybody, as `Universe.take` tells them.
        asks_for: those that are asked for each pod alone.
    """

    general: list[Hashable] = attrs.field(factory=list)
    of: dict[int, list[Hashable]] = attrs.field(factory=dict)
    pairs: set[frozenset[int]] = attrs.field(factory=set)
    edges: set[int] = attrs.field(factory=set)
    asks: int = 0
    asks_for: dict[int, int] = attrs.field(factory=dict)


class Reader:
    """Reads the rules of one namespace.

    Args:
        node: the namespace.
        universe: who takes part.
        labels: how comments call each pod.
    """

    def __init__(self, node: str, universe: Universe, labels: Sequence[str]) -> None:
        self._node = node
        self._universe = universe
        self._labels = labels
        self._meaning = Meaning()
        self._numbers: dict[tuple[str, str], int] = {}
        self._private: dict[tuple[str, str, _Owner], Hashable] = {}

    def read(self, tables: Sequence[Reached]) -> Meaning:
        """Return what the rules that are reached come to."""
        meaning = self._meaning
        self._universe.take()
        for reached in tables:
            meaning.pairs |= reached.pairs
            for condition in reached.conditions.values():
                meaning.edges |= condition.edges
            for hook in BUILTIN[reached.table.name]:
                chain = reached.table.by_name.get(hook.name)
                policy = None if chain is None else chain.policy
                meaning.general.append(
                    (reached.table.name, hook.name, policy, self._chain(reached, hook.name))
                )
        meaning.asks |= self._universe.take()
        return meaning

    # --- for everybody ---

    def _chain(self, reached: Reached, chain: str) -> Hashable:
        """Return a chain for everybody; where it comes again, only which it is."""
        key = (reached.table.name, chain)
        known = self._numbers.get(key)
        if known is not None:
            return known
        number = self._numbers[key] = len(self._numbers)
        items: list[Hashable] = [number]
        block = ""
        for at in reached.rules.get(chain, ()):
            condition = reached.conditions[chain, at]
            owners = self._owners(condition)
            if len(owners) == 2 and owners[0].number != owners[1].number:
                self._meaning.pairs.add(frozenset(owner.number for owner in owners))
                continue
            target = reached.table.by_name[chain].rules[at].target
            if not owners:
                items.append(self._rule(reached, condition, target))
                block = ""
                continue
            kind = "".join(owner.end for owner in owners)
            if kind != block:
                items.append(kind)
                block = kind
            self._meaning.asks |= self._universe.take()
            text = self._own_rule(reached, condition, target, owners[0])
            owner = owners[0].number
            asks = self._meaning.asks_for.get(owner, 0)
            self._meaning.asks_for[owner] = asks | self._universe.take()
            self._meaning.of.setdefault(owner, []).append((number, len(items), text))
        return tuple(items)

    def _owners(self, condition: Condition) -> list[_Owner]:
        """Return the pods that a rule singles out."""
        if not condition.is_host:
            return []
        found: list[_Owner] = []
        for end in (SOURCE, TARGET):
            if condition.ends[end]:
                extent = condition.whole(end, self._universe.everybody)
                number = None if extent.machines else only_bit(extent.pods)
                if number is not None:
                    found.append(_Owner(number, end))
        return found

    def _rule(self, reached: Reached, condition: Condition, target: Target | None) -> Hashable:
        ends = [self._end(condition, end) for end in (SOURCE, TARGET)]
        named = [self._named(each) for each in condition.named]
        if isinstance(target, Jump | Goto):
            does: Hashable = type(target).__name__, self._chain(reached, target.chain)
        else:
            does = target, _comment(condition, target, "")
        return (*ends, *named, *condition.text, does)

    def _end(self, condition: Condition, end: str) -> Hashable:
        seen = self._universe.seen_from
        return tuple([seen(extent, self._node) for extent in condition.ends[end]])

    def _named(self, asked: Named) -> Hashable:
        """Return ports that are asked for by address, each with those who have it."""
        pods: dict[tuple[int, ...], int] = {}
        for number, ports in asked.ports.of:
            pods[ports] = pods.get(ports, 0) | 1 << number
        groups = [
            (ports, self._universe.seen_from(Extent(found), self._node))
            for ports, found in sorted(pods.items())
        ]
        return asked.end, asked.port, asked.inverted, tuple(groups)

    # --- for one pod ---

    def _own_rule(
        self, reached: Reached, condition: Condition, target: Target | None, owner: _Owner
    ) -> Hashable:
        """Return a rule for packets of its owner, whose end fits."""
        other = self._end(condition, _OTHER[owner.end])
        named = [
            self._named(each)
            if each.end != owner.end
            else (each.end, each.port, each.inverted, each.ports.ports(owner.number))
            for each in condition.named
        ]
        if isinstance(target, Jump | Goto):
            does: Hashable = type(target).__name__, self._own_chain(reached, target.chain, owner)
        else:
            does = target, _comment(condition, target, self._labels[owner.number])
        return (other, *named, *condition.text, does)

    def _own_chain(self, reached: Reached, chain: str, owner: _Owner) -> Hashable:
        """Return a chain for packets of its owner, without what cannot hold for them."""
        key = reached.table.name, chain, owner
        found = self._private.get(key)
        if found is None:
            found = self._private[key] = tuple(self._own_rules(reached, chain, owner))
        return found

    def _own_rules(self, reached: Reached, chain: str, owner: _Owner) -> Iterator[Hashable]:
        bit = 1 << owner.number
        rules = reached.table.by_name[chain].rules
        for at in reached.rules.get(chain, ()):
            condition = reached.conditions[chain, at]
            if all(each.pods & bit for each in condition.ends[owner.end]):
                yield self._own_rule(reached, condition, rules[at].target, owner)


def _comment(condition: Condition, target: Target | None, owner: str) -> str:
    """Return the words on a rule that refuses, from which the reason is read off; its owner is `%`."""
    refuses = isinstance(target, Reject) or (
        isinstance(target, Decide) and target.verdict is not Verdict.ACCEPT
    )
    if not refuses:
        return ""
    return condition.comment.replace(owner, "%") if owner else condition.comment
