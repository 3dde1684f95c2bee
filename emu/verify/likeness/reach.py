# SPDX-License-Identifier: GPL-2.0-only
"""Which rules of a namespace the packets of the questions can get to at all.

Most rules of a cluster's node are about Services, whose addresses none of these
packets have: nothing of them need be understood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.ruleset import BUILTIN, Decide, Goto, Jump, Return, UnknownTarget
from emu.kernel.netfilter.targets.connmark import RestoreMark, SaveMark, SetConnmark
from emu.kernel.netfilter.targets.ct import Notrack
from emu.kernel.netfilter.targets.log import Log, NfLog
from emu.kernel.netfilter.targets.mark import SetMark
from emu.kernel.netfilter.targets.nat import Dnat, Masquerade, Netmap, Redirect, Snat
from emu.kernel.netfilter.targets.reject import Reject
from emu.kernel.netfilter.targets.tcpmss import SetMss
from emu.kernel.netfilter.targets.without_effect import Classify, FillChecksum, Trace
from emu.verify.likeness import conditions
from emu.verify.likeness.doubt import Doubt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.ruleset import Rule, Table, Target
    from emu.verify.likeness.condition import Condition
    from emu.verify.likeness.conditions import Place
    from emu.verify.likeness.packets import Sort

_TRANSLATING: Final = (Dnat, Snat, Masquerade, Redirect, Netmap)
_MARKING: Final = (SetMark, RestoreMark)
_KNOWN: Final = (
    *(Jump, Goto, Return, Decide, Reject),
    *(*_MARKING, SaveMark, SetConnmark, SetMss),
    *(Log, NfLog, Classify, FillChecksum, Trace),
)
_ENDING: Final = (Goto, Return, Decide, Reject)
_NAT: Final = "nat"
_ALL_BITS: Final = 0xFFFFFFFF


@attrs.define
class Reached:
    """The rules of a table that packets can get to.

    Attributes:
        table: the table.
        rules: their numbers, by chain, in order.
        conditions: what they ask, by chain and number.
        inner: those that other packets get to than the ones around others.
        pairs: pods that a rule singles out together; such rules are not among `rules`.
    """

    table: Table
    rules: dict[str, list[int]] = attrs.field(factory=dict)
    conditions: dict[tuple[str, int], Condition] = attrs.field(factory=dict)
    inner: set[tuple[str, int]] = attrs.field(factory=set)
    pairs: set[frozenset[int]] = attrs.field(factory=set)


def reach(tables: Sequence[Table], sorts: Sequence[Sort], place: Place) -> list[Reached]:
    """Return what packets of some sorts can get to.

    Raises:
        Doubt: there is a rule that is not understood.
    """
    read: dict[int, Condition] = {}
    known, more = 0, 0
    found: list[Reached] = []
    while not found or more & ~known:
        known |= more
        found = [_Walk(table, place, read, known).walk(sorts) for table in tables]
        more |= marks(found)
    for each in found:
        _check(each)
    return found


def marks(tables: Sequence[Reached]) -> int:
    """Return which bits of a packet's mark may be set by the rules that are reached."""
    bits = 0
    for each in tables:
        bits |= _marks(each)
    return bits


def _marks(reached: Reached) -> int:
    bits = 0
    for key in reached.conditions:
        target = _target(reached, *key)
        if isinstance(target, SetMark):
            bits |= target.value
        elif isinstance(target, RestoreMark):
            bits |= _ALL_BITS
    return bits


def _target(reached: Reached, chain: str, number: int) -> Target | None:
    return reached.table.by_name[chain].rules[number].target


def _check(reached: Reached) -> None:
    """Check that all that is reached is understood.

    Raises:
        Doubt: it is not.
    """
    for chain, number in reached.conditions:
        target = _target(reached, chain, number)
        if isinstance(target, _TRANSLATING):
            raise Doubt(f"addresses are translated ({reached.table.name}/{chain} rule {number + 1})")
        if isinstance(target, Notrack) and (chain, number) not in reached.inner:
            continue  # of what is around others nobody asks whether it is tracked
        if target is not None and not isinstance(target, _KNOWN):
            name = target.name if isinstance(target, UnknownTarget) else type(target).__name__
            raise Doubt(f"a rule does {name} ({reached.table.name}/{chain} rule {number + 1})")


class _Walk:
    """A walk of sorts of packets through a table."""

    def __init__(self, table: Table, place: Place, read: dict[int, Condition], marks: int) -> None:
        self._table = table
        self._place = place
        self._read = read
        self._marks = marks  # the bits that may be set
        self._reached: dict[str, set[int]] = {}
        self._entered: set[tuple[str, Sort]] = set()
        self._found = Reached(table)

    def walk(self, sorts: Sequence[Sort]) -> Reached:
        """Return what is reached.

        Raises:
            Doubt: there is a rule that is not understood.
        """
        todo = [
            (hook.name, sort)
            for hook in BUILTIN[self._table.name]
            for sort in sorts
            if not (sort.complains and self._table.name == _NAT)  # it sees the first packets of connections
        ]
        while todo:
            entered = todo.pop()
            if entered in self._entered or entered[0] not in self._table.by_name:
                continue
            self._entered.add(entered)
            todo += [(chain, entered[1]) for chain in self._pass(*entered)]
        self._found.rules = {chain: sorted(numbers) for chain, numbers in self._reached.items()}
        return self._found

    def _pass(self, chain: str, sort: Sort) -> list[str]:
        """Pass one chain, and return the chains that are entered from there."""
        entered: list[str] = []
        reached = self._reached.setdefault(chain, set())
        for number, rule in enumerate(self._table.by_name[chain].rules):
            condition = self._condition(rule)
            if not condition.may_hold(sort, marks=self._marks):
                continue
            if condition.doubt is not None:
                raise condition.doubt
            if condition.pairs is not None:
                self._found.pairs |= condition.pairs
                continue
            reached.add(number)
            self._found.conditions[chain, number] = condition
            if not sort.is_around:
                self._found.inner.add((chain, number))
            if isinstance(rule.target, Jump | Goto):
                entered.append(rule.target.chain)
            if isinstance(rule.target, _ENDING) and condition.must_hold(sort, marks=self._marks):
                break
        return entered

    def _condition(self, rule: Rule) -> Condition:
        """Return what a rule asks."""
        found = self._read.get(id(rule))
        if found is None:
            found = self._read[id(rule)] = conditions.read(rule, self._place)
        return found
