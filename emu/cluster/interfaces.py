# SPDX-License-Identifier: GPL-2.0-only
"""What a node's entry says of its network cards and routes, done to its machine."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from emu.kernel.route import Insertion, Nexthop, Route, RouteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.node_objects import PlannedNode
    from emu.fabric.driver import Fabric
    from emu.kernel.namespace import Namespace


def configure(fabric: Fabric, net: Namespace, planned: PlannedNode, warn: Callable[[str], None]) -> None:
    """Enter a node's routes, and let its cards spoil what they spoil.

    Args:
        fabric: where it is.
        net: the node's namespace, its devices attached.
        planned: the node.
        warn: is told what leads nowhere.
    """
    entry = planned.entry
    if entry is None:
        return
    for each in entry.routes:
        route = Route(each.to, nexthops=(Nexthop(each.device, each.via),))
        try:
            fabric.call(net, partial(_enter, route=route))
        except RouteError as error:
            warn(f"node {entry.name}: no route to {each.to} via {each.via}: {error}")
    for card in entry.nics:
        device = net.devices.get(card.device)
        if device is None:
            warn(f"node {entry.name} has no device {card.device}")
        else:
            device.spoils_tunnels = card.tx_checksum == "broken-vxlan"


def _enter(net: Namespace, route: Route) -> None:
    net.fib.add(route, Insertion.REPLACE)  # of default routes, too
