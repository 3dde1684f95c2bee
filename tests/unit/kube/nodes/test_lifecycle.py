# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random

import attrs
import pytest

from emu.kube import nodes
from emu.kube.api.objects import Event, Node, Pod
from emu.kube.api.objects.meta import Condition, Meta
from emu.kube.api.objects.node import NodeSpec, NodeStatus
from emu.kube.api.objects.pod import PodSpec, PodStatus
from emu.kube.api.objects.scheduling import Taint, Toleration
from emu.kube.api.store import Store
from emu.kube.nodes.eviction import patience
from emu.kube.nodes.taints import ready_status
from emu.kube.nodes.zones import State, interval_of, state_of
from emu.sim.loop import EventLoop
from emu.sim.time import SECOND, Instant

READY = (Condition("Ready", "True"), Condition("MemoryPressure", "False"))
ADMITTED = tuple(
    Toleration(f"node.kubernetes.io/{key}", "Exists", effect="NoExecute", toleration_seconds=300)
    for key in ("not-ready", "unreachable")
)


def node(name: str, zone: str = "", *, ready: bool = True) -> Node:
    """Return a node."""
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    conditions = READY if ready else (Condition("Ready", "False"),)
    return Node(Meta(name, labels=labels), status=NodeStatus(conditions=conditions))


def pod(name: str, where: str, tolerations: tuple[Toleration, ...] = ADMITTED) -> Pod:
    """Return a ready pod on a node."""
    status = PodStatus("Running", pod_ip="10.244.0.5", conditions=(Condition("Ready", "True"),))
    return Pod(Meta(name, "default"), PodSpec(node_name=where, tolerations=tolerations), status)


class Cluster:
    """A store with the controllers of nodes at work; every node's kubelet lives."""

    def __init__(self, *names: str, zones: tuple[str, ...] = (), minor: int = 35) -> None:
        self.loop = EventLoop()
        self.store = Store(self.loop, 0, random.Random(1))
        for index, name in enumerate(names):
            self.store.put(node(name, zones[index] if zones else ""))
        self.lifecycle = nodes.start(self.store, minor=minor)
        for name in names:
            self.lifecycle.begin(name)
        self.loop.run_until_idle()

    def at(self, seconds: float) -> None:
        """Let the clock come to an instant."""
        self.loop.run_until(Instant(round(seconds * SECOND)))

    def node(self, name: str) -> Node:
        """Return a node as it is."""
        return self.store.get(Node, name)

    def taints(self, name: str) -> list[tuple[str, str]]:
        """Return the taints of a node, their keys in short."""
        return [(each.key.rpartition("/")[2], each.effect) for each in self.node(name).spec.taints]

    def executed(self) -> list[str]:
        """Return the nodes that have a taint NoExecute."""
        return [each.metadata.name for each in self.store.list(Node) if "NoExecute" in str(each.spec.taints)]

    def fail(self, *names: str) -> None:
        """Let kubelets die."""
        for name in names:
            self.lifecycle.end(name)

    def recover(self, name: str) -> None:
        """Let a kubelet come back and post its status."""
        self.lifecycle.begin(name)
        found = self.node(name)
        self.store.put(attrs.evolve(found, status=attrs.evolve(found.status, conditions=READY)))

    def reasons(self) -> list[str]:
        """Return the reasons of all events."""
        return [each.reason for each in self.store.list(Event)]


@pytest.mark.parametrize(("minor", "grace"), [(35, 50), (32, 50), (31, 40)])
def test_a_silent_node_is_unknown_after_the_grace_period(minor: int, grace: int) -> None:
    """Counted from the turn at which its last renewal was seen."""
    cluster = Cluster("n1", "n2", minor=minor)
    cluster.at(102)
    cluster.fail("n1")
    cluster.at(100 + grace - 0.1)
    assert cluster.node("n1").is_ready
    cluster.at(100 + grace)
    found = {each.type: each for each in cluster.node("n1").status.conditions}
    assert (found["Ready"].status, found["Ready"].reason) == ("Unknown", "NodeStatusUnknown")
    assert found["Ready"].message == "Kubelet stopped posting node status."
    assert found["MemoryPressure"].status == "Unknown"
    assert found["PIDPressure"].reason == "NodeStatusNeverUpdated"
    assert cluster.node("n2").is_ready


@pytest.mark.parametrize("died", [100, 103.5, 107, 109.9])
def test_it_takes_forty_to_fifty_five_seconds(died: float) -> None:
    """Whenever the kubelet dies between two renewals."""
    cluster = Cluster("n1", "n2")
    cluster.at(died)
    cluster.fail("n1")
    cluster.at(died + 40)
    assert cluster.node("n1").is_ready
    cluster.at(died + 55)
    assert not cluster.node("n1").is_ready


def test_its_pods_are_not_ready_in_the_same_turn() -> None:
    """That takes them out of their Services; their containers are not touched."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(pod("a", "n1"))
    cluster.store.put(pod("b", "n2"))
    cluster.at(100)
    cluster.fail("n1")
    cluster.at(150)
    assert not cluster.store.get(Pod, "a", "default").is_ready
    assert cluster.store.get(Pod, "b", "default").is_ready
    assert cluster.store.get(Pod, "a", "default").status.phase == "Running"
    told = {(each.involved_object.kind, each.reason, each.message) for each in cluster.store.list(Event)}
    assert told == {
        ("Node", "NodeNotReady", "Node n1 status is now: NodeNotReady"),
        ("Pod", "NodeNotReady", "Node is not ready"),
    }


def test_taints_follow_within_a_second() -> None:
    """First the one that keeps pods off, then the one that drives them away."""
    cluster = Cluster("n1", "n2")
    cluster.at(100)
    cluster.fail("n1")
    cluster.at(150)
    assert cluster.taints("n1") == [("unreachable", "NoSchedule")]
    cluster.at(151)
    assert cluster.taints("n1") == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]


def test_pods_are_deleted_after_what_they_tolerate() -> None:
    """300 s for most; a pod that tolerates all stays for ever; one that tolerates nothing goes at once."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(pod("usual", "n1"))
    cluster.store.put(pod("daemon", "n1", (Toleration(operator="Exists"),)))
    cluster.store.put(pod("touchy", "n1", ()))
    cluster.at(100)
    cluster.fail("n1")
    cluster.at(152)
    assert cluster.store.get(Pod, "touchy", "default").metadata.is_terminating
    assert not cluster.store.get(Pod, "usual", "default").metadata.is_terminating
    cluster.at(450)
    assert not cluster.store.get(Pod, "usual", "default").metadata.is_terminating
    cluster.at(451)
    found = cluster.store.get(Pod, "usual", "default")
    assert found.metadata.is_terminating
    target = next(each for each in found.status.conditions if each.type == "DisruptionTarget")
    assert target.reason == "DeletionByTaintManager"
    words = [each.message for each in cluster.store.list(Event) if each.reason == "TaintManagerEviction"]
    assert "Marking for deletion Pod default/usual" in words
    assert not cluster.store.get(Pod, "daemon", "default").metadata.is_terminating


def test_a_node_that_returns_loses_its_taints() -> None:
    """And its pods stay, if they were not deleted yet."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(pod("a", "n1"))
    cluster.at(100)
    cluster.fail("n1")
    cluster.at(200)
    cluster.recover("n1")
    cluster.at(206)
    assert cluster.taints("n1") == []
    cluster.at(600)
    assert not cluster.store.get(Pod, "a", "default").metadata.is_terminating
    assert cluster.node("n1").is_ready
    assert cluster.loop.next_instant is None, "all is well: nobody looks any more"


def test_a_node_that_says_it_is_not_ready_is_tainted_so() -> None:
    """Its kubelet lives: no network, say. Then the taint turns when it falls silent."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(node("n1", ready=False))
    cluster.at(6)
    assert cluster.taints("n1") == [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]
    cluster.fail("n1")
    cluster.at(70)
    assert sorted(cluster.taints("n1")) == [("unreachable", "NoExecute"), ("unreachable", "NoSchedule")]


def test_a_second_node_of_a_zone_is_tainted_ten_seconds_later() -> None:
    """A tenth of a node a second, the first at once."""
    cluster = Cluster("n1", "n2", "n3", "n4", "n5")
    cluster.at(100)
    cluster.fail("n1", "n2")
    cluster.at(151)
    assert cluster.executed() == ["n1"]
    cluster.at(159)
    assert cluster.executed() == ["n1"]
    cluster.at(161)
    assert cluster.executed() == ["n1", "n2"]


def test_zones_are_tainted_apart() -> None:
    """Each has its own rate."""
    cluster = Cluster("a1", "a2", "b1", "b2", zones=("a", "a", "b", "b"))
    cluster.at(100)
    cluster.fail("a1", "b1")
    cluster.at(151)
    assert cluster.executed() == ["a1", "b1"]


def test_a_small_zone_that_is_mostly_ill_is_left_alone() -> None:
    """Three of five: rather the network than the nodes."""
    cluster = Cluster("n1", "n2", "n3", "n4", "n5")
    cluster.at(100)
    cluster.fail("n1", "n2", "n3")
    cluster.at(400)
    assert cluster.executed() == []
    assert cluster.taints("n1") == [("unreachable", "NoSchedule")]


def test_when_all_nodes_are_ill_the_fault_is_the_control_planes() -> None:
    """No taint drives pods away, and those there were are taken back; later everyone gets time again."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(pod("a", "n1"))
    cluster.at(100)
    cluster.fail("n1")
    cluster.at(155)
    assert cluster.executed() == ["n1"]
    cluster.fail("n2")
    cluster.at(220)
    assert cluster.executed() == []
    assert not cluster.node("n2").is_ready
    cluster.at(600)
    assert not cluster.store.get(Pod, "a", "default").metadata.is_terminating
    cluster.recover("n2")
    cluster.at(606)
    assert cluster.executed() == ["n1"]


def test_one_lease_out_of_turn_wins_time() -> None:
    """A kubelet that is heard of once more is not silent yet."""
    cluster = Cluster("n1", "n2")
    cluster.at(100)
    cluster.fail("n1")
    cluster.at(130)
    cluster.lifecycle.renew("n1")
    cluster.at(175)
    assert cluster.node("n1").is_ready
    cluster.at(185)
    assert not cluster.node("n1").is_ready


def test_a_quiet_cluster_needs_no_events() -> None:
    """Leases are not renewed one by one."""
    cluster = Cluster("n1", "n2")
    cluster.at(10_000)
    before = cluster.loop.events_run
    cluster.at(1_000_000)
    assert cluster.loop.events_run == before


def test_cordoning_is_a_taint_too() -> None:
    """It appears and goes with `unschedulable`."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(attrs.evolve(cluster.node("n1"), spec=NodeSpec(unschedulable=True)))
    cluster.loop.run_until_idle()
    assert cluster.taints("n1") == [("unschedulable", "NoSchedule")]
    found = cluster.node("n1")
    cluster.store.put(attrs.evolve(found, spec=attrs.evolve(found.spec, unschedulable=False)))
    cluster.loop.run_until_idle()
    assert cluster.taints("n1") == []


# --- what is left behind ---


def test_pods_of_a_deleted_node_are_collected_after_the_quarantine() -> None:
    """Forty to sixty seconds later, for good."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(pod("a", "n1"))
    cluster.at(105)
    cluster.store.delete(Node, "n1")
    cluster.at(144)
    assert cluster.store.find(Pod, "a", "default") is not None
    cluster.at(165)
    assert cluster.store.find(Pod, "a", "default") is None


def test_a_node_that_comes_back_in_time_keeps_its_pods() -> None:
    """The quarantine is for that."""
    cluster = Cluster("n1", "n2")
    cluster.store.put(pod("a", "n1"))
    cluster.at(105)
    cluster.store.delete(Node, "n1")
    cluster.at(130)
    cluster.store.put(node("n1"))
    cluster.at(400)
    assert cluster.store.find(Pod, "a", "default") is not None


def test_out_of_service_ends_what_waits_for_the_kubelet() -> None:
    """The taint says that nobody will answer any more."""
    cluster = Cluster("n1", "n2")
    found = pod("a", "n1")
    cluster.store.put(
        attrs.evolve(found, metadata=attrs.evolve(found.metadata, deletion_timestamp="1970-01-01T00:00:30Z"))
    )
    cluster.at(100)
    cluster.fail("n1")
    cluster.at(200)
    assert cluster.store.find(Pod, "a", "default") is not None
    there = cluster.node("n1")
    taint = Taint("node.kubernetes.io/out-of-service", "NoExecute", "nodeshutdown")
    cluster.store.put(attrs.evolve(there, spec=attrs.evolve(there.spec, taints=(*there.spec.taints, taint))))
    cluster.at(221)
    assert cluster.store.find(Pod, "a", "default") is None


# --- the parts ---


def taint(key: str, effect: str = "NoExecute") -> Taint:
    """Return a taint."""
    return Taint(key, effect)


def toleration(key: str, seconds: int | None = None) -> Toleration:
    """Return a toleration of a taint with any value."""
    return Toleration(key, "Exists", toleration_seconds=seconds)


@pytest.mark.parametrize(
    ("taints", "tolerations", "expected"),
    [
        ((taint("a"),), (), 0),
        ((taint("a"),), (toleration("a"),), None),
        ((taint("a"),), (toleration("a", 30),), 30 * SECOND),
        ((taint("a"), taint("b")), (toleration("a", 30), toleration("b", 10)), 10 * SECOND),
        ((taint("a"), taint("b")), (toleration("a", 30), toleration("b")), 30 * SECOND),
        ((taint("a"), taint("b")), (toleration("a", 30),), 0),
        ((taint("a"),), (toleration("a", -5),), 0),
        ((taint("a", "NoSchedule"),), (), None),
    ],
)
def test_how_long_a_pod_may_stay(
    taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...], expected: int | None
) -> None:
    """Every taint has to be tolerated, and the shortest time counts."""
    assert patience(taints, tolerations) == expected


@pytest.mark.parametrize(
    ("ready", "ill", "state"),
    [
        (3, 0, State.NORMAL),
        (1, 2, State.NORMAL),
        (0, 1, State.FULL),
        (0, 4, State.FULL),
        (2, 3, State.PARTIAL),
        (3, 3, State.NORMAL),
        (9, 11, State.PARTIAL),
    ],
)
def test_state_of_a_zone(ready: int, ill: int, state: State) -> None:
    """Partial from three nodes and 55 % on."""
    members = [node(f"r{n}") for n in range(ready)] + [node(f"i{n}", ready=False) for n in range(ill)]
    assert state_of(members) is state


@pytest.mark.parametrize(
    ("state", "count", "seconds"),
    [(State.NORMAL, 5, 10), (State.FULL, 5, 10), (State.PARTIAL, 50, None), (State.PARTIAL, 51, 100)],
)
def test_rate_of_a_zone(state: State, count: int, seconds: int | None) -> None:
    """A large zone goes on slowly, a small one not at all."""
    assert interval_of(state, count) == (None if seconds is None else seconds * SECOND)


def test_a_node_without_conditions_has_no_status() -> None:
    """It is nobody's business yet."""
    assert ready_status(Node(Meta("n"))) == ""
