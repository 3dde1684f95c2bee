# SPDX-License-Identifier: GPL-2.0-only
"""What the pods of a Job have achieved, each counted once, also when it is gone.

Kubernetes marks pods with a finalizer until they are counted. Here a ledger
sees every pod's end: one that is deleted before it finished counts as failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api.timestamps import parse
from emu.kube.workloads.job.plan import Progress, index_of, parse_ranges
from emu.kube.workloads.pods import condition_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.kube.api.objects import Job, Pod
    from emu.sim.time import Instant


@attrs.define
class Ledger:
    """Progress of one Job.

    Args:
        progress: what was achieved by pods that are gone already.
    """

    progress: Progress
    _open: dict[str, Pod] = attrs.field(factory=dict, init=False)  # pods that are not counted yet, by UID
    _counted: set[str] = attrs.field(factory=set, init=False)

    @classmethod
    def of(cls, job: Job, pods: Iterable[Pod]) -> Ledger:
        """Return the ledger of a Job that is seen for the first time: its status counts `pods` already."""
        status = job.status
        phases = [pod.status.phase for pod in pods]
        return cls(
            Progress(
                succeeded=max(0, (status.succeeded or 0) - phases.count("Succeeded")),
                failed=max(0, (status.failed or 0) - phases.count("Failed")),
                indexes=parse_ranges(str(status.rest.get("completedIndexes", ""))),
            )
        )

    def update(self, pods: Iterable[Pod], now: Instant, epoch: int) -> Progress:
        """Count the pods that have come to their end since the last time, and return the progress.

        Args:
            pods: all of the Job that are there.
            now: when those ended that do not say it themselves.
            epoch: nanoseconds since 1970 of the clock's zero.
        """
        present = {pod.metadata.uid: pod for pod in pods}
        for uid, pod in present.items():
            if uid in self._counted:
                continue
            if pod.is_finished:
                self._count(pod, _ended(pod, now, epoch), is_success=pod.status.phase == "Succeeded")
            else:
                self._open[uid] = pod
        for uid in [uid for uid in self._open if uid not in present]:
            self._count(self._open[uid], now, is_success=False)
        self._counted.intersection_update(present)
        return self.progress

    def dismiss(self, pods: Iterable[Pod]) -> None:
        """Let `pods` end without counting as failed: the Job itself gave them up."""
        for pod in pods:
            self._open.pop(pod.metadata.uid, None)
            self._counted.add(pod.metadata.uid)

    def _count(self, pod: Pod, ended: Instant, *, is_success: bool) -> None:
        self._open.pop(pod.metadata.uid, None)
        self._counted.add(pod.metadata.uid)
        progress = self.progress
        if not is_success:
            self.progress = progress._replace(
                failed=progress.failed + 1, since_success=progress.since_success + 1, last_failure=ended
            )
            return
        index = index_of(pod)
        self.progress = progress._replace(
            succeeded=progress.succeeded + 1,
            since_success=0,
            indexes=progress.indexes if index is None else progress.indexes | {index},
        )


def _ended(pod: Pod, now: Instant, epoch: int) -> Instant:
    """Return when the last of a pod's containers ended, or else when the pod stopped being ready."""
    texts = [
        each.state.terminated.finished_at
        for each in pod.status.container_statuses
        if each.state.terminated is not None
    ]
    ready = condition_of(pod, "Ready")
    latest = max((text for text in texts if text), default=ready.last_transition_time if ready else None)
    found = parse(latest, epoch) if latest else None
    return now if found is None else min(found, now)
