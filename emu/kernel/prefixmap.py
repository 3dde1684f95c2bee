# SPDX-License-Identifier: GPL-2.0-only
"""Routes by destination, for the longest prefix first.

One dictionary, keyed by a prefix' bits as a number, with a 1 in front that tells
how many they are: looking up costs one shift and one `get` for each length in
use, whatever the number of routes. A small table is small.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.route import Route
    from emu.wire.addresses import Prefix

_BITS: Final = 32
_MOST_SHARED: Final = 16384
_NONE: Final[tuple[Route, ...]] = ()


def _rank(route: Route) -> tuple[int, int, int]:
    """Return what routes to one prefix are sorted by: of tables `local` first, the special TOS first."""
    return -route.table, -route.tos, route.metric


class PrefixMap:
    """Routes of one table, or of two (see `emu.kernel.fib`).

    Attributes:
        leaves: the routes by key: the only one to its prefix, as most are, or
            all of them in the order in which they are tried.
        levels: for each prefix length that was ever in use, the longest first:
            by how much an address is shifted to the right, and what is added
            then, to be a key.
        uses: how many nexthops lead by a device, by its name; not all are above 0.
    """

    __slots__ = ("leaves", "levels", "uses")

    def __init__(self) -> None:
        self.leaves: dict[int, Route | tuple[Route, ...]] = {}
        self.levels: tuple[tuple[int, int], ...] = ()
        self.uses: dict[str, int] = {}

    def __iter__(self) -> Iterator[Route]:
        """Yield all in the order of `ip route show`: by address, the longer prefix first."""
        for _, _, routes in sorted(map(_placed, self.leaves.items()), key=lambda item: item[:2]):
            yield from routes

    def at(self, prefix: Prefix) -> tuple[Route, ...]:
        """Return the routes to exactly `prefix`."""
        found = self.leaves.get(_key(prefix), _NONE)
        return found if isinstance(found, tuple) else (found,)

    def insert(self, route: Route, *, behind_equals: bool) -> None:
        """Enter `route`, before or behind those of the same table, TOS and metric."""
        key = _key(route.dst)
        routes = self.leaves.get(key)
        if routes is None:
            self.leaves[_one(key)] = route
            self.levels = _with_length(self.levels, route.dst.length)
        else:
            routes = routes if isinstance(routes, tuple) else (routes,)
            rank = _rank(route)
            if behind_equals and _rank(routes[-1]) <= rank:
                place = len(routes)
            elif behind_equals:
                place = sum([_rank(known) <= rank for known in routes])
            else:
                place = sum([_rank(known) < rank for known in routes])
            self.leaves[key] = (*routes[:place], route, *routes[place:])
        self._count(route, 1)

    def replace(self, route: Route, successor: Route) -> None:
        """Put `successor` in the place of `route`, whose prefix it has."""
        key = _key(route.dst)
        routes = self.leaves[key]
        if isinstance(routes, tuple):
            place = routes.index(route)
            self.leaves[key] = (*routes[:place], successor, *routes[place + 1 :])
        else:
            self.leaves[key] = successor
        self._count(route, -1)
        self._count(successor, 1)

    def remove(self, route: Route) -> None:
        """Take `route` out."""
        key = _key(route.dst)
        routes = self.leaves[key]
        if isinstance(routes, tuple):
            place = routes.index(route)
            left = routes[:place] + routes[place + 1 :]
            self.leaves[key] = left if len(left) > 1 else left[0]
        else:
            del self.leaves[key]
        self._count(route, -1)

    def _count(self, route: Route, step: int) -> None:
        uses = self.uses
        for nexthop in route.nexthops:
            uses[nexthop.device] = uses.get(nexthop.device, 0) + step


def _key(prefix: Prefix) -> int:
    length = prefix.length
    return int.from_bytes(prefix.address, "big") >> _BITS - length | 1 << length


_keys: Final[dict[int, int]] = {}


def _one(key: int) -> int:
    """Return the number that stands for all that are equal: many nodes have routes to the same prefixes."""
    if len(_keys) >= _MOST_SHARED:
        _keys.clear()
    return _keys.setdefault(key, key)


def _placed(leaf: tuple[int, Route | tuple[Route, ...]]) -> tuple[int, int, tuple[Route, ...]]:
    """Return address and negative length of a leaf's prefix, and its routes."""
    key, routes = leaf
    length = key.bit_length() - 1
    address = (key ^ 1 << length) << _BITS - length
    return address, -length, routes if isinstance(routes, tuple) else (routes,)


@lru_cache(maxsize=1024)
def _with_length(levels: tuple[tuple[int, int], ...], length: int) -> tuple[tuple[int, int], ...]:
    """Return `levels` with that of a length; equal ones are one object."""
    level = (_BITS - length, 1 << length)
    return levels if level in levels else tuple(sorted((*levels, level)))
