# SPDX-License-Identifier: GPL-2.0-only
"""StatefulSets: names that last, and order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import pytest

from emu.kube.api.codec import read, write
from emu.kube.api.deletion import delete
from emu.kube.api.objects import Pod, StatefulSet
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.workload import Ordinals, RollingUpdate, StatefulSetSpec, UpdateStrategy
from emu.sim.time import SECOND
from emu.testing.control_plane import NAMESPACE, ControlPlane, template

if TYPE_CHECKING:
    from emu.kube.api.store import Change


@pytest.fixture
def plane() -> ControlPlane:
    """Three nodes, on which pods take two seconds to start."""
    plane = ControlPlane()
    plane.add_nodes("a", "b", "c")
    plane.kubelet.start = 2 * SECOND
    return plane


def stateful_set(replicas: int = 3, policy: str = "OrderedReady", **more: object) -> StatefulSet:
    """Return the set `db`."""
    spec = StatefulSetSpec(
        "db",
        replicas,
        LabelSelector({"app": "db"}),
        template("db"),
        pod_management_policy=policy,
        **more,  # type: ignore[arg-type]  # by the tests' care
    )
    return StatefulSet(Meta(name="db", namespace=NAMESPACE, generation=1), spec)


def change(plane: ControlPlane, **changes: object) -> None:
    """Change fields of the set's spec."""
    known = plane.store.get(StatefulSet, "db", NAMESPACE)
    plane.store.put(attrs.evolve(known, spec=attrs.evolve(known.spec, **changes)))  # type: ignore[arg-type]  # so here


def names(plane: ControlPlane) -> list[str]:
    """Return the names of the pods that are there."""
    return [pod.metadata.name for pod in plane.store.list(Pod)]


def story(plane: ControlPlane) -> list[str]:
    """Return what happens to pods from now on: + made, = ready, - gone."""
    told: list[str] = []

    def tell(each: Change) -> None:
        old, new = each
        name = each.object.metadata.name
        if old is None or new is None:
            told.append(f"{'+' if old is None else '-'}{name}")
        elif isinstance(old, Pod) and isinstance(new, Pod) and new.is_ready and not old.is_ready:
            told.append(f"={name}")

    plane.store.watch(Pod, tell)
    return told


def test_pods_are_made_in_order(plane: ControlPlane) -> None:
    """Each when the one before it is ready."""
    told = story(plane)
    plane.store.put(stateful_set())
    plane.settle()
    assert told == ["+db-0", "=db-0", "+db-1", "=db-1", "+db-2", "=db-2"]


def test_parallel_waits_for_nobody(plane: ControlPlane) -> None:
    """All are made at once, and deleted at once."""
    told = story(plane)
    plane.store.put(stateful_set(policy="Parallel"))
    plane.settle()
    assert told[:3] == ["+db-0", "+db-1", "+db-2"]
    change(plane, replicas=0)
    plane.loop.run_until(plane.loop.now)
    assert all(pod.metadata.is_terminating for pod in plane.store.list(Pod))


def test_identity_is_in_labels_and_spec(plane: ControlPlane) -> None:
    """Name, number, revision; host name and subdomain for DNS."""
    plane.store.put(stateful_set(1, ordinals=Ordinals(5)))
    plane.settle()
    (pod,) = plane.pods()
    status = plane.store.get(StatefulSet, "db", NAMESPACE).status
    assert pod.metadata.labels == {
        "app": "db",
        "statefulset.kubernetes.io/pod-name": "db-5",
        "apps.kubernetes.io/pod-index": "5",
        "controller-revision-hash": status.current_revision,
    }
    assert (pod.spec.hostname, pod.spec.subdomain) == ("db-5", "db")
    assert status.current_revision.startswith("db-")


def test_older_versions_do_not_label_the_number() -> None:
    """The label came with 1.28."""
    plane = ControlPlane(version=(1, 27))
    plane.add_nodes("a")
    plane.store.put(stateful_set(1))
    plane.settle()
    assert "apps.kubernetes.io/pod-index" not in plane.pods()[0].metadata.labels


def test_scaling_down_takes_the_highest_and_waits(plane: ControlPlane) -> None:
    """One at a time, each gone before the next."""
    plane.store.put(stateful_set())
    plane.settle()
    told = story(plane)
    change(plane, replicas=1)
    plane.settle()
    assert told == ["-db-2", "-db-1"]


def test_an_unhealthy_pod_holds_up_scaling_down_of_others(plane: ControlPlane) -> None:
    """Nobody goes while a lower one is broken."""
    plane.store.put(stateful_set())
    plane.settle()
    plane.kubelet._say(plane.store.get(Pod, "db-0", NAMESPACE), "Running", is_ready=False)
    change(plane, replicas=1)
    plane.settle()
    assert names(plane) == ["db-0", "db-1", "db-2"]


def test_a_deleted_pod_comes_back_as_another(plane: ControlPlane) -> None:
    """The same name, a new UID, and not before the old one is gone."""
    plane.store.put(stateful_set())
    plane.settle()
    old = plane.store.get(Pod, "db-1", NAMESPACE)
    told = story(plane)
    delete(plane.store, old)
    plane.settle()
    assert told == ["-db-1", "+db-1", "=db-1"]
    assert plane.store.get(Pod, "db-1", NAMESPACE).metadata.uid != old.metadata.uid


def test_a_failed_pod_is_made_again(plane: ControlPlane) -> None:
    """Whatever its restart policy says."""
    plane.store.put(stateful_set(2))
    plane.settle()
    plane.kubelet.finish(plane.store.get(Pod, "db-0", NAMESPACE), "Failed")
    plane.settle()
    assert [pod.status.phase for pod in plane.pods()] == ["Running", "Running"]
    assert plane.messages("RecreatingFailedPod")


def test_an_update_begins_at_the_highest(plane: ControlPlane) -> None:
    """Each new pod serves before the next old one goes."""
    plane.store.put(stateful_set())
    plane.settle()
    told = story(plane)
    change(plane, template=template("db", "db:2"))
    plane.settle()
    assert told == [f"{sign}db-{number}" for number in (2, 1, 0) for sign in "-+="]
    status = plane.store.get(StatefulSet, "db", NAMESPACE).status
    assert status.current_revision == status.update_revision
    assert (status.replicas, status.ready_replicas, status.updated_replicas) == (3, 3, 3)


def test_a_partition_keeps_lower_numbers_back(plane: ControlPlane) -> None:
    """And one of those that is made again is of the old template."""
    plane.store.put(stateful_set())
    plane.settle()
    strategy = UpdateStrategy(rolling_update=RollingUpdate(partition=2))
    change(plane, template=template("db", "db:2"), update_strategy=strategy)
    plane.settle()
    delete(plane.store, plane.store.get(Pod, "db-0", NAMESPACE))
    plane.settle()
    assert [pod.spec.containers[0].image for pod in plane.pods()] == ["nginx", "nginx", "db:2"]


def test_on_delete_leaves_updates_to_people(plane: ControlPlane) -> None:
    """A pod that is deleted comes back new."""
    plane.store.put(stateful_set(2, update_strategy=UpdateStrategy("OnDelete")))
    plane.settle()
    change(plane, template=template("db", "db:2"))
    plane.settle()
    delete(plane.store, plane.store.get(Pod, "db-1", NAMESPACE))
    plane.settle()
    assert [pod.spec.containers[0].image for pod in plane.pods()] == ["nginx", "db:2"]


def test_a_dump_is_taken_as_it_is(plane: ControlPlane) -> None:
    """Its revision has a hash of a real cluster; no pod is replaced."""
    plane.store.put(stateful_set())
    plane.settle()
    ours = plane.store.get(StatefulSet, "db", NAMESPACE).status.update_revision
    other = ControlPlane()
    other.add_nodes("a", "b", "c")
    manifests = [write(plane.store.get(StatefulSet, "db", NAMESPACE)), *map(write, plane.pods())]
    for each in json.loads(json.dumps(manifests).replace(ours, "db-5b6c7d8f9")):
        other.store.keep(read(each))
    before = {pod.metadata.uid for pod in other.pods()}
    other.settle()
    assert {pod.metadata.uid for pod in other.pods()} == before
    assert other.store.get(StatefulSet, "db", NAMESPACE).status.update_revision == "db-5b6c7d8f9"


def test_deleting_the_set_takes_its_pods(plane: ControlPlane) -> None:
    """All at once, and its revisions."""
    plane.store.put(stateful_set())
    plane.settle()
    delete(plane.store, plane.store.get(StatefulSet, "db", NAMESPACE))
    plane.settle()
    assert names(plane) == []
    assert not plane.store.others
