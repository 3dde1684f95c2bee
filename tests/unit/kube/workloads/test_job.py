# SPDX-License-Identifier: GPL-2.0-only
"""Jobs: pods that come to an end."""

from __future__ import annotations

from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.api.deletion import delete
from emu.kube.api.objects import Job, Pod
from emu.kube.api.objects.meta import Meta
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.workload import JobSpec
from emu.kube.workloads.job.plan import MOST_INDEXES, parse_ranges, ranges
from emu.sim.time import SECOND
from emu.testing.control_plane import NAMESPACE, ControlPlane, template


@pytest.fixture
def plane() -> ControlPlane:
    """Two nodes."""
    plane = ControlPlane()
    plane.add_nodes("a", "b")
    return plane


def job(**spec: object) -> Job:
    """Return the Job `work`."""
    made = JobSpec(template=template("work", spec=PodSpec(restart_policy="Never")), **spec)  # type: ignore[arg-type]  # by the tests' care
    return Job(Meta(name="work", namespace=NAMESPACE, generation=1), made)


def found(plane: ControlPlane) -> Job:
    """Return the Job as it is."""
    return plane.store.get(Job, "work", NAMESPACE)


def conditions(plane: ControlPlane) -> list[tuple[str, str]]:
    """Return the conditions that are True, with their reasons."""
    return [(each.type, each.reason) for each in found(plane).status.conditions if each.status == "True"]


def finish_all(plane: ControlPlane, phase: str = "Succeeded") -> None:
    """Have all pods end."""
    for pod in plane.pods():
        plane.kubelet.finish(pod, phase)
    plane.settle()


def test_one_pod_that_succeeds_completes_it(plane: ControlPlane) -> None:
    """The pod stays to be looked at."""
    plane.store.put(job())
    plane.settle()
    assert (found(plane).status.active, found(plane).status.ready) == (1, 1)
    finish_all(plane)
    assert conditions(plane) == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]
    status = found(plane).status
    assert (status.active, status.succeeded, status.failed) == (None, 1, None)
    assert status.completion_time is not None
    assert [pod.status.phase for pod in plane.store.list(Pod)] == ["Succeeded"]
    assert plane.messages("Completed") == ["Job completed"]


def test_pods_carry_the_jobs_labels(plane: ControlPlane) -> None:
    """Old names and new ones."""
    plane.store.put(job())
    plane.settle()
    uid = found(plane).metadata.uid
    assert plane.pods()[0].metadata.labels == {
        "app": "work",
        "batch.kubernetes.io/controller-uid": uid,
        "controller-uid": uid,
        "batch.kubernetes.io/job-name": "work",
        "job-name": "work",
    }


def test_parallelism_and_completions_bound_pods(plane: ControlPlane) -> None:
    """Never more at a time, and in the end no more than are wanted."""
    plane.store.put(job(parallelism=2, completions=5))
    counts = []
    for _ in range(3):
        plane.settle()
        counts.append(len(plane.pods()))
        finish_all(plane)
    assert counts == [2, 2, 1]
    assert found(plane).status.succeeded == 5
    assert len(plane.store.list(Pod)) == 5


def test_indexed_pods_have_numbers(plane: ControlPlane) -> None:
    """In name, host name, label, annotation and environment; a failed one is made again."""
    plane.store.put(job(parallelism=3, completions=3, completion_mode="Indexed"))
    plane.settle()
    pods = plane.pods()
    assert [pod.spec.hostname for pod in pods] == ["work-0", "work-1", "work-2"]
    assert all(pod.metadata.name.startswith(f"{pod.spec.hostname}-") for pod in pods)
    key = "batch.kubernetes.io/job-completion-index"
    assert [pod.metadata.labels[key] + pod.metadata.annotations[key] for pod in pods] == ["00", "11", "22"]
    assert {pod.spec.containers[0].env[0].name for pod in pods} == {"JOB_COMPLETION_INDEX"}
    plane.kubelet.finish(pods[0], "Succeeded")
    plane.kubelet.finish(pods[1], "Failed")
    plane.kubelet.finish(pods[2], "Succeeded")
    plane.settle()
    assert [pod.spec.hostname for pod in plane.pods()] == ["work-1"]
    assert found(plane).status.rest["completedIndexes"] == "0,2"
    finish_all(plane)
    assert conditions(plane)[-1][0] == "Complete"


def test_failures_are_retried_with_longer_and_longer_pauses(plane: ControlPlane) -> None:
    """10 s, 20 s, ... and after the last the Job has failed."""
    plane.store.put(job(backoff_limit=2))
    plane.settle()
    made = []
    for _ in range(3):
        made.append(plane.loop.now // SECOND)
        finish_all(plane, "Failed")
    assert [later - sooner for sooner, later in pairwise(made)] == [11, 21]
    assert conditions(plane) == [
        ("FailureTarget", "BackoffLimitExceeded"),
        ("Failed", "BackoffLimitExceeded"),
    ]
    assert found(plane).status.failed == 3
    assert plane.messages("BackoffLimitExceeded") == ["Job has reached the specified backoff limit"]


def test_a_pod_that_is_deleted_counts_as_failed(plane: ControlPlane) -> None:
    """And another is made."""
    plane.store.put(job())
    plane.settle()
    (before,) = plane.pods()
    delete(plane.store, before)
    plane.settle()
    (after,) = plane.pods()
    assert after.metadata.uid != before.metadata.uid
    assert found(plane).status.failed == 1


def test_a_deadline_ends_it(plane: ControlPlane) -> None:
    """Pods that run are deleted."""
    plane.store.put(job(active_deadline_seconds=30))
    plane.settle()
    plane.settle(40)
    assert plane.pods() == []
    assert conditions(plane)[-1] == ("Failed", "DeadlineExceeded")


def test_a_suspended_job_has_no_pods(plane: ControlPlane) -> None:
    """Resumed, it begins again; what it gave up did not fail."""
    plane.store.put(job(suspend=True))
    plane.settle()
    assert plane.pods() == []
    assert conditions(plane) == [("Suspended", "JobSuspended")]
    for is_suspended, count in ((False, 1), (True, 0), (False, 1)):
        known = found(plane)
        plane.store.put(attrs.evolve(known, spec=attrs.evolve(known.spec, suspend=is_suspended)))
        plane.settle()
        assert len(plane.pods()) == count
    finish_all(plane)
    assert found(plane).status.failed is None
    assert conditions(plane)[-1][0] == "Complete"


def test_a_queue_of_work_ends_with_its_first_success(plane: ControlPlane) -> None:
    """Others end by themselves; none is made after it."""
    plane.store.put(job(parallelism=3))
    plane.settle()
    first, *others = plane.pods()
    plane.kubelet.finish(first, "Succeeded")
    plane.settle()
    assert len(plane.pods()) == 2
    assert conditions(plane) == []
    finish_all(plane)
    assert conditions(plane)[-1][0] == "Complete"
    assert found(plane).status.succeeded == 3
    assert len(others) == 2


def test_a_finished_job_goes_when_its_time_is_over(plane: ControlPlane) -> None:
    """Its pods with it."""
    plane.store.put(job(ttl_seconds_after_finished=60))
    plane.settle()
    finish_all(plane)
    plane.settle(61)
    assert plane.store.list(Job) == []
    assert plane.store.list(Pod) == []


def test_a_finished_job_of_a_dump_is_left_alone(plane: ControlPlane) -> None:
    """With or without its pods."""
    plane.store.put(job())
    plane.settle()
    finish_all(plane)
    other = ControlPlane()
    other.add_nodes("a")
    other.store.put(found(plane))
    other.settle()
    assert other.store.list(Pod) == []


@given(st.frozensets(st.integers(0, 60)))
def test_indexes_are_written_as_ranges(indexes: frozenset[int]) -> None:
    """And read again."""
    assert parse_ranges(ranges(indexes)) == indexes


def test_indexes_beyond_all_bounds_are_not_read() -> None:
    """A status is text that anybody may write: a range of billions costs nothing."""
    assert len(parse_ranges("0-999999999,7-" + "9" * 5000)) == MOST_INDEXES
