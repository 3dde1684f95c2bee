# SPDX-License-Identifier: GPL-2.0-only
"""`-j SET`: put the packet into an ipset, take it out, or give it a mark from there.

Source: net/netfilter/xt_set.c `set_target_v3`. Priorities and queues, which a set
may give as well, do not exist here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.ipset import lookup
from emu.kernel.netfilter.ipset.base import Question
from emu.kernel.netfilter.ipset.element import Extensions

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipset.lookup import Direction
    from emu.kernel.netfilter.packet import Packet

MAX_TIMEOUT: Final = 0xFFFFFFFF // 1000
"""Seconds; a longer timeout is cut to this when it is used."""


@attrs.frozen
class Use:
    """A set, and where its dimensions are taken from."""

    name: str
    directions: tuple[Direction, ...]


@attrs.frozen
class SetTarget:
    """Change sets by the packet, or the packet by a set, and go on with the next rule.

    Attributes:
        add: the set to add to.
        delete: the set to delete from.
        map: the set to look up.
        exist: what is in `add` already begins anew.
        timeout: seconds that it stays in `add`; None for what the set says.
        map_mark: take the mark from the element of `map`.
        map_priority: take the priority from it.
        map_queue: take the queue from it.
    """

    add: Use | None = None
    delete: Use | None = None
    map: Use | None = None
    exist: bool = False
    timeout: int | None = None
    map_mark: bool = False
    map_priority: bool = False
    map_queue: bool = False

    @property
    def set_names(self) -> tuple[str, ...]:
        """The sets that the rule holds on to."""
        return tuple(use.name for use in (self.add, self.delete, self.map) if use is not None)

    def apply(self, packet: Packet) -> None:
        """Do it."""
        sets = packet.net.netfilter.ipsets
        size = len(packet.skb.packet)
        if self.add is not None:
            timeout = None if self.timeout is None else min(self.timeout, MAX_TIMEOUT)
            counted = Extensions(timeout, packets=1, octets=size)
            lookup.add(sets, self.add.name, packet, self.add.directions, counted, exist=self.exist)
        if self.delete is not None:
            lookup.delete(sets, self.delete.name, packet, self.delete.directions)
        if self.map is not None:
            question = Question(packet.net.now, size)
            if lookup.contains(
                sets, self.map.name, packet, self.map.directions, question, return_nomatch=False
            ):
                self._map(packet, question)

    def _map(self, packet: Packet, question: Question) -> None:
        if self.map_mark and question.found is not None:
            info = question.found.skbinfo
            packet.skb.mark = (packet.skb.mark & ~info.mask) ^ info.mark
