# SPDX-License-Identifier: GPL-2.0-only
"""The plugins of the default profile, as one table.

Not among them: what pods ask for of processor and memory, volumes, images that
a node has already, and preemption. `UNMODELLED` says so to people.

Source: pkg/scheduler/apis/config/v1/default_plugins.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from emu.kube.scheduler import filters, scores, spreading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.scheduler.occupancy import NodeState, Occupancy

FilterFunction: TypeAlias = "Callable[[Pod, Occupancy], filters.Check | None]"
ScoreFunction: TypeAlias = "Callable[[Pod, Occupancy, Sequence[NodeState]], list[int] | None]"


class Filter(NamedTuple):
    """A plugin that rules nodes out.

    `is_lasting` is true where only the node itself decides, not what runs on
    it; `is_final` where taking other pods away would not help.
    """

    name: str
    prepare: FilterFunction
    is_lasting: bool
    is_final: bool


class Score(NamedTuple):
    """A plugin that prefers nodes, and what it weighs."""

    name: str
    weight: int
    rate: ScoreFunction


FILTERS: Final = (
    Filter("NodeUnschedulable", filters.unschedulable, is_lasting=True, is_final=True),
    Filter("NodeName", filters.node_name, is_lasting=True, is_final=True),
    Filter("TaintToleration", filters.taints, is_lasting=True, is_final=True),
    Filter("NodeAffinity", filters.node_affinity, is_lasting=True, is_final=True),
    Filter("NodePorts", filters.ports, is_lasting=False, is_final=False),
    Filter("NodeResourcesFit", filters.room, is_lasting=False, is_final=False),
    Filter("PodTopologySpread", spreading.filter_, is_lasting=False, is_final=False),
    Filter("InterPodAffinity", filters.pod_affinity, is_lasting=False, is_final=False),
)
"""In the order in which they are asked: the first that refuses gives the reason."""

SCORES: Final = (
    Score("TaintToleration", 3, scores.tolerated),
    Score("NodeAffinity", 2, scores.preferred),
    Score("PodTopologySpread", 2, spreading.score),
    Score("InterPodAffinity", 2, scores.near),
    Score("NodeResourcesFit", 1, scores.least_pods),
)

UNMODELLED: Final = (
    "resource requests are not counted: nodes have room for as many pods as they allow, "
    "and those with fewer pods are preferred"
)
