# SPDX-License-Identifier: GPL-2.0-only
"""The CronJob controller.

Source: pkg/controller/cronjob/{cronjob_controllerv2,utils}.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kube import conditions
from emu.kube.api.deletion import delete
from emu.kube.api.objects import CronJob, Job
from emu.kube.api.objects.meta import Meta, Reference
from emu.kube.api.timestamps import parse as parse_time
from emu.kube.api.timestamps import stamp
from emu.kube.controller import Key, Queue
from emu.kube.events import NORMAL, WARNING, record
from emu.kube.workloads.children import owned_by
from emu.kube.workloads.cronjob.schedule import Schedule, ScheduleError, parse
from emu.kube.workloads.job.controller import COMPLETE, is_finished
from emu.sim.time import SECOND, Instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.store import Change, Store
    from emu.kube.workloads.children import Children

COMPONENT: Final = "cronjob-controller"
SCHEDULED_AT: Final = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MOST_MISSED: Final = 100
"""Missed times beyond which somebody is told that there are many."""


class Due(NamedTuple):
    """The latest time that has come, if any, whether many came, and the next one; seconds since 1970."""

    latest: int | None
    is_late: bool
    following: int | None


def due(owner: CronJob, schedule: Schedule, since: int, now: int) -> Due:
    """Return which times of a schedule have come since the last Job.

    Args:
        owner: whose time zone and deadline count.
        schedule: of the same.
        since: when it last began a Job, or was made; seconds since 1970.
        now: the time, in the same way.
    """
    zone = owner.spec.time_zone or ""
    deadline = owner.spec.starting_deadline_seconds
    if deadline is not None:
        since = max(since, now - deadline)
    following = schedule.after(since, zone)
    latest, count = None, 0
    while following is not None and following <= now and count <= MOST_MISSED:
        latest, count = following, count + 1
        following = schedule.after(following, zone)
    if count > MOST_MISSED:
        latest = schedule.latest(now, since, zone)
        following = schedule.after(now, zone)
    return Due(latest, count > MOST_MISSED, following)


def surplus(owner: CronJob, jobs: Sequence[Job]) -> list[Job]:
    """Return the finished Jobs beyond the history's limits, oldest first."""
    found: list[Job] = []
    for is_success, limit in (
        (True, owner.spec.successful_jobs_history_limit),
        (False, owner.spec.failed_jobs_history_limit),
    ):
        finished = [each for each in jobs if is_finished(each) and _succeeded(each) == is_success]
        finished.sort(key=lambda each: (each.status.start_time or "", each.metadata.name))
        found += finished[: max(0, len(finished) - limit)]
    return found


def _succeeded(job: Job) -> bool:
    return conditions.is_true(job.status.conditions, COMPLETE)


class CronJobController:
    """Makes Jobs when their time has come, and removes old ones.

    Args:
        store: the API.
        jobs: by controller.
    """

    def __init__(self, store: Store, jobs: Children[Job]) -> None:
        self._store = store
        self._jobs = jobs
        self.queue: Final = Queue(store, self)
        jobs.notify(CronJob.KIND, self.queue)
        self.queue.add_all(_key(each) for each in store.each(CronJob))
        store.watch(CronJob, self._changed)

    def reconcile(self, key: Key) -> None:
        """Begin the Job whose time has come, and look again at the next time."""
        store = self._store
        owner = store.find(CronJob, key.name, key.namespace)
        if owner is None or owner.metadata.is_terminating:
            return
        owner = self._follow(owner)
        for job in surplus(owner, self._jobs.of(owner)):
            delete(store, job)
            record(store, owner, NORMAL, "SuccessfulDelete", f"Deleted job {job.metadata.name}", COMPONENT)
        if owner.spec.suspend:
            return
        now = self._seconds(store.loop.now)
        try:
            schedule = parse(owner.spec.schedule)
            found = due(owner, schedule, self._since(owner), now)
        except ScheduleError as error:
            text = f"unparseable schedule: {owner.spec.schedule} : {error}"
            record(store, owner, WARNING, "UnparseableSchedule", text, COMPONENT)
            return
        if found.is_late:
            hint = "Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            text = f"too many missed start times. {hint}"
            record(store, owner, WARNING, "TooManyMissedTimes", text, COMPONENT)
        if found.latest is not None:
            self._begin(owner, found.latest)
        if found.following is not None:
            at = found.following * SECOND - store.epoch
            self.queue.add_after(key, at - store.loop.now, periodic=True)

    def _begin(self, owner: CronJob, seconds: int) -> None:
        """Begin a Job, as far as others that still run allow it."""
        store = self._store
        name = f"{owner.metadata.name}-{seconds // 60}"
        active = [each for each in self._jobs.of(owner) if not is_finished(each)]
        if store.find(Job, name, owner.metadata.namespace) is not None:
            return
        if active and owner.spec.concurrency_policy == "Forbid":
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            record(store, owner, NORMAL, "JobAlreadyActive", text, COMPONENT)
            return
        if owner.spec.concurrency_policy == "Replace":
            for job in active:
                delete(store, job)
                text = f"Deleted job {job.metadata.name}"
                record(store, owner, NORMAL, "SuccessfulDelete", text, COMPONENT)
        when = stamp(Instant(seconds * SECOND - store.epoch), store.epoch)
        template = owner.spec.job_template
        metadata = Meta(
            name=name,
            namespace=owner.metadata.namespace,
            labels=template.metadata.labels,
            annotations={**template.metadata.annotations, SCHEDULED_AT: when},
            owner_references=(owned_by(owner),),
            generation=1,
        )
        store.put(Job(metadata, template.spec))
        record(store, owner, NORMAL, "SuccessfulCreate", f"Created job {name}", COMPONENT)
        status = attrs.evolve(owner.status, last_schedule_time=when, active=self._active(owner))
        store.put(attrs.evolve(owner, status=status))

    def _follow(self, owner: CronJob) -> CronJob:
        """Note which Jobs run, and tell of those that have ended."""
        known = {each.uid: each for each in owner.status.active}
        status = attrs.evolve(owner.status, active=self._active(owner))
        for job in self._jobs.of(owner):
            if not is_finished(job) or job.metadata.uid not in known:
                continue
            word = "Complete" if _succeeded(job) else "Failed"
            text = f"Saw completed job: {job.metadata.name}, condition: {word}"
            record(self._store, owner, NORMAL, "SawCompletedJob", text, COMPONENT)
            if _succeeded(job):
                status = attrs.evolve(status, last_successful_time=job.status.completion_time)
        return self._store.put(attrs.evolve(owner, status=status))

    def _active(self, owner: CronJob) -> tuple[Reference, ...]:
        return tuple(
            Reference(Job.KIND, job.metadata.name, job.metadata.namespace, job.metadata.uid, Job.API_VERSION)
            for job in self._jobs.of(owner)
            if not is_finished(job)
        )

    def _since(self, owner: CronJob) -> int:
        text = owner.status.last_schedule_time or owner.metadata.creation_timestamp
        instant = parse_time(text, self._store.epoch) if text else None
        return self._seconds(self._store.loop.now if instant is None else instant)

    def _seconds(self, instant: int) -> int:
        return (self._store.epoch + instant) // SECOND

    def _changed(self, change: Change) -> None:
        if isinstance(change.new, CronJob):
            self.queue.add(_key(change.new))


def _key(owner: CronJob) -> Key:
    return Key(owner.metadata.namespace, owner.metadata.name)
