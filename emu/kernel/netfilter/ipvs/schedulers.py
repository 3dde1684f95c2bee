# SPDX-License-Identifier: GPL-2.0-only
"""Schedulers: which destination a new connection gets.

    rr, wrr          each in its turn, by weight
    lc, wlc          the one with the fewest connections, by weight
    sed, nq          the one that would answer soonest; an idle one at once
    sh, dh           by a hash of the client's address, of the virtual address
    fo, ovf          the one with the highest weight; `ovf`: the next if it has more connections than weight

A scheduler never offers a destination of weight 0 or one that is overloaded.
Whose turn it is depends on what others have asked before. A question that
follows all branches asks about any connection, not about the next one, so there
each destination may have its turn, by its weight: see `spread`.

Source: net/netfilter/ipvs/ip_vs_{rr,wrr,lc,wlc,sed,nq,sh,dh,fo,ovf}.c.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from emu.sim.choice import DrawnChoice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.kernel.netfilter.ipvs.usage import Load, Usage
    from emu.kernel.netfilter.ipvs.virtual import Destination, VirtualService
    from emu.sim.choice import Choice

_TABLE_BITS: Final = 8
_TABLE_SIZE: Final = 1 << _TABLE_BITS
_GOLDEN_RATIO: Final = 0x61C88647
_WORD: Final = (1 << 32) - 1


class Client(NamedTuple):
    """The packet that begins a connection, as schedulers see it."""

    src: bytes
    sport: int
    dst: bytes


class Request(NamedTuple):
    """What a scheduler decides by.

    Attributes:
        service: the virtual service.
        usage: whose turn it was.
        loads: of each of its destinations, in their order.
        client: the packet.
    """

    service: VirtualService
    usage: Usage
    loads: Sequence[Load]
    client: Client

    @property
    def offered(self) -> list[tuple[Destination, Load]]:
        """The destinations that may get a connection, with their loads."""
        return [
            (each, load)
            for each, load in zip(self.service.destinations, self.loads, strict=True)
            if each.weight > 0 and not load.is_overloaded
        ]


class Scheduler(Protocol):
    """Picks a destination; None if there is none."""

    def __call__(self, request: Request) -> Destination | None:
        """Return the destination whose turn it is, and note that."""


def schedule(request: Request, choice: Choice) -> Destination | None:
    """Return the destination that a new connection gets; None if there is none."""
    name = request.service.scheduler
    if name in BY_HISTORY and not isinstance(choice, DrawnChoice):
        return spread(request, choice)
    return SCHEDULERS[name](request)


def spread(request: Request, choice: Choice) -> Destination | None:
    """Return any destination that could have its turn, with the share that it has in the long run.

    That is its weight's share, or the same for all where the scheduler asks no weights.
    """
    offered = [each for each, _ in request.offered]
    if len(offered) < 2:
        return offered[0] if offered else None
    weights = [each.weight if BY_HISTORY[request.service.scheduler] else 1 for each in offered]
    total = sum(weights)
    odds = [Fraction(weight, total) for weight in weights]
    key = request.service.key
    index = choice.pick(f"IPVS {key} {request.service.scheduler}", odds, [str(each.key) for each in offered])
    return offered[index]


# --- each in its turn ---


def _round_robin(request: Request) -> Destination | None:
    offered = {each.key for each, _ in request.offered}
    for each in _after_last(request):
        if each.key in offered:
            request.usage.last = each.key
            return each
    return None


def _after_last(request: Request) -> Sequence[Destination]:
    """Return the destinations, those behind the last one first."""
    all_ = request.service.destinations
    at = _place_of_last(request) + 1
    return (*all_[at:], *all_[:at])


def _place_of_last(request: Request) -> int:
    """Return the place of the last one, -1 for the head of the list."""
    last = request.usage.last
    keys = [each.key for each in request.service.destinations]
    return keys.index(last) if last in keys else -1


def _weighted_round_robin(request: Request) -> Destination | None:
    """Go round among those with at least the current weight, which falls each time round.

    Source: `ip_vs_wrr_schedule`.
    """
    offered = request.offered
    if not offered:
        return None
    service, usage = request.service, request.usage
    interval, most = _interval_and_most(service)
    able = {each.key for each, _ in offered}
    at = _place_of_last(request) + 1
    for _ in range(most // interval + 2):
        for each in service.destinations[at:]:
            if each.key in able and each.weight >= usage.current_weight:
                usage.last = each.key
                return each
        at = 0
        usage.current_weight -= interval
        if usage.current_weight <= 0:
            usage.current_weight = most
    return None


def _interval_and_most(service: VirtualService) -> tuple[int, int]:
    """Return by how much the current weight falls, and where it begins.

    Source: `ip_vs_wrr_gcd_weight`, `ip_vs_wrr_max_weight`.
    """
    weights = [each.weight for each in service.destinations if each.weight > 0]
    interval = math.gcd(*weights) if weights else 1
    return interval, max(weights, default=0) - (interval - 1)


def changed(service: VirtualService, before: VirtualService | None, usage: Usage) -> None:
    """Have whose turn it is follow a change of the destinations.

    Source: `ip_vs_rr_del_dest`, `ip_vs_wrr_dest_changed`.
    """
    keys = {each.key for each in service.destinations}
    if before is None or before.scheduler != service.scheduler:
        usage.last, usage.current_weight = None, _interval_and_most(service)[1]
    elif service.scheduler == "wrr":
        interval, most = _interval_and_most(service)
        usage.last = None
        if usage.current_weight > most or not usage.current_weight:
            usage.current_weight = most
        elif interval > 1:
            usage.current_weight = usage.current_weight // interval * interval + 1
    elif usage.last is not None and usage.last not in keys:
        order = [each.key for each in before.destinations]
        earlier = order[: order.index(usage.last)] if usage.last in order else []
        usage.last = next((key for key in reversed(earlier) if key in keys), None)


# --- by what they have to do ---


def _overhead(load: Load) -> int:
    """Return the load that connections are. Source: `ip_vs_dest_conn_overhead`."""
    return (load.active << 8) + load.inactive


def _least(request: Request, cost: Callable[[Load], int], *, weighted: bool) -> Destination | None:
    """Return the first with the least cost for its weight, compared without a division."""
    best: tuple[Destination, int] | None = None
    for each, load in request.offered:
        own = cost(load)
        if best is None or best[1] * (each.weight if weighted else 1) > own * (
            best[0].weight if weighted else 1
        ):
            best = each, own
    return best[0] if best is not None else None


def _least_connections(request: Request) -> Destination | None:
    return _least(request, _overhead, weighted=False)


def _weighted_least_connections(request: Request) -> Destination | None:
    return _least(request, _overhead, weighted=True)


def _shortest_expected_delay(request: Request) -> Destination | None:
    return _least(request, lambda load: load.active + 1, weighted=True)


def _never_queue(request: Request) -> Destination | None:
    idle = next((each for each, load in request.offered if not load.active), None)
    return idle if idle is not None else _shortest_expected_delay(request)


# --- by a hash ---


def hash_32(value: int, bits: int = _TABLE_BITS) -> int:
    """Return a hash of 32 bits. Source: include/linux/hash.h."""
    return (value * _GOLDEN_RATIO & _WORD) >> 32 - bits


@lru_cache(maxsize=1024)
def _buckets(destinations: tuple[Destination, ...], *, weighted: bool) -> tuple[Destination, ...]:
    """Return who has each bucket: all in their order, each as often in a row as it has weight.

    Source: `ip_vs_sh_reassign`, `ip_vs_dh_reassign`.
    """
    if not destinations:
        return ()
    found: list[Destination] = []
    at = 0
    while len(found) < _TABLE_SIZE:
        each = destinations[at % len(destinations)]
        found += [each] * (max(1, each.weight) if weighted else 1)
        at += 1
    return tuple(found[:_TABLE_SIZE])


def _source_hashing(request: Request) -> Destination | None:
    """Source: `ip_vs_sh_schedule`; with the flag `sh-fallback` the next bucket is tried, and so on."""
    service, client = request.service, request.client
    buckets = _buckets(service.destinations, weighted=True)
    if not buckets:
        return None
    offered = {each.key for each, _ in request.offered}
    port = client.sport if "sh-port" in service.flags else 0
    at = hash_32(port + int.from_bytes(client.src, "big") & _WORD)
    chosen = buckets[at]
    if chosen.key in offered:
        return chosen
    if "sh-fallback" not in service.flags:
        return None
    for offset in range(_TABLE_SIZE):
        place = (offset + at) % _TABLE_SIZE
        again = buckets[(place + at) % _TABLE_SIZE]
        if again.key in offered:
            return again
    return None


def _destination_hashing(request: Request) -> Destination | None:
    buckets = _buckets(request.service.destinations, weighted=False)
    if not buckets:
        return None
    chosen = buckets[hash_32(int.from_bytes(request.client.dst, "big"))]
    return chosen if any(each.key == chosen.key for each, _ in request.offered) else None


# --- by weight alone ---


def _weighted_failover(request: Request) -> Destination | None:
    return max((each for each, _ in request.offered), key=lambda each: each.weight, default=None)


def _overflow(request: Request) -> Destination | None:
    able = (each for each, load in request.offered if load.active <= each.weight)
    return max(able, key=lambda each: each.weight, default=None)


SCHEDULERS: Final[Mapping[str, Scheduler]] = {
    "rr": _round_robin,
    "wrr": _weighted_round_robin,
    "lc": _least_connections,
    "wlc": _weighted_least_connections,
    "sed": _shortest_expected_delay,
    "nq": _never_queue,
    "sh": _source_hashing,
    "dh": _destination_hashing,
    "fo": _weighted_failover,
    "ovf": _overflow,
}
"""By name; others that Linux has are in `UNMODELLED`."""

BY_HISTORY: Final[Mapping[str, bool]] = {
    "rr": False,
    "lc": False,
    "wrr": True,
    "wlc": True,
    "sed": True,
    "nq": True,
}
"""Those whose answer depends on what was asked before, and whether they ask for weights."""

UNMODELLED: Final = frozenset(("mh", "lblc", "lblcr", "twos"))
