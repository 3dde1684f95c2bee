# SPDX-License-Identifier: GPL-2.0-only
"""What a StatefulSet does next: a pure function of its pods.

With OrderedReady a step waits for the one before it: a pod is made when all
with lower numbers serve, and deleted when all with higher ones are gone. With
Parallel nothing waits but updates, which go one by one, from the highest number.

Source: pkg/controller/statefulset/stateful_set_control.go `updateStatefulSet`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.kube.api.objects import Pod, StatefulSet
    from emu.sim.time import Duration

PARALLEL: Final = "Parallel"
ON_DELETE: Final = "OnDelete"


class Member(NamedTuple):
    """A pod of a set: its number, the revision it was made from, and how long until it is available."""

    pod: Pod
    ordinal: int
    revision: str
    wait: Duration | None

    @property
    def is_healthy(self) -> bool:
        """Whether it runs, is ready, and nobody has asked for its end."""
        pod = self.pod
        return pod.status.phase == "Running" and pod.is_ready and not pod.metadata.is_terminating

    @property
    def is_available(self) -> bool:
        """Whether it is healthy and has been ready long enough."""
        return self.is_healthy and self.wait == 0


class Plan(NamedTuple):
    """Numbers of pods to make, with the name of the revision for each; and pods to delete."""

    create: tuple[tuple[int, str], ...] = ()
    delete: tuple[Pod, ...] = ()


def ordinals(owner: StatefulSet) -> range:
    """Return the numbers of the pods that are wanted."""
    start = 0 if owner.spec.ordinals is None else owner.spec.ordinals.start
    return range(start, start + owner.spec.replicas)


def partition(owner: StatefulSet) -> int | None:
    """Return the number from which on pods are updated, None if the set does not say."""
    rolling = owner.spec.update_strategy.rolling_update
    return None if rolling is None else rolling.partition


def revision_for(owner: StatefulSet, ordinal: int, current: str, update: str) -> str:
    """Return the revision from which a missing pod is made."""
    if owner.spec.update_strategy.type == ON_DELETE:
        return update
    bound = partition(owner)
    return current if bound is not None and ordinal < bound else update


def plan(owner: StatefulSet, members: Sequence[Member], current: str, update: str) -> Plan:
    """Return the next step.

    Args:
        owner: the set.
        members: its pods, finished and terminating ones too.
        current: name of the revision that the set came from.
        update: name of the revision that it goes to.
    """
    by_ordinal = {each.ordinal: each for each in members}
    wanted = ordinals(owner)
    is_ordered = owner.spec.pod_management_policy != PARALLEL
    create: list[tuple[int, str]] = []
    delete: list[Pod] = []
    for ordinal in wanted:
        member = by_ordinal.get(ordinal)
        if member is None:
            create.append((ordinal, revision_for(owner, ordinal, current, update)))
        elif member.pod.is_finished:
            if not member.pod.metadata.is_terminating:
                delete.append(member.pod)
        elif not is_ordered or member.is_available:
            continue
        if is_ordered:
            return Plan(tuple(create), tuple(delete))
    surplus = sorted((each for each in members if each.ordinal not in wanted), key=lambda each: -each.ordinal)
    if surplus:
        delete += _condemned(surplus, by_ordinal, wanted, is_ordered=is_ordered)
        if is_ordered:
            return Plan(tuple(create), tuple(delete))
    if create or delete or owner.spec.update_strategy.type == ON_DELETE:
        return Plan(tuple(create), tuple(delete))
    return Plan((), tuple(_outdated(owner, by_ordinal, update)))


def _condemned(
    surplus: Sequence[Member], by_ordinal: Mapping[int, Member], wanted: range, *, is_ordered: bool
) -> list[Pod]:
    """Return which of the surplus pods, highest number first, go now."""
    if not is_ordered:
        return [each.pod for each in surplus if not each.pod.metadata.is_terminating]
    present = [by_ordinal[each] for each in wanted if each in by_ordinal]
    first_unhealthy = next((each for each in (*present, *reversed(surplus)) if not each.is_healthy), None)
    for each in surplus:
        if each.pod.metadata.is_terminating:
            return []
        if not each.is_available and each is not first_unhealthy:
            return []
        return [each.pod]
    return []


def _outdated(owner: StatefulSet, by_ordinal: Mapping[int, Member], update: str) -> list[Pod]:
    """Return the pod that is updated next, if its turn has come."""
    lowest = partition(owner) or 0
    for ordinal in reversed(ordinals(owner)):
        if ordinal < lowest:
            break
        member = by_ordinal[ordinal]
        if member.revision != update and not member.pod.metadata.is_terminating:
            return [member.pod]
        if not member.is_available:
            break
    return []
