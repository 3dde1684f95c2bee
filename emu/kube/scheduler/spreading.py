# SPDX-License-Identifier: GPL-2.0-only
"""How evenly pods lie over nodes and zones: the plugin PodTopologySpread.

A pod without constraints of its own is spread over hosts and zones all the
same, softly, beside the other pods of its ReplicaSet, StatefulSet or
ReplicationController. Kubernetes counts the pods of its Services too; here
they do not count, so that a new Service moves no pod.

Source: pkg/scheduler/framework/plugins/podtopologyspread/{filtering,scoring,common}.go.
"""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from emu.kube.scheduler.node_affinity import is_wanted
from emu.kube.scheduler.occupancy import HOSTNAME, ZONE
from emu.kube.scheduler.taints import REPELLING, untolerated
from emu.kube.scheduler.terms import Group, with_label_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.scheduling import TopologySpreadConstraint
    from emu.kube.scheduler.filters import Check
    from emu.kube.scheduler.occupancy import NodeState, Occupancy

UNEVEN: Final = "node(s) didn't match pod topology spread constraints"
NO_LABEL: Final = f"{UNEVEN} (missing required label)"

SPREAD_KINDS: Final = frozenset({"ReplicaSet", "StatefulSet", "ReplicationController"})
"""Controllers whose pods are spread without being asked."""

HOST_SKEW: Final = 3
ZONE_SKEW: Final = 5
FULL: Final = 100

_NAME: Final = attrgetter("name")


def filter_(pod: Pod, view: Occupancy) -> Check | None:
    """A node must not make the domains more uneven than DoNotSchedule constraints allow."""
    constraints = _constraints(pod, "DoNotSchedule")
    if not constraints:
        return None
    keys = [each.topology_key for each in constraints]
    checks = [(each.topology_key, _even(pod, each, keys, view)) for each in constraints]

    def check(state: NodeState) -> str:
        for key, allows in checks:
            value = state.value(key)
            if value is None:
                return NO_LABEL
            if not allows(value):
                return UNEVEN
        return ""

    return check


def _even(
    pod: Pod, constraint: TopologySpreadConstraint, keys: Sequence[str], view: Occupancy
) -> Callable[[str], bool]:
    """Return what says of a domain whether one more pod there keeps within the skew."""
    counts, group = _counts(pod, constraint, view)
    domains: dict[str, int] = {}
    for state in view.nodes:
        if all(state.value(key) is not None for key in keys) and _takes_part(pod, constraint, state):
            value = state.value(constraint.topology_key) or ""
            domains[value] = domains.get(value, 0) + counts.get(state.name, 0)
    least = min(domains.values(), default=0)
    if len(domains) < (constraint.min_domains or 1):
        least = 0
    itself = int(group.has(pod))
    return lambda value: domains.get(value, 0) + itself - least <= constraint.max_skew


def _takes_part(pod: Pod, constraint: TopologySpreadConstraint, state: NodeState) -> bool:
    """Return whether the pods of a node are counted, by the policies of the constraint."""
    if constraint.rest.get("nodeAffinityPolicy", "Honor") == "Honor" and not is_wanted(pod.spec, state.node):
        return False
    if constraint.rest.get("nodeTaintsPolicy", "Ignore") == "Ignore":
        return True
    return not untolerated(state.node.spec.taints, pod.spec.tolerations, REPELLING)


def _constraints(pod: Pod, action: str) -> list[TopologySpreadConstraint]:
    return [each for each in pod.spec.topology_spread_constraints if each.when_unsatisfiable == action]


def _counts(
    pod: Pod, constraint: TopologySpreadConstraint, view: Occupancy
) -> tuple[Mapping[str, int], Group]:
    selector = with_label_keys(constraint.label_selector, constraint.rest, pod.metadata.labels)
    group = Group(frozenset({pod.metadata.namespace}), selector)
    return view.tally([group], with_terminating=False), group


# --- scores ---


def score(pod: Pod, view: Occupancy, nodes: Sequence[NodeState]) -> list[int] | None:
    """Return for each node how much more even the pods are with this one there, 0 to 100."""
    if not pod.spec.topology_spread_constraints:
        return _score_by_owner(pod, view, nodes)
    constraints = _constraints(pod, "ScheduleAnyway")
    if not constraints:
        return None
    sums = [0.0] * len(nodes)
    is_labelled = [all(state.value(each.topology_key) is not None for each in constraints) for state in nodes]
    for each in constraints:
        counts, _ = _counts(pod, each, view)
        taking = {
            state.name: counts[state.name]
            for state in view.nodes
            if state.name in counts and _takes_part(pod, each, state)
        }
        eligible = [state for state, is_in in zip(nodes, is_labelled, strict=True) if is_in]
        for index, part in enumerate(
            _raw(
                key=each.topology_key,
                skew=each.max_skew,
                counts=taking,
                nodes=nodes,
                eligible=eligible,
                view=view,
            )
        ):
            sums[index] += part
    raw = [round(value) if is_in else None for value, is_in in zip(sums, is_labelled, strict=True)]
    known = [value for value in raw if value is not None]
    table = _normalised(known)
    return [0 if value is None else table[value] for value in raw]


def _score_by_owner(pod: Pod, view: Occupancy, nodes: Sequence[NodeState]) -> list[int] | None:
    """Spread over hosts and zones, beside pods of the same controller."""
    owner = pod.metadata.controller
    counts = view.of_owner(pod)
    if owner is None or owner.kind not in SPREAD_KINDS or not counts:
        return None
    weight = math.log(len(nodes) + 2)
    if not view.has_zones:
        # Most pods of a large cluster come by here: no loop of Python's own over the nodes.
        on_nodes = list(map(counts.get, map(_NAME, nodes)))
        raw_of = {count: round((count or 0) * weight + HOST_SKEW - 1) for count in set(on_nodes)}
        table = _normalised(list(raw_of.values()))
        score_of = {count: table[value] for count, value in raw_of.items()}
        return list(map(score_of.__getitem__, on_nodes))
    hosts = _raw(key=HOSTNAME, skew=HOST_SKEW, counts=counts, nodes=nodes, eligible=nodes, view=view)
    zones = _raw(key=ZONE, skew=ZONE_SKEW, counts=counts, nodes=nodes, eligible=nodes, view=view)
    raw = [round(host + zone) for host, zone in zip(hosts, zones, strict=True)]
    table = _normalised(raw)
    return [table[value] for value in raw]


def _raw(
    *,
    key: str,
    skew: int,
    counts: Mapping[str, int],
    nodes: Sequence[NodeState],
    eligible: Sequence[NodeState],
    view: Occupancy,
) -> list[float]:
    """Return what one constraint gives for each node, more where there are more pods."""
    values = [state.value(key) for state in nodes]
    if key == HOSTNAME:
        weight = math.log(len(eligible) + 2)
        on_nodes = [counts.get(state.name, 0) for state in nodes]
    else:
        weight = math.log(len({state.value(key) for state in eligible} - {None}) + 2)
        domains = view.domains(key, counts)
        on_nodes = [0 if value is None else domains.get(value, 0) for value in values]
    return [
        0.0 if value is None and key != HOSTNAME else count * weight + skew - 1
        for value, count in zip(values, on_nodes, strict=True)
    ]


def _normalised(raw: Sequence[int]) -> dict[int, int]:
    """Return the score, 0 to 100, of each raw value: the fewest pods are the best."""
    most, least = max(raw, default=0), min(raw, default=0)
    return {value: FULL * (most + least - value) // most if most else FULL for value in set(raw)}
