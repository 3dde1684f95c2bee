# SPDX-License-Identifier: GPL-2.0-only
"""Routes by destination, for the longest prefix first.

A dictionary per prefix length that is in use, keyed by the prefix' bits as a
number: looking up costs one shift and one `get` for each length, whatever the
number of routes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.route import Route
    from emu.wire.addresses import Prefix

_BITS: Final = 32


def _rank(route: Route) -> tuple[int, int, int]:
    """Return what routes to one prefix are sorted by: of tables `local` first, the special TOS first."""
    return -route.table, -route.tos, route.metric


class PrefixMap:
    """Routes of one table, or of two (see `emu.kernel.fib`).

    Attributes:
        levels: for each prefix length in use, the longest first: by how much an
            address is shifted to the right to be a key, and the routes by key.
            Routes to one prefix are in the order in which they are tried.
        uses: how many nexthops lead by a device, by its name.
    """

    __slots__ = ("_by_length", "levels", "uses")

    def __init__(self) -> None:
        self._by_length: dict[int, dict[int, list[Route]]] = {}
        self.levels: list[tuple[int, dict[int, list[Route]]]] = []
        self.uses: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Route]:
        """Yield all in the order of `ip route show`: by address, the longer prefix first."""
        found = [
            (key << _BITS - length, -length, routes)
            for length, leaves in self._by_length.items()
            for key, routes in leaves.items()
        ]
        for _, _, routes in sorted(found, key=lambda item: item[:2]):
            yield from tuple(routes)

    def at(self, prefix: Prefix) -> list[Route]:
        """Return the routes to exactly `prefix`; don't change the list."""
        return self._by_length.get(prefix.length, {}).get(_key(prefix), [])

    def insert(self, route: Route, *, behind_equals: bool) -> None:
        """Enter `route`, before or behind those of the same table, TOS and metric."""
        leaves = self._by_length.setdefault(route.dst.length, {})
        if not leaves:
            self._relevel()
        routes = leaves.setdefault(_key(route.dst), [])
        rank = _rank(route)
        if behind_equals:
            place = sum(_rank(known) <= rank for known in routes)
        else:
            place = sum(_rank(known) < rank for known in routes)
        routes.insert(place, route)
        for nexthop in route.nexthops:
            self.uses[nexthop.device] += 1

    def replace(self, route: Route, successor: Route) -> None:
        """Put `successor` in the place of `route`, whose prefix it has."""
        routes = self._by_length[route.dst.length][_key(route.dst)]
        routes[routes.index(route)] = successor
        self.uses.subtract(nexthop.device for nexthop in route.nexthops)
        self.uses.update(nexthop.device for nexthop in successor.nexthops)

    def remove(self, route: Route) -> None:
        """Take `route` out."""
        leaves = self._by_length[route.dst.length]
        routes = leaves[_key(route.dst)]
        routes.remove(route)
        self.uses.subtract(nexthop.device for nexthop in route.nexthops)
        if not routes:
            del leaves[_key(route.dst)]
        if not leaves:
            del self._by_length[route.dst.length]
            self._relevel()

    def _relevel(self) -> None:
        self.levels = [
            (_BITS - length, self._by_length[length]) for length in sorted(self._by_length, reverse=True)
        ]


def _key(prefix: Prefix) -> int:
    return int(prefix.address) >> _BITS - prefix.length
