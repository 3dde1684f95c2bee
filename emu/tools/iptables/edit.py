# SPDX-License-Identifier: GPL-2.0-only
"""What `iptables -A`, `-D`, `-N` and others do to a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.netfilter.ruleset import Chain, Jump, UnknownTarget
from emu.kernel.netfilter.verdict import Verdict
from emu.tools.iptables.draft import DraftChain, Entry, refused
from emu.tools.iptables.snapshot import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.netfilter.ruleset import Rule
    from emu.kernel.netfilter.xtables import Count
    from emu.tools.iptables.command import Command
    from emu.tools.iptables.draft import Draft

_POLICIES: Final = {"ACCEPT": Verdict.ACCEPT, "DROP": Verdict.DROP}
_NO_RULE: Final = "Bad rule (does a matching rule exist in that chain?)."


def edit(draft: Draft, command: Command, line: int = 0) -> None:
    """Do to `draft` what `command` says; `-L` and `-S` change nothing.

    Args:
        draft: the table.
        command: what to do.
        line: where it was written.

    Raises:
        CommandError: the table does not allow it.
    """
    _EDITS[command.operation.rstrip("Z") or "Z"](draft, command, line)


def _new_entries(command: Command, line: int) -> list[Entry]:
    return [Entry(rule, command.counted, line) for rule in command.rules]


def _append(draft: Draft, command: Command, line: int) -> None:
    draft.append(command.chain, _new_entries(command, line))


def _insert(draft: Draft, command: Command, line: int) -> None:
    entries = draft.chain(command.chain).entries
    at = max(command.number, 1) - 1
    if at > len(entries):
        raise refused("Index of insertion too big.")
    added = _new_entries(command, line)
    entries[at:at] = reversed(added)
    draft.note(added)


def _replace(draft: Draft, command: Command, line: int) -> None:
    entries = draft.chain(command.chain).entries
    if command.number > len(entries):
        raise refused("Index of replacement too big.")
    added = _new_entries(command, line)
    draft.note(added, [entries[command.number - 1]])
    entries[command.number - 1] = added[0]


def _find(draft: Draft, command: Command, rule: Rule) -> int:
    if command.chain not in draft.chains:
        raise refused(_NO_RULE)
    entries = draft.chains[command.chain].entries
    draft.spend(len(entries))
    if isinstance(rule.target, Jump) and rule.target.chain not in draft.chains:
        rule = attrs.evolve(rule, target=UnknownTarget(rule.target.chain))
    found = next((index for index, entry in enumerate(entries) if entry.rule == rule), None)
    if found is None:
        raise refused(_NO_RULE)
    return found


def _delete(draft: Draft, command: Command, line: int) -> None:
    del line
    if command.rules:
        for rule in command.rules:
            index = _find(draft, command, rule)
            draft.note(removed=[draft.chains[command.chain].entries.pop(index)])
        return
    entries = draft.chain(command.chain).entries
    if command.number > len(entries):
        raise refused("Index of deletion too big.")
    draft.note(removed=[entries.pop(command.number - 1)])


def _check(draft: Draft, command: Command, line: int) -> None:
    del line
    for rule in command.rules:
        _find(draft, command, rule)


def _some(draft: Draft, command: Command) -> list[DraftChain]:
    return [draft.chain(command.chain)] if command.chain else list(draft.chains.values())


def _flush(draft: Draft, command: Command, line: int) -> None:
    del line
    for chain in _some(draft, command):
        draft.note(removed=chain.entries)
        chain.clear()


def _zero(draft: Draft, command: Command, line: int) -> None:
    del line
    for chain in _some(draft, command):
        chain.zero(command.number)


def _new_chain(draft: Draft, command: Command, line: int) -> None:
    del line
    if command.chain in draft.chains:
        raise refused("Chain already exists.")
    draft.chains[command.chain] = DraftChain(Chain(command.chain))


def _delete_chain(draft: Draft, command: Command, line: int) -> None:
    del line
    if not command.chain:
        _delete_users(draft)
        return
    chain = draft.chain(command.chain)
    if chain.policy is not None or chain.entries or draft.is_referred_to(chain.name):
        raise _busy(chain.name)
    del draft.chains[chain.name]


def _delete_users(draft: Draft) -> None:
    """Delete all users' chains: each has to be empty, and no rule of the others may lead there."""
    users = [chain for chain in draft.chains.values() if chain.policy is None]
    for chain in users:
        if chain.entries or draft.is_referred_to(chain.name):
            raise _busy(chain.name)
    for chain in users:
        del draft.chains[chain.name]


def _busy(name: str) -> CommandError:
    return CommandError(f"CHAIN_DEL failed (Device or resource busy): chain {name}", 4)


def _rename(draft: Draft, command: Command, line: int) -> None:
    del line
    old, new = command.chain, command.other
    if new in draft.chains or old not in draft.chains or draft.chains[old].policy is not None:
        raise refused("File exists.")
    chain = draft.chains.pop(old)
    chain.name = new
    draft.chains[new] = chain
    for other in draft.chains.values():
        draft.spend(len(other))
        other.redirect(old, new)
    draft.forget_references()


def _policy(draft: Draft, command: Command, line: int) -> None:
    del line
    chain = draft.chains.get(command.chain)
    if chain is None or chain.policy is None:
        raise refused("Bad built-in chain name.")
    set_policy(chain, command.other)


def set_policy(chain: DraftChain, policy: str, counted: Count = NOTHING) -> None:
    """Give a built-in chain another policy.

    Raises:
        CommandError: there is no such policy.
    """
    if policy not in _POLICIES:
        raise refused("Bad policy name. Run `dmesg' for more information.")
    chain.policy = _POLICIES[policy]
    chain.policy_counted = counted


def _show(draft: Draft, command: Command, line: int) -> None:
    """Change nothing, but the counters for `-LZ` and `-SZ`."""
    if command.operation.endswith("Z"):
        _zero(draft, command, line)


_EDITS: Final[Mapping[str, Callable[[Draft, Command, int], None]]] = {
    "A": _append,
    "I": _insert,
    "R": _replace,
    "D": _delete,
    "C": _check,
    "F": _flush,
    "Z": _zero,
    "N": _new_chain,
    "X": _delete_chain,
    "E": _rename,
    "P": _policy,
    "L": _show,
    "S": _show,
}
