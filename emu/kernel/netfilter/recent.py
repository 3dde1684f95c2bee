# SPDX-License-Identifier: GPL-2.0-only
"""The lists of addresses that `-m recent` keeps. Source: net/netfilter/xt_recent.c `struct recent_table`.

A list is forgotten with the last rule that names it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Container

_MOST_ADDRESSES: Final = 100  # `ip_list_tot`
_MOST_STAMPS: Final = 32  # where no rule asks for more hits


class RecentEntry:
    """An address: its last TTL, and when it was seen, in ticks.

    `stamps` is a ring; `index` is the place behind the last one.
    """

    __slots__ = ("address", "index", "stamps", "ttl")

    def __init__(self, address: int, ttl: int, now: int) -> None:
        self.address = address
        self.ttl = ttl
        self.stamps = [now]
        self.index = 1


@attrs.define(eq=False)
class RecentList:
    """Addresses, the one that was not seen for the longest time first."""

    most_stamps: int = _MOST_STAMPS
    entries: list[RecentEntry] = attrs.field(factory=list, init=False)

    def find(self, address: int, ttl: int) -> RecentEntry | None:
        """Return the entry of `address` with that TTL; 0 is any."""
        for entry in self.entries:
            if entry.address == address and (not ttl or not entry.ttl or entry.ttl == ttl):
                return entry
        return None

    def enter(self, address: int, ttl: int, now: int) -> None:
        """Add `address`; a full list forgets its first."""
        if len(self.entries) >= _MOST_ADDRESSES:
            del self.entries[0]
        self.entries.append(RecentEntry(address, ttl, now))

    def update(self, entry: RecentEntry, ttl: int, now: int) -> None:
        """Note that `entry` was seen now."""
        place = entry.index % self.most_stamps
        if place == len(entry.stamps):
            entry.stamps.append(now)
        else:
            entry.stamps[place] = now
        entry.index = place + 1
        entry.ttl = ttl
        self.entries.remove(entry)
        self.entries.append(entry)

    def remove(self, entry: RecentEntry) -> None:
        """Forget `entry`."""
        self.entries.remove(entry)

    def reap(self, since: int, *, spared: RecentEntry | None) -> None:
        """Forget the first entry if it was not seen since tick `since`, unless it is `spared`."""
        first = self.entries[0]
        if first is not spared and first.stamps[first.index - 1] < since:
            del self.entries[0]


@attrs.define(eq=False)
class RecentLists:
    """The lists of a namespace, by name."""

    _lists: dict[str, RecentList] = attrs.field(factory=dict, init=False)

    def __bool__(self) -> bool:
        return bool(self._lists)

    def keep(self, names: Container[str]) -> None:
        """Forget the lists that have none of these names."""
        for name in tuple(self._lists):
            if name not in names:
                del self._lists[name]

    def table(self, name: str, hits: int) -> RecentList:
        """Return the list `name`, with room for `hits` times; one that had less is emptied."""
        wanted = 1 << (hits - 1).bit_length() if hits else _MOST_STAMPS
        known = self._lists.get(name)
        if known is None:
            known = self._lists[name] = RecentList(wanted)
        elif wanted > known.most_stamps:
            known.entries.clear()
            known.most_stamps = wanted
        return known
