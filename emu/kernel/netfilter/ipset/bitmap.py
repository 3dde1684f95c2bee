# SPDX-License-Identifier: GPL-2.0-only
"""Sets that have one bit for each address or port of a range.

Source: net/netfilter/ipset/ip_set_bitmap_gen.h, ip_set_bitmap_ip.c, ip_set_bitmap_port.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipset.base import (
    Answer,
    Question,
    check,
    comments_size,
    describe,
    extension_size,
    fits,
)
from emu.kernel.netfilter.ipset.element import Element, Member
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.kernel.netfilter.ipset.spec import MAX32, SetSpec, prefix_mask, slots
from emu.kernel.netfilter.ipset.types import Part

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.ipset.element import Entry, Extensions
    from emu.sim.time import Instant

_WORD: Final = 64  # bits


class BitmapSet:
    """A set of the types bitmap:ip and bitmap:port.

    Attributes:
        name: what it is called.
        spec: its options.
    """

    def __init__(self, name: str, spec: SetSpec) -> None:
        self.name = name
        self.spec = spec
        self._members: dict[int, Member] = {}

    # --- what a command does ---

    def add(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Add what `entry` stands for.

        Raises:
            IpSetError: something of it is there already (unless `exist`), or out of range.
        """
        numbers = self._numbers(entry)
        for number in numbers:
            self.put(self._element(number), entry.extensions, now, exist=exist)

    def delete(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Delete what `entry` stands for.

        Raises:
            IpSetError: something of it is not there (unless `exist`), or out of range.
        """
        for number in self._numbers(entry):
            try:
                self.remove(self._element(number), now)
            except IpSetError:
                if not exist:
                    raise

    def test(self, entry: Entry, now: Instant) -> bool:
        """Return whether `entry`, of a range its beginning, is in the set."""
        return self.find(self._element(_beginning(entry)), Question(now)) is Answer.IN

    def flush(self) -> None:
        """Delete all elements."""
        self._members.clear()

    def _numbers(self, entry: Entry) -> range:
        """Return the addresses or ports that `entry` stands for, one for each bit."""
        spec = self.spec
        low = high = _beginning(entry)
        if not spec.first <= low <= spec.last:
            raise IpSetError(Refusal.BITMAP_RANGE)
        check(spec, entry.extensions)
        asked = entry.first or entry.ports
        if asked is not None and asked.last is not None:
            low, high = sorted((low, asked.last))
        elif entry.first is not None and entry.first.cidr is not None:
            if not 0 < entry.first.cidr <= 32:
                raise IpSetError(Refusal.INVALID_CIDR)
            low &= prefix_mask(entry.first.cidr, 32)
            high = low | (~prefix_mask(entry.first.cidr, 32) & MAX32)
        if low < spec.first or high > spec.last:
            raise IpSetError(Refusal.BITMAP_RANGE)
        return range(low, high + 1, self._step)

    # --- single elements ---

    def put(self, element: Element, extensions: Extensions, now: Instant, *, exist: bool) -> None:
        """Add one element.

        Raises:
            IpSetError: it is there already (unless `exist`), or out of range.
        """
        number = self._number(element)
        if number is None:
            raise IpSetError(Refusal.BITMAP_RANGE)
        member = self._members.get(number)
        if member is None:
            member = self._members[number] = Member(self._element(number))
        elif not exist and not member.is_expired(now):
            raise IpSetError(Refusal.EXIST)
        describe(self.spec, member, extensions, now)

    def remove(self, element: Element, now: Instant) -> None:
        """Delete one element.

        Raises:
            IpSetError: it is not there.
        """
        number = self._number(element)
        member = None if number is None else self._members.pop(number, None)
        if member is None or member.is_expired(now):
            raise IpSetError(Refusal.EXIST)

    def find(self, element: Element, question: Question) -> Answer:
        """Return whether `element` is in the set."""
        number = self._number(element)
        member = None if number is None else self._members.get(number)
        return Answer.IN if member is not None and fits(self.spec, member, question) else Answer.OUT

    @property
    def longest(self) -> tuple[int, int]:
        """Nothing that matters: there are no networks."""
        return 0, 0

    # --- listing ---

    def listed(self, now: Instant) -> Iterator[Member]:
        """Yield the members that are there at `now`, least first."""
        members = (member for _, member in sorted(self._members.items()))
        return (member for member in members if not member.is_expired(now))

    def memory(self, now: Instant) -> int:
        """Return the octets that it takes."""
        spec, room = self.spec, slots(self.spec)
        total = spec.type.memory.empty + -(-room // _WORD) * 8
        return total + room * extension_size(spec, 0) + comments_size(self.listed(now))

    # --- numbers ---

    @property
    def _is_of_ports(self) -> bool:
        return self.spec.type.parts[0] is Part.PORT

    @property
    def _step(self) -> int:
        return 1 if self._is_of_ports else self.spec.hosts

    def _element(self, number: int) -> Element:
        return Element(port=number) if self._is_of_ports else Element(number & self.spec.mask)

    def _number(self, element: Element) -> int | None:
        """Return the address or port that the bit of `element` has, None if it has no bit."""
        number = element.port if self._is_of_ports else element.ip & self.spec.mask
        return number if self.spec.first <= number <= self.spec.last else None


def _beginning(entry: Entry) -> int:
    asked = entry.first or entry.ports
    return 0 if asked is None else asked.first
