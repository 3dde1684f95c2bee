# SPDX-License-Identifier: GPL-2.0-only
"""What a Job does next: a pure function of its pods and of what they have achieved.

Not modelled: podFailurePolicy, successPolicy, and limits for each index.

Source: pkg/controller/job/{job_controller,indexed_job_utils,backoff_utils}.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.numbers import whole
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from emu.kube.api.objects import Job, Pod
    from emu.kube.api.objects.workload import JobSpec
    from emu.sim.time import Duration, Instant

INDEX: Final = "batch.kubernetes.io/job-completion-index"
INDEXED: Final = "Indexed"
FIRST_BACKOFF: Final[Duration] = 10 * SECOND
LONGEST_BACKOFF: Final[Duration] = 600 * SECOND
DEFAULT_BACKOFF_LIMIT: Final = 6
MOST_INDEXES: Final = 1_000_000
"""Indexes beyond this are not read from a status: nobody emulates so many pods."""


class Progress(NamedTuple):
    """What the pods of a Job have achieved so far, those that are gone too.

    `since_success` counts failures since a pod last succeeded, `last_failure`
    is when the last of them was.
    """

    succeeded: int = 0
    failed: int = 0
    indexes: frozenset[int] = frozenset()
    since_success: int = 0
    last_failure: Instant | None = None


class Verdict(NamedTuple):
    """How a Job ended: whether well, and why."""

    is_complete: bool
    reason: str
    message: str


class Plan(NamedTuple):
    """Pods to make, with an index or None for each, pods to delete, and when to look again."""

    create: tuple[int | None, ...] = ()
    delete: tuple[Pod, ...] = ()
    wait: Duration | None = None


def parallelism(spec: JobSpec) -> int:
    """Return how many pods may run at a time."""
    return 1 if spec.parallelism is None else spec.parallelism


def completions(spec: JobSpec) -> int | None:
    """Return how many pods have to succeed; None for a queue of work, of which one is enough."""
    if spec.completions is None and spec.parallelism is None:
        return 1
    return spec.completions


def index_of(pod: Pod) -> int | None:
    """Return the completion index of a pod, None if it has none."""
    text = pod.metadata.annotations.get(INDEX, "")
    return whole(text)


def verdict(
    job: Job, active: Sequence[Pod], progress: Progress, running_for: Duration | None
) -> Verdict | None:
    """Return how `job` ended, None if it goes on.

    Args:
        job: any.
        active: its pods that are neither finished nor terminating.
        progress: so far.
        running_for: how long ago it began, None if it is suspended.
    """
    spec = job.spec
    limit = DEFAULT_BACKOFF_LIMIT if spec.backoff_limit is None else spec.backoff_limit
    restarts = sum(each.restart_count for pod in active for each in pod.status.container_statuses)
    is_in_place = spec.template.spec.restart_policy == "OnFailure"
    if progress.failed > limit or (is_in_place and restarts and restarts >= max(limit, 1)):
        return Verdict(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    deadline = spec.active_deadline_seconds
    if deadline is not None and running_for is not None and running_for >= deadline * SECOND:
        return Verdict(False, "DeadlineExceeded", "Job was active longer than specified deadline")
    wanted = completions(spec)
    is_complete = progress.succeeded > 0 and not active if wanted is None else _done(spec, progress) >= wanted
    if is_complete:
        return Verdict(True, "CompletionsReached", "Reached expected number of succeeded pods")
    return None


def _done(spec: JobSpec, progress: Progress) -> int:
    return len(progress.indexes) if spec.completion_mode == INDEXED else progress.succeeded


def plan(job: Job, active: Sequence[Pod], terminating: int, progress: Progress, now: Instant) -> Plan:
    """Return what brings the number of running pods to what is wanted.

    Args:
        job: one that goes on.
        active: its pods that are neither finished nor terminating.
        terminating: pods on their way out, which hold their places.
        progress: so far.
        now: virtual time.
    """
    spec = job.spec
    if spec.suspend:
        return Plan(delete=tuple(active))
    wanted = completions(spec)
    if wanted is None:
        most = len(active) if progress.succeeded else parallelism(spec)
    else:
        most = min(parallelism(spec), wanted - _done(spec, progress))
    if len(active) > most:
        return Plan(delete=tuple(_first_to_go(active)[: len(active) - most]))
    missing = most - len(active) - terminating
    if missing <= 0:
        return Plan()
    wait = backoff(progress, now)
    if wait:
        return Plan(wait=wait)
    if spec.completion_mode != INDEXED or wanted is None:
        return Plan((None,) * missing)
    return Plan(tuple(_free(wanted, {*progress.indexes, *map(index_of, active)}, missing)))


def backoff(progress: Progress, now: Instant) -> Duration:
    """Return how long to wait before a pod takes the place of the last that failed."""
    if not progress.since_success or progress.last_failure is None:
        return 0
    pause = min(FIRST_BACKOFF << min(progress.since_success - 1, 10), LONGEST_BACKOFF)
    return max(0, progress.last_failure + pause - now)


def _free(wanted: int, taken: Collection[int | None], count: int) -> list[int]:
    found: list[int] = []
    for index in range(wanted):
        if len(found) == count:
            break
        if index not in taken:
            found.append(index)
    return found


def _first_to_go(pods: Sequence[Pod]) -> list[Pod]:
    """Pods that do not run yet go first, then those with the highest index, or made last."""
    last = [(-(index_of(pod) or 0), -number) for number, pod in enumerate(pods)]
    ranked = sorted(
        zip(pods, last, strict=True),
        key=lambda each: (bool(each[0].spec.node_name), each[0].is_ready, each[1]),
    )
    return [pod for pod, _ in ranked]


def ranges(indexes: Iterable[int]) -> str:
    """Return indexes as text: 0-2,5."""
    found: list[list[int]] = []
    for index in sorted(indexes):
        if found and found[-1][1] == index - 1:
            found[-1][1] = index
        else:
            found.append([index, index])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in found)


def parse_ranges(text: str) -> frozenset[int]:
    """Return the indexes that `text` names; what is no range names none."""
    found: set[int] = set()
    for part in text.split(","):
        low_text, _, high_text = part.partition("-")
        low, high = whole(low_text), whole(high_text or low_text)
        if low is not None and high is not None:
            found.update(range(low, min(high + 1, MOST_INDEXES)))
    return frozenset(found)
