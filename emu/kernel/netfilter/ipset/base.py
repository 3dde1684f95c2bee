# SPDX-License-Identifier: GPL-2.0-only
"""What all sets have in common: a name, options, and what is said of their elements."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from emu.kernel.netfilter.ipset.element import NO_SKBINFO
from emu.kernel.netfilter.ipset.errors import IpSetError, Refusal
from emu.sim.time import SECOND, Instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.ipset.element import Entry, Extensions, Member
    from emu.kernel.netfilter.ipset.spec import SetSpec

_COMMENT_HEADER: Final = 17  # octets beside the text
_NO_FIT: Final = -1


class Answer(enum.Enum):
    """Whether an element is in a set."""

    IN = "in"
    OUT = "not in"
    NOMATCH = "taken out by `nomatch`"


class Comparison(NamedTuple):
    """What a counter is asked.

    Attributes:
        operator: `eq`, `ne`, `lt` or `gt`.
        value: what it is compared with.
    """

    operator: str
    value: int

    def holds(self, counter: int) -> bool:
        """Return whether `counter` is so. Source: `ip_set_match_counter`."""
        match self.operator:
            case "eq":
                return counter == self.value
            case "ne":
                return counter != self.value
            case "lt":
                return counter < self.value
            case _:
                return counter > self.value


class Question:
    """What a match wants to know of the element it finds, and does to it (`struct ip_set_adt_opt`).

    Attributes:
        now: the instant.
        size: octets of the packet; -1 where no packet asks and nothing is counted.
        counts: the element found counts the packet.
        counts_below: so does the element of the set in a list:set.
        packets: the element is passed over unless its counter is so.
        octets: likewise.
        found: the element.
    """

    __slots__ = ("counts", "counts_below", "found", "now", "octets", "packets", "size")

    def __init__(
        self,
        now: Instant,
        size: int = _NO_FIT,
        *,
        counts: bool = True,
        counts_below: bool = True,
        packets: Comparison | None = None,
        octets: Comparison | None = None,
    ) -> None:
        self.now = now
        self.size = size
        self.counts = counts
        self.counts_below = counts_below
        self.packets = packets
        self.octets = octets
        self.found: Member | None = None


class Set(Protocol):
    """A set, whatever its type."""

    name: str
    spec: SetSpec

    def add(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Add what `entry` stands for; `exist` says that elements may be there already."""

    def delete(self, entry: Entry, now: Instant, *, exist: bool) -> None:
        """Delete what `entry` stands for; `exist` says that elements may be missing."""

    def test(self, entry: Entry, now: Instant) -> bool:
        """Return whether `entry` is in the set."""

    def flush(self) -> None:
        """Delete all elements."""

    def listed(self, now: Instant) -> Iterator[Member]:
        """Yield the members that are there at `now`, in the order of a listing."""

    def memory(self, now: Instant) -> int:
        """Return what a listing shows as `Size in memory`, octets."""


# --- extensions ---


def check(spec: SetSpec, extensions: Extensions) -> None:
    """Check that the set's elements have what `extensions` say. Source: `ip_set_get_extensions`.

    Raises:
        IpSetError: they have not.
    """
    if extensions.timeout is not None and spec.timeout is None:
        raise IpSetError(Refusal.TIMEOUT)
    if (extensions.packets is not None or extensions.octets is not None) and not spec.counters:
        raise IpSetError(Refusal.COUNTER)
    if extensions.comment is not None and not spec.comment:
        raise IpSetError(Refusal.COMMENT)
    if extensions.skbinfo is not None and not spec.skbinfo:
        raise IpSetError(Refusal.SKBINFO)


def describe(spec: SetSpec, member: Member, extensions: Extensions, now: Instant) -> None:
    """Give `member`, new or there before, what `extensions` say; counters stay unless they say something."""
    if spec.counters:
        if extensions.octets is not None:
            member.octets = extensions.octets
        if extensions.packets is not None:
            member.packets = extensions.packets
    if spec.comment:
        member.comment = extensions.comment or ""
    if spec.skbinfo:
        member.skbinfo = extensions.skbinfo or NO_SKBINFO
    if spec.timeout is not None:
        seconds = spec.timeout if extensions.timeout is None else extensions.timeout
        member.expires = Instant(now + seconds * SECOND) if seconds else None


def fits(spec: SetSpec, member: Member, question: Question) -> bool:
    """Return whether `member` is still there and as `question` wants it; count the packet.

    Source: `ip_set_match_extensions`.
    """
    if member.expires is not None and member.expires < question.now:
        return False
    if spec.counters:
        if question.size >= 0 and question.counts:
            member.packets += 1
            member.octets += question.size
        if question.packets is not None and not question.packets.holds(member.packets):
            return False
        if question.octets is not None and not question.octets.holds(member.octets):
            return False
    question.found = member
    return True


def extension_size(spec: SetSpec, octets: int) -> int:
    """Return the size of an element of `octets` octets with its extensions. Source: `ip_set_elem_len`."""
    extras = (spec.timeout is not None, spec.counters, spec.comment, spec.skbinfo)
    if any(extras[:3]):
        octets = -(-octets // 8) * 8
    return octets + 8 * extras[0] + 16 * extras[1] + 8 * extras[2] + 16 * extras[3]


def comments_size(members: Iterator[Member]) -> int:
    """Return the octets of all comments."""
    return sum(_COMMENT_HEADER + len(member.comment.encode()) for member in members if member.comment)
