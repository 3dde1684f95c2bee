# SPDX-License-Identifier: GPL-2.0-only
"""Pods that a term of affinity or a spreading constraint is about.

Source: pkg/scheduler/framework/types.go `AffinityTerm.Matches`,
pkg/scheduler/framework/plugins/podtopologyspread/common.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import attrs

from emu.kube.api.objects import Namespace
from emu.kube.api.objects.meta import LabelSelector, Requirement
from emu.kube.api.selectors import selects

if TYPE_CHECKING:
    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.field import Labels, Rest
    from emu.kube.api.objects.scheduling import PodAffinityTerm
    from emu.kube.api.store import Store

SelectorKey: TypeAlias = tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str, tuple[str, ...]], ...]]


class Group(NamedTuple):
    """Pods of some namespaces with some labels; `selector` None is nobody."""

    namespaces: frozenset[str]
    selector: LabelSelector | None

    @property
    def key(self) -> tuple[object, ...]:
        """What is equal for groups of the same pods, and can be hashed."""
        return self.namespaces, selector_key(self.selector)

    def has(self, pod: Pod) -> bool:
        """Return whether `pod` is one of the group."""
        return pod.metadata.namespace in self.namespaces and selects(self.selector, pod.metadata.labels)


def selector_key(selector: LabelSelector | None) -> SelectorKey | None:
    """Return what is equal for equal selectors, and can be hashed."""
    if selector is None:
        return None
    return (
        tuple(sorted(selector.match_labels.items())),
        tuple((each.key, each.operator, each.values) for each in selector.match_expressions),
    )


def group_of(term: PodAffinityTerm, pod: Pod, store: Store) -> Group:
    """Return the pods that a term of `pod` is about: without namespaces, those of its own."""
    names = set(term.namespaces)
    if term.namespace_selector is not None:
        names.update(
            each.metadata.name
            for each in store.each(Namespace)
            if selects(term.namespace_selector, _labels(each))
        )
        if not (term.namespace_selector.match_labels or term.namespace_selector.match_expressions):
            names.add(pod.metadata.namespace)  # an empty selector is all namespaces, the pod's in any case
    elif not names:
        names.add(pod.metadata.namespace)
    selector = with_label_keys(term.label_selector, term.rest, pod.metadata.labels)
    return Group(frozenset(names), selector)


def term_key(term: PodAffinityTerm, pod: Pod) -> tuple[object, ...]:
    """Return what is equal for terms of pods that are about the same pods, and can be hashed."""
    return (
        term.topology_key,
        pod.metadata.namespace,
        frozenset(term.namespaces),
        selector_key(term.namespace_selector),
        selector_key(with_label_keys(term.label_selector, term.rest, pod.metadata.labels)),
    )


def _labels(namespace: Namespace) -> Labels:
    return {"kubernetes.io/metadata.name": namespace.metadata.name, **namespace.metadata.labels}


def with_label_keys(selector: LabelSelector | None, rest: Rest, labels: Labels) -> LabelSelector | None:
    """Return `selector` with the pod's own values of matchLabelKeys and mismatchLabelKeys.

    Args:
        selector: of a term or constraint.
        rest: of the same, where the keys are.
        labels: of the pod that has it.
    """
    added = []
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        keys = rest.get(field)
        if isinstance(keys, list):
            names = [key for key in keys if isinstance(key, str) and key in labels]
            added += [Requirement(name, operator, (labels[name],)) for name in names]
    if not added or selector is None:
        return selector
    return attrs.evolve(selector, match_expressions=(*selector.match_expressions, *added))
