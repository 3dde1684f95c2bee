# SPDX-License-Identifier: GPL-2.0-only
"""What statements remember: counters, limits, the next number.

Source: nft_counter.c, nft_limit.c, nft_numgen.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from emu.kernel.netfilter.nftables import statements as st
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.sim.time import Instant

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_T = TypeVar("_T")


class CounterState:
    """Packets and octets seen."""

    __slots__ = ("octets", "packets")

    def __init__(self, packets: int, octets: int) -> None:
        self.packets = packets
        self.octets = octets

    def count(self, octets: int) -> None:
        """Count a packet."""
        self.packets += 1
        self.octets += octets


class LimitState:
    """A bucket of tokens, each a nanosecond; full when it is made.

    Source: net/netfilter/nft_limit.c `nft_limit_eval`.
    """

    __slots__ = ("cost", "last", "limit", "most", "tokens")

    def __init__(self, limit: st.Limit) -> None:
        self.limit = limit
        unit = _UNITS[limit.unit] * SECOND
        if limit.octets:
            self.most = unit * (limit.rate + limit.burst) // limit.rate
            self.cost = unit
        else:
            self.cost = unit // limit.rate
            self.most = self.cost * limit.burst
        self.tokens = self.most
        self.last: Instant | None = None

    def holds(self, now: Instant, octets: int) -> bool:
        """Return whether the packet is within the limit, or beyond it where that is asked."""
        cost = self.cost * octets // self.limit.rate if self.limit.octets else self.cost
        last = now if self.last is None else self.last
        tokens = min(self.most, self.tokens + now - last)
        self.last = now
        within = tokens >= cost
        self.tokens = tokens - cost if within else tokens
        return within is not self.limit.over


class Sequence:
    """What an expression remembers.

    Attributes:
        next: the next number of `numgen inc`.
        seed: the one that was drawn for a hash, None if none was.
        decided: the numbers of keys that an exploration has decided about.
    """

    __slots__ = ("decided", "next", "seed")

    def __init__(self) -> None:
        self.next = 0
        self.seed: int | None = None
        self.decided: dict[bytes, int] = {}


def state_of(statement: object) -> CounterState | LimitState | None:
    """Return what a statement begins with, None for one that remembers nothing."""
    if isinstance(statement, st.Counter):
        return CounterState(statement.packets, statement.octets)
    if isinstance(statement, st.Limit):
        return LimitState(statement)
    return None


def with_state(statement: _T, state: object) -> _T:
    """Return a statement with what it has counted."""
    if isinstance(statement, st.Counter) and isinstance(state, CounterState):
        return attrs.evolve(statement, packets=state.packets, octets=state.octets)
    return statement
