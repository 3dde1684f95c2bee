# SPDX-License-Identifier: GPL-2.0-only
"""A cluster in which things fail: nodes, cables, components, probes, while workloads and policies change.

Whatever was done, when it is undone and things are quiet, all that holds on any
cluster holds again: who reaches whom, untouched, in equal shares, and no packet
is lost without a reason. While it lasts a connection that stands leads to its
pod or nowhere, never to another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from emu.cluster.timeline.client import Client
from emu.cluster.timeline.packets import PacketWatch
from emu.cluster.timeline.traffic import Attempt, TrafficSpec
from emu.kube.api.objects import Deployment, NetworkPolicy, Node, Pod
from emu.kube.api.objects.service import ServicePort
from emu.sim.time import SECOND, later
from emu.testing.cluster_strategies import Traffic, topologies
from emu.testing.clusters import ClusterLab
from emu.testing.invariants import Findings, check_checksums, check_nothing_lost
from emu.testing.plans import HEALTH_PORT, Plan, pod, service, workload
from emu.testing.service_invariants import check_shares
from emu.testing.stories import lost_without_reason
from emu.testing.talk import talk, talk_to_services
from emu.verify.endpoint import Protocol
from tests.properties.held import HELD, MOST_TOLD

if TYPE_CHECKING:
    from emu.cluster.topology import ClusterSpec

PORT: Final = 8000
NUMBERS: Final = st.integers(0, 9)
HOWS: Final = ("network", "power", "kubelet")
QUIET: Final = 30 * SECOND
ORPHANED: Final = (
    400 * SECOND
)  # longer than a kernel repeats the FIN of a connection that nobody has any more
DENY: Final = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny", "namespace": "default"},
    "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "policyTypes": ["Ingress"]},
}


class Failures(RuleBasedStateMachine):
    """A cluster with a Deployment, its Service, and a client that keeps a connection."""

    def __init__(self) -> None:
        super().__init__()
        self.found = Findings()
        self.failed: set[str] = set()
        self.cut: set[str] = set()
        self.cordoned: set[str] = set()
        self.spoilt: set[str] = set()

    @initialize(cluster=topologies(most=3), replicas=st.integers(1, 3))
    def begin(self, cluster: ClusterSpec, replicas: int) -> None:
        """Build it."""
        nodes = tuple(attrs.evolve(each, taints=()) for each in cluster.nodes)
        web = workload(Deployment, "web", replicas=replicas, ports=(PORT,), gated=HEALTH_PORT)
        ports = (ServicePort(80, "t", "TCP", PORT),)
        plan = Plan(attrs.evolve(cluster, nodes=nodes), (pod("client"), web, service("s", "web", ports)))
        self.lab = ClusterLab(plan)
        self.home = self.lab.store.get(Pod, "client", "default").spec.node_name
        self.watch = PacketWatch(self.lab.recording)
        self.lab.fabric.tap(self.watch)
        spec = TrafficSpec("kept", "client", "svc/s:80", every=SECOND, timeout=SECOND, keeps=True)
        self.client = Client(self.lab, spec, self.watch)
        self.client.begin(None)

    def nodes(self) -> list[str]:
        """Return the nodes that may fail: all but the client's."""
        return [each.metadata.name for each in self.lab.store.list(Node) if each.metadata.name != self.home]

    def do(self, line: str, *, wait: int = 2) -> None:
        """Take a step, and let some time pass."""
        finished = self.lab.do(line, settle=False)
        assert finished.status == 0, (line, finished.stderr)
        self.wait(wait * SECOND)

    def wait(self, duration: int) -> None:
        """Let time pass."""
        self.lab.wait_until(later(self.lab.fabric.loop.now, duration))

    # --- what happens ---

    @rule(replicas=st.integers(0, 4))
    def scale(self, replicas: int) -> None:
        """Scale the Deployment."""
        self.do(f"scale deploy/web --replicas={replicas}")

    @rule()
    def restart(self) -> None:
        """Make all its pods anew."""
        self.do("rollout restart deploy/web")

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        """Delete a pod of it."""
        names = sorted(each.metadata.name for each in self.lab.store.list(Pod, "default"))
        names = [name for name in names if name != "client"]
        if names:
            self.do(f"delete pod/{names[number % len(names)]} --grace-period=1")

    @rule(number=NUMBERS, how=st.sampled_from(HOWS), seconds=st.sampled_from((2, 70, 400)))
    def fail(self, number: int, how: str, seconds: int) -> None:
        """Let a node fail, for a moment, until it is missed, or until its pods are evicted."""
        left = [name for name in self.nodes() if name not in self.failed | self.cut]
        if left:
            name = left[number % len(left)]
            self.failed.add(name)
            self.do(f"fail {name} --{how}", wait=seconds)

    @rule()
    def recover(self) -> None:
        """Let all nodes come back."""
        for name in sorted(self.failed):
            self.do(f"recover {name}")
        self.failed.clear()

    @rule(number=NUMBERS)
    def cut_link(self, number: int) -> None:
        """Cut a cable, or mend it."""
        names = [name for name in self.nodes() if name not in self.failed]
        if names:
            name = names[number % len(names)]
            self.do(f"link {name} {'up' if name in self.cut else 'down'}")
            self.cut ^= {name}

    @rule(number=NUMBERS, setting=st.sampled_from(("loss=30%", "delay=5ms", "duplicate=20%", "clear")))
    def spoil_link(self, number: int, setting: str) -> None:
        """Make a cable bad, or good again."""
        names = self.nodes()
        if names:
            name = names[number % len(names)]
            self.do(f"link {name} {setting}")
            self.spoilt.add(name)

    @rule(number=NUMBERS)
    def drain(self, number: int) -> None:
        """Drain a node, or let pods come to it again."""
        names = [name for name in self.nodes() if name not in self.failed | self.cut]
        if names:
            name = names[number % len(names)]
            forced = "--force --ignore-daemonsets --delete-emptydir-data"
            self.do(f"uncordon {name}" if name in self.cordoned else f"drain {name} {forced}")
            self.cordoned ^= {name}

    @rule()
    def flip_policy(self) -> None:
        """Deny all to the Deployment's pods, or no longer."""
        if self.lab.store.find(NetworkPolicy, "deny", "default") is None:
            self.lab.apply(DENY)
        else:
            self.do("delete networkpolicy/deny")

    @rule(number=NUMBERS)
    def relabel(self, number: int) -> None:
        """Take a pod out of the Service, and of its Deployment."""
        web = [
            each for each in self.lab.store.list(Pod, "default") if each.metadata.labels.get("app") == "web"
        ]
        if web:
            self.do(f"label pod/{web[number % len(web)].metadata.name} app=old --overwrite")

    @rule(number=NUMBERS)
    def stop_proxy(self, number: int) -> None:
        """Have a kube-proxy begin anew."""
        names = [name for name in self.nodes() if name not in self.failed]
        if names:
            name = names[number % len(names)]
            self.do(f"stop {name} kube-proxy", wait=1)
            self.do(f"start {name} kube-proxy")

    # --- what holds ---

    def calm(self) -> None:
        """Undo what has failed, and wait until everything is quiet."""
        self.recover()
        for name in sorted(self.cut):
            self.do(f"link {name} up", wait=0)
        for name in sorted(self.spoilt):
            self.do(f"link {name} clear", wait=0)
        for name in sorted(self.cordoned):
            self.do(f"uncordon {name}", wait=0)
        if self.lab.store.find(NetworkPolicy, "deny", "default") is not None:
            self.do("delete networkpolicy/deny", wait=0)
        self.cut.clear()
        self.cordoned.clear()
        self.wait(QUIET)
        self.lab.settle_down()

    def teardown(self) -> None:
        """Check that all is as if nothing had been, and what the connection has seen."""
        if not hasattr(self, "lab"):
            return
        self.calm()
        self.client.stop()
        self.wait(ORPHANED)
        lost = lost_without_reason(self.lab, self.watch)
        self.found.expect("packets are conserved", str(lost), holds=not lost)
        for fault in strays(self.client.attempts):
            self.found.expect("a connection stays with its pod", fault, holds=False)
        self.found.expect("a connection stays with its pod", "", holds=True)
        unwell = [each.metadata.name for each in self.lab.store.list(Pod) if not each.is_ready]
        self.found.expect("all pods are ready again", str(unwell), holds=not unwell)
        pods = [number for number, each in enumerate(self.lab.parties) if each.role == "pod"]
        ways = [(pods[0], pods[-1]), (pods[-1], pods[0]), (len(self.lab.pods), pods[-1])]
        questions = [Traffic(one, other, Protocol.TCP, 40) for one, other in ways]
        first = len(self.lab.steps)
        talk(self.found, self.lab, questions)
        talk_to_services(self.found, self.lab, questions[:1])
        check_shares(self.found, self.lab)
        self.wait(SECOND)
        check_checksums(self.found, self.lab.steps)
        check_nothing_lost(self.found, self.lab, self.lab.steps[first:])
        assert not self.found.faults, "\n".join(self.found.faults[:MOST_TOLD])
        HELD.clusters += 1
        HELD.checked += self.found.checked


def strays(attempts: list[Attempt]) -> list[str]:
    """Return the connections whose packets ended in several pods."""
    ends: dict[int, set[str]] = {}
    for each in attempts:
        if each.server.startswith("default/"):
            ends.setdefault(each.connection, set()).add(each.server)
    return [f"connection {number}: {sorted(pods)}" for number, pods in ends.items() if len(pods) > 1]


Failures.TestCase.settings = settings(
    max_examples=max(settings().max_examples // 20, 3), stateful_step_count=8
)


class TestFailures(Failures.TestCase):  # type: ignore[misc,valid-type]  # made when the machine is defined
    """After any failures and changes, undone, a network is as Kubernetes promises."""
