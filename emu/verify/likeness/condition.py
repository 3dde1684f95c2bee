# SPDX-License-Identifier: GPL-2.0-only
"""A rule's conditions, taken apart, and whether packets may fulfil them, or must."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.verify.likeness.packets import meet

if TYPE_CHECKING:
    from collections.abc import Hashable

    from emu.kernel.netfilter.matches import ip
    from emu.kernel.netfilter.matches.mark import Mark
    from emu.verify.likeness.doubt import Doubt
    from emu.verify.likeness.packets import Ports, Sort
    from emu.verify.likeness.sets import NamedPorts
    from emu.verify.likeness.universe import Extent

SOURCE: Final = "src"
TARGET: Final = "dst"


class Named(NamedTuple):
    """Ports that a rule asks for by address.

    Attributes:
        end: whose address it is.
        port: at which end the port is.
        ports: who has which.
        inverted: the packet has none of these.
    """

    end: str
    port: str
    ports: NamedPorts
    inverted: bool


@attrs.define
class Condition:
    """What a rule asks.

    Attributes:
        ends: who has to be the source, and the target; all of the sets.
        is_host: one of the sets was given by its members, and not as a prefix.
        named: ports that are asked for by address.
        protocol: that it has to be, and whether it must not be.
        sports: source ports that it has to have.
        dports: likewise.
        marks: what is asked of the packet's mark.
        asks_more: there is something else, so nobody can be sure that it holds.
        text: all that has nothing to do with addresses.
        edges: ports at which something changes.
        comment: the words for people.
        pairs: it holds for packets between these pods alone; None if that is not asked.
        doubt: why the rest of it is not understood, None where all of it is.
    """

    ends: dict[str, list[Extent]] = attrs.field(factory=lambda: {SOURCE: [], TARGET: []})
    is_host: bool = False
    named: list[Named] = attrs.field(factory=list)
    protocol: ip.Protocol | None = None
    sports: Ports | None = None
    dports: Ports | None = None
    marks: list[Mark] = attrs.field(factory=list)
    asks_more: bool = False
    text: list[Hashable] = attrs.field(factory=list)
    edges: set[int] = attrs.field(factory=set)
    comment: str = ""
    pairs: frozenset[frozenset[int]] | None = None
    doubt: Doubt | None = None

    def whole(self, end: str, everybody: Extent) -> Extent:
        """Return who may stand at an end."""
        pods, machines = everybody
        for each in self.ends[end]:
            pods &= each.pods
            machines &= each.machines
        return everybody._replace(pods=pods, machines=machines)

    # --- may it hold? ---

    def may_hold(self, sort: Sort, *, marks: int) -> bool:
        """Return whether a packet of a sort can fulfil it, when of its mark these bits may be set."""
        if self.protocol is not None and (self.protocol.number == sort.protocol) is self.protocol.inverted:
            return False
        if not all(_may_be(mark, marks) for mark in self.marks):
            return False
        if not self.whole(SOURCE, sort.sources) or not self.whole(TARGET, sort.targets):
            return False
        for ports, asked in ((self.sports, sort.sports), (self.dports, sort.dports)):
            if ports is not None and not meet(ports, asked):
                return False
        return True

    def must_hold(self, sort: Sort, *, marks: int) -> bool:
        """Return whether every packet of a sort fulfils it, given that one may."""
        if self.asks_more or self.named or not all(_must_be(mark, marks) for mark in self.marks):
            return False
        if self.sports is not None or self.dports is not None:
            return False
        return (
            self.whole(SOURCE, sort.sources) == sort.sources
            and self.whole(TARGET, sort.targets) == sort.targets
        )


def _may_be(mark: Mark, bits: int) -> bool:
    """Return whether a mark in which `bits` may be set, and no others, can be what is asked for."""
    if mark.inverted:
        return bool(mark.value or mark.mask & bits)
    return not mark.value & ~(mark.mask & bits)


def _must_be(mark: Mark, bits: int) -> bool:
    return not _may_be(attrs.evolve(mark, inverted=not mark.inverted), bits)
