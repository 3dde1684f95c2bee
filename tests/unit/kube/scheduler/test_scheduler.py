# SPDX-License-Identifier: GPL-2.0-only
"""Which node a pod gets, and what is said of one that gets none."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest

from emu.kube.api.deletion import delete
from emu.kube.api.objects import Node, Pod
from emu.kube.api.objects.container import Container, ContainerPort
from emu.kube.api.objects.meta import LabelSelector, Requirement
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.scheduling import (
    Affinity,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PreferredTerm,
    Taint,
    Toleration,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from emu.kube.conditions import find
from emu.kube.scheduler.plugins import UNMODELLED
from emu.testing.control_plane import NAMESPACE, ControlPlane, bare_pod, deployment

HOST = "kubernetes.io/hostname"
CONTROL_PLANE = Taint("node-role.kubernetes.io/control-plane", "NoSchedule")


@pytest.fixture
def plane() -> ControlPlane:
    """A control plane without nodes."""
    return ControlPlane()


def near(app: str, key: str = HOST) -> PodAffinity:
    """Return a required affinity for pods of an app."""
    return PodAffinity((PodAffinityTerm(key, LabelSelector({"app": app})),))


class TestSpreading:
    """Replicas lie apart without being asked."""

    def test_three_replicas_on_three_empty_nodes_are_one_each(self, plane: ControlPlane) -> None:
        """A control plane without a taint is a node like others."""
        plane.add_nodes("munode", "munode-m02", "munode-m03")
        plane.store.put(deployment("nginx", 3))
        plane.settle()
        assert plane.places() == ["munode", "munode-m02", "munode-m03"]

    def test_a_tainted_control_plane_leaves_two_and_one(self, plane: ControlPlane) -> None:
        """Workers share what the control plane does not take."""
        plane.add_nodes("a-control-plane", taints=(CONTROL_PLANE,))
        plane.add_nodes("worker", "worker2")
        plane.store.put(deployment("nginx", 3))
        plane.settle()
        assert sorted(Counter(plane.places()).items()) in (
            [("worker", 1), ("worker2", 2)],
            [("worker", 2), ("worker2", 1)],
        )

    def test_the_first_replica_is_on_the_first_node_by_name(self, plane: ControlPlane) -> None:
        """Examples read well."""
        plane.add_nodes("c", "a", "b")
        plane.store.put(deployment("nginx", 1))
        plane.settle()
        assert plane.places() == ["a"]

    def test_bare_pods_fill_nodes_by_name(self, plane: ControlPlane) -> None:
        """Each goes to the first of the nodes with the fewest pods."""
        plane.add_nodes("a", "b", "c")
        for number in range(4):
            plane.store.put(bare_pod(f"p{number}"))
        plane.settle()
        assert [pod.spec.node_name for pod in plane.pods()] == ["a", "b", "c", "a"]

    def test_a_new_deployment_moves_nobody_made_before(self) -> None:
        """Places follow from what stands before in the document."""
        one, two = ControlPlane(), ControlPlane()
        for each in (one, two):
            each.add_nodes("a", "b", "c")
            each.store.put(deployment("first", 7))
        two.store.put(deployment("second", 5))
        for each in (one, two):
            each.settle()
        assert [(p.metadata.name, p.spec.node_name, p.metadata.uid) for p in one.pods()] == [
            (p.metadata.name, p.spec.node_name, p.metadata.uid) for p in two.pods(app="first")
        ]

    def test_zones_are_used_in_turn(self, plane: ControlPlane) -> None:
        """Two replicas are in two zones even when one zone has more nodes."""
        for name, zone in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
            plane.add_nodes(name, labels={"topology.kubernetes.io/zone": zone})
        plane.store.put(deployment("web", 2))
        plane.settle()
        assert {name[0] for name in plane.places()} == {"a", "b"}

    def test_a_large_deployment_is_even(self, plane: ControlPlane) -> None:
        """Forty replicas over four nodes are ten each."""
        plane.add_nodes("a", "b", "c", "d")
        plane.store.put(deployment("web", 40))
        plane.settle()
        assert set(Counter(plane.places()).values()) == {10}


class TestFilters:
    """Nodes that will not do."""

    @pytest.mark.parametrize(
        ("spec", "places"),
        [
            (PodSpec(node_selector={"disk": "ssd"}), {"b"}),
            (PodSpec(tolerations=(Toleration("gpu", "Exists"),)), {"a", "b", "c"}),
            (PodSpec(tolerations=(Toleration("gpu", "Equal", "no"),)), {"a", "b"}),
            (PodSpec(tolerations=(Toleration(operator="Exists"),)), {"a", "b", "c"}),
            (PodSpec(node_name="c"), {"c"}),
            (
                PodSpec(
                    affinity=Affinity(
                        NodeAffinity(
                            NodeSelector((NodeSelectorTerm((Requirement("disk", "DoesNotExist"),)),))
                        )
                    )
                ),
                {"a"},
            ),
        ],
    )
    def test_pods_run_only_where_they_may(self, plane: ControlPlane, spec: PodSpec, places: set[str]) -> None:
        """Selectors, affinities, taints and names are kept to."""
        plane.add_nodes("a")
        plane.add_nodes("b", labels={"disk": "ssd"})
        plane.add_nodes("c", taints=(Taint("gpu", "NoSchedule", "yes"),))
        plane.store.put(deployment("web", 6, spec))
        plane.settle()
        assert set(plane.places()) == places

    def test_a_cordoned_node_gets_nothing_new(self, plane: ControlPlane) -> None:
        """What runs there stays."""
        plane.add_nodes("a", "b")
        plane.store.put(bare_pod("first"))
        plane.settle()
        node = plane.store.get(Node, "a")
        plane.store.put(attrs.evolve(node, spec=attrs.evolve(node.spec, unschedulable=True)))
        plane.store.put(deployment("web", 3))
        plane.settle()
        assert plane.places(app="web") == ["b", "b", "b"]
        assert plane.store.get(Pod, "first", NAMESPACE).spec.node_name == "a"

    def test_host_ports_are_had_once(self, plane: ControlPlane) -> None:
        """The third of three pods with one host port waits on two nodes."""
        plane.add_nodes("a", "b")
        port = ContainerPort(80, host_port=8080)
        for number in range(3):
            plane.store.put(bare_pod(f"p{number}", PodSpec((Container("c", ports=(port,)),))))
        plane.settle()
        assert plane.places() == ["", "a", "b"]
        assert (
            "2 node(s) didn't have free ports for the requested pod ports."
            in plane.messages("FailedScheduling")[0]
        )

    def test_host_ports_of_different_addresses_do_not_conflict(self, plane: ControlPlane) -> None:
        """But every address conflicts with each."""
        plane.add_nodes("a")
        for number, address in enumerate(("127.0.0.1", "10.0.0.1", "0.0.0.0")):  # noqa: S104  # what is tested
            port = ContainerPort(80, host_port=8080, host_ip=address)
            plane.store.put(bare_pod(f"p{number}", PodSpec((Container("c", ports=(port,)),))))
        plane.settle()
        assert [pod.spec.node_name for pod in plane.pods()] == ["a", "a", ""]

    def test_host_network_takes_container_ports(self, plane: ControlPlane) -> None:
        """Two such pods cannot share a node."""
        plane.add_nodes("a")
        spec = PodSpec((Container("c", ports=(ContainerPort(9100),)),), host_network=True)
        plane.store.put(bare_pod("p0", spec))
        plane.store.put(bare_pod("p1", spec))
        plane.settle()
        assert [pod.spec.node_name for pod in plane.pods()] == ["a", ""]

    def test_a_node_takes_as_many_pods_as_it_says(self, plane: ControlPlane) -> None:
        """The rest waits for room."""
        plane.add_nodes("a")
        node = plane.store.get(Node, "a")
        plane.store.put(attrs.evolve(node, status=attrs.evolve(node.status, allocatable={"pods": "2"})))
        plane.store.put(deployment("web", 3))
        plane.settle()
        assert plane.places() == ["", "a", "a"]
        assert plane.messages("FailedScheduling")[0].startswith("0/1 nodes are available: 1 Too many pods.")


class TestAffinityOfPods:
    """Pods near to others, and away from them."""

    def test_anti_affinity_keeps_replicas_apart(self, plane: ControlPlane) -> None:
        """With more replicas than nodes one waits, and says why."""
        plane.add_nodes("a", "b")
        plane.store.put(deployment("web", 3, PodSpec(affinity=Affinity(pod_anti_affinity=near("web")))))
        plane.settle()
        assert plane.places() == ["", "a", "b"]
        assert "2 node(s) didn't match pod anti-affinity rules." in plane.messages("FailedScheduling")[0]

    def test_affinity_follows_another_app(self, plane: ControlPlane) -> None:
        """All run where the one is."""
        plane.add_nodes("a", "b", "c")
        plane.store.put(bare_pod("filler"))
        plane.store.put(deployment("cache", 1))
        plane.store.put(deployment("web", 3, PodSpec(affinity=Affinity(pod_affinity=near("cache")))))
        plane.settle()
        assert plane.places(app="web") == plane.places(app="cache") * 3

    def test_affinity_for_itself_lets_the_first_begin(self, plane: ControlPlane) -> None:
        """The others follow it."""
        plane.add_nodes("a", "b", "c")
        plane.store.put(deployment("web", 3, PodSpec(affinity=Affinity(pod_affinity=near("web")))))
        plane.settle()
        assert plane.places() == ["a", "a", "a"]

    def test_affinity_for_nobody_waits(self, plane: ControlPlane) -> None:
        """Until there is somebody."""
        plane.add_nodes("a", "b")
        plane.store.put(deployment("web", 1, PodSpec(affinity=Affinity(pod_affinity=near("cache")))))
        plane.settle()
        assert plane.places() == [""]
        plane.store.put(deployment("cache", 1))
        plane.settle()
        assert plane.places() == ["a", "a"]

    def test_pods_on_nodes_keep_others_away(self, plane: ControlPlane) -> None:
        """Anti-affinity works both ways, until it is gone."""
        plane.add_nodes("a")
        alone = plane.store.put(bare_pod("alone", PodSpec(affinity=Affinity(pod_anti_affinity=near("web")))))
        plane.settle()
        plane.store.put(bare_pod("web", app="web"))
        plane.settle()
        assert (
            "1 node(s) didn't satisfy existing pods anti-affinity rules."
            in plane.messages("FailedScheduling")[0]
        )
        delete(plane.store, plane.store.get(Pod, alone.metadata.name, NAMESPACE))
        plane.settle(10)
        assert plane.places() == ["a"]

    def test_preferences_count(self, plane: ControlPlane) -> None:
        """A preferred node or neighbour is taken where nothing else speaks against it."""
        plane.add_nodes("a", "b")
        plane.add_nodes("c", labels={"disk": "ssd"})
        term = PreferredTerm(100, NodeSelectorTerm((Requirement("disk", "In", ("ssd",)),)))
        plane.store.put(bare_pod("p", PodSpec(affinity=Affinity(NodeAffinity(None, (term,)))), app="db"))
        weighted = WeightedPodAffinityTerm(100, PodAffinityTerm(HOST, LabelSelector({"app": "db"})))
        plane.store.put(bare_pod("q", PodSpec(affinity=Affinity(pod_affinity=PodAffinity((), (weighted,))))))
        plane.settle()
        assert plane.places() == ["c", "c"]

    def test_a_taint_that_prefers_others_is_a_last_resort(self, plane: ControlPlane) -> None:
        """Such a node is used when it is the only one."""
        plane.add_nodes("a", taints=(Taint("old", "PreferNoSchedule"),))
        plane.add_nodes("b")
        plane.store.put(bare_pod("p"))
        plane.settle()
        assert plane.places() == ["b"]

    @pytest.mark.parametrize(("skew", "pending"), [(1, 1), (2, 0)])
    def test_hard_spreading_limits_the_skew(self, plane: ControlPlane, skew: int, pending: int) -> None:
        """A domain that is full of others' taints keeps the rest from growing."""
        constraint = TopologySpreadConstraint(skew, HOST, "DoNotSchedule", LabelSelector({"app": "web"}))
        plane.add_nodes("a")
        plane.add_nodes("b", taints=(CONTROL_PLANE,))
        plane.store.put(deployment("web", 2, PodSpec(topology_spread_constraints=(constraint,))))
        plane.settle()
        assert plane.places().count("") == pending

    def test_soft_spreading_prefers_the_emptier_domain(self, plane: ControlPlane) -> None:
        """ScheduleAnyway never keeps a pod waiting."""
        constraint = TopologySpreadConstraint(1, "rack", "ScheduleAnyway", LabelSelector({"app": "web"}))
        plane.add_nodes("a1", "a2", "a3", labels={"rack": "a"})
        plane.add_nodes("b1", labels={"rack": "b"})
        plane.store.put(deployment("web", 4, PodSpec(topology_spread_constraints=(constraint,))))
        plane.settle()
        assert Counter(name[0] for name in plane.places()) == {"a": 2, "b": 2}


class TestWaiting:
    """Pods that find no node."""

    @pytest.mark.parametrize(
        ("version", "reason"),
        [
            ((1, 35), "untolerated taint(s)"),
            ((1, 30), "untolerated taint {node-role.kubernetes.io/control-plane: }"),
        ],
    )
    def test_reasons_are_sorted_with_their_counts(self, version: tuple[int, int], reason: str) -> None:
        """The event and the condition say the same."""
        plane = ControlPlane(version=version)
        plane.add_nodes("control", taints=(CONTROL_PLANE,))
        plane.add_nodes("a", "b", "c")
        plane.store.put(bare_pod("p", PodSpec(node_selector={"disk": "ssd"})))
        plane.settle()
        (message,) = plane.messages("FailedScheduling")
        assert message == (
            f"0/4 nodes are available: 1 node(s) had {reason}, "
            "3 node(s) didn't match Pod's node affinity/selector."
            " preemption: 0/4 nodes are available: 4 Preemption is not helpful for scheduling."
        )
        condition = find(plane.pods()[0].status.conditions, "PodScheduled")
        assert condition is not None
        assert (condition.status, condition.reason, condition.message) == ("False", "Unschedulable", message)

    def test_without_nodes_there_is_nothing_to_count(self, plane: ControlPlane) -> None:
        """The message says so."""
        plane.store.put(bare_pod("p"))
        plane.settle()
        assert plane.messages("FailedScheduling") == ["no nodes available to schedule pods"]

    def test_a_new_node_takes_who_waits(self, plane: ControlPlane) -> None:
        """The condition turns True, and an event tells where."""
        plane.store.put(deployment("web", 2))
        plane.settle()
        plane.add_nodes("a")
        plane.settle()
        assert plane.places() == ["a", "a"]
        condition = find(plane.pods()[0].status.conditions, "PodScheduled")
        assert condition is not None
        assert condition.status == "True"
        names = [pod.metadata.name for pod in plane.pods()]
        assert sorted(plane.messages("Scheduled")) == [
            f"Successfully assigned default/{name} to a" for name in names
        ]

    def test_a_removed_taint_lets_pods_in(self, plane: ControlPlane) -> None:
        """Changes of nodes are looked at."""
        plane.add_nodes("a", taints=(CONTROL_PLANE,))
        plane.store.put(bare_pod("p"))
        plane.settle()
        assert plane.places() == [""]
        node = plane.store.get(Node, "a")
        plane.store.put(attrs.evolve(node, spec=attrs.evolve(node.spec, taints=())))
        plane.settle()
        assert plane.places() == ["a"]

    def test_higher_priority_comes_first(self, plane: ControlPlane) -> None:
        """Whoever came first, if there is room for one."""
        plane.add_nodes("a")
        port = ContainerPort(80, host_port=80)
        plane.store.put(bare_pod("low", PodSpec((Container("c", ports=(port,)),))))
        plane.store.put(bare_pod("high", PodSpec((Container("c", ports=(port,)),), priority=10)))
        plane.settle()
        assert plane.store.get(Pod, "high", NAMESPACE).spec.node_name == "a"

    def test_another_scheduler_is_waited_for(self, plane: ControlPlane) -> None:
        """Its pods are left alone."""
        plane.add_nodes("a")
        plane.store.put(bare_pod("p", PodSpec(scheduler_name="mine")))
        plane.settle(600)
        assert plane.places() == [""]
        assert plane.messages("FailedScheduling") == []

    def test_gates_hold_a_pod_back(self, plane: ControlPlane) -> None:
        """The condition says so."""
        plane.add_nodes("a")
        plane.store.put(bare_pod("p", PodSpec(rest={"schedulingGates": [{"name": "later"}]})))
        plane.settle()
        condition = find(plane.pods()[0].status.conditions, "PodScheduled")
        assert condition is not None
        assert condition.reason == "SchedulingGated"
        pod = plane.pods()[0]
        plane.store.put(attrs.evolve(pod, spec=attrs.evolve(pod.spec, rest={})))
        plane.settle()
        assert plane.places() == ["a"]

    def test_what_is_not_modelled_is_said_once(self, plane: ControlPlane) -> None:
        """Requests are named, not obeyed."""
        plane.add_nodes("a")
        asks = Container("c", rest={"resources": {"requests": {"cpu": "900"}}})
        plane.store.put(bare_pod("p", PodSpec((asks,))))
        plane.store.put(bare_pod("q", PodSpec((asks,))))
        plane.settle()
        assert list(plane.scheduler.notes) == [UNMODELLED]
        assert plane.places() == ["a", "a"]


def test_above_a_hundred_nodes_a_share_is_looked_at(plane: ControlPlane) -> None:
    """Pods are even all the same, as each search begins where the last ended."""
    plane.add_nodes(*(f"n{number:03}" for number in range(200)))
    plane.store.put(deployment("web", 200))
    plane.settle()
    assert max(Counter(plane.places()).values()) == 1
