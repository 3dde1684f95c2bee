# SPDX-License-Identifier: GPL-2.0-only
"""Exploring chance: exact, complete, and without a trace; one data path for all who ask.

Each property is also held against a planted fault that it has to find.
"""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest import mock

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emu import lab
from emu.cluster.cluster import Cluster
from emu.fabric import program
from emu.fabric.held import Held
from emu.fabric.memento import Memento
from emu.kernel.netfilter import nat
from emu.kernel.sockets import SocketKind
from emu.kube.api.objects import Pod, Service
from emu.sim.choice import DrawnChoice, ScriptedChoice
from emu.sim.time import SECOND, later
from emu.testing.cluster_strategies import plans
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.cluster_endpoint import find_source, find_target
from emu.verify.matrix.matrix import ask as ask_matrix
from emu.verify.matrix.plan import make_plan
from emu.verify.probing.ask import ask_all
from emu.verify.probing.probe import Probe
from emu.verify.verdict import Verdict, Word
from tests.properties.held import holding

if TYPE_CHECKING:
    from emu.fabric.program import Program
    from emu.kernel.netfilter.nat_range import NatRange
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.verdict import Verdict as Decision
    from emu.testing.plans import Plan

TOPOLOGIES: Final = Path(__file__).parents[2] / "topologies"
SOME: Final = settings(max_examples=max(settings().max_examples // 8, 5))
RUNS: Final = 10_000
CHI_SQUARE_OF_ONE: Final = 10.83
"""What a chi-square with one degree of freedom exceeds once in a thousand."""


def built(plan: Plan, *, seed: int | None = None) -> Cluster:
    """Return the cluster of a plan."""
    return Cluster(plan.topology, seed=seed)


def questions(cluster: Cluster) -> list[tuple[str, str]]:
    """Return a few questions about a cluster: pod to pod, pod to Service, pod to nobody."""
    running = [each for each in cluster.store.list(Pod) if each.status.phase == "Running"]
    pods = [f"pod/{each.metadata.namespace}/{each.metadata.name}" for each in running[:3]]
    asked = [(pods[0], f"{pods[-1]}:8080"), (pods[0], f"{pods[-1]}/icmp"), (pods[-1], "192.0.2.200:9")]
    for service in cluster.store.list(Service)[:3]:
        if service.spec.ports and not service.is_headless and service.spec.cluster_ip:
            port = service.spec.ports[0]
            name = f"svc/{service.metadata.namespace}/{service.metadata.name}"
            asked.append((pods[0], f"{name}:{port.port}/{port.protocol.lower()}"))
    return asked


def sense(verdict: Verdict) -> object:
    """Return what a verdict says, without what is drawn at random and means nothing (ports)."""
    outcomes = []
    for each in verdict.outcomes:
        arrival = (
            None if each.arrival is None else (each.arrival.net, each.arrival.address, each.arrival.port)
        )
        code = None if each.cause is None else each.cause.code
        outcomes.append((each.probability, each.result, code, arrival, each.dnat, each.masquerade))
    return verdict.word, verdict.delivered, outcomes, verdict.unknown


# --- exact ---


def share_total(plan: Plan) -> None:
    """Assert that the outcomes of each question add up to 1."""
    cluster = built(plan)
    with holding() as found:
        asker = Asker(cluster, is_brief=True)
        for source, target in questions(cluster):
            verdict = asker.judge(source, target)
            total = sum((each.probability for each in verdict.outcomes), Fraction(0))
            found.expect("odds", f"{source} -> {target}: {total}", holds=total == 1)


@SOME
@given(plans(most_services=3))
def test_the_odds_of_all_outcomes_add_up_to_one(plan: Plan) -> None:
    """Merged branches included: nothing is counted twice or forgotten."""
    share_total(plan)


def test_a_branch_that_is_forgotten_is_found() -> None:
    """Planted: chance always takes its first alternative."""

    def first_only(self: ScriptedChoice, question: str, odds: object, names: object = ()) -> int:
        kept = list(self.untaken)
        index = original(self, question, odds, names)  # type: ignore[arg-type]  # whatever it was given
        self.untaken[:] = kept
        return index

    original = ScriptedChoice.pick
    cluster = emu_cluster("tiers.yaml")
    with mock.patch.object(ScriptedChoice, "pick", first_only):
        verdict = Asker(cluster).judge("front-end", "svc/back-end:8080")
    assert sum(each.probability for each in verdict.outcomes) == Fraction(1, 2)


def emu_cluster(name: str, *, seed: int | None = None) -> Cluster:
    """Return a cluster of the folder `topologies`."""
    found = lab.load(str(TOPOLOGIES / name), seed=seed)
    assert isinstance(found, Cluster)
    return found


def drawn(cluster: Cluster, source: str, target: str, runs: int) -> Counter[str]:
    """Return at which pod a connection's first packet came in so many runs, each with chance of its own."""
    servers = [
        each for each in cluster.store.each(Pod) if each.status.pod_ip and each.metadata.name != source
    ]
    for server in servers:  # so that everybody's neighbours are known
        cluster.pod(source).execute(["ping", "-c", "1", server.status.pod_ip])
    held, stream = Held(cluster.fabric), random.Random(7)
    asker = find_source(cluster, source)
    asked = find_target(cluster, target, asker)
    fabric = cluster.fabric
    names = [f"{each.metadata.namespace}/{each.metadata.name}" for each in servers]
    seen = {name: fabric.namespace(name).devices["eth0"].counters for name in names}
    before = {name: counters.rx_packets for name, counters in seen.items()}

    def reached() -> list[str]:
        return [name for name, counters in seen.items() if counters.rx_packets > before[name]]

    def connect() -> Program[None]:
        socket = yield from program.socket(SocketKind.TCP)
        yield from program.connect(socket, asked.address, asked.port)

    arrived: Counter[str] = Counter()
    for _ in range(runs):
        with held.trial(DrawnChoice(stream), is_unseen=True):
            fabric.spawn(fabric.namespace(asker.namespace), connect())
            cluster.run_until(lambda: bool(reached()), later(fabric.loop.now, SECOND))
            arrived.update(reached())
    return arrived


def test_exploration_agrees_with_ten_thousand_runs() -> None:
    """Chi-square over the backends of a Service: what is drawn has the odds that exploration says."""
    cluster = emu_cluster("tiers.yaml")
    verdict = Asker(cluster).judge("front-end", "svc/back-end:8080")
    odds = {each.arrival.pod: each.probability for each in verdict.outcomes if each.arrival is not None}
    seen = drawn(cluster, "front-end", "svc/back-end:8080", RUNS)
    assert sum(seen.values()) == RUNS
    distance = sum((seen[str(pod)] - share * RUNS) ** 2 / (share * RUNS) for pod, share in odds.items())
    assert len(odds) == 2
    assert distance < CHI_SQUARE_OF_ONE


# --- without a trace ---


def leaves_no_trace(plan: Plan) -> None:
    """Assert that nothing in a cluster has changed after questions; to look costs more than to ask."""
    cluster = built(plan)
    before = whole_state(cluster.fabric)
    asked = questions(cluster)
    with holding() as found:
        asker = Asker(cluster)
        for source, target in asked:
            asker.judge(source, target)
        after = whole_state(cluster.fabric)
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        found.expect("untouched", f"{asked}: {changed[:5]}", holds=not changed)


@SOME
@given(plans(most_services=2))
def test_exploring_changes_nothing(plan: Plan) -> None:
    """Every value behind the fabric: tables, counters, clocks, random numbers, programs."""
    leaves_no_trace(plan)


def test_a_table_that_is_not_restored_is_found() -> None:
    """Planted: mementos forget mappings."""
    original = Memento._keep

    def forgetful(self: Memento, found: object) -> None:
        if not isinstance(found, dict):
            original(self, found)

    cluster = emu_cluster("tiers.yaml")
    before = whole_state(cluster.fabric)
    with mock.patch.object(Memento, "_keep", forgetful):
        Asker(cluster).judge("front-end", "worker:9999/udp")
    assert whole_state(cluster.fabric) != before


# --- whatever the seed, the order, the names ---


@SOME
@given(plans(most_services=3), st.integers(1, 1000))
def test_a_verdict_knows_no_seed(plan: Plan, seed: int) -> None:
    """What is drawn elsewhere (ports, sequence numbers, MAC addresses of nothing) decides no fate."""
    one, other = built(plan), built(plan)
    other.fabric.streams.seed = seed  # what is drawn from now on; names and addresses are as they were
    for net in other.fabric.namespaces.values():
        net.random.seed(seed)
    with holding() as found:
        for source, target in questions(one):
            verdicts = [Asker(each, is_brief=True).judge(source, target) for each in (one, other)]
            found.expect("seed", f"{source} -> {target}", holds=sense(verdicts[0]) == sense(verdicts[1]))


@SOME
@given(plans(most_services=2))
def test_a_brief_question_has_the_same_answer(plan: Plan) -> None:
    """Whoever stops listening as soon as the outcome is clear misses nothing that matters."""
    cluster = built(plan)
    with holding() as found:
        for source, target in questions(cluster):
            whole, brief = (Asker(cluster, is_brief=short).judge(source, target) for short in (False, True))
            found.expect("brevity", f"{source} -> {target}", holds=sense(whole) == sense(brief))


# --- one data path ---


@attrs.frozen
class Said:
    """What each of those who ask says of one flow."""

    trace: Word
    probe: str
    matrix: Word
    captured: bool


SHOP: Final = """
{apiVersion: emu/v1, kind: Cluster, spec: {nodes: [{name: n1}, {name: n2}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {containers: [{name: c, image: busybox}]}}
"""


def asked_everywhere(folder: Path) -> Said:
    """Ask for the same Service by every verb, and look whether a frame went to the servers' port."""
    document = folder / "shop.yaml"
    document.write_text(SHOP, encoding="utf-8")
    cluster = lab.load(str(document))
    assert isinstance(cluster, Cluster)
    verdict = Asker(cluster).judge("client", "svc/web:80")
    [probed] = ask_all(cluster, [Probe("1", "client", "svc/web", 80)])
    plan = make_plan(cluster, ports=["80"], sources=["default/client"], targets=["svc/default/web"])
    [cell] = ask_matrix(cluster, plan).cells
    address = cluster.store.get(Service, "web", "default").spec.cluster_ip
    with cluster.capture("any", condition="tcp dst port 8080 and tcp[tcpflags] & tcp-syn != 0") as seen:
        cluster.pod("client").execute(["curl", "-s", "-m", "2", f"http://{address}"])
    return Said(verdict.word, probed.word.value, cell.word, bool(seen.frames))


def test_all_verbs_see_what_the_kernel_does(tmp_path: Path) -> None:
    """Trace, probe, matrix and the capture say the same."""
    assert asked_everywhere(tmp_path) == Said(Word.ALWAYS, "ALWAYS", Word.ALWAYS, captured=True)


def test_a_fault_in_one_function_of_the_kernel_shows_everywhere(tmp_path: Path) -> None:
    """Planted: a translation of the destination that forgets the port."""
    original = nat.setup

    def forgetful(packet: Packet, range_: NatRange, manip: nat.Manip) -> Decision:
        if manip is nat.Manip.DST:
            range_ = attrs.evolve(range_, min_port=None, max_port=None)
        return original(packet, range_, manip)

    with mock.patch.object(nat, "setup", forgetful):
        said = asked_everywhere(tmp_path)
    assert said == Said(Word.NEVER, "NEVER", Word.NEVER, captured=False)


TWICE: Final = {
    "tables": (
        ("iptables -t mangle -A FORWARD {half} DROP", "iptables -A FORWARD {half} DROP"),
        Fraction(1, 4),
    ),
    "rules": (
        (
            "iptables -N LET",
            "iptables -A LET -j ACCEPT",
            "iptables -A FORWARD {half} LET",
            "iptables -A FORWARD {half} LET",
            "iptables -A FORWARD -p icmp --icmp-type echo-request -j DROP",
        ),
        Fraction(3, 4),
    ),
}


@pytest.mark.parametrize("name", TWICE)
def test_two_rules_that_ask_the_same_are_asked_twice(name: str) -> None:
    """A packet that is sent again meets what it met; another rule is another matter."""
    commands, expected = TWICE[name]
    network = lab.load(str(TOPOLOGIES / "two-nodes-by-vxlan.yaml"))
    half = "-p icmp --icmp-type echo-request -m statistic --mode random --probability 0.5 -j"
    for command in commands:
        network.namespace("node1").run(command.format(half=half))
    assert Asker(network).judge("pod1", "pod2").delivered == expected


REMEMBERING: Final = {
    "recent": (
        "iptables -A FORWARD -p tcp --syn -m recent --name seen --rcheck -j ACCEPT",
        "iptables -A FORWARD -p tcp --syn -m recent --name seen --set -j DROP",
    ),
    "sets": (
        "ipset create seen hash:ip",
        "iptables -A FORWARD -p tcp --syn -m set --match-set seen src -j ACCEPT",
        "iptables -A FORWARD -p tcp --syn -j SET --add-set seen src",
        "iptables -A FORWARD -p tcp --syn -j DROP",
    ),
}


@pytest.mark.parametrize("name", REMEMBERING)
def test_rules_that_remember_are_asked_again_in_brief_too(name: str) -> None:
    """A SYN that they drop once they let pass the second time: who did not wait would say NEVER."""
    network = lab.load(str(TOPOLOGIES / "service-by-iptables.yaml"))
    for command in REMEMBERING[name]:
        network.namespace("node1").run(command.replace("-A FORWARD", "-A FORWARD -i cni0"))
    words = [Asker(network, is_brief=brief).judge("client", "10.96.0.20:80").word for brief in (False, True)]
    assert words == [Word.ALWAYS, Word.ALWAYS]
