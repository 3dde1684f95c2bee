# SPDX-License-Identifier: GPL-2.0-only
"""What packets change about virtual services and destinations: what was counted, whose turn it is.

Source: `struct ip_vs_stats`, the atomics of `struct ip_vs_dest`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipvs.virtual import DestinationKey


@attrs.define(eq=False)
class Stats:
    """Connections, packets and octets of IP packets, in from clients and out to them."""

    connections: int = 0
    packets_in: int = 0
    packets_out: int = 0
    octets_in: int = 0
    octets_out: int = 0

    def count_in(self, octets: int) -> None:
        """Count a packet of a client."""
        self.packets_in += 1
        self.octets_in += octets

    def count_out(self, octets: int) -> None:
        """Count a packet to a client."""
        self.packets_out += 1
        self.octets_out += octets


@attrs.define(eq=False)
class Load:
    """What a destination has to do.

    Attributes:
        active: connections that stand.
        inactive: those that begin or end, and all of UDP.
        persistent: clients that stay with it.
        is_overloaded: it has reached its upper limit, and not fallen below the lower one since.
        stats: what was counted.
    """

    active: int = 0
    inactive: int = 0
    persistent: int = 0
    is_overloaded: bool = False
    stats: Stats = attrs.field(factory=Stats)


@attrs.define(eq=False)
class Usage:
    """What packets have changed about one virtual service.

    Attributes:
        stats: what was counted.
        last: the destination whose turn it was last, None before the first.
        current_weight: where `wrr` stands: destinations with so much weight have their turn.
    """

    stats: Stats = attrs.field(factory=Stats)
    last: DestinationKey | None = None
    current_weight: int = 0
