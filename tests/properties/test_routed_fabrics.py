# SPDX-License-Identifier: GPL-2.0-only
"""Clusters in racks, on cables that take their time: the model of a network holds there, too.

Nodes of every cluster that other properties draw may stand in racks as well; here
all of them do, and what would break the model is planted and found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from emu.cluster.cluster import Cluster
from emu.cluster.topology import ClusterSpec, NetworkSpec, NodeSpec
from emu.cluster.underlay.changes import set_link
from emu.fabric.cable import Arrival, Cable, Loss
from emu.testing.cluster_strategies import Traffic, plans, traffics
from emu.testing.clusters import ClusterLab
from emu.testing.fabric_strategies import racks
from emu.testing.plans import Plan, pod
from emu.testing.talk import talk
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.endpoint import Protocol
from emu.wire.addresses import Interface
from tests.properties.held import holding
from tests.properties.planted import Fault, findings_on
from tests.unit.cluster.underlay import racks as small

if TYPE_CHECKING:
    from collections.abc import Callable


FEW: Final = settings(max_examples=max(settings().max_examples // 4, 8))
_PROVIDERS: Final = (
    NetworkSpec("kubenet", {"nonMasqueradeCIDR": "0.0.0.0/0"}),
    NetworkSpec("flannel"),
    NetworkSpec("calico", {"ipipMode": "Never"}),
    NetworkSpec("calico", {"ipipMode": "CrossSubnet"}),
)


@st.composite
def in_racks(draw: st.DrawFn) -> Plan:
    """Draw clusters of two to four nodes that stand in two racks; shrinks to kubenet, one node in each."""
    plan = draw(plans(fewest_nodes=2, most_nodes=4, most_workloads=2))
    nodes = [
        attrs.evolve(each, addresses=(small_address(number),))
        for number, each in enumerate(plan.cluster.nodes)
    ]
    cluster = attrs.evolve(
        plan.cluster, nodes=tuple(_without_ranges(nodes)), network=draw(st.sampled_from(_PROVIDERS))
    )
    return attrs.evolve(plan, cluster=cluster, fabric=draw(racks()))


def small_address(number: int) -> tuple[Interface, ...]:
    """Return the address of a node: odd ones are in the second rack."""
    return (Interface.parse(f"10.1.{number % 2}.{11 + number}/24"),)


def _without_ranges(nodes: list[NodeSpec]) -> list[NodeSpec]:
    return [attrs.evolve(each, pod_cidr=None) for each in nodes]


@FEW
@given(in_racks(), st.lists(traffics(), min_size=2, max_size=4))
def test_whoever_talks_to_whom_in_racks(plan: Plan, questions: list[Traffic]) -> None:
    """Addresses, ports, payload, TTL, way back: as promised, three routers between racks."""
    lab = ClusterLab(plan)
    with holding() as found:
        talk(found, lab, questions)


# --- planted faults ---


def rewriting_racks(lab: ClusterLab) -> None:
    """Have the racks' routers give what leaves them their own address."""
    for name in lab.fabric.namespaces:
        if name.startswith("router/tor-"):
            lab.text_of(name, "iptables -t nat -A POSTROUTING -o spine -j MASQUERADE")


def forgetful_spine(lab: ClusterLab) -> None:
    """Take the ways to the second rack from the spine."""
    lab.text_of("router/spine", "ip route del 10.1.1.0/24")
    for line in lab.text_of("router/spine", "ip route").splitlines():
        if "via 10.0.1.2" in line:
            lab.text_of("router/spine", f"ip route del {line.split()[0]}")


def _carrying(change: Callable[[bytes], tuple[bytes, ...]]) -> tuple[object, str, Any]:
    """Return a cable that delivers something else than it says."""
    right = Cable.carry

    def wrong(cable: Cable, octets: bytes, *rest: Any) -> Loss | tuple[Arrival, ...]:  # noqa: ANN401 - as it is called
        fate = right(cable, octets, *rest)
        if isinstance(fate, Loss):
            return fate
        return tuple(Arrival(each.due, made, "garbled") for each in fate for made in change(each.octets))

    return Cable, "carry", wrong


def flipped(octets: bytes) -> tuple[bytes, ...]:
    """Return a frame with two bits of its last octet flipped, where a bad cable flips one."""
    return (octets[:-1] + bytes((octets[-1] ^ 3,)),)


FAULTS: Final = {
    "racks that masquerade": Fault("no NAT", rewriting_racks),
    "a spine that forgot a rack": Fault("answered", forgetful_spine),
    "cables that swallow": Fault("nothing lost", patch=_carrying(lambda _: ())),
    "cables that garble too much": Fault("nothing lost", patch=_carrying(flipped)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_in_racks(name: str) -> None:
    """On a cluster with a pod in each rack, whose uplinks take their time; without the fault all is well."""
    fault, plan = FAULTS[name], _two_racks()
    questions = [Traffic(0, 1, Protocol.UDP, 64), Traffic(1, 0, Protocol.ICMP, 64)]  # from pod to pod
    faults = findings_on(fault, plan, questions).faults
    assert any(each.startswith(fault.invariant) for each in faults), faults
    assert findings_on(Fault(fault.invariant), plan, questions).faults == []


def _two_racks() -> Plan:
    slow = find(racks(), lambda spec: all(each.latency for each in spec.links))
    nodes = tuple(NodeSpec(f"n{number}", addresses=(small_address(number),)) for number in range(2))
    return Plan(
        ClusterSpec(nodes=nodes, network=_PROVIDERS[0]),
        (pod("a", node="n0", ports=[8000]), pod("b", node="n1", ports=[8000])),
        slow,
    )


# --- bad cables ---


def _on_bad_cables(seed: int) -> Cluster:
    cluster = small.built()
    again = Cluster(cluster.topology, seed=seed)
    for words in ("loss 20%", "duplicate 20%", "corrupt 20%", "jitter 10us", "dropEvery 7"):
        set_link(again.fabric, "tor-1", "spine", words.split())
    return again


def test_the_same_seed_gives_the_same_frames_on_bad_cables() -> None:
    """What is lost, doubled, garbled and late is drawn from it, and another seed draws otherwise."""

    def frames(seed: int) -> list[tuple[int, bytes]]:
        cluster = _on_bad_cables(seed)
        with cluster.capture("any") as capture:
            cluster.pod("a").execute(["ping", "-c", "8", "-i", "0.2", "10.244.2.2"])
        return [(frame.time_ns, frame.octets) for frame in capture.capture.frames]

    one = frames(3)
    assert one == frames(3)
    assert one != frames(4)


def test_questions_on_bad_cables_assume_good_luck_and_leave_everything_as_it_was() -> None:
    """Delivered always, with what could have happened among the assumptions."""
    cluster = _on_bad_cables(3)
    set_link(cluster.fabric, "tor-1", "spine", ["dropEvery", "1000"])
    before = whole_state(cluster.fabric)
    verdict = Asker(cluster).judge("a", "b:80")
    assert verdict.word.value == "ALWAYS"
    assert [each.partition(" does ")[0] for each in verdict.assumptions]
    assert {
        word for each in verdict.assumptions for word in ("lose", "double", "corrupt") if word in each
    } == {
        "lose",
        "double",
        "corrupt",
    }
    assert whole_state(cluster.fabric) == before
