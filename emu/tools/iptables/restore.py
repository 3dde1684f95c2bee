# SPDX-License-Identifier: GPL-2.0-only
"""The text that iptables-restore reads, and what it makes of tables. Source: iptables/iptables-restore.c.

All faults of a text are found at once. Tables change as a whole or not at all.
"""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakValueDictionary

import attrs

from emu.errors import CommandError, Complaint, RulesError
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.ruleset import BUILTIN, DROP, Jump, Table, UnknownMatch, UnknownTarget
from emu.kernel.netfilter.xtables import Count
from emu.tools.iptables import command, lines, plain
from emu.tools.iptables.check import NOT_THERE, problems
from emu.tools.iptables.draft import Draft, Entry, refused
from emu.tools.iptables.edit import edit, set_policy
from emu.tools.iptables.extension import wrong
from emu.tools.iptables.snapshot import NOTHING, Snapshot, blank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from emu.tools.iptables.check import Problem

_MOST_COMPLAINTS: Final = 200
_MOST_RULES: Final = 500_000
_COUNTERS: Final = re.compile(r"\[([0-9]{1,20}):([0-9]{1,20})\]")
_OF_RULE: Final = re.compile(r"\n\[[0-9]+:[0-9]+\] ?")
_OF_POLICY: Final = tuple(re.compile(rf" {policy} \[[0-9]+:[0-9]+\]\n") for policy in ("ACCEPT", "DROP"))
_DECLARATION: Final = re.compile(r"^(?::|(?:-N|--new-chain) )[ \t]*(\S+)", re.MULTILINE)
_TARGET: Final = re.compile("[A-Z][A-Z0-9_]*")
"""How targets are called; most chains of programs have a hyphen or small letters."""
_KNOWN_TABLES: Final[WeakValueDictionary[tuple[str, str], Table]] = WeakValueDictionary()
"""Tables by their names and the text that makes them, but for counters: equal ones become one."""


class Restored(NamedTuple):
    """A table that was restored.

    Attributes:
        snapshot: what it is now.
        draft: what it was made from; None if nothing is left of what was there.
    """

    snapshot: Snapshot
    draft: Draft | None = None


def restore(
    text: str, present: Mapping[str, Snapshot], *, counters: bool = False, flush: bool = True, only: str = ""
) -> Mapping[str, Restored]:
    """Return the tables that `text` names as it makes them.

    Args:
        text: what iptables-restore reads.
        present: the tables that there are; one that is missing is blank.
        counters: those in brackets are taken over (`-c`).
        flush: what a table held before goes (no `--noflush`).
        only: name of the one table that is restored (`-T`); empty for all.

    Raises:
        RulesError: it has faults; nothing is restored.
    """
    if flush and not only and all(_policies_are_accept(snapshot) for snapshot in present.values()):
        return {name: Restored(snapshot) for name, snapshot in parse(text, counters=counters).items()}
    with _without_collections():
        reading = _Text(present, counters=counters, flush=flush, only=only)
        return {
            name: Restored(snapshot, reading.drafts[name]) for name, snapshot in reading.read(text).items()
        }


@lru_cache(maxsize=64)
def parse(text: str, *, counters: bool = True) -> Mapping[str, Snapshot]:
    """Return the tables that `text` makes where there were none.

    The same text gives the same objects, and so do texts that differ in
    counters alone as far as their tables go.

    Args:
        text: what iptables-save printed, or what a program wrote for iptables-restore.
        counters: those in brackets are taken over.

    Raises:
        RulesError: it has faults, each with its line.
    """
    with _without_collections():
        found = _Text({}, counters=counters).read(text)
    key = _without_counters(text)
    return {name: _shared(snapshot, (name, key)) for name, snapshot in found.items()}


def _without_counters(text: str) -> str:
    """Return what texts have in common that differ in counters; rarely others have it, too."""
    text = _OF_RULE.sub("\n", text)
    for pattern in _OF_POLICY:
        text = pattern.sub("\n", text)
    return text


def _shared(snapshot: Snapshot, key: tuple[str, str]) -> Snapshot:
    """Return `snapshot` with the table that is known by `key`, if that is equal."""
    known = _KNOWN_TABLES.setdefault(key, snapshot.table)
    return attrs.evolve(snapshot, table=known) if known == snapshot.table else snapshot


@contextmanager
def _without_collections() -> Iterator[None]:
    """Hold off the garbage collector.

    Rules do not refer to each other in circles, and looking for circles among
    ever more of them takes a third of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _policies_are_accept(snapshot: Snapshot) -> bool:
    return all(chain.policy is None or chain.policy.name == "ACCEPT" for chain in snapshot.table.chains)


class _Text:
    """A text that is being read.

    Attributes:
        drafts: the tables that were committed last, by name.
    """

    def __init__(
        self,
        present: Mapping[str, Snapshot],
        *,
        counters: bool,
        flush: bool = True,
        only: str = "",
    ) -> None:
        self._present = dict(present)
        self.drafts: dict[str, Draft] = {}
        self._done: dict[str, Snapshot] = {}
        self._counters = counters
        self._flush = flush
        self._only = only
        self._draft: Draft | None = None
        self._in_table = False
        self._rules = 0
        self._text = ""
        self._complaints: list[Complaint] = []

    def read(self, text: str) -> Mapping[str, Snapshot]:
        """Read all of `text`; return the tables it made.

        Raises:
            RulesError: it has faults.
        """
        self._text, number = text, 0
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line[0] == "#":
                continue
            try:
                self._line(number, line)
            except CommandError as error:
                hint = "" if str(error) else "a table is expected here: * and its name"
                self._complaints.append(Complaint(number, str(error), hint, error.status))
                if len(self._complaints) >= _MOST_COMPLAINTS:
                    break
        else:
            if self._in_table:
                end = number - text.endswith("\n")
                self._complaints.append(
                    Complaint(max(end, 1), f"COMMIT expected at line {end + 1}", status=1)
                )
        if self._complaints:
            raise RulesError(self._complaints)
        return self._done

    def _line(self, number: int, line: str) -> None:
        if not self._in_table:
            if line[0] != "*":
                raise refused("")
            self._begin(line, number)
        elif line == "COMMIT":
            self._commit(number)
        elif line[0] == ":":
            self._chain(line, number)
        elif self._draft is not None:
            self._rule(line, number)

    def _begin(self, line: str, number: int) -> None:
        self._in_table, self._draft = True, None
        name = line[1:].strip(" \t")
        if not name:
            raise wrong(f"iptables-restore: line {number} table name invalid")
        if name not in BUILTIN:
            raise wrong(f"iptables-restore: line {number} table name '{name}' invalid")
        if self._only and name != self._only:
            return
        self._draft = Draft(self._present.get(name) or blank(name))
        if self._flush:
            self._draft.flush()

    def _chain(self, line: str, number: int) -> None:
        """Read `:NAME POLICY [PACKETS:OCTETS]`."""
        if self._draft is None:
            return
        words = line[1:].split()
        if not words:
            raise wrong(f"iptables-restore: line {number} chain name invalid")
        if len(words) == 1:
            raise wrong(f"iptables-restore: line {number} policy invalid")
        name, policy = words[:2]
        if name not in self._draft.chains:
            command.check_chain_name(name)
        chain = self._draft.declare(name)
        if chain.policy is None or policy == "-":
            return
        counted = NOTHING
        if self._counters and len(words) > 2:
            found = _COUNTERS.fullmatch(words[2])
            if found is None:
                raise wrong(f"invalid policy counters for chain '{name}'")
            counted = Count(int(found[1]), int(found[2]))
        set_policy(chain, policy, counted)

    def _rule(self, line: str, number: int) -> None:
        """Read a command, perhaps with counters in brackets before it."""
        counted = NOTHING
        if line[0] == "[":
            found = _COUNTERS.match(line)
            if found is None:
                raise wrong(f"Bad line {number}: need ]")
            line = line[found.end() :]
            if self._counters:
                counted = Count(int(found[1]), int(found[2]))
        assert self._draft is not None
        words = lines.split(line)
        rule = plain.read(words) if words[:1] == ["-A"] else None
        if rule is not None and (rule.target is not DROP or self._draft.name != "nat"):
            self._count(1)
            self._draft.append(words[1], [Entry(rule, counted, number)])
            return
        read = command.parse(words)
        if read.table != "":
            raise wrong("The -t option cannot be used in iptables-restore.\n")
        command.check_table(read, self._draft.name)
        if counted != NOTHING:
            read = read._replace(counted=counted)
        self._count(len(read.rules))
        edit(self._draft, read, number)

    def _count(self, rules: int) -> None:
        self._rules += rules
        if self._rules > _MOST_RULES:
            raise wrong(f"these are more than {_MOST_RULES} rules")

    def _commit(self, number: int) -> None:
        draft, self._draft, self._in_table = self._draft, None, False
        if draft is None:
            return
        snapshot = draft.snapshot()
        found = list(problems(snapshot.table))
        if found and self._keep_targets(draft, found):
            snapshot = draft.snapshot()
            found = list(problems(snapshot.table))
        self._complaints += [self._complaint(draft, problem, number) for problem in found[:_MOST_COMPLAINTS]]
        self.drafts[draft.name] = draft
        self._done[draft.name] = self._present[draft.name] = snapshot

    def _keep_targets(self, draft: Draft, found: Iterable[Problem]) -> bool:
        """Make unknown targets of those jumps to nowhere that name targets; return whether there are any.

        iptables-save prints a target without options as it prints a jump, but
        declares all chains. A name of capitals that is nowhere declared is a target.
        """
        declared = {*_DECLARATION.findall(self._text), *(hook.name for hook in Hook)}
        kept = False
        for problem in found:
            entries = draft.chains[problem.chain].entries
            entry = entries[problem.position]
            target = entry.rule.target
            if (
                not isinstance(target, Jump)
                or target.chain in declared
                or not _TARGET.fullmatch(target.chain)
            ):
                continue
            rule = attrs.evolve(entry.rule, target=UnknownTarget(target.chain))
            entries[problem.position] = entry._replace(rule=rule)
            kept = True
        return kept

    @staticmethod
    def _complaint(draft: Draft, problem: Problem, commit: int) -> Complaint:
        line = draft.chains[problem.chain].entries[problem.position].line or commit
        if problem.error == NOT_THERE:
            return Complaint(line, problem.hint)
        message = f"RULE_APPEND failed ({problem.error}): rule in chain {problem.chain}"
        return Complaint(line, message, problem.hint, 4)


def unmodelled(table: Table) -> Iterator[tuple[str, str]]:
    """Yield what rules ask for that is not modelled (`-m bpf`, `-j TEE`), each with the name of its chain."""
    for chain in table.chains:
        for rule in chain.rules:
            for value in (*rule.matches, rule.target):
                if isinstance(value, UnknownMatch):
                    yield f"-m {value.name}", chain.name
                elif isinstance(value, UnknownTarget):
                    yield f"-j {value.name}", chain.name
