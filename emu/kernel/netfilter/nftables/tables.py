# SPDX-License-Identifier: GPL-2.0-only
"""nftables in one namespace: its tables, and what stands at the hooks.

Source: net/netfilter/nf_tables_api.c, nf_tables_core.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.facts import DecidedAt
from emu.kernel.netfilter.nftables.changes import Transaction
from emu.kernel.netfilter.nftables.compile import program_of
from emu.kernel.netfilter.nftables.evaluation import BREAK, RETURN, Evaluation
from emu.kernel.netfilter.nftables.ruleset import WALKED, Ruleset
from emu.kernel.netfilter.nftables.validation import validate
from emu.kernel.netfilter.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.netfilter.hooks import Hook
    from emu.kernel.netfilter.nftables.changes import Tables
    from emu.kernel.netfilter.nftables.evaluation import Outcome
    from emu.kernel.netfilter.nftables.live import LiveChain, LiveRule, LiveTable
    from emu.kernel.netfilter.nftables.requests import Request
    from emu.kernel.netfilter.packet import Packet
    from emu.sim.time import Instant

_POLICIES: Final = {"accept": Verdict.ACCEPT, "drop": Verdict.DROP}


class HookedChain:
    """A base chain in its place: a hook function.

    Attributes:
        table: the table it is in.
        chain: the chain.
        kind: `filter`, `nat`, or `route`: the last asks for a new route where
            it changed what routing asks.
        priority: the order at the hook, least first.
    """

    __slots__ = ("chain", "kind", "policy", "priority", "table")

    def __init__(self, table: LiveTable, chain: LiveChain) -> None:
        hooked = chain.value.hooked
        assert hooked is not None
        self.table = table
        self.chain = chain
        self.kind = hooked.type
        self.priority = hooked.priority
        self.policy = _POLICIES[hooked.policy]

    def __call__(self, packet: Packet) -> Verdict:
        """Walk the chain and those it leads to; ACCEPT ends this chain alone."""
        evaluation = Evaluation(packet, self.table)
        packet.table, packet.chain = (
            f"{self.table.value.family} {self.table.value.name}",
            self.chain.value.name,
        )
        rules, at = self.chain.rules, 0
        recorder = packet.net.recorder
        back: list[tuple[str, list[LiveRule], int]] = []
        while True:
            verdict: Outcome = None
            while at < len(rules):
                rule = rules[at]
                at += 1
                verdict = _run(rule, evaluation)
                if verdict is BREAK:
                    continue
                if recorder is not None:
                    place = packet.table, packet.chain
                    recorder.ruled(packet.net, packet.skb, place, at, rule.value)
                if verdict is not None:
                    break
            else:
                verdict = RETURN
            if isinstance(verdict, Verdict):
                packet.rule = at
                return self._told(packet, verdict)
            assert verdict is not None
            if verdict is RETURN:
                if not back:
                    packet.rule = 0
                    return self._told(packet, self.policy)
                packet.chain, rules, at = back.pop()
                continue
            if verdict.code == "jump":
                back.append((packet.chain, rules, at))
            packet.chain = verdict.chain
            rules, at = self.table.chains[verdict.chain].rules, 0

    @staticmethod
    def _told(packet: Packet, verdict: Verdict) -> Verdict:
        """Tell who decided: `packet.because`, and of a policy the recorder."""
        recorder = packet.net.recorder
        if not packet.rule and recorder is not None:
            recorder.ended(packet.net, packet.skb, (packet.table, packet.chain), verdict)
        if verdict is Verdict.ACCEPT:
            return verdict
        place = DecidedAt(packet.net.name, packet.table, packet.chain, packet.rule)
        if verdict is Verdict.UNKNOWN:
            packet.because = f"{packet.because} in {place}"
        elif not packet.because:
            packet.because = place
        return verdict


def _run(rule: LiveRule, evaluation: Evaluation) -> Outcome:
    program = rule.program
    if program is None:
        program = rule.program = program_of(rule.value)
    evaluation.rule = rule
    for step in program.steps:
        verdict = step(evaluation)
        if verdict is not None:
            return verdict
    return None


class NfTables:
    """The tables of a namespace.

    Attributes:
        tables: by family and name, in the order in which they were made.
        generation: how often they were changed.
        needs_conntrack: some rule asks for connections.
        changed: called after each change: what stands at the hooks may be another.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.changed = changed
        self.tables: Tables = {}
        self.generation = 0
        self.needs_conntrack = False
        self._handles = 0
        self._chains: tuple[HookedChain, ...] = ()

    # --- changing ---

    def begin(self, now: Instant) -> Transaction:
        """Return a transaction; nothing is changed before `commit`."""
        return Transaction(self.tables, now, self._next_handle)

    def commit(self, transaction: Transaction) -> None:
        """Put what a transaction made in place.

        Raises:
            OSError: it cannot be walked; nothing is changed.
        """
        for table in transaction.changed():
            validate(table)
        self.tables = transaction.tables
        self.generation += 1
        walked = [table for table in self.tables.values() if table.value.family in WALKED]
        self._chains = tuple(
            [
                HookedChain(table, chain)
                for table in walked
                if not table.value.dormant
                for chain in table.chains.values()
                if chain.value.hooked is not None
            ]
        )
        self.needs_conntrack = any(
            rule.asks for table in walked for chain in table.chains.values() for rule in chain.rules
        )
        self.changed()

    def load(self, requests: Iterator[Request] | list[Request], now: Instant) -> None:
        """Carry out requests as one transaction.

        Raises:
            OSError: one of them cannot be; nothing is changed.
        """
        transaction = self.begin(now)
        for request in requests:
            transaction.do(request)
        self.commit(transaction)

    def _next_handle(self) -> int:
        self._handles += 1
        return self._handles

    # --- asking ---

    def hook_functions(self, hook: Hook) -> list[tuple[int, HookedChain]]:
        """Return the chains at `hook` with their priorities, those of type nat left out."""
        return [(one.priority, one) for one in self._at(hook) if one.kind != "nat"]

    def nat_functions(self, hook: Hook) -> list[tuple[int, HookedChain]]:
        """Return the chains of type nat at `hook` with their priorities."""
        return [(one.priority, one) for one in self._at(hook) if one.kind == "nat"]

    def _at(self, hook: Hook) -> list[HookedChain]:
        name = hook.name.lower()
        found = [one for one in self._chains if one.chain.value.hooked.hook == name]  # type: ignore[union-attr]
        newest_first = found[::-1]
        return sorted(newest_first, key=lambda one: one.priority)

    def snapshot(self, now: Instant) -> Ruleset:
        """Return all there is as a value, with what was counted."""
        return Ruleset(tuple([table.snapshot(now) for table in self.tables.values()]))

    def unseen(self) -> dict[str, str]:
        """Return where base chains look that are not modelled, and the table of each.

        Where: `bridge`, `arp`, `ingress DEVICE`, `egress DEVICE`.
        """
        found: dict[str, str] = {}
        for (family, name), table in self.tables.items():
            chains = [chain.value.hooked for chain in table.chains.values() if chain.value.hooked is not None]
            for hooked in chains if not table.value.dormant else ():
                if hooked.device:
                    found[f"{hooked.hook} {hooked.device}"] = f"nft table {family} {name}"
                elif family in {"bridge", "arp"}:
                    found[family] = f"nft table {family} {name}"
        return found

    def unmodelled(self) -> list[str]:
        """Return what a packet could come to that is not modelled, each with its place."""
        found: list[str] = []
        for (family, name), table in self.tables.items():
            if family not in WALKED:
                found.append(f"table {family} {name}: what it sees is not modelled")
                continue
            found += [
                f"table {family} {name} {kind} {label}: not modelled"
                for (kind, label), known in table.objects.items()
                if isinstance(known.value.state, str)
            ]
            for chain in table.chains.values():
                for number, rule in enumerate(chain.rules, 1):
                    program = program_of(rule.value)
                    if program.unmodelled:
                        where = f"table {family} {name} chain {chain.value.name} rule {number}"
                        found.append(f"{where}: {program.unmodelled}")
        return found
