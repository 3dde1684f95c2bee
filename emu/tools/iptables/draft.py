# SPDX-License-Identifier: GPL-2.0-only
"""A table that is being edited.

A `Draft` is made of a `Snapshot` and makes another one of itself. Chains that
nobody touches stay the very objects that they were.
"""

from __future__ import annotations

import operator
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.errors import CommandError
from emu.kernel.netfilter.ruleset import BUILTIN, Chain, Goto, Jump, Table
from emu.tools.iptables.snapshot import NOTHING, Counted, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.netfilter.xtables import Count

NO_CHAIN: Final = "No chain/target/match by that name."
_MOST_COMPARISONS: Final = 20_000_000


def refused(message: str) -> CommandError:
    """Return the exception for what cannot be done to this table, in iptables' words."""
    return CommandError(message, 1)


class Entry(NamedTuple):
    """A rule of a draft.

    Attributes:
        rule: the rule.
        counted: what it has counted.
        line: of the text that it comes from; 0 for a rule that was there before.
        origin: where it was before, chain and number from 0; None for a new one.
    """

    rule: Rule
    counted: Count = NOTHING
    line: int = 0
    origin: tuple[str, int] | None = None


class DraftChain:
    """A chain of a draft.

    Attributes:
        name: what it is called now.
        policy: None for a user's chain.
        policy_counted: what its policy has decided.
    """

    __slots__ = ("_counted", "_entries", "_was", "name", "policy", "policy_counted")

    def __init__(self, was: Chain, counted: Counted | None = None) -> None:
        self.name = was.name
        self.policy = was.policy
        self.policy_counted = counted.policy if counted is not None else NOTHING
        self._was = was
        self._counted = counted.rules if counted is not None else ()
        self._entries: list[Entry] | None = None

    @property
    def entries(self) -> list[Entry]:
        """The rules, to be changed in place."""
        if self._entries is None:
            was, counted = self._was, self._counted or (NOTHING,) * len(self._was.rules)
            self._entries = [
                Entry(rule, counted[index], 0, (was.name, index)) for index, rule in enumerate(was.rules)
            ]
        return self._entries

    def __len__(self) -> int:
        """Return how many rules there are."""
        return len(self._was.rules if self._entries is None else self._entries)

    @property
    def touched(self) -> bool:
        """Whether its rules may not be what they were."""
        return self._entries is not None

    def zero(self, number: int = 0) -> None:
        """Set the counters to zero, or those of one rule alone, counted from 1."""
        if number:
            if number <= len(self.entries):
                self.entries[number - 1] = self.entries[number - 1]._replace(counted=NOTHING)
            return
        self.policy_counted = NOTHING
        if self._entries is None:
            self._counted = ()
        else:
            self._entries = [entry._replace(counted=NOTHING) for entry in self._entries]

    def clear(self) -> None:
        """Take all rules away."""
        self._entries = []

    def chain(self) -> Chain:
        """Return it as a value: the one that it was, if nothing has changed."""
        was = self._was
        rules = was.rules if self._entries is None else tuple([entry.rule for entry in self._entries])
        if (was.name, was.policy, was.rules) == (self.name, self.policy, rules):
            return was
        return Chain(self.name, rules, self.policy)

    def counted(self) -> Counted | None:
        """Return its counters, None if all are zero."""
        rules = self._counted
        if self._entries is not None:
            rules = tuple([entry.counted for entry in self._entries])
        if self.policy_counted == NOTHING and not any(count != NOTHING for count in rules):
            return None
        return Counted(rules or (NOTHING,) * len(self), self.policy_counted)

    def leads_to(self) -> Iterator[str]:
        """Yield the chain that each jump leads to."""
        return _targets(self._was.rules if self._entries is None else [entry.rule for entry in self._entries])

    def redirect(self, old: str, new: str) -> None:
        """Make the rules that lead to the chain `old` lead to `new`."""
        if old in self.leads_to():
            self.entries[:] = [
                entry._replace(
                    rule=attrs.evolve(entry.rule, target=attrs.evolve(entry.rule.target, chain=new))
                )
                if isinstance(entry.rule.target, (Jump, Goto)) and entry.rule.target.chain == old
                else entry
                for entry in self.entries
            ]


class Draft:
    """A table that is being edited.

    Attributes:
        name: of the table.
        chains: by name.
    """

    __slots__ = ("_budget", "_references", "_was", "chains", "name")

    def __init__(self, was: Snapshot) -> None:
        self.name = was.table.name
        self._was = was
        self._references: Counter[str] | None = None
        self._budget = _MOST_COMPARISONS
        self.chains = {
            chain.name: DraftChain(chain, was.counted.get(chain.name)) for chain in was.table.chains
        }

    def snapshot(self) -> Snapshot:
        """Return what it has become: built-in chains in the order of the hooks, then the others by name."""
        builtin = [hook.name for hook in BUILTIN[self.name]]
        users = sorted(self.chains.keys() - set(builtin), key=str.encode if _ascii(self.chains) else _octets)
        drafts = [self.chains[name] for name in (*builtin, *users)]
        chains = tuple([draft.chain() for draft in drafts])
        was = self._was.table
        same = len(chains) == len(was.chains) and all(map(operator.is_, chains, was.chains))
        counted = {draft.name: found for draft in drafts if (found := draft.counted()) is not None}
        return Snapshot(was if same else Table(self.name, chains, was.family), counted)

    def changed(self) -> set[str]:
        """Return the names of the chains whose rules may not be what they were."""
        return {name for name, chain in self.chains.items() if chain.touched}

    def moves(self) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
        """Yield where each rule is now, and where it was before; new ones are left out."""
        for name, chain in self.chains.items():
            for index, entry in enumerate(chain.entries):
                if entry.origin is not None:
                    yield (name, index), entry.origin

    def chain(self, name: str) -> DraftChain:
        """Return the chain `name`.

        Raises:
            CommandError: there is none.
        """
        found = self.chains.get(name)
        if found is None:
            raise refused(NO_CHAIN)
        return found

    def append(self, chain: str, entries: list[Entry]) -> None:
        """Put rules behind those of `chain`.

        Raises:
            CommandError: there is no such chain.
        """
        self.chain(chain).entries.extend(entries)
        if self._references is not None:
            self.note(entries)

    def flush(self) -> None:
        """Take all rules and all users' chains away, as iptables-restore does before it begins."""
        self.chains = {name: chain for name, chain in self.chains.items() if chain.policy is not None}
        for chain in self.chains.values():
            chain.clear()
        self.forget_references()

    def declare(self, name: str) -> DraftChain:
        """Return the chain `name` as `:NAME` of iptables-restore leaves it: there, a user's one empty."""
        found = self.chains.get(name)
        if found is None:
            found = self.chains[name] = DraftChain(Chain(name))
        elif found.policy is None:
            self.note(removed=found.entries)
            found.clear()
        return found

    def is_referred_to(self, name: str) -> bool:
        """Return whether a rule leads to the chain `name`."""
        if self._references is None:
            self._references = Counter()
            for chain in self.chains.values():
                self._references.update(chain.leads_to())
        return self._references[name] > 0

    def forget_references(self) -> None:
        """Count anew who refers to which chain when it is asked for."""
        self._references = None

    def note(self, added: Iterable[Entry] = (), removed: Iterable[Entry] = ()) -> None:
        """Keep account of which chains are referred to."""
        if self._references is not None:
            self._references.update(_targets(entry.rule for entry in added))
            self._references.subtract(_targets(entry.rule for entry in removed))

    def spend(self, comparisons: int) -> None:
        """Account for rules that are compared one by one.

        Raises:
            CommandError: it becomes too much for one text.
        """
        self._budget -= comparisons
        if self._budget < 0:
            raise refused("Too many rules are looked for")


def _targets(rules: Iterable[Rule]) -> Iterator[str]:
    return (rule.target.chain for rule in rules if isinstance(rule.target, (Jump, Goto)))


def _octets(name: str) -> bytes:
    return name.encode(errors="surrogateescape")


def _ascii(names: Iterable[str]) -> bool:
    return all(map(str.isascii, names))
