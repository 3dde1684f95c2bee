# SPDX-License-Identifier: GPL-2.0-only
"""A table of a namespace, alive: its chains are walked, its rules count and remember.

Source: net/ipv4/netfilter/ip_tables.c `ipt_do_table`.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from emu.kernel.facts import DecidedAt
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.program import program_of
from emu.kernel.netfilter.ruleset import Chain, Decide, Goto, Jump, Return, Table
from emu.kernel.netfilter.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.program import Program
    from emu.kernel.netfilter.ruleset import Rule

_ACCEPT: Final = Verdict.ACCEPT
_DROP: Final = Verdict.DROP
_UNKNOWN: Final = Verdict.UNKNOWN


class Count(NamedTuple):
    """Packets and octets."""

    packets: int = 0
    octets: int = 0


class ChainCounts:
    """What the rules of one chain, and its policy, have seen: lists of packets and octets."""

    __slots__ = ("octets", "packets", "policy_octets", "policy_packets")

    def __init__(self, rules: Sequence[Count], policy: Count = Count()) -> None:  # noqa: B008 - a value
        self.packets = [count.packets for count in rules]
        self.octets = [count.octets for count in rules]
        self.policy_packets, self.policy_octets = policy

    @property
    def rules(self) -> list[Count]:
        """The count of each rule."""
        return [Count(*pair) for pair in zip(self.packets, self.octets, strict=True)]

    @property
    def policy(self) -> Count:
        """The count of the policy."""
        return Count(self.policy_packets, self.policy_octets)


class XTable:
    """One table of a namespace.

    Attributes:
        table: the rules.
        memories: what rules remember, by chain and number of the rule.
    """

    __slots__ = ("_bases", "_counts", "_entered", "_under", "memories", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.memories: dict[tuple[str, int], dict[Any, Any]] = {}
        self._counts: dict[str, ChainCounts] = {}
        self._under: Mapping[str, ChainCounts] = {}  # what chains had counted that count on copies now
        self._entered: dict[str, tuple[Program, ChainCounts]] = {}
        self._bases = _bases(table)

    # --- rules and counters ---

    def replace(
        self,
        table: Table,
        counts: Mapping[str, ChainCounts],
        memories: Mapping[tuple[str, int], dict[Any, Any]] | None = None,
    ) -> None:
        """Have other rules.

        Args:
            table: the new rules.
            counts: what they have seen, by chain; a chain that is missing begins at zero.
            memories: what they remember, by chain and number; None for nothing.
        """
        self.table = table
        self.memories = dict(memories or {})
        self._counts, self._under = dict(counts), {}
        self._entered.clear()
        self._bases = _bases(table)

    def known_counts(self) -> Mapping[str, ChainCounts]:
        """Return the counters by chain; a chain that is missing has counted nothing."""
        return {**self._under, **self._counts} if self._under else self._counts

    def begin_trial(self) -> Callable[[], None]:
        """Count and remember on copies from now on; what is returned puts the originals back."""
        before = self.table, self.memories, self._counts, self._entered, self._bases, self._under
        self.memories = deepcopy(self.memories) if self.memories else {}
        self._under, self._counts, self._entered = self.known_counts(), {}, {}

        def put_back() -> None:
            self.table, self.memories, self._counts, self._entered, self._bases, self._under = before

        return put_back

    def counts(self, chain: str) -> ChainCounts:
        """Return the counters of `chain`, to be read or changed.

        Raises:
            KeyError: there is no such chain.
        """
        found = self._counts.get(chain)
        if found is None:
            under = self._under.get(chain)
            if under is None:
                found = ChainCounts([Count()] * len(self.table.by_name[chain].rules))
            else:
                found = ChainCounts(under.rules, under.policy)
            self._counts[chain] = found
        return found

    # --- packets ---

    def run(self, packet: Packet) -> Verdict:
        """Walk the built-in chain of the hook where `packet` is, rule by rule until one decides."""
        base = self._bases[packet.hook]
        if base is None:
            return _ACCEPT
        packet.memories, packet.table, packet.chain = self.memories, self.table.name, base.name
        packet.because = ""
        place = _Place(self, base.name)
        while True:
            number = place.program.find(packet, place.start)
            if packet.hotdrop:
                packet.because = f"a header is cut short: {place.decided(packet, number)}"
                return _DROP
            if number == len(place.program.rules):
                if not place.go_back():
                    return self._policy(packet, base)
                packet.chain = place.chain
                continue
            verdict = self._judge(packet, place, number)
            if verdict is not None:
                return verdict
            if place.is_done:
                return self._policy(packet, base)
            packet.chain = place.chain

    def _judge(self, packet: Packet, place: _Place, number: int) -> Verdict | None:
        """Do what a rule that holds says; None if nothing is decided yet."""
        place.counts.packets[number] += 1
        place.counts.octets[number] += len(packet.skb.packet)
        if number in place.program.unknown:
            packet.because = f"match {place.program.unknown[number]} in {place.decided(packet, number)}"
            return _UNKNOWN
        rule = place.program.rules[number]
        if packet.net.recorder is not None:
            packet.net.recorder.ruled(
                packet.net, packet.skb, (self.table.name, place.chain), number + 1, rule
            )
        place.start = number + 1
        target = rule.target
        if isinstance(target, Jump):
            place.jump(target.chain)
            return None
        if isinstance(target, Goto):
            place.enter(target.chain)
            return None
        if isinstance(target, Return):
            place.is_done = not place.go_back()
            return None
        if target is None:
            return None
        verdict = target.verdict if isinstance(target, Decide) else target.apply(packet)
        if verdict is _ACCEPT or verdict is None:
            return verdict
        if verdict is _UNKNOWN:
            packet.because = f"target {_target_name(rule)} in {place.decided(packet, number)}"
        elif not packet.because:
            packet.because = place.decided(packet, number)
        return verdict

    def entered(self, chain: str) -> tuple[Program, ChainCounts]:
        """Return the program of one of the chains, and what its rules have seen."""
        found = self._entered.get(chain)
        if found is None:
            found = self._entered[chain] = program_of(self.table.by_name[chain]), self.counts(chain)
        return found

    def _policy(self, packet: Packet, base: Chain) -> Verdict:
        counts = self.counts(base.name)
        counts.policy_packets += 1
        counts.policy_octets += len(packet.skb.packet)
        verdict = base.policy or _ACCEPT
        if verdict is not _ACCEPT:
            packet.because = DecidedAt(packet.net.name, self.table.name, base.name, 0)
        if packet.net.recorder is not None:
            packet.net.recorder.ended(packet.net, packet.skb, (self.table.name, base.name), verdict)
        return verdict


def _bases(table: Table) -> list[Chain | None]:
    """Return the built-in chain for each hook, by its number."""
    return [table.by_name.get(hook.name) for hook in Hook]


class _Place:
    """Where in a table a packet is, and where it comes back to.

    Attributes:
        chain: name of the chain.
        start: number of the next rule.
        is_done: RETURN was said in the built-in chain.
    """

    __slots__ = ("_back", "_table", "chain", "counts", "is_done", "program", "start")

    def __init__(self, table: XTable, chain: str) -> None:
        self._table = table
        self._back: list[tuple[str, int]] = []
        self.is_done = False
        self.chain, self.start = chain, 0
        self.program, self.counts = table.entered(chain)

    def enter(self, chain: str, start: int = 0) -> None:
        """Go to a rule of a chain."""
        self.chain, self.start = chain, start
        self.program, self.counts = self._table.entered(chain)

    def jump(self, chain: str) -> None:
        """Go to the beginning of a chain, and come back here later."""
        self._back.append((self.chain, self.start))
        self.enter(chain)

    def go_back(self) -> bool:
        """Go behind the last jump; return whether there was any."""
        if not self._back:
            return False
        self.enter(*self._back.pop())
        return True

    def decided(self, packet: Packet, number: int) -> DecidedAt:
        """Return which rule it was."""
        return DecidedAt(packet.net.name, packet.table, self.chain, number + 1)


def _target_name(rule: Rule) -> str:
    return getattr(rule.target, "name", type(rule.target).__name__)
