# SPDX-License-Identifier: GPL-2.0-only
"""Which nexthop of a multipath route a flow takes.

Linux hashes source and destination address (`fib_multipath_hash_policy` 0) with
a key drawn at boot, so that a flow keeps its way and nobody can tell beforehand
which. Here the hash is a `Choice`, made once for two addresses and one set of
weights: routes whose usable nexthops weigh the same send a flow the same way,
as equal hashes do. The other policies and `fib_multipath_use_neigh` are not modelled.

Source: net/ipv4/fib_semantics.c `fib_rebalance`, `fib_select_multipath`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

from emu.kernel.inetdev import select_source
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.link.device import Device
    from emu.kernel.route import Nexthop, Route
    from emu.kernel.tables import Flow
    from emu.sim.choice import Choice


@attrs.define
class Multipath:
    """Remembers what was chosen.

    Attributes:
        devices: the namespace's, by name.
    """

    devices: Mapping[str, Device]
    _picks: dict[tuple[tuple[int, ...], bytes, bytes], int] = attrs.field(factory=dict, init=False)

    def select(self, route: Route, usable: tuple[bool, ...], flow: Flow, choice: Choice) -> Nexthop:
        """Return the nexthop of `route` that `flow` takes.

        Args:
            route: has more than one nexthop.
            usable: for each of them, whether it may be taken; one at least may.
            flow: whose addresses count. A packet of this host with a source
                address goes by a nexthop for which that would be chosen, if
                there is one.
            choice: makes the choice, if it is new.
        """
        weights = tuple(hop.weight * good for hop, good in zip(route.nexthops, usable, strict=True))
        key = (weights, flow.src, flow.dst)
        index = self._picks.get(key)
        if index is None:
            question = f"nexthop of {route.dst} from {IpAddress(flow.src)} to {IpAddress(flow.dst)}"
            total = sum(weights)
            odds = [Fraction(weight, total) for weight in weights]
            index = choice.pick(question, odds, [_name(hop) for hop in route.nexthops])
            self._picks[key] = index
        if flow.src != ANY_IP4 and flow.iif in {"", "lo"}:
            index = self._prefer_source(route, usable, flow, index)
        return route.nexthops[index]

    def forget(self) -> None:
        """Forget what was chosen."""
        self._picks.clear()

    def _prefer_source(self, route: Route, usable: tuple[bool, ...], flow: Flow, index: int) -> int:
        """Return the first nexthop from `index` on, else the first, with the flow's source address."""
        fitting = [
            place
            for place, hop in enumerate(route.nexthops)
            if usable[place] and self._source(hop, route) == flow.src
        ]
        return next((place for place in fitting if place >= index), fitting[0] if fitting else index)

    def _source(self, hop: Nexthop, route: Route) -> IpAddress | None:
        device = self.devices.get(hop.device)
        return select_source(self.devices.values(), device, hop.gateway, route.scope)


def _name(hop: Nexthop) -> str:
    return f"via {hop.gateway} dev {hop.device}" if hop.gateway else f"dev {hop.device}"
