# SPDX-License-Identifier: GPL-2.0-only
"""What must hold of any story of a cluster, whatever happens in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.cluster.timeline.packets import PacketWatch

_PATIENCE: Final = 10 * SECOND  # longer than a neighbour is asked, and than a frame is under way


def lost_without_reason(cluster: Cluster, packets: PacketWatch) -> list[str]:
    """Return the packets of a story's clients that are nowhere, a line each.

    Some seconds pass first, so that what is under way can end. What then has
    not come to its host, nor was dropped with a reason, waits for a neighbour
    (a kernel repeats what is not acknowledged for a long time), or is lost.
    """
    fabric = cluster.fabric
    fabric.tap(packets)
    cluster.wait_until(later(fabric.loop.now, _PATIENCE))
    fabric.tap(None)
    waiting = {
        packet.packet_id
        for net in fabric.namespaces.values()
        for neighbour in net.neighbours
        for packet, _ in neighbour.waiting
    }
    return [
        f"packet {number} was last in {place}"
        for number, place in packets.under_way().items()
        if number not in waiting
    ]
