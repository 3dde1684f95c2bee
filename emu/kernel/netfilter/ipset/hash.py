# SPDX-License-Identifier: GPL-2.0-only
"""Sets kept in a hash: `hash:ip` and the others.

What Linux lets its hash decide differs here: elements are listed in the order in
which they came (there in that of their hashes, under a random key), a full set
with `forceadd` gives up its oldest element (there some element of the new one's
bucket, and none if that is empty), and `Size in memory` is that of a hash without
collisions.

A test of an address tries the prefix lengths that the set has networks of,
longest first; of two networks all pairs, the first one's length leading. The
first element that is there decides, `nomatch` or not.

Source: net/netfilter/ipset/ip_set_hash_gen.h.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
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
from emu.kernel.netfilter.ipset.expansion import expand, tested
from emu.kernel.netfilter.ipset.spec import prefix_mask
from emu.kernel.netfilter.ipset.types import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.netfilter.ipset.element import Entry, Extensions
    from emu.kernel.netfilter.ipset.spec import SetSpec
    from emu.sim.time import Instant

LARGEST_EXPANSION: Final = 1 << 20
"""More elements than this are not taken from one entry, where Linux would run until its memory ends."""

_BUCKET: Final = 32  # octets of a bucket's header
_BUCKET_ELEMENTS: Final = 2
_REGION: Final = 24  # octets of a lock for each 1024 buckets

_Cut = tuple[int, int, int, int]  # length and mask of the first network, and of the second


class HashSet:
    """A set of one of the hash types.

    Attributes:
        name: what it is called.
        spec: its options.
    """

    def __init__(self, name: str, spec: SetSpec) -> None:
        self.name = name
        self.spec = spec
        self._members: dict[Element, Member] = {}
        self._lengths: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self._tried: list[_Cut] | None = None  # made when asked for
        self._is_lent = False  # what it holds is somebody's who wants it unchanged
        self._bits = spec.bits
        self._is_first_net = spec.type.parts[0] is Part.NET
        self._is_second_net = spec.type.parts[-1] is Part.NET and len(spec.type.parts) > 1

    def __len__(self) -> int:
        return len(self._members)

    def begin_trial(self) -> Callable[[], None]:
        """Change a copy from now on; what is returned puts back what there is."""
        before = self._members, self._lengths, self._tried
        self._is_lent = True
        if self.spec.timeout is not None or self.spec.counters:  # asking may change a member
            self._own()
            self._members = {element: copy(member) for element, member in self._members.items()}

        def put_back() -> None:
            self._members, self._lengths, self._tried = before
            self._is_lent = False

        return put_back

    def _own(self) -> None:
        """See to it that what it holds may be changed."""
        if self._is_lent:
            self._members = dict(self._members)
            self._lengths = Counter(self._lengths[0]), Counter(self._lengths[1])
            self._is_lent = False

    # --- what a command does ---

    def add(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Add what `entry` stands for.

        Raises:
            IpSetError: something of it is there already (unless `exist`), or cannot be.
                Elements before that have been added.
        """
        for element in self._expanded(entry):
            member = self.put(element, entry.extensions, now, exist=exist, wildcard=entry.wildcard)
            member.nomatch = entry.nomatch

    def delete(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Delete what `entry` stands for.

        Raises:
            IpSetError: something of it is not there (unless `exist`), or cannot be.
                Elements before that have been deleted.
        """
        for element in self._expanded(entry):
            try:
                self.remove(element, now)
            except IpSetError:
                if not exist:
                    raise

    def _expanded(self, entry: Entry) -> Iterator[Element]:
        """Yield the elements that `entry` stands for, not more than Linux takes from one command."""
        check(self.spec, entry.extensions)
        for number, element in enumerate(expand(self.spec, entry)):
            if number >= LARGEST_EXPANSION:
                raise IpSetError(Refusal.RANGE_TOO_LARGE)
            yield element

    def test(self, entry: Entry, now: Instant) -> bool:
        """Return whether `entry` is in the set, or with `nomatch` whether it is taken out."""
        try:
            answer = self.find(tested(self.spec, entry), Question(now))
        except IpSetError:
            return False
        return answer is (Answer.NOMATCH if entry.nomatch and self.spec.type.nets else Answer.IN)

    def flush(self) -> None:
        """Delete all elements."""
        self._own()
        self._members.clear()
        for lengths in self._lengths:
            lengths.clear()
        self._tried = None

    # --- single elements ---

    def put(
        self, element: Element, extensions: Extensions, now: Instant, *, exist: bool, wildcard: bool = False
    ) -> Member:
        """Add one element and return what it became.

        Raises:
            IpSetError: it is there already (unless `exist`), or the set is full.
        """
        self._own()
        member = self._known(element)
        if member is None:
            if len(self) >= self.spec.maxelem:
                self._make_room(now)
            member = Member(element, wildcard=wildcard)
            self._insert(member)
        elif not exist and not member.is_expired(now):
            raise IpSetError(Refusal.EXIST)
        member.nomatch = False
        describe(self.spec, member, extensions, now)
        return member

    def remove(self, element: Element, now: Instant) -> None:
        """Delete one element.

        Raises:
            IpSetError: it is not there.
        """
        self._own()
        member = self._known(element)
        if member is None or member.is_expired(now):
            raise IpSetError(Refusal.EXIST)
        self._discard(member)

    def find(self, element: Element, question: Question) -> Answer:
        """Return whether `element` is in the set; a single address is in every network that holds it."""
        if not self._is_address(element):
            return self._judge(self._members.get(element), question)
        ip, _, protocol, port, ip2, _, physdev, iface, mac = element
        members = self._members
        for first, mask, second, mask2 in self._pairs():
            cut = (ip & mask, first, protocol, port, ip2 & mask2, second, physdev, iface, mac)
            member = members.get(cut)  # type: ignore[call-overload]  # a tuple that equals an Element
            if member is not None:
                answer = self._judge(member, question)
                if answer is not Answer.OUT:
                    return answer
        return Answer.OUT

    @property
    def longest(self) -> tuple[int, int]:
        """The longest prefixes in it, all bits where there is none. Source: `INIT_CIDR`."""
        bits = self.spec.bits
        return max(self._lengths[0], default=bits), max(self._lengths[1], default=bits)

    # --- listing ---

    def listed(self, now: Instant) -> Iterator[Member]:
        """Yield the members that are there at `now`, oldest first."""
        return (member for member in self._all() if not member.is_expired(now))

    def memory(self, now: Instant) -> int:
        """Return the octets that a hash without collisions takes."""
        spec = self.spec
        memory, is6 = spec.type.memory, spec.family == 6
        element = extension_size(spec, memory.element6 if is6 else memory.element)
        regions = max(spec.hashsize // 1024, 1) - 1
        total = (memory.empty6 if is6 else memory.empty) + _REGION * regions
        return (
            total + self._buckets() * (_BUCKET + _BUCKET_ELEMENTS * element) + comments_size(self.listed(now))
        )

    # --- the table ---

    def _all(self) -> Iterator[Member]:
        return iter(self._members.values())

    def _buckets(self) -> int:
        return len(self._members)

    def _known(self, element: Element) -> Member | None:
        return self._members.get(element)

    def _insert(self, member: Member) -> None:
        element = member.element
        self._members[element] = member
        self._count(element, 1)

    def _discard(self, member: Member) -> None:
        del self._members[member.element]
        self._count(member.element, -1)

    def _count(self, element: Element, change: int) -> None:
        """Keep the books of prefix lengths. Source: `mtype_add_cidr`, `mtype_del_cidr`."""
        if not self.spec.type.nets:
            return
        for lengths, length in zip(self._lengths, self._net_lengths(element), strict=False):
            if length not in lengths or lengths[length] + change == 0:
                self._tried = None
            lengths[length] += change
            if not lengths[length]:
                del lengths[length]

    def _make_room(self, now: Instant) -> None:
        if self.spec.timeout is not None:
            for member in [member for member in self._all() if member.is_expired(now)]:
                self._discard(member)
        if len(self) < self.spec.maxelem:
            return
        oldest = next(self._all(), None)
        if oldest is None or not self.spec.forceadd:
            raise IpSetError(Refusal.HASH_FULL)
        self._discard(oldest)

    # --- networks ---

    def _net_lengths(self, element: Element) -> tuple[int, ...]:
        """Return the prefix lengths of the dimensions that are networks, in order."""
        first = (element.cidr,) if self._is_first_net else ()
        return (*first, element.cidr2) if self._is_second_net else first

    def _is_address(self, element: Element) -> bool:
        """Return whether there are networks, and those of `element` are all single addresses."""
        if self._is_first_net:
            return element[1] == self._bits and (not self._is_second_net or element[5] == self._bits)
        return self._is_second_net and element[5] == self._bits

    def _pairs(self) -> list[_Cut]:
        """Return the lengths to try with their masks, in order; what is no network is left whole."""
        if self._tried is None:
            cuts = [
                [(length, prefix_mask(length, self._bits)) for length in sorted(lengths, reverse=True)]
                for lengths in self._lengths
            ]
            whole = [(0, -1)]
            firsts = cuts.pop(0) if self._is_first_net else whole
            seconds = cuts.pop(0) if self._is_second_net else whole
            self._tried = [(*first, *second) for first in firsts for second in seconds]
        return self._tried

    def _judge(self, member: Member | None, question: Question) -> Answer:
        if member is None or not fits(self.spec, member, question):
            return Answer.OUT
        return Answer.NOMATCH if member.nomatch else Answer.IN
