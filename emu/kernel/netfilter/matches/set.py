# SPDX-License-Identifier: GPL-2.0-only
"""`-m set`: the packet is in an ipset. Source: net/netfilter/xt_set.c `set_match_v4`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.netfilter.ipset.base import Comparison, Question
from emu.kernel.netfilter.ipset.lookup import Direction, contains

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class SetMatch:
    """The packet is in the set `name`.

    Attributes:
        name: a set of the namespace.
        directions: where each dimension is taken from.
        inverted: it is not in the set.
        return_nomatch: it is in what `nomatch` takes out of the set.
        update_counters: the element found counts the packet.
        update_subcounters: of a list:set, the element in the set found counts it, too.
        packets: the element's packets have to be so, where it counts them.
        octets: likewise.
    """

    name: str
    directions: tuple[Direction, ...]
    inverted: bool = False
    return_nomatch: bool = False
    update_counters: bool = True
    update_subcounters: bool = True
    packets: Comparison | None = None
    octets: Comparison | None = None

    @property
    def set_names(self) -> tuple[str, ...]:
        """The sets that the rule holds on to."""
        return (self.name,)

    def holds(self, packet: Packet) -> bool:
        """Return whether the packet is in the set, or is not."""
        question = Question(
            packet.net.now,
            len(packet.skb.packet),
            counts=self.update_counters,
            counts_below=self.update_subcounters,
            packets=self.packets,
            octets=self.octets,
        )
        sets = packet.net.netfilter.ipsets
        found = contains(
            sets, self.name, packet, self.directions, question, return_nomatch=self.return_nomatch
        )
        return found is not self.inverted
