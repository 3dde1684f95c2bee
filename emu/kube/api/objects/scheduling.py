# SPDX-License-Identifier: GPL-2.0-only
"""What decides where a pod runs: taints, tolerations, affinities, spreading.

Source: staging/src/k8s.io/api/core/v1/types.go.
"""

from __future__ import annotations

import attrs

from emu.kube.api.objects.field import Rest, rest
from emu.kube.api.objects.meta import LabelSelector, Requirement


@attrs.frozen
class Taint:
    """What keeps pods off a node: `effect` is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    effect: str
    value: str = ""
    time_added: str | None = None
    rest: Rest = rest()


@attrs.frozen
class Toleration:
    """A taint that a pod does not mind; an empty key with Exists is any taint, an empty effect any."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None
    rest: Rest = rest()


@attrs.frozen
class NodeSelectorTerm:
    """Conditions on a node's labels and fields, all of which have to hold; without any none does."""

    match_expressions: tuple[Requirement, ...] = ()
    match_fields: tuple[Requirement, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class NodeSelector:
    """Terms of which one has to hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class PreferredTerm:
    """A term that counts `weight` (1 to 100) where it holds."""

    weight: int
    preference: NodeSelectorTerm
    rest: Rest = rest()


@attrs.frozen
class NodeAffinity:
    """Nodes that a pod needs, and those it prefers."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredTerm, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class PodAffinityTerm:
    """Pods in the same domain of `topology_key`; `namespaces` empty is the pod's own."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    rest: Rest = rest()


@attrs.frozen
class WeightedPodAffinityTerm:
    """A term about pods that counts `weight` where it holds."""

    weight: int
    pod_affinity_term: PodAffinityTerm
    rest: Rest = rest()


@attrs.frozen
class PodAffinity:
    """Pods to be near to, or (as anti-affinity) away from."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()
    rest: Rest = rest()


@attrs.frozen
class Affinity:
    """Where a pod belongs."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None
    rest: Rest = rest()


@attrs.frozen
class TopologySpreadConstraint:
    """How evenly pods lie over the domains of `topology_key`.

    `when_unsatisfiable` is DoNotSchedule or ScheduleAnyway.
    """

    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    rest: Rest = rest()
