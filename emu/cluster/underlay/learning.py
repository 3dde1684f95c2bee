# SPDX-License-Identifier: GPL-2.0-only
"""What routers would tell each other by BGP, computed: who sends what is for a network to whom.

Routers that have a subnet in common are neighbours. Each takes the way over the
fewest routers; of several that are equally long, that of the neighbour which
stands first in the document, or with `multipath` all of them. No session is
modelled, and nothing is learned anew when a cable fails: what stands here holds
from the start.

Source: RFC 4271 §9.1.2.2, with every router an AS of its own (RFC 7938).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.route import Nexthop

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.wire.addresses import Interface


@attrs.frozen
class Speaker:
    """A router among others.

    Attributes:
        name: of it.
        addresses: its devices, each with one of its addresses.
        multipath: it uses all of several ways.
    """

    name: str
    addresses: tuple[tuple[str, Interface], ...]
    multipath: bool = False

    def way_to(self, other: Speaker) -> Nexthop | None:
        """Return how this router reaches a neighbour, None if they have no subnet in common."""
        for device, own in self.addresses:
            for _, theirs in other.addresses:
                if theirs.address in own.prefix and theirs.address != own.address:
                    return Nexthop(device, theirs.address)
        return None


class Learning:
    """The routers that learn from each other.

    Args:
        speakers: all of them, in the order in which they are preferred.
    """

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        self._speakers = {each.name: each for each in speakers}
        self._neighbours: dict[str, dict[str, Nexthop]] = {}
        for each in speakers:
            ways = {other.name: each.way_to(other) for other in speakers if other is not each}
            self._neighbours[each.name] = {name: way for name, way in ways.items() if way is not None}
        self._known: dict[frozenset[str], Mapping[str, tuple[Nexthop, ...]]] = {}

    def toward(self, origins: frozenset[str]) -> Mapping[str, tuple[Nexthop, ...]]:
        """Return where each router sends what is for a network of `origins`; of none that hears of none.

        The origins themselves are not in it.
        """
        found = self._known.get(origins)
        if found is None:
            found = self._known[origins] = self._compute(origins)
        return found

    def _compute(self, origins: frozenset[str]) -> Mapping[str, tuple[Nexthop, ...]]:
        ways: dict[str, tuple[Nexthop, ...]] = {}
        reached = [name for name in self._speakers if name in origins]
        known = set(reached)
        while reached:
            following: list[str] = []
            for name, speaker in self._speakers.items():
                if name in known:
                    continue
                hops = [way for other, way in self._neighbours[name].items() if other in reached]
                if hops:
                    ways[name] = tuple(hops if speaker.multipath else hops[:1])
                    following.append(name)
            known.update(following)
            reached = following
        return ways
