# SPDX-License-Identifier: GPL-2.0-only
"""PodDisruptionBudgets: whether one more pod may be evicted.

Source: pkg/controller/disruption/disruption.go, pkg/registry/core/pod/storage/eviction.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api import codec
from emu.kube.api.objects import Pod, ReplicaSet, ReplicationController, StatefulSet
from emu.kube.api.objects.meta import LabelSelector
from emu.kube.api.selectors import selects
from emu.kube.workloads.percent import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from emu.kube.api.objects import Other
    from emu.kube.api.store import Store

KIND = "PodDisruptionBudget"


@attrs.frozen
class Budget:
    """What a budget allows: numbers, or percentages as text."""

    name: str
    selector: LabelSelector | None
    min_available: int | str | None
    max_unavailable: int | str | None

    @classmethod
    def of(cls, obj: Other) -> Budget:
        """Return the budget that an object is."""
        found = obj.rest.get("spec")
        spec: Mapping[str, object] = found if isinstance(found, dict) else {}
        given = spec.get("selector")
        selector = codec.read_as(LabelSelector, given) if isinstance(given, dict) else None
        least, most = _number(spec.get("minAvailable")), _number(spec.get("maxUnavailable"))
        return cls(obj.metadata.name, selector, least, most)


def _number(value: object) -> int | str | None:
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def of_pod(store: Store, pod: Pod) -> list[Budget]:
    """Return the budgets that count `pod`."""
    found = (
        Budget.of(other)
        for (kind, namespace, _), other in sorted(store.others.items())
        if kind == KIND and namespace == pod.metadata.namespace
    )
    return [each for each in found if selects(each.selector, pod.metadata.labels)]


def allows(store: Store, budget: Budget, pod: Pod) -> bool:
    """Return whether `budget` lets `pod` be evicted now."""
    namespace = pod.metadata.namespace
    counted = [each for each in store.list(Pod, namespace) if selects(budget.selector, each.metadata.labels)]
    healthy = sum(each.is_ready and not each.metadata.is_terminating for each in counted)
    expected = _expected(store, counted)
    if budget.max_unavailable is not None:
        wanted = max(0, expected - share(budget.max_unavailable, expected, up=True))
    else:
        minimum = budget.min_available if budget.min_available is not None else 0
        wanted = share(minimum, expected, up=True)
    spares_the_healthy = not pod.is_ready and healthy >= wanted > 0
    return healthy > wanted or spares_the_healthy or pod.status.phase == "Pending"


def _expected(store: Store, pods: Iterable[Pod]) -> int:
    """Return how many pods there should be: what their owners want, and those without one."""
    return sum(dict(_wants(store, pods)).values())


def _wants(store: Store, pods: Iterable[Pod]) -> Iterator[tuple[tuple[str, str], int]]:
    for pod in pods:
        owner, namespace = pod.metadata.controller, pod.metadata.namespace
        for kind in (ReplicaSet, StatefulSet, ReplicationController):
            if owner is not None and owner.kind == kind.KIND:
                found = store.find(kind, owner.name, namespace)
                if isinstance(found, ReplicaSet | StatefulSet | ReplicationController):
                    yield (owner.kind, owner.name), found.spec.replicas
                    break
        else:
            yield ("Pod", pod.metadata.name), 1
