# SPDX-License-Identifier: GPL-2.0-only
"""Rules as values: what `iptables-save` writes down, without its counters.

A `Table` never changes: a command that edits rules makes a new one, so equal
tables of many namespaces are one object, compiled once. What changes while
packets pass (counters, the memory of rules) is `emu.kernel.netfilter.xtables`'s.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, TypeAlias

import attrs

from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.netfilter.packet import Packet


class Match(Protocol):
    """One condition of a rule: an immutable value that can be compared and hashed."""

    def holds(self, packet: Packet) -> bool:
        """Return whether `packet` meets the condition, its inversion counted in.

        A packet that is too short for what is asked sets `packet.hotdrop` where
        the kernel does so: it is dropped, whatever the rules say.
        """


class Action(Protocol):
    """A target that does something: an immutable value that can be compared and hashed."""

    def apply(self, packet: Packet) -> Verdict | None:
        """Do it; None goes on with the next rule (`XT_CONTINUE`)."""


@attrs.frozen
class Jump:
    """Walk `chain`, and come back behind this rule if nothing there decides."""

    chain: str


@attrs.frozen
class Goto:
    """Walk `chain`, and do not come back to this chain."""

    chain: str


@attrs.frozen
class Return:
    """Go back to the rule behind the jump; in a built-in chain, to its policy."""


@attrs.frozen
class Decide:
    """ACCEPT or DROP."""

    verdict: Verdict


ACCEPT: Final = Decide(Verdict.ACCEPT)
DROP: Final = Decide(Verdict.DROP)
RETURN: Final = Return()


@attrs.frozen
class UnknownMatch:
    """A match that is not modelled: `name` as behind `-m`, and its arguments as they were written."""

    name: str
    words: tuple[str, ...] = ()

    def holds(self, packet: Packet) -> bool:
        """Never asked: `emu.kernel.netfilter.program` makes the rule's verdict UNKNOWN instead."""
        raise AssertionError(packet)


@attrs.frozen
class UnknownTarget:
    """A target that is not modelled: `name` as behind `-j`, and its arguments as they were written."""

    name: str
    words: tuple[str, ...] = ()

    def apply(self, packet: Packet) -> Verdict | None:  # noqa: ARG002 - any target's signature
        """Return that nobody knows."""
        return Verdict.UNKNOWN


Target: TypeAlias = Jump | Goto | Return | Decide | Action


@attrs.frozen(cache_hash=True)
class Rule:
    """Conditions, all of which have to hold, and what happens then.

    Attributes:
        matches: in the order in which they are asked: addresses, interfaces,
            protocol and fragment first, then those of `-m` as written.
        target: None for a rule that only counts.
    """

    matches: tuple[Match, ...] = ()
    target: Target | None = None


@attrs.frozen(cache_hash=True)
class Chain:
    """A list of rules.

    Attributes:
        name: like `FORWARD` or `KUBE-SERVICES`.
        rules: in their order.
        policy: what becomes of a packet at the end; None for a user's chain.
        compiled: what `emu.kernel.netfilter.program` has made of it; None as yet.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    policy: Verdict | None = None
    compiled: object | None = attrs.field(default=None, init=False, eq=False, repr=False)

    def remember(self, compiled: object) -> None:
        """Keep what was made of the chain: it changes nothing of its value."""
        object.__setattr__(self, "compiled", compiled)


@attrs.frozen
class Table:
    """The chains of one table, built-in ones first, as they were made.

    Attributes:
        name: `raw`, `mangle`, `nat`, `filter` or `security`.
        chains: each name once; every jump leads to one of them.
        family: 4, or 6 for ip6tables.
    """

    is_still: ClassVar[bool] = True

    name: str
    chains: tuple[Chain, ...] = ()
    family: int = 4

    @cached_property
    def by_name(self) -> Mapping[str, Chain]:
        """The chains by their names."""
        return {chain.name: chain for chain in self.chains}


BUILTIN: Final[Mapping[str, tuple[Hook, ...]]] = {
    "raw": (Hook.PREROUTING, Hook.OUTPUT),
    "mangle": (Hook.PREROUTING, Hook.INPUT, Hook.FORWARD, Hook.OUTPUT, Hook.POSTROUTING),
    "nat": (Hook.PREROUTING, Hook.INPUT, Hook.OUTPUT, Hook.POSTROUTING),
    "filter": (Hook.INPUT, Hook.FORWARD, Hook.OUTPUT),
    "security": (Hook.INPUT, Hook.FORWARD, Hook.OUTPUT),
}
"""The built-in chains of each table: they have the names of the hooks."""


def empty(name: str) -> Table:
    """Return table `name` as it is before anybody entered a rule.

    Raises:
        KeyError: there is no such table.
    """
    return Table(name, tuple(Chain(hook.name, policy=Verdict.ACCEPT) for hook in BUILTIN[name]))
