# SPDX-License-Identifier: GPL-2.0-only
"""How ill a zone is, and how fast nodes in it may be tainted.

    state     when                                       tainted
    normal                                               0.1 nodes a second
    partial   three nodes or more, 55 % or more, ill     none, or 0.01 a second of more than 50
    full      all ill                                    0.1 a second; if all zones are full: none

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go (`ComputeZoneState`,
`handleDisruption`), scheduler/rate_limited_queue.go.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.sim.time import SECOND, START, Duration, Instant, later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.objects import Node

REGION_LABEL: Final = "topology.kubernetes.io/region"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"

LARGE: Final = 50
_USUAL: Final[Duration] = 10 * SECOND  # between two taints
_SLOW: Final[Duration] = 100 * SECOND


class State(enum.Enum):
    """How ill a zone is."""

    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


def zone_of(node: Node) -> tuple[str, str]:
    """Return region and zone of a node; nodes without labels are in one zone together."""
    labels = node.metadata.labels
    return labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, "")


def state_of(nodes: Iterable[Node]) -> State:
    """Return the state of a zone with `nodes`."""
    ready = [node.is_ready for node in nodes]
    ill = ready.count(False)
    if ill and ill == len(ready):
        return State.FULL
    if ill > 2 and ill * 100 >= 55 * len(ready):
        return State.PARTIAL
    return State.NORMAL


def interval_of(state: State, count: int) -> Duration | None:
    """Return the time between two taints in a zone of `count` nodes, None if there are none."""
    if state is not State.PARTIAL:
        return _USUAL
    return _SLOW if count > LARGE else None


@attrs.define
class TaintQueue:
    """The nodes of a zone that wait to be tainted, and when the next one may be.

    Attributes:
        interval: between two, None for never.
        free: when the next one may be tainted.
        waiting: names, in order.
    """

    interval: Duration | None = _USUAL
    free: Instant = START
    waiting: dict[str, None] = attrs.field(factory=dict)

    def slow_to(self, interval: Duration | None, now: Instant) -> None:
        """Go on at another rate; who waits for a turn waits a whole one of the new rate."""
        if interval == self.interval:
            return
        if self.free > now and interval is not None:
            self.free = later(now, interval)
        self.interval = interval

    def take(self, now: Instant) -> str | None:
        """Return the node whose turn it is, None if it is nobody's."""
        if self.interval is None or not self.waiting or self.free > now:
            return None
        name = next(iter(self.waiting))
        del self.waiting[name]
        self.free = later(now, self.interval)
        return name
