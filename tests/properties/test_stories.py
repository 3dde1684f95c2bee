# SPDX-License-Identifier: GPL-2.0-only
"""Random scenarios: two plays of one seed are the same to the byte; and planted faults are found."""

from __future__ import annotations

import json
import random
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cluster.source import ClusterSource, source_of
from emu.cluster.timeline.report import report
from emu.cluster.topology.spec import ClusterSpec, NodeSpec
from emu.document import scan
from emu.kernel import ipv4
from emu.kube.proxy.node import Proxy
from emu.sim.rng import Streams
from emu.sim.time import SECOND
from emu.testing.invariants import check_nothing_lost
from emu.testing.stories import lost_without_reason
from tests.properties.test_failures_stateful import Failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.cluster import Cluster
    from emu.kernel.namespace import Namespace

HEAD: Final = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: one}, {name: two}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {emu/shutdown: drain 2s}}
    spec:
      containers:
      - {name: web, image: nginx, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: h, port: 80}, {name: u, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: one, containers: [{name: c, image: debian, command: [sleep, infinity]}]}
---
apiVersion: emu/v1
kind: Scenario
spec:
  until: 30s
  races: [{name: conntrack-insert, share: 20%, kernel: "5.4"}]
  traffic:
  - {name: fresh, from: client, to: "svc/web:h", every: 1s}
  - {name: kept, from: client, to: "web.default:80", every: 1s, keepAlive: true}
  - {name: old, from: client, to: "svc/web:u/udp", sourcePort: 5353, every: 1s}
  steps:
"""
REST: Final = 60 * SECOND
LINES: Final = (
    "scale deploy/web --replicas=4",
    "scale deploy/web --replicas=0",
    "rollout restart deploy/web",
    "fail two",
    "fail two --power",
    "recover two",
    "reboot two --for=5s",
    "link two down",
    "link two up",
    "link two loss=20% delay=3ms",
    "cordon one",
    "drain two --ignore-daemonsets --force",
    "uncordon two",
    "delete pod -l app=web",
    "stop one kube-proxy",
    "start one kube-proxy",
    "taint node two a=b:NoExecute --overwrite",
)


def stories() -> st.SearchStrategy[list[tuple[int, str]]]:
    """Draw steps with their seconds; shrink to none."""
    return st.lists(st.tuples(st.integers(2, 28), st.sampled_from(LINES)), max_size=5)


def played(steps: Sequence[tuple[int, str]], seed: int) -> Cluster:
    """Return a cluster after a scenario."""
    lines = [json.dumps({"at": f"{at}s", "run": line}) for at, line in steps]
    text = HEAD + "".join(f"  - {line}\n" for line in lines) if lines else HEAD.removesuffix("  steps:\n")
    source = source_of(scan(text.encode(), "story.yaml"), "story.yaml")
    assert isinstance(source, ClusterSource)
    return source.start(seed=seed)


def play(steps: Sequence[tuple[int, str]], seed: int) -> str:
    """Return the whole report of a scenario, of which no packet was lost without a reason."""
    cluster = played(steps, seed)
    assert cluster.story is not None
    told = json.dumps(report(cluster.story, name="story", seed=seed))
    assert lost_without_reason(cluster, cluster.story.packets) == []
    return told


@settings(max_examples=max(settings().max_examples // 25, 3))
@given(steps=stories(), seed=st.integers(0, 3))
def test_a_story_is_the_same_each_time(steps: list[tuple[int, str]], seed: int) -> None:
    """Every instant, event, packet count and window; and no packet is lost without a reason."""
    assert play(steps, seed) == play(steps, seed)


def test_chance_that_no_seed_decides_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that goes on from run to run makes two plays differ."""
    planted = random.Random(1)
    monkeypatch.setattr(Streams, "stream", lambda _self, _name: planted)
    assert play([(5, LINES[0])], 0) != play([(5, LINES[0])], 0)


def machine(replicas: int) -> Failures:
    """Return a machine that has begun, on three nodes."""
    made = Failures()
    made.begin(ClusterSpec(nodes=tuple(NodeSpec(name) for name in ("a", "b", "c"))), replicas)
    return made


def eventful() -> Failures:
    """Return a machine after a story in which much fails, and what became of each frame in it."""
    found = machine(2)
    found.fail(0, "network", 10)
    found.recover()
    found.fail(1, "power", 10)
    found.recover()
    found.spoil_link(0, "loss=30%")
    found.restart()
    found.calm()
    found.client.stop()
    found.wait(REST)
    check_nothing_lost(found.found, found.lab, found.lab.steps)
    return found


def test_every_frame_of_a_story_goes_on_or_ends_for_a_reason() -> None:
    """Of everybody: each that leaves arrives, each that arrives is taken, sent on or dropped with a word."""
    found = eventful().found
    assert found.checked["nothing lost"] > 10_000
    assert found.faults == []


def test_a_frame_that_is_lost_in_a_story_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a node's IP forgets a packet in a hundred, whoever sent it."""
    genuine, turn = ipv4.receive, count(1)

    def forgetful(net: Namespace, *args: Any) -> None:  # noqa: ANN401 - whatever the function takes
        if not net.name.startswith("node/") or next(turn) % 100:
            genuine(net, *args)

    monkeypatch.setattr(ipv4, "receive", forgetful)
    assert any(fault.startswith("nothing lost: ") for fault in eventful().found.faults)


def test_a_connection_that_changes_its_pod_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kube-proxy that forgets all connections whenever it writes: what stands is translated anew."""
    write = Proxy.sync

    def forgetful(self: Proxy) -> None:
        write(self)
        self.net.netfilter.conntrack.flush(self.net.now)

    monkeypatch.setattr(Proxy, "sync", forgetful)
    found = machine(3)
    for replicas in (4, 3, 4, 3):
        found.scale(replicas)
    with pytest.raises(AssertionError, match="a connection stays with its pod"):
        found.teardown()


def test_a_node_that_does_not_come_back_whole_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its kube-proxy is not started again, and its rules are those of before."""
    found = machine(2)
    monkeypatch.setattr(type(found.lab.control_plane), "start_proxy", lambda _self, _machine: None)
    for number, _ in enumerate(found.nodes()):
        found.fail(number, "network", 2)
    found.restart()
    found.scale(4)
    with pytest.raises(AssertionError):
        found.teardown()
