# SPDX-License-Identifier: GPL-2.0-only
"""A packet on its way through a chain. Source: net/netfilter/nf_tables_core.c `nft_do_chain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from emu.kernel.netfilter.nftables.expressions import Decision
from emu.kernel.netfilter.verdict import Verdict

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.live import LiveRule, LiveTable
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.skb import Skb
    from emu.sim.time import Instant

BREAK: Final = Decision("break")
"""The rule ends without a verdict: a condition fails, or there is nothing to be read (`NFT_BREAK`)."""

RETURN: Final = Decision("return")

_OUTCOMES: Final = {
    "accept": Verdict.ACCEPT,
    "drop": Verdict.DROP,
    "continue": None,
    "return": RETURN,
}


class Evaluation:
    """What statements are given.

    Attributes:
        packet: the packet.
        skb: its octets and metadata.
        table: the table that is walked.
        rule: the rule that is asked.
        now: the time.
    """

    __slots__ = ("now", "packet", "rule", "skb", "table")

    def __init__(self, packet: Packet, table: LiveTable) -> None:
        self.packet = packet
        self.skb: Skb = packet.skb
        self.table = table
        self.rule: LiveRule = None  # type: ignore[assignment]  # set before each rule
        self.now: Instant = packet.net.now


Outcome: TypeAlias = Decision | Verdict | None
"""What a statement says: None to go on with the next one."""

Step: TypeAlias = Callable[[Evaluation], Outcome]
Load: TypeAlias = Callable[[Evaluation], Any]
"""Reads a value from the packet: a number, a name, a tuple; None where there is nothing to be read."""


class NotModelledError(Exception):
    """A rule asks for something that is not modelled; `str()` of it names that."""


def outcome(decision: Decision) -> Outcome:
    """Return what a verdict says as a statement would."""
    return decision if decision.chain else _OUTCOMES[decision.code]
