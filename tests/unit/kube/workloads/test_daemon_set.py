# SPDX-License-Identifier: GPL-2.0-only
"""DaemonSets: a pod on every node that takes it."""

from __future__ import annotations

import attrs
import pytest

from emu.kube.api.deletion import delete
from emu.kube.api.objects import DaemonSet, Node, Pod
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.scheduling import Taint, Toleration
from emu.kube.api.objects.workload import DaemonSetSpec, RollingUpdate, UpdateStrategy
from emu.kube.workloads.daemonset.plan import Limits, limits
from emu.sim.time import SECOND
from emu.testing.control_plane import NAMESPACE, ControlPlane, template

CONTROL_PLANE = Taint("node-role.kubernetes.io/control-plane", "NoSchedule")


@pytest.fixture
def plane() -> ControlPlane:
    """A tainted control plane and two workers."""
    plane = ControlPlane()
    plane.add_nodes("control", taints=(CONTROL_PLANE,))
    plane.add_nodes("a", "b")
    return plane


def daemon_set(spec: PodSpec | None = None, strategy: UpdateStrategy | None = None) -> DaemonSet:
    """Return the set `agent`."""
    made = DaemonSetSpec(
        LabelSelector({"app": "agent"}), template("agent", spec=spec), strategy or UpdateStrategy()
    )
    return DaemonSet(Meta(name="agent", namespace=NAMESPACE, generation=1), made)


def change(plane: ControlPlane, **changes: object) -> None:
    """Change fields of the set's spec."""
    known = plane.store.get(DaemonSet, "agent", NAMESPACE)
    plane.store.put(attrs.evolve(known, spec=attrs.evolve(known.spec, **changes)))  # type: ignore[arg-type]  # by the tests' care


def taint(plane: ControlPlane, name: str, *taints: Taint) -> None:
    """Give a node other taints."""
    node = plane.store.get(Node, name)
    plane.store.put(attrs.evolve(node, spec=attrs.evolve(node.spec, taints=taints)))


def test_every_node_that_is_tolerated_has_one(plane: ControlPlane) -> None:
    """A control plane's taint is not among what daemons tolerate by themselves."""
    plane.store.put(daemon_set())
    plane.settle()
    assert plane.places() == ["a", "b"]
    status = plane.store.get(DaemonSet, "agent", NAMESPACE).status
    numbers = (status.desired_number_scheduled, status.current_number_scheduled, status.number_ready)
    assert numbers == (2, 2, 2)
    assert (status.number_available, status.updated_number_scheduled) == (2, 2)


def test_a_toleration_of_everything_is_every_node(plane: ControlPlane) -> None:
    """As agents of networks have it."""
    plane.store.put(daemon_set(PodSpec(tolerations=(Toleration(operator="Exists"),))))
    plane.settle()
    assert plane.places() == ["a", "b", "control"]


def test_selectors_choose_nodes(plane: ControlPlane) -> None:
    """Nodes that get the label later get the pod later, and lose it with it."""
    plane.store.put(daemon_set(PodSpec(node_selector={"disk": "ssd"})))
    plane.settle()
    assert plane.places() == []
    node = plane.store.get(Node, "a")
    labelled = attrs.evolve(node.metadata, labels={**node.metadata.labels, "disk": "ssd"})
    plane.store.put(attrs.evolve(node, metadata=labelled))
    plane.settle()
    assert plane.places() == ["a"]
    plane.store.put(node)
    plane.settle()
    assert plane.places() == []


def test_pods_tolerate_what_happens_to_nodes(plane: ControlPlane) -> None:
    """They stay on lost nodes for ever, and run on cordoned ones."""
    plane.store.put(daemon_set())
    plane.settle()
    found = {(each.key, each.effect) for each in plane.pods()[0].spec.tolerations}
    assert found == {
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
        ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    }
    assert {each.toleration_seconds for each in plane.pods()[0].spec.tolerations} == {None}


def test_only_with_the_hosts_network_is_a_missing_network_tolerated(plane: ControlPlane) -> None:
    """So that whoever makes the network can start."""
    plane.store.put(daemon_set(PodSpec(host_network=True)))
    plane.settle()
    keys = {each.key for each in plane.pods()[0].spec.tolerations}
    assert "node.kubernetes.io/network-unavailable" in keys


def test_a_new_node_gets_its_pod(plane: ControlPlane) -> None:
    """Others keep theirs."""
    plane.store.put(daemon_set())
    plane.settle()
    before = {pod.metadata.uid for pod in plane.pods()}
    plane.add_nodes("c")
    plane.settle()
    assert plane.places() == ["a", "b", "c"]
    assert before < {pod.metadata.uid for pod in plane.pods()}


@pytest.mark.parametrize(("effect", "places"), [("NoSchedule", ["a", "b"]), ("NoExecute", ["b"])])
def test_a_later_taint_takes_a_pod_only_if_it_executes(
    plane: ControlPlane, effect: str, places: list[str]
) -> None:
    """NoSchedule is for those to come."""
    plane.store.put(daemon_set())
    plane.settle()
    taint(plane, "a", Taint("gpu", effect))
    plane.settle()
    assert plane.places() == places


def test_a_failed_pod_is_replaced(plane: ControlPlane) -> None:
    """On the same node."""
    plane.store.put(daemon_set())
    plane.settle()
    plane.kubelet.finish(plane.pods()[0], "Failed")
    plane.settle()
    assert plane.places() == ["a", "b"]


@pytest.mark.parametrize(
    ("surge", "unavailable", "result"),
    [(None, None, (1, 0)), (None, "10%", (2, 0)), ("10%", None, (0, 2)), (0, 0, (1, 0)), (1, 0, (0, 1))],
)
def test_limits_are_rounded_up(
    surge: int | str | None, unavailable: int | str | None, result: tuple[int, int]
) -> None:
    """Of eleven nodes ten percent are two."""
    strategy = UpdateStrategy(rolling_update=RollingUpdate(surge, unavailable))
    assert limits(daemon_set(strategy=strategy), 11) == Limits(*result)


class TestUpdate:
    """One template follows another."""

    @pytest.fixture(autouse=True)
    def slow(self, plane: ControlPlane) -> None:
        """Pods take a while."""
        plane.add_nodes("c", "d")
        plane.kubelet.start = 2 * SECOND

    def test_node_by_node(self, plane: ControlPlane) -> None:
        """By default one node at a time is without its pod."""
        plane.store.put(daemon_set())
        plane.settle()
        ready: list[int] = []
        plane.store.watch(Pod, lambda _: ready.append(sum(pod.is_ready for pod in plane.pods())))
        change(plane, template=template("agent", "agent:2"))
        plane.settle()
        assert min(ready) == 3
        assert {pod.spec.containers[0].image for pod in plane.pods()} == {"agent:2"}
        generations = {pod.metadata.labels["pod-template-generation"] for pod in plane.pods()}
        assert generations == {"2"}

    def test_with_surge_no_node_is_without(self, plane: ControlPlane) -> None:
        """The new pod comes first."""
        strategy = UpdateStrategy(rolling_update=RollingUpdate(1, 0))
        plane.store.put(daemon_set(strategy=strategy))
        plane.settle()
        ready: list[int] = []
        plane.store.watch(Pod, lambda _: ready.append(sum(pod.is_ready for pod in plane.pods())))
        change(plane, template=template("agent", "agent:2"))
        plane.settle()
        assert min(ready) == 4
        assert {pod.spec.containers[0].image for pod in plane.pods()} == {"agent:2"}
        assert plane.places() == ["a", "b", "c", "d"]

    def test_on_delete_leaves_it_to_people(self, plane: ControlPlane) -> None:
        """A pod that is deleted comes back new."""
        plane.store.put(daemon_set(strategy=UpdateStrategy("OnDelete")))
        plane.settle()
        change(plane, template=template("agent", "agent:2"))
        plane.settle()
        assert {pod.spec.containers[0].image for pod in plane.pods()} == {"nginx"}
        delete(plane.store, plane.pods()[0])
        plane.settle()
        assert min(pod.spec.containers[0].image for pod in plane.pods()) == "agent:2"
