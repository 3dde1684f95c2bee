# SPDX-License-Identifier: GPL-2.0-only
"""Where a pod had better run: one function a plugin.

Each is given the pod, what is on the nodes, and the nodes that passed all
filters; it returns a score for each of them, 0 to 100, or None if they are
all the same to it.

Source: pkg/scheduler/framework/plugins/{tainttoleration,nodeaffinity,interpodaffinity,
noderesources}, pkg/scheduler/framework/plugins/helper/normalize_score.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.scheduler.node_affinity import has_preference, preference
from emu.kube.scheduler.taints import PREFER_NO_SCHEDULE, untolerated
from emu.kube.scheduler.terms import group_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.scheduling import PodAffinity, WeightedPodAffinityTerm
    from emu.kube.scheduler.occupancy import NodeState, Occupancy

FULL: Final = 100

HARD_WEIGHT: Final = 1
"""What a required affinity of a pod that is there counts for one that it is about."""


def tolerated(pod: Pod, view: Occupancy, nodes: Sequence[NodeState]) -> list[int] | None:
    """Fewer taints that prefer others are better."""
    if not view.has_deterrents:
        return None
    counts = [
        len(untolerated(state.node.spec.taints, pod.spec.tolerations, (PREFER_NO_SCHEDULE,)))
        for state in nodes
    ]
    most = max(counts)
    return [FULL - FULL * count // most for count in counts] if most else None


def preferred(pod: Pod, view: Occupancy, nodes: Sequence[NodeState]) -> list[int] | None:
    """Nodes that the pod's node affinity prefers are better."""
    del view
    if not has_preference(pod.spec):
        return None
    weights = [preference(pod.spec, state.node) for state in nodes]
    most = max(weights)
    return [FULL * weight // most for weight in weights] if most else None


def least_pods(pod: Pod, view: Occupancy, nodes: Sequence[NodeState]) -> list[int]:
    """Nodes with fewer pods are better, each pod counting one hundredth of a node.

    This stands for LeastAllocated: what pods ask for is not modelled, so all ask for the same.
    """
    del pod, view
    return [FULL - state.pods for state in nodes]


def near(pod: Pod, view: Occupancy, nodes: Sequence[NodeState]) -> list[int] | None:
    """Pods it likes nearby are good, others bad, and so are pods that like it or do not."""
    sums = [0] * len(nodes)
    for key, weight, counts in (*_own(pod, view), *_others(pod, view)):
        domains = view.domains(key, counts)
        for index, state in enumerate(nodes):
            sums[index] += weight * domains.get(state.value(key) or "", 0)
    least, most = min(sums), max(sums)
    return None if least == most else [FULL * (each - least) // (most - least) for each in sums]


def _own(pod: Pod, view: Occupancy) -> Iterator[tuple[str, int, Mapping[str, int]]]:
    """Yield label, weight and pods on nodes for what the pod itself prefers."""
    affinity = pod.spec.affinity
    if affinity is None:
        return
    for part, sign in ((affinity.pod_affinity, 1), (affinity.pod_anti_affinity, -1)):
        for each in _weighted(part):
            term = each.pod_affinity_term
            counts = view.tally([group_of(term, pod, view.store)], with_terminating=True)
            yield term.topology_key, sign * each.weight, counts


def _weighted(affinity: PodAffinity | None) -> tuple[WeightedPodAffinityTerm, ...]:
    return () if affinity is None else affinity.preferred_during_scheduling_ignored_during_execution


def _others(pod: Pod, view: Occupancy) -> Iterator[tuple[str, int, Mapping[str, int]]]:
    """Yield the same for what pods on nodes have to say about this one."""
    for holding, counts in view.holdings():
        weight = holding.weight or (0 if holding.is_anti else HARD_WEIGHT)
        if weight and group_of(holding.term, holding.pod, view.store).has(pod):
            yield holding.term.topology_key, -weight if holding.is_anti else weight, counts
