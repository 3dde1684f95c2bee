# SPDX-License-Identifier: GPL-2.0-only
"""The Job controller.

What pods do is looked at once a second at the most, as in Kubernetes.

Source: pkg/controller/job/job_controller.go `syncJob`, `manageJob`,
pkg/registry/batch/job/strategy.go `generateSelector`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kube import conditions
from emu.kube.api.deletion import delete
from emu.kube.api.objects import Job, Pod
from emu.kube.api.objects.container import EnvVar
from emu.kube.api.objects.meta import LabelSelector
from emu.kube.api.timestamps import parse
from emu.kube.controller import Key, Queue
from emu.kube.events import NORMAL, WARNING, record
from emu.kube.workloads.control import PodControl, labelled
from emu.kube.workloads.job.ledger import Ledger
from emu.kube.workloads.job.plan import INDEX, INDEXED, plan, ranges, verdict
from emu.kube.workloads.names import generated, with_labels
from emu.kube.workloads.pods import is_active
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.api.objects.container import Container
    from emu.kube.api.objects.pod import PodSpec
    from emu.kube.api.objects.workload import JobStatus
    from emu.kube.api.store import Change, Store
    from emu.kube.workloads.children import Children
    from emu.kube.workloads.job.plan import Plan, Progress, Verdict
    from emu.sim.rng import Streams
    from emu.sim.time import Duration

COMPONENT: Final = "job-controller"
UID_LABELS: Final = ("batch.kubernetes.io/controller-uid", "controller-uid")
NAME_LABELS: Final = ("batch.kubernetes.io/job-name", "job-name")
BATCH: Final[Duration] = SECOND

COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"

_CRITERIA_SINCE: Final = (1, 31)
"""From here on a condition comes before Complete and Failed, while pods are still ending."""


class JobController:
    """Makes pods of Jobs until enough of them have succeeded, or too many failed.

    Args:
        store: the API.
        streams: for names of pods.
        pods: by controller.
        version: of Kubernetes, for the conditions.
    """

    def __init__(self, store: Store, streams: Streams, pods: Children[Pod], version: tuple[int, int]) -> None:
        self._store = store
        self._pods = pods
        self._version = version
        self._control = PodControl(store, streams, COMPONENT)
        self._ledgers: dict[str, Ledger] = {}
        self.queue: Final = Queue(store, self)
        pods.notify(Job.KIND, Queue(store, _Later(self.queue)))
        self.queue.add_all(_key(each) for each in store.each(Job))
        store.watch(Job, self._changed)

    def reconcile(self, key: Key) -> None:
        """Count what pods have done, make or delete some, and write the status."""
        store = self._store
        job = store.find(Job, key.name, key.namespace)
        if job is None:
            return
        if is_finished(job):
            self._expire(key, job)
            return
        if job.metadata.is_terminating:
            return
        job = self._labelled(job)
        pods = self._pods.of(job)
        ledger = self._ledgers.get(job.metadata.uid)
        if ledger is None:
            ledger = self._ledgers[job.metadata.uid] = Ledger.of(job, pods)
        progress = ledger.update(pods, store.loop.now, store.epoch)
        active = [pod for pod in pods if is_active(pod)]
        status = self._begun(job)
        found = verdict(job, active, progress, self._running_for(status))
        if found is not None:
            self._control.delete_all(job, active)
            self._finish(job, status, found, ledger)
            return
        terminating = sum(not is_active(pod) and not pod.is_finished for pod in pods)
        todo = plan(job, active, terminating, progress, store.loop.now)
        if todo.delete:
            ledger.dismiss(todo.delete)
            self._control.delete_all(job, todo.delete)
        self._create(job, todo)
        self._wait(key, job, status, todo)
        store.put(attrs.evolve(job, status=self._counted(job, status, progress)))

    # --- pods ---

    def _create(self, job: Job, todo: Plan) -> None:
        template = job.spec.template
        for index in todo.create:
            if index is None:
                self._control.create(job, template)
                continue
            prototype = self._control.prototype(job, template)
            spec = _indexed(prototype.spec, f"{job.metadata.name}-{index}")
            mark = {INDEX: str(index)}
            base = f"{job.metadata.name}-{index}-"
            name = generated(base, self._control.stream(job))
            pod = labelled(attrs.evolve(prototype, spec=spec), mark, mark)
            self._control.keep(job, pod, name, generate_name=base)

    def _labelled(self, job: Job) -> Job:
        """Give a Job the selector and labels that tell its pods from all others."""
        if job.spec.selector is not None or job.spec.manual_selector:
            return job
        labels = dict(job.spec.template.metadata.labels)
        labels |= dict.fromkeys(UID_LABELS, job.metadata.uid)
        labels |= dict.fromkeys(NAME_LABELS, job.metadata.name)
        spec = attrs.evolve(
            job.spec,
            selector=LabelSelector({UID_LABELS[0]: job.metadata.uid}),
            template=with_labels(job.spec.template, labels),
        )
        return self._store.put(attrs.evolve(job, spec=spec))

    def _wait(self, key: Key, job: Job, status: JobStatus, todo: Plan) -> None:
        waits = [] if todo.wait is None else [todo.wait]
        running_for = self._running_for(status)
        if job.spec.active_deadline_seconds is not None and running_for is not None:
            waits.append(job.spec.active_deadline_seconds * SECOND - running_for)
        if waits:
            self.queue.add_after(key, max(1, min(waits)))

    # --- status ---

    def _begun(self, job: Job) -> JobStatus:
        """Return the status with when the Job began, and whether it is suspended."""
        status, now = job.status, self._store.now
        is_suspended = conditions.is_true(status.conditions, SUSPENDED)
        if job.spec.suspend:
            if not is_suspended:
                found = conditions.made(SUSPENDED, "True", "JobSuspended", "Job suspended", now)
                record(self._store, job, NORMAL, "Suspended", "Job suspended", COMPONENT)
                known = conditions.placed(status.conditions, found)
                status = attrs.evolve(status, conditions=known, start_time=None)
        else:
            if is_suspended:
                found = conditions.made(SUSPENDED, "False", "JobResumed", "Job resumed", now)
                record(self._store, job, NORMAL, "Resumed", "Job resumed", COMPONENT)
                known = conditions.placed(status.conditions, found)
                status = attrs.evolve(status, conditions=known, start_time=now)
            if status.start_time is None:
                status = attrs.evolve(status, start_time=now)
        return status

    def _running_for(self, status: JobStatus) -> Duration | None:
        start = parse(status.start_time, self._store.epoch) if status.start_time else None
        return None if start is None else self._store.loop.now - start

    def _counted(self, job: Job, status: JobStatus, progress: Progress) -> JobStatus:
        pods = self._pods.of(job)
        active = [pod for pod in pods if is_active(pod)]
        rest = dict(status.rest)
        if job.spec.completion_mode == INDEXED and progress.indexes:
            rest["completedIndexes"] = ranges(progress.indexes)
        is_indexed = job.spec.completion_mode == INDEXED
        succeeded = len(progress.indexes) if is_indexed else progress.succeeded
        return attrs.evolve(
            status,
            active=len(active) or None,
            ready=sum(pod.is_ready for pod in active),
            succeeded=succeeded or None,
            failed=progress.failed or None,
            terminating=sum(pod.metadata.is_terminating and not pod.is_finished for pod in pods),
            rest=rest,
        )

    def _finish(self, job: Job, status: JobStatus, found: Verdict, ledger: Ledger) -> None:
        """Write how the Job ended; with pods still ending, first that it will."""
        store, now = self._store, self._store.now
        progress = ledger.update(self._pods.of(job), store.loop.now, store.epoch)
        status = self._counted(job, status, progress)
        kind, herald = (COMPLETE, "SuccessCriteriaMet") if found.is_complete else (FAILED, "FailureTarget")
        if self._version >= _CRITERIA_SINCE:
            condition = conditions.made(herald, "True", found.reason, found.message, now)
            status = attrs.evolve(status, conditions=conditions.placed(status.conditions, condition))
            if any(not pod.is_finished for pod in self._pods.of(job)):
                store.put(attrs.evolve(job, status=status))
                return
        condition = conditions.made(kind, "True", found.reason, found.message, now)
        status = attrs.evolve(status, conditions=conditions.placed(status.conditions, condition))
        if found.is_complete:
            status = attrs.evolve(status, completion_time=now)
            record(store, job, NORMAL, "Completed", "Job completed", COMPONENT)
        else:
            record(store, job, WARNING, found.reason, found.message, COMPONENT)
        job = store.put(attrs.evolve(job, status=status))
        self._expire(_key(job), job)

    def _expire(self, key: Key, job: Job) -> None:
        """Delete a finished Job when its time is over, if it has one."""
        seconds = job.spec.ttl_seconds_after_finished
        ended = next(
            (c for c in job.status.conditions if c.type in {COMPLETE, FAILED} and c.status == "True"), None
        )
        if seconds is None or ended is None or ended.last_transition_time is None:
            return
        since = parse(ended.last_transition_time, self._store.epoch)
        left = 0 if since is None else since + seconds * SECOND - self._store.loop.now
        if left > 0:
            self.queue.add_after(key, left, periodic=True)
        else:
            delete(self._store, job)

    def _changed(self, change: Change) -> None:
        old, new = change
        if isinstance(new, Job):
            self.queue.add(_key(new))
        elif isinstance(old, Job):
            self._ledgers.pop(old.metadata.uid, None)
            self._control.forget(old.metadata.uid)


@attrs.frozen
class _Later:
    """Passes names on to a queue after the time in which changes of pods are gathered."""

    queue: Queue

    def reconcile(self, key: Key) -> None:
        """Have `key` looked at in a second."""
        self.queue.add_after(key, BATCH)


def _key(job: Job) -> Key:
    return Key(job.metadata.namespace, job.metadata.name)


def is_finished(job: Job) -> bool:
    """Return whether a Job is over, one way or the other."""
    known = job.status.conditions
    return conditions.is_true(known, COMPLETE) or conditions.is_true(known, FAILED)


def _indexed(spec: PodSpec, hostname: str) -> PodSpec:
    """Return `spec` for one index: with a host name, and the index in the environment."""
    path = f"metadata.labels['{INDEX}']"
    env = EnvVar("JOB_COMPLETION_INDEX", rest={"valueFrom": {"fieldRef": {"fieldPath": path}}})

    def told(containers: Sequence[Container]) -> tuple[Container, ...]:
        return tuple(attrs.evolve(each, env=(*each.env, env)) for each in containers)

    return attrs.evolve(
        spec,
        hostname=hostname,
        containers=told(spec.containers),
        init_containers=told(spec.init_containers),
    )
