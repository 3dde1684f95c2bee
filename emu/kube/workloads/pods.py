# SPDX-License-Identifier: GPL-2.0-only
"""What controllers ask about pods: do they count, are they available, which goes first.

Source: pkg/controller/controller_utils.go (`ActivePodsWithRanks`, `IsPodActive`),
pkg/api/v1/pod/util.go `IsPodAvailable`.
"""

from __future__ import annotations

from collections import Counter
from functools import cmp_to_key
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.timestamps import parse
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kube.api.objects import Pod
    from emu.kube.api.objects.meta import Condition
    from emu.sim.time import Duration, Instant

DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"

_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}


def is_active(pod: Pod) -> bool:
    """Return whether a pod counts for its controller: neither finished nor on its way out."""
    return pod.metadata.deletion_timestamp is None and not pod.is_finished


def condition_of(pod: Pod, kind: str) -> Condition | None:
    """Return a condition of `pod`, None if nothing is known of it."""
    return next((each for each in pod.status.conditions if each.type == kind), None)


def until_available(pod: Pod, min_ready_seconds: int, now: Instant, epoch: int) -> Duration | None:
    """Return how long until `pod` has been ready long enough: 0 if it has, None if it is not ready.

    Args:
        pod: any.
        min_ready_seconds: for how long it has to be ready.
        now: virtual time.
        epoch: nanoseconds since 1970 of the clock's zero.
    """
    if not pod.is_ready:
        return None
    if min_ready_seconds == 0:
        return 0
    ready = condition_of(pod, "Ready")
    since = parse(ready.last_transition_time, epoch) if ready and ready.last_transition_time else None
    if since is None:
        return None
    return max(0, since + min_ready_seconds * SECOND - now)


def is_available(pod: Pod, min_ready_seconds: int, now: Instant, epoch: int) -> bool:
    """Return whether `pod` has been ready for `min_ready_seconds`."""
    return until_available(pod, min_ready_seconds, now, epoch) == 0


def first_to_go(pods: Sequence[Pod], siblings: Iterable[Pod], now: Instant, epoch: int) -> list[Pod]:
    """Return `pods` in the order in which a controller gives them up.

    Args:
        pods: active ones of a ReplicaSet.
        siblings: active ones of all ReplicaSets of the same owner, these included.
        now: virtual time; ages are compared by the logarithm.
        epoch: nanoseconds since 1970 of the clock's zero.
    """
    crowd = Counter(pod.spec.node_name for pod in siblings)
    candidates = [_Candidate.of(pod, crowd[pod.spec.node_name], now, epoch) for pod in pods]
    return [each.pod for each in sorted(candidates, key=cmp_to_key(_compare))]


class _Candidate(NamedTuple):
    """A pod with what decides when it goes; what is smaller goes first."""

    rank: tuple[object, ...]
    ready: Instant | None
    ready_age: int
    restarts: int
    created: Instant | None
    age: int
    pod: Pod

    @classmethod
    def of(cls, pod: Pod, crowd: int, now: Instant, epoch: int) -> _Candidate:
        """Return what decides about `pod`, beside which `crowd` siblings run on its node."""
        is_assigned = bool(pod.spec.node_name)
        rank = (
            is_assigned,
            _PHASES.get(pod.status.phase, 0),
            pod.is_ready,
            _cost(pod),
            -crowd if is_assigned else 0,
        )
        condition = condition_of(pod, "Ready") if pod.is_ready else None
        ready = _instant(None if condition is None else condition.last_transition_time, epoch)
        created = _instant(pod.metadata.creation_timestamp, epoch)
        restarts = max((each.restart_count for each in pod.status.container_statuses), default=0)
        return cls(rank, ready, _bucket(ready, now), restarts, created, _bucket(created, now), pod)


def _compare(one: _Candidate, other: _Candidate) -> int:
    """Compare as Kubernetes does: times that differ, but not by much, leave it to the UID."""
    if one.rank != other.rank:
        return -1 if one.rank < other.rank else 1
    if one.ready != other.ready:
        return one.ready_age - other.ready_age or _by_uid(one, other)
    if one.restarts != other.restarts:
        return other.restarts - one.restarts
    if one.created != other.created:
        return one.age - other.age or _by_uid(one, other)
    return _by_uid(one, other)


def _by_uid(one: _Candidate, other: _Candidate) -> int:
    return -1 if one.pod.metadata.uid < other.pod.metadata.uid else 1


def _instant(text: str | None, epoch: int) -> Instant | None:
    return parse(text, epoch) if text else None


def _bucket(since: Instant | None, now: Instant) -> int:
    """Return the logarithm of an age; no time, or one to come, is the youngest."""
    return -1 if since is None or now <= since else (now - since).bit_length() - 1


def _cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0
