# SPDX-License-Identifier: GPL-2.0-only
"""Elements found by what a packet has: by hash, by bisection, or part by part.

A set of 10,000 services costs one look-up in a dictionary; one of ranges a
bisection. Only concatenations with ranges in them are tried one after the
other, the first that was entered winning.

Source: net/netfilter/nft_set_hash.c, nft_set_rbtree.c, nft_set_pipapo.c.
"""

from __future__ import annotations

from bisect import bisect_right
from copy import deepcopy
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import attrs

from emu.kernel.netfilter.nftables.expressions import CATCH_ALL, CatchAll, Prefix, Range, Wildcard
from emu.kernel.netfilter.nftables.states import CounterState, LimitState, with_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.netfilter.nftables.expressions import Atom, Key, Single
    from emu.kernel.netfilter.nftables.ruleset import Element
    from emu.sim.time import Instant

Value = object
"""What a packet has: an atom, or a tuple of them for a concatenation."""


class Slot:
    """An element of a set with a name, alive.

    Attributes:
        element: what it says.
        expires: when it ends, None for never.
        states: what it counts or limits by.
    """

    __slots__ = ("element", "expires", "states")

    def __init__(
        self, element: Element, expires: int | None, states: list[CounterState | LimitState]
    ) -> None:
        self.element = element
        self.expires = expires
        self.states = states

    def copy(self) -> Slot:
        """Return an element that counts on by itself."""
        return Slot(self.element, self.expires, deepcopy(self.states))

    def lives(self, now: Instant) -> bool:
        """Return whether its time has not come."""
        return self.expires is None or self.expires > now

    def passes(self, now: Instant, octets: int) -> bool:
        """Count a packet that was looked up; return whether it is within the limits of the element."""
        for state in self.states:
            if isinstance(state, CounterState):
                state.count(octets)
            elif not state.holds(now, octets):
                return False
        return True

    def snapshot(self, now: Instant) -> Element:
        """Return it with what it has counted, and the time that it has left."""
        statements = self.element.statements
        if statements:
            statements = tuple(
                [with_state(one, state) for one, state in zip(statements, self.states, strict=True)]
            )
        left = None if self.expires is None else self.expires - now
        return attrs.evolve(self.element, statements=statements, expires=left)


class Living(Protocol):
    """What is found: it may have lived its time."""

    def lives(self, now: Instant) -> bool:
        """Return whether it may still be found."""


ItemT = TypeVar("ItemT", bound=Living)


class Index(Generic[ItemT]):
    """Finds items by values; kept in order when items change (`changed`)."""

    __slots__ = ("_bounds", "_default", "_exact", "_lows", "_wide", "concat", "interval", "items", "stale")

    def __init__(self, items: Mapping[Key, ItemT], *, interval: bool, concat: bool) -> None:
        self.items = items
        self.interval = interval
        self.concat = concat
        self.stale = True
        self._exact: dict[object, ItemT] = {}
        self._lows: list[int] = []
        self._bounds: list[tuple[int, ItemT]] = []
        self._wide: list[tuple[Key, ItemT]] = []
        self._default: ItemT | None = None

    def changed(self) -> None:
        """Have it sorted anew before it is asked again."""
        self.stale = True

    def find(self, value: Value, now: Instant) -> ItemT | None:
        """Return the item for `value`, None if there is none."""
        if not self.interval:
            found = self.items.get(value)  # type: ignore[call-overload]  # any value may be asked for
            if found is not None and found.lives(now):
                return found  # type: ignore[no-any-return]
            found = self.items.get(CATCH_ALL)
            return found if found is not None and found.lives(now) else None
        if self.stale:
            self._sort()
        return self._find_wide(value, now)

    def _find_wide(self, value: Value, now: Instant) -> ItemT | None:
        found = self._exact.get(value)
        if found is not None and found.lives(now):
            return found
        if self._lows and isinstance(value, int):
            at = bisect_right(self._lows, value) - 1
            if at >= 0:
                high, found = self._bounds[at]
                if value <= high and found.lives(now):
                    return found
        for key, item in self._wide:
            if _meets(value, key) and item.lives(now):
                return item
        return self._default if self._default is not None and self._default.lives(now) else None

    def _sort(self) -> None:
        ranges: list[tuple[int, int, ItemT]] = []
        self._exact, self._wide, self._default = {}, [], None
        for key, item in self.items.items():
            if key == CATCH_ALL:
                self._default = item
            elif isinstance(key, Range):
                ranges.append((key.low, key.high, item))
            elif isinstance(key, Wildcard) or (isinstance(key, tuple) and not all(map(_is_atom, key))):
                self._wide.append((key, item))
            else:
                self._exact[key] = item
        ranges.sort(key=lambda entry: entry[0])
        self._lows = [low for low, _, _ in ranges]
        self._bounds = [(high, item) for _, high, item in ranges]
        self.stale = False


_ATOMS: Final = (int, str)


def _is_atom(value: Single) -> bool:
    return isinstance(value, _ATOMS)


def _meets(value: Value, key: Key) -> bool:
    if isinstance(key, CatchAll):
        return False
    if isinstance(key, tuple):
        return isinstance(value, tuple) and all(map(meets, value, key))
    return isinstance(value, _ATOMS) and meets(value, key)


def meets(value: Atom, wanted: Single) -> bool:
    """Return whether a value is one of those that are wanted."""
    match wanted:
        case Range(low, high):
            return isinstance(value, int) and low <= value <= high
        case Wildcard(start):
            return isinstance(value, str) and value.startswith(start)
        case Prefix():
            raise AssertionError(wanted)  # in sets, prefixes are ranges
        case _:
            return value == wanted
