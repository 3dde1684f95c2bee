# SPDX-License-Identifier: GPL-2.0-only
"""Sets of sets (`list:set`), which are asked in their order.

A member is known by its name: a swap gives the name other contents, and a set
that is in a list cannot be renamed. Source: net/netfilter/ipset/ip_set_list_set.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from emu.kernel.netfilter.ipset.base import check, comments_size, describe, extension_size
from emu.kernel.netfilter.ipset.element import Element, Member
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.types import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.ipset.base import Set
    from emu.kernel.netfilter.ipset.element import Entry
    from emu.kernel.netfilter.ipset.spec import SetSpec
    from emu.sim.time import Instant


class Sets(Protocol):
    """Where sets are found by name."""

    def get(self, name: str) -> Set | None:
        """Return the set called `name`, None if there is none."""


class ListSet:
    """A set of the type list:set.

    Attributes:
        name: what it is called.
        spec: its options.
    """

    def __init__(self, name: str, spec: SetSpec, sets: Sets) -> None:
        self.name = name
        self.spec = spec
        self._sets = sets
        self._members: list[Member] = []

    def __contains__(self, name: str) -> bool:
        """Return whether the set `name` is a member, be its time over or not."""
        return any(member.element.iface == name for member in self._members)

    def add(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Put the set `entry.member` at the end, or beside another one.

        Raises:
            IpSetError: it is there already (unless `exist`), is a list itself or no
                set; or the other one is not in the list.
        """
        self._check(entry)
        self._forget(now)
        known = self._find(entry.member)
        beside = self._find(entry.before or entry.after)
        if (entry.before or entry.after) and (beside is None or beside is known):
            raise IpSetError(Refusal.REF_EXIST)
        if known is None:
            known = Member(Element(iface=entry.member))
            self._insert(known, beside, is_before=bool(entry.before))
        elif not exist:
            raise IpSetError(Refusal.EXIST)
        describe(self.spec, known, entry.extensions, now)

    def _insert(self, member: Member, beside: Member | None, *, is_before: bool) -> None:
        if beside is None:
            self._members.append(member)
        else:
            place = self._members.index(beside)
            self._members.insert(place if is_before else place + 1, member)

    def delete(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Take the set `entry.member` out.

        Raises:
            IpSetError: it is not there (unless `exist`), or not beside the one that is named.
        """
        self._check(entry)
        self._forget(now)
        member = self._find(entry.member)
        if (entry.before or entry.after) and (member is None or not self._is_beside(member, entry)):
            raise IpSetError(Refusal.REF_EXIST)
        if member is not None:
            self._members.remove(member)
        elif not exist:
            raise IpSetError(Refusal.EXIST)

    def test(self, entry: Entry, now: Instant) -> bool:
        """Return whether the set `entry.member` is in the list, and where it is said to be."""
        try:
            self._check(entry)
        except IpSetError:
            return False
        member = self._find(entry.member)
        return member is not None and not member.is_expired(now) and self._is_beside(member, entry)

    def flush(self) -> None:
        """Take all sets out."""
        self._members.clear()

    def listed(self, now: Instant) -> Iterator[Member]:
        """Yield the members that are there at `now`, in their order."""
        return (member for member in self._members if not member.is_expired(now))

    def memory(self, now: Instant) -> int:
        """Return the octets that it takes."""
        memory = self.spec.type.memory
        members = list(self.listed(now))
        element = extension_size(self.spec, memory.element)
        return memory.empty + len(members) * element + comments_size(iter(members))

    def _check(self, entry: Entry) -> None:
        check(self.spec, entry.extensions)
        member = self._sets.get(entry.member)
        if member is None:
            raise IpSetError(Refusal.NAME)
        if member.spec.type.method is Method.LIST:
            raise IpSetError(Refusal.LOOP)
        beside = entry.before or entry.after
        if beside and self._sets.get(beside) is None:
            raise IpSetError(Refusal.NAMEREF)

    def _forget(self, now: Instant) -> None:
        self._members = [member for member in self._members if not member.is_expired(now)]

    def _find(self, name: str) -> Member | None:
        return next((member for member in self._members if member.element.iface == name), None)

    def _is_beside(self, member: Member, entry: Entry) -> bool:
        """Return whether `member` stands right before or behind the set that `entry` names, if any."""
        if not entry.before and not entry.after:
            return True
        place = self._members.index(member) + (1 if entry.before else -1)
        if not 0 <= place < len(self._members):
            return False
        return self._members[place].element.iface == (entry.before or entry.after)
