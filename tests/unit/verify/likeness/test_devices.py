# SPDX-License-Identifier: GPL-2.0-only
"""Rules that ask for devices and marks, and nodes with tunnels of IPIP: whom they tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

import emu
from emu.cluster.cluster import Cluster
from emu.verify.likeness.classes import classes

if TYPE_CHECKING:
    from pathlib import Path

    from emu.verify.likeness.likeness import Likeness

TEXT: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: alike}
spec:
  network: {provider: calico, calico: {%s}}
  nodes: [{name: one, role: control-plane, taints: []}, {name: two}]
"""
POD: Final = """---
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: web}, annotations: {emu/serve: tcp/8080}}
spec: {nodeName: %s, containers: [{name: c, image: nginx}]}
"""
PODS: Final = {"a1": "one", "b1": "one", "c1": "one", "a2": "two", "b2": "two"}


@pytest.fixture(params=["ipipMode: Always", "vxlanMode: Always"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Cluster:
    """Return three pods on one node and two on another, all of one sort."""
    file = tmp_path / "cluster.yaml"
    file.write_text(TEXT % request.param + "".join(POD % pair for pair in PODS.items()))
    found = emu.load(str(file))
    assert isinstance(found, Cluster)
    return found


def likeness(cluster: Cluster) -> Likeness:
    """Return which questions between the pods end alike."""
    return classes(cluster, [f"default/{name}" for name in PODS], "tcp", [8080])


def device(cluster: Cluster, pod: str) -> str:
    """Return a pod's device on its node."""
    end = cluster.fabric.far_end(cluster.pod(pod).net, "eth0")
    assert end is not None
    return end[1]


def are_alike(found: Likeness, one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Return whether two questions share an answer."""
    keys = [found.key(f"default/{source}", f"default/{target}") for source, target in (one, other)]
    return keys[0] == keys[1]


def test_pods_of_calico_are_alike(cluster: Cluster) -> None:
    """Nothing is doubted; pods of a node share answers, and so do ways between nodes."""
    found = likeness(cluster)
    assert found.refusals == ()
    assert are_alike(found, ("a1", "b1"), ("b1", "c1"))
    assert are_alike(found, ("a1", "a2"), ("b1", "b2"))
    assert not are_alike(found, ("a1", "b1"), ("a1", "a2"))


@pytest.mark.parametrize("way", ["-i", "-o"])
def test_a_rule_for_a_pods_device_tells_that_pod_apart(cluster: Cluster, way: str) -> None:
    """Who comes by it, or is behind it, is no longer like the others; these still are like each other."""
    cluster.node("one").run(f"iptables -I FORWARD {way} {device(cluster, 'a1')} -j DROP")
    found = likeness(cluster)
    assert found.refusals == ()
    odd, plain = (("a1", "b1"), ("c1", "b1")) if way == "-i" else (("b1", "a1"), ("b1", "c1"))
    assert not are_alike(found, odd, plain)
    assert are_alike(found, ("b1", "c1"), ("c1", "b1"))


def test_a_rule_for_a_mark_that_calico_sets_tells_nodes_apart(cluster: Cluster) -> None:
    """What comes by a pod's device is marked in table raw, so such a rule changes the ways of a node."""
    cluster.node("one").run("iptables -I FORWARD -m mark --mark 0x80000/0x80000 -j DROP")
    found = likeness(cluster)
    assert not are_alike(found, ("a1", "b1"), ("a2", "b2"))
    assert not are_alike(found, ("a1", "a2"), ("a2", "a1"))


def test_a_rule_for_a_mark_that_nobody_sets_changes_nothing(cluster: Cluster) -> None:
    """Bits that no rule on the way sets are 0: who asks for them is not met."""
    cluster.node("one").run("iptables -I FORWARD -m mark --mark 0x100/0x100 -j DROP")
    assert are_alike(likeness(cluster), ("a1", "b1"), ("a2", "b2"))
