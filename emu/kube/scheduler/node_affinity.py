# SPDX-License-Identifier: GPL-2.0-only
"""Which nodes a pod asks for: nodeSelector and node affinity.

Source: staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/nodeaffinity.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.selectors import all_hold, contains

if TYPE_CHECKING:
    from emu.kube.api.objects import Node
    from emu.kube.api.objects.pod import PodSpec
    from emu.kube.api.objects.scheduling import NodeAffinity, NodeSelector, NodeSelectorTerm

NAME_FIELD: Final = "metadata.name"
"""The one field of a node that terms may ask for."""


def term_holds(term: NodeSelectorTerm, node: Node) -> bool:
    """Return whether all conditions of `term` hold for `node`; a term without any holds for none."""
    if not term.match_expressions and not term.match_fields:
        return False
    fields = {NAME_FIELD: node.metadata.name}
    return all_hold(term.match_expressions, node.metadata.labels) and all_hold(term.match_fields, fields)


def selector_holds(selector: NodeSelector, node: Node) -> bool:
    """Return whether one of the terms of `selector` holds for `node`."""
    return any(term_holds(term, node) for term in selector.node_selector_terms)


def is_wanted(spec: PodSpec, node: Node) -> bool:
    """Return whether `node` is one of those that the pod's selector and required affinity ask for."""
    if not contains(node.metadata.labels, spec.node_selector):
        return False
    required = _required(spec)
    return required is None or selector_holds(required, node)


def preference(spec: PodSpec, node: Node) -> int:
    """Return the weight of all preferred terms that hold for `node`."""
    affinity = _affinity(spec)
    if affinity is None:
        return 0
    preferred = affinity.preferred_during_scheduling_ignored_during_execution
    return sum(each.weight for each in preferred if term_holds(each.preference, node))


def has_preference(spec: PodSpec) -> bool:
    """Return whether the pod prefers some nodes."""
    affinity = _affinity(spec)
    return affinity is not None and bool(affinity.preferred_during_scheduling_ignored_during_execution)


def named_nodes(spec: PodSpec) -> frozenset[str] | None:
    """Return the names of the only nodes that the required affinity allows, None if it names none.

    This is how the pods of a DaemonSet find their nodes.
    """
    required = _required(spec)
    if required is None or not required.node_selector_terms:
        return None
    names: set[str] = set()
    for term in required.node_selector_terms:
        fields = [each for each in term.match_fields if each.key == NAME_FIELD and each.operator == "In"]
        if not fields:
            return None
        names |= set.intersection(*(set(each.values) for each in fields))
    return frozenset(names)


def _affinity(spec: PodSpec) -> NodeAffinity | None:
    return None if spec.affinity is None else spec.affinity.node_affinity


def _required(spec: PodSpec) -> NodeSelector | None:
    affinity = _affinity(spec)
    return None if affinity is None else affinity.required_during_scheduling_ignored_during_execution
