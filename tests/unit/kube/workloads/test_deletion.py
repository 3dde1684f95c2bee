# SPDX-License-Identifier: GPL-2.0-only
"""The end of objects, their admission, and what is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from emu.kube.api.admission import admit, priorities_of, qos_class
from emu.kube.api.deletion import delete
from emu.kube.api.objects import Deployment, Event, Namespace, Other, Pod, ReplicationController
from emu.kube.api.objects.container import Container, ContainerPort
from emu.kube.api.objects.meta import Meta, OwnerReference
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.scheduling import Toleration
from emu.kube.api.objects.workload import ReplicationControllerSpec
from emu.kube.events import COMBINED, NORMAL, record
from emu.testing.control_plane import NAMESPACE, ControlPlane, bare_pod, deployment, template

if TYPE_CHECKING:
    from emu.kube.api.objects.field import Json


@pytest.fixture
def plane() -> ControlPlane:
    """One node."""
    plane = ControlPlane()
    plane.add_nodes("a")
    return plane


class TestPods:
    """Pods end in their own time."""

    def running(self, plane: ControlPlane) -> Pod:
        """Return a pod that runs."""
        plane.store.put(bare_pod("p"))
        plane.settle()
        return plane.store.get(Pod, "p", NAMESPACE)

    @pytest.mark.parametrize(("grace", "seconds", "time"), [(None, 30, "00:00:30"), (5, 5, "00:00:05")])
    def test_a_running_pod_is_terminating_first(
        self, plane: ControlPlane, grace: int | None, seconds: int, time: str
    ) -> None:
        """With the time until which it may take."""
        delete(plane.store, self.running(plane), grace)
        metadata = plane.store.get(Pod, "p", NAMESPACE).metadata
        assert metadata.deletion_timestamp == f"2025-01-01T{time}Z"
        assert metadata.deletion_grace_period_seconds == seconds
        plane.settle()
        assert plane.store.find(Pod, "p", NAMESPACE) is None

    def test_asked_again_it_may_only_end_sooner(self, plane: ControlPlane) -> None:
        """A longer grace is no longer heard."""
        pod = self.running(plane)
        for grace, seconds in ((10, 10), (20, 10), (3, 3)):
            delete(plane.store, pod, grace)
            assert plane.store.get(Pod, "p", NAMESPACE).metadata.deletion_grace_period_seconds == seconds

    @pytest.mark.parametrize("how", ["force", "grace", "finished", "unbound"])
    def test_some_go_at_once(self, plane: ControlPlane, how: str) -> None:
        """Those that run nowhere, or no more, and where nobody wants to wait."""
        if how == "unbound":
            plane.store.put(bare_pod("p", PodSpec(node_selector={"no": "such"})))
            plane.settle()
        else:
            self.running(plane)
        pod = plane.store.get(Pod, "p", NAMESPACE)
        if how == "finished":
            plane.kubelet.finish(pod, "Succeeded")
        delete(plane.store, pod, 0 if how == "grace" else None, force=how == "force")
        assert plane.store.find(Pod, "p", NAMESPACE) is None
        delete(plane.store, pod)


def test_a_namespace_takes_all_in_it(plane: ControlPlane) -> None:
    """Terminating until the last pod is gone; nothing is made again."""
    plane.store.put(deployment("web", 3))
    plane.store.keep(Other("Secret", "v1", Meta(name="s", namespace=NAMESPACE)))
    plane.settle()
    delete(plane.store, plane.store.get(Namespace, NAMESPACE))
    plane.loop.run_until(plane.loop.now)
    assert plane.store.get(Namespace, NAMESPACE).status.phase == "Terminating"
    assert len(plane.store.list(Pod)) == 3
    plane.settle()
    assert plane.store.find(Namespace, NAMESPACE) is None
    assert plane.store.list(Pod) == []
    assert plane.store.list(Event, NAMESPACE) == []
    assert plane.store.list(Deployment) == []
    assert not plane.store.others


def test_of_two_owners_one_is_enough(plane: ControlPlane) -> None:
    """What loses one keeps the other, until that goes too."""
    owners = [plane.store.put(bare_pod(name)) for name in ("one", "two")]
    references = tuple(OwnerReference("Pod", each.metadata.name, each.metadata.uid) for each in owners)
    child = bare_pod("child")
    plane.store.put(attrs.evolve(child, metadata=attrs.evolve(child.metadata, owner_references=references)))
    plane.settle()
    delete(plane.store, owners[0], force=True)
    plane.settle()
    assert [each.name for each in plane.store.get(Pod, "child", NAMESPACE).metadata.owner_references] == [
        "two"
    ]
    delete(plane.store, owners[1], force=True)
    plane.settle()
    assert plane.store.list(Pod) == []


def test_a_replication_controller_works_as_a_set_does(plane: ControlPlane) -> None:
    """With plain labels; a pod that matches already is one of its own."""
    plane.store.put(bare_pod("mine", app="old"))
    spec = ReplicationControllerSpec(2, {"app": "old"}, template("old"))
    owner = plane.store.put(ReplicationController(Meta(name="rc", namespace=NAMESPACE), spec))
    plane.settle()
    assert len(plane.pods()) == 2
    controller = plane.store.get(Pod, "mine", NAMESPACE).metadata.controller
    assert controller is not None
    assert (controller.kind, controller.uid) == ("ReplicationController", owner.metadata.uid)
    assert plane.store.get(ReplicationController, "rc", NAMESPACE).status.available_replicas == 2
    plane.store.put(bare_pod("third", app="old"))
    plane.settle()
    assert len(plane.pods()) == 2


class TestAdmission:
    """What the API server adds to pods."""

    def test_once_is_as_good_as_twice(self) -> None:
        """What was admitted is left alone."""
        pod = bare_pod("p")
        assert admit(pod) is pod

    @pytest.mark.parametrize(
        ("toleration", "count"),
        [
            (
                Toleration(
                    "node.kubernetes.io/not-ready", "Exists", effect="NoExecute", toleration_seconds=5
                ),
                2,
            ),
            (Toleration(operator="Exists"), 1),
            (Toleration("node.kubernetes.io/not-ready", "Exists", effect="NoSchedule"), 3),
        ],
    )
    def test_a_toleration_of_its_own_is_kept(self, toleration: Toleration, count: int) -> None:
        """The default comes for each key that it has none for."""
        assert len(bare_pod("p", PodSpec(tolerations=(toleration,))).spec.tolerations) == count

    def test_with_the_hosts_network_ports_are_the_hosts(self) -> None:
        """Unless they are said."""
        ports = (ContainerPort(80), ContainerPort(81, host_port=8081))
        spec = PodSpec((Container("c", ports=ports),), host_network=True)
        assert [port.host_port for port in bare_pod("p", spec).spec.containers[0].ports] == [80, 8081]
        plain = attrs.evolve(spec, host_network=False)
        assert [port.host_port for port in bare_pod("p", plain).spec.containers[0].ports] == [0, 8081]

    def test_classes_give_priorities(self, plane: ControlPlane) -> None:
        """Those of every cluster, and those that somebody made."""
        plane.store.keep(Other("PriorityClass", "v1", Meta(name="mine"), rest={"value": 7}))
        known = priorities_of(plane.store)
        for name, value in (("mine", 7), ("system-node-critical", 2_000_001_000), ("none", 0)):
            pod = Pod(Meta(name="p"), PodSpec(rest={"priorityClassName": name}))
            assert admit(pod, known).spec.priority == value

    @pytest.mark.parametrize(
        ("resources", "result"),
        [
            ({}, "BestEffort"),
            ({"requests": {"cpu": "1"}}, "Burstable"),
            ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
            ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "0.5"}}, "Burstable"),
        ],
    )
    def test_resources_give_a_class_of_service(self, resources: dict[str, Json], result: str) -> None:
        """By what all containers ask for."""
        assert qos_class(PodSpec((Container("c", rest={"resources": resources}),))) == result


class TestEvents:
    """What is told is counted."""

    def test_the_same_again_counts_up(self, plane: ControlPlane) -> None:
        """One event, seen first and last."""
        pod = plane.store.put(bare_pod("p"))
        record(
            plane.store, pod, NORMAL, "Tested", "all well", "tester", "a", field_path="spec.containers{main}"
        )
        plane.settle(90)
        record(
            plane.store, pod, NORMAL, "Tested", "all well", "tester", "a", field_path="spec.containers{main}"
        )
        (event,) = [each for each in plane.store.list(Event) if each.reason == "Tested"]
        assert (event.count, event.first_timestamp, event.last_timestamp) == (
            2,
            "2025-01-01T00:00:00Z",
            "2025-01-01T00:01:30Z",
        )
        assert event.metadata.name.startswith("p.")
        assert event.involved_object.field_path == "spec.containers{main}"
        assert (event.source.component, event.source.host) == ("tester", "a")

    def test_many_alike_are_combined(self, plane: ControlPlane) -> None:
        """After ten messages of a reason one event stands for the rest."""
        pod = plane.store.put(bare_pod("p"))
        for number in range(15):
            record(plane.store, pod, NORMAL, "Tested", f"number {number}", "tester")
        told = [each for each in plane.store.each(Event) if each.reason == "Tested"]
        assert len(told) == 11
        assert (told[-1].count, told[-1].message) == (5, f"{COMBINED}number 14")
        assert len({each.metadata.name for each in told}) == 11

    def test_of_what_is_in_no_namespace_default_tells(self, plane: ControlPlane) -> None:
        """As for nodes and namespaces."""
        record(plane.store, plane.store.get(Namespace, NAMESPACE), NORMAL, "Tested", "well", "tester")
        assert [each.metadata.namespace for each in plane.store.list(Event) if each.reason == "Tested"] == [
            "default"
        ]
