# SPDX-License-Identifier: GPL-2.0-only
"""How many replicas each ReplicaSet of a Deployment is to have next.

All functions are pure: sets in, the names of sets with their new sizes out,
in the order in which they are to be carried out. Nothing out means that this
step is done.

Source: pkg/controller/deployment/rolling.go, recreate.go, sync.go `scale`,
util/deployment_util.go `ResolveFenceposts`, `GetReplicaSetProportion`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.numbers import whole
from emu.kube.workloads.percent import share

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects import Deployment, ReplicaSet

DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAX: Final = "deployment.kubernetes.io/max-replicas"
RECREATE: Final = "Recreate"

_DEFAULT: Final = "25%"


class Scale(NamedTuple):
    """A ReplicaSet and the size that it is to have."""

    replica_set: ReplicaSet
    replicas: int


class Bounds(NamedTuple):
    """Pods beyond the wanted number, and short of it, that a rollout may have."""

    surge: int
    unavailable: int


def bounds(deployment: Deployment) -> Bounds:
    """Return the bounds of a rollout: surge is rounded up, unavailable down, and one of them is not 0."""
    spec = deployment.spec
    if spec.strategy.type == RECREATE:
        return Bounds(0, 0)
    rolling = spec.strategy.rolling_update
    surge = _DEFAULT if rolling is None or rolling.max_surge is None else rolling.max_surge
    missing = _DEFAULT if rolling is None or rolling.max_unavailable is None else rolling.max_unavailable
    found = Bounds(share(surge, spec.replicas, up=True), share(missing, spec.replicas, up=False))
    return Bounds(0, 1) if found == (0, 0) else Bounds(found.surge, min(found.unavailable, spec.replicas))


def active(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Return those of some sets that are to have pods."""
    return [each for each in sets if each.spec.replicas > 0]


def by_age(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    """Return sets from the oldest to the newest."""
    return sorted(sets, key=lambda each: (each.metadata.creation_timestamp or "", each.metadata.name))


def total(sets: Iterable[ReplicaSet]) -> int:
    """Return how many pods some sets are to have together."""
    return sum(each.spec.replicas for each in sets)


def available(sets: Iterable[ReplicaSet]) -> int:
    """Return how many available pods some sets have together."""
    return sum(each.status.available_replicas or 0 for each in sets)


def size_of_new(deployment: Deployment, sets: Sequence[ReplicaSet], replicas: int) -> int:
    """Return the size that the new set may have now.

    Args:
        deployment: whose set it is.
        sets: all of the Deployment, the new one included if it is there.
        replicas: what the new one has.
    """
    wanted = deployment.spec.replicas
    if deployment.spec.strategy.type == RECREATE:
        return wanted
    room = wanted + bounds(deployment).surge - total(sets)
    return replicas if room <= 0 else replicas + min(room, wanted - replicas)


def rolling(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> list[Scale]:
    """Return the next step of a rolling update: the new set grows, or else old ones shrink."""
    wanted = deployment.spec.replicas
    if new.spec.replicas > wanted:
        return [Scale(new, wanted)]
    if new.spec.replicas < wanted:
        size = size_of_new(deployment, (new, *old), new.spec.replicas)
        if size != new.spec.replicas:
            return [Scale(new, size)]
    return _shrink(deployment, new, by_age(active(old)))


def _shrink(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> list[Scale]:
    """Take pods from old sets: first those that are of no use, then as many as may be missing."""
    everything = (new, *old)
    needed = deployment.spec.replicas - bounds(deployment).unavailable
    new_unavailable = new.spec.replicas - (new.status.available_replicas or 0)
    spare = total(everything) - needed - new_unavailable
    if spare <= 0:
        return []
    sizes = {each.metadata.name: each.spec.replicas for each in old}
    for each in old:
        unhealthy = each.spec.replicas - (each.status.available_replicas or 0)
        taken = max(0, min(spare, unhealthy))
        sizes[each.metadata.name] -= taken
        spare -= taken
    surplus = max(0, available(everything) - needed)
    for each in old:
        taken = min(sizes[each.metadata.name], surplus)
        sizes[each.metadata.name] -= taken
        surplus -= taken
    return [
        Scale(each, sizes[each.metadata.name])
        for each in old
        if sizes[each.metadata.name] != each.spec.replicas
    ]


def down(old: Sequence[ReplicaSet]) -> list[Scale]:
    """Return what takes all pods of old sets."""
    return [Scale(each, 0) for each in active(old)]


# --- the wanted number changed ---


def is_scaled(deployment: Deployment, sets: Sequence[ReplicaSet]) -> bool:
    """Return whether the wanted number changed since sets were last given their sizes."""
    wanted = str(deployment.spec.replicas)
    return any(each.metadata.annotations.get(DESIRED, wanted) != wanted for each in active(sets))


def scaled(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> list[Scale]:
    """Return the sizes that follow from a new wanted number, in the middle of a rollout or outside.

    A single set takes all of the change; several take a share that goes by
    their sizes, and what rounding leaves goes to the largest. A set whose size
    stays is returned too: it has to be told the new number.
    """
    wanted = deployment.spec.replicas
    sets = old if new is None else (*old, new)
    alive = active(sets)
    if len(alive) <= 1:
        only = alive[0] if alive else (new or (by_age(old)[-1] if old else None))
        return [] if only is None else [Scale(only, wanted)]
    if deployment.spec.strategy.type == RECREATE or (new is not None and _is_saturated(deployment, new)):
        # Kubernetes does nothing under Recreate, and then never gets on: only a strategy that was
        # changed in the middle of a rollout comes here.
        return down(old)
    return _proportional(deployment, alive)


def _is_saturated(deployment: Deployment, new: ReplicaSet) -> bool:
    """Return whether the new set serves alone already."""
    wanted = deployment.spec.replicas
    told = new.metadata.annotations.get(DESIRED, "")
    return new.spec.replicas == wanted == (new.status.available_replicas or 0) and told == str(wanted)


def _proportional(deployment: Deployment, sets: Sequence[ReplicaSet]) -> list[Scale]:
    """Share out what is to be added or taken away."""
    wanted = deployment.spec.replicas
    allowed = wanted + bounds(deployment).surge if wanted else 0
    change = allowed - total(sets)
    ordered = by_age(sets)
    if change > 0:
        ordered.reverse()  # of sets of one size the newer grows first
    ordered.sort(key=lambda each: -each.spec.replicas)
    sizes = []
    given = 0
    for each in ordered:
        part = _part(deployment, each, change, given) if change else 0
        sizes.append(each.spec.replicas + part)
        given += part
    if change:
        sizes[0] = max(0, sizes[0] + change - given)
    return [Scale(each, size) for each, size in zip(ordered, sizes, strict=True)]


def _part(deployment: Deployment, replica_set: ReplicaSet, change: int, given: int) -> int:
    """Return what one set gets of `change`, of which others were `given` some."""
    size = replica_set.spec.replicas
    left = change - given
    if size == 0 or left == 0:
        return 0
    part = -size
    if deployment.spec.replicas:
        before = replica_set.metadata.annotations.get(MAX, "")
        was = whole(before) or deployment.status.replicas or size
        now = deployment.spec.replicas + bounds(deployment).surge
        part = _rounded(size * now, was) - size
    return min(part, left) if change > 0 else max(part, left)


def _rounded(numerator: int, denominator: int) -> int:
    """Return a quotient of positive numbers rounded to the nearest, half upwards."""
    return (2 * numerator + denominator) // (2 * denominator)
