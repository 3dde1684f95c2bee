# SPDX-License-Identifier: GPL-2.0-only
"""`iptables`: rules entered, deleted and shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from emu.apps.commands.iptables_tables import put, take
from emu.errors import CommandError
from emu.kernel.netfilter.ruleset import BUILTIN, UnknownMatch, UnknownTarget
from emu.tools.iptables import command, program
from emu.tools.iptables.check import problems, reach_of
from emu.tools.iptables.draft import Draft
from emu.tools.iptables.edit import edit
from emu.tools.iptables.extension import wrong
from emu.tools.iptables.listing import listing, rule_listing
from emu.tools.iptables.names import UNMODELLED_MATCHES, UNMODELLED_TARGETS
from emu.tools.iptables.program import Backend
from emu.tools.iptables.snapshot import Counted, Snapshot
from emu.tools.iptables.text import rule_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.apps.commands.action import Action
    from emu.kernel.namespace import Namespace
    from emu.tools.iptables.command import Command

_VERBS: Final = {"Z": "Zeroing", "F": "Flushing", "X": "Deleting"}
_MAKES_NO_DIFFERENCE: Final = frozenset({"L", "S", "C"})


def prepare(argv: Sequence[str], backend: Backend = Backend.NFT) -> Action:
    """Read the arguments of `iptables` and return what they ask for.

    Raises:
        CommandError: they make no sense, or something is not modelled.
    """
    try:
        asked = command.parse(argv)
        command.check_table(asked, asked.table)
        _check_known(asked)
    except CommandError as error:
        raise program.complained(error, backend) from None
    if asked.version:
        return lambda _: f"{program.version('iptables', backend)}\n"
    table = asked.table or "filter"
    if table not in BUILTIN:
        raise program.no_table(table, backend)
    return partial(run, asked=asked, table=table, backend=backend)


def _check_known(asked: Command) -> None:
    """Raise what is said where the real tool cannot find a match or target, either."""
    for value in (value for rule in asked.rules for value in (*rule.matches, rule.target)):
        match value:
            case UnknownMatch(name) if name not in UNMODELLED_MATCHES:
                raise wrong(f"Couldn't load match `{name}':No such file or directory\n")
            case UnknownTarget(name, words) if name not in UNMODELLED_TARGETS:
                raise wrong(f'unknown option "{words[0]}"')


def run(net: Namespace, asked: Command, table: str, backend: Backend) -> str:
    """Do what a command asks for, and return what it prints.

    Raises:
        CommandError: the table or the kernel refuses it.
    """
    before = take(net, table)
    shown = _show(before, asked, backend)
    draft = Draft(before)
    try:
        edit(draft, asked)
        if asked.operation not in _MAKES_NO_DIFFERENCE:
            _store(net, before, draft, asked.operation)
    except CommandError as error:
        raise program.complained(error, backend) from None
    return shown


def _store(net: Namespace, before: Snapshot, draft: Draft, operation: str) -> None:
    after = draft.snapshot()
    for problem in problems(after.table, reach_of(before.table), draft.changed()):
        raise program.refusal(problem, operation)
    put(net, _load_anew(after) if net.netfilter.is_legacy else after, draft)


def _load_anew(snapshot: Snapshot) -> Snapshot:
    """Return a table as iptables-legacy loads it: each time as a whole, its policies at zero."""
    counted = {chain: Counted(counts.rules) for chain, counts in snapshot.counted.items()}
    return Snapshot(snapshot.table, counted)


def _show(snapshot: Snapshot, asked: Command, backend: Backend) -> str:
    operation = asked.operation[:1]
    if operation in {"L", "S"} and asked.chain and asked.chain not in snapshot.table.by_name:
        raise program.no_chain(asked.chain, snapshot.table.name, backend)
    if operation == "L":
        return listing(snapshot, asked) + _told(snapshot, asked)
    if operation == "S":
        return "".join(f"{line}\n" for line in _rules(snapshot, asked))
    if asked.verbose and asked.rules:
        return "".join(f"{rule_listing(rule)}\n" for rule in asked.rules)
    return _told(snapshot, asked)


def _told(snapshot: Snapshot, asked: Command) -> str:
    """Return what `-v` tells of the chains that are zeroed, flushed or deleted."""
    verb = _VERBS.get(asked.operation[-1:], "") if asked.verbose and not asked.number else ""
    if not verb:
        return ""
    users_only = asked.operation == "X"
    names = [chain.name for chain in snapshot.table.chains if not users_only or chain.policy is None]
    return "".join(f"{verb} chain `{name}'\n" for name in ([asked.chain] if asked.chain else names))


def _rules(snapshot: Snapshot, asked: Command) -> Iterator[str]:
    """Yield the lines of `iptables -S`."""
    table = snapshot.table
    chains = [table.by_name[asked.chain]] if asked.chain else table.chains
    for chain in chains if not asked.number else ():
        if chain.policy is None:
            yield f"-N {chain.name}"
        else:
            packets, octets = snapshot.of(chain.name).policy
            yield f"-P {chain.name} {chain.policy.name}{f' -c {packets} {octets}' if asked.verbose else ''}"
    for chain in chains:
        counted = snapshot.of(chain.name).rules
        for number, rule in enumerate(chain.rules, 1):
            if asked.number in {0, number}:
                yield rule_text(chain.name, rule, counted[number - 1] if asked.verbose else None)
