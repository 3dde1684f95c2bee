# SPDX-License-Identifier: GPL-2.0-only
"""Each invariant fails on a fault that breaks it: the properties find it and shrink it to a small cluster."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

import pytest

from emu.cluster.topology import NetworkSpec
from emu.fabric.driver import Fabric
from emu.kernel.netfilter import nat
from emu.kernel.skb import Skb
from emu.kube.cni.rules import Tables
from emu.kube.endpoints import pods
from emu.kube.proxy import port_rules
from emu.sim.rng import Streams
from emu.testing.clusters import ClusterLab, recorded
from emu.testing.kernel_state import check_idempotence
from emu.testing.service_invariants import check_shares
from emu.testing.talk import talk, talk_to_services
from emu.wire import ethernet, ipv4
from emu.wire.frame import Frame
from tests.properties.planted import (
    MOST_NODES,
    Fault,
    discover,
    findings_on,
    forget_a_route,
    forget_an_endpoint,
    hide_nodes,
    lead_routes_astray,
    loop_the_switch,
    masquerade_everything,
    tunnel_to_oneself,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.conntrack.tuples import Tuple
    from emu.kernel.netfilter.packet import Packet
    from emu.testing.cluster_strategies import Traffic
    from emu.testing.invariants import Findings

HEADERS: Final = 28  # octets of IPv4 and of ICMP or UDP
IPV4: Final = ethernet.IPV4.to_bytes(2, "big")

# --- kernels that err ---


def untranslated_replies() -> tuple[object, str, Any]:
    """Leave the source of answers as it is."""
    right = nat._rewrite

    def wrong(packet: Packet, answer: Tuple, *, is_source: bool) -> bool:
        is_reply = packet.skb.ctinfo.direction
        return True if is_reply and is_source else right(packet, answer, is_source=is_source)

    return nat, "_rewrite", wrong


def unfallen_ttl() -> tuple[object, str, Any]:
    """Forward without taking anything from the TTL."""
    return Skb, "decrement_ttl", lambda _: None


def stale_checksum() -> tuple[object, str, Any]:
    """Take one from the TTL, and leave the header's checksum as it was."""

    def wrong(skb: Skb) -> None:
        packet = skb.packet
        skb.replace(packet[:8] + bytes((packet[8] - 1,)) + packet[9:])

    return Skb, "decrement_ttl", wrong


def _arriving(change: Any) -> tuple[object, str, Any]:  # noqa: ANN401 - gets what `Fabric._arrive` gets
    right = Fabric._arrive
    return Fabric, "_arrive", lambda fabric, plug, frame: change(right, fabric, plug, frame)


def silent_loss() -> tuple[object, str, Any]:
    """Lose IPv4 on the switch without a word, one packet of seven."""

    def change(right: Any, fabric: Fabric, plug: Any, frame: Frame) -> None:  # noqa: ANN401 - as above
        is_there = plug.net.name.startswith("switch/") and frame.octets[12:14] == IPV4
        if not is_there or frame.packet_id % 7:
            right(fabric, plug, frame)

    return _arriving(change)


def copied_frames() -> tuple[object, str, Any]:
    """Deliver everything twice that comes into a node."""

    def change(right: Any, fabric: Fabric, plug: Any, frame: Frame) -> None:  # noqa: ANN401 - as above
        right(fabric, plug, frame)
        if plug.iface == "eth0" and plug.net.name.startswith("node/"):
            right(fabric, plug, Frame(frame.octets, frame.packet_id))

    return _arriving(change)


def changed_payload() -> tuple[object, str, Any]:
    """Let two words of the payload of echoes and datagrams change places, which no checksum tells."""
    right = Skb.decrement_ttl

    def wrong(skb: Skb) -> None:
        right(skb)
        packet = skb.packet
        if packet[9] in {ipv4.ICMP, ipv4.UDP} and len(packet) >= HEADERS + 4:
            first, second, rest = packet[HEADERS:30], packet[30:32], packet[32:]
            skb.replace(packet[:HEADERS] + second + first + rest)

    return Skb, "decrement_ttl", wrong


# --- components that err ---


def unequal_shares() -> tuple[object, str, Any]:
    """Give every endpoint one half of what is left."""
    return port_rules, "probability", lambda _: "0.5000000000"


def ready_at_any_rate() -> tuple[object, str, Any]:
    """Count every pod as ready."""
    right = pods.conditions

    def wrong(*, ready: bool, terminating: bool, published: bool) -> object:
        del ready
        return right(ready=True, terminating=terminating, published=published)

    return pods, "conditions", wrong


def rules_again_and_again() -> tuple[object, str, Any]:
    """Append a rule that is there already."""
    return Tables, "append_unique", Tables.append


def unseeded_streams() -> tuple[object, str, Any]:
    """Draw from a source that no seed decides."""
    return Streams, "stream", lambda _, name: random.Random(f"{name} {random.random()}")


# --- looking ---


def look_at_shares(found: Findings, lab: ClusterLab, _: Sequence[Traffic]) -> None:
    """Look for faults in who is chosen, with one pod that is not ready."""
    for pod in lab.gated[:1]:
        lab.turn(pod, ready=False)
    check_shares(found, lab)


def look_twice(found: Findings, lab: ClusterLab, _: Sequence[Traffic]) -> None:
    """Look for what changes when all is done again."""
    check_idempotence(found, lab)


def look_at_two_runs(found: Findings, lab: ClusterLab, questions: Sequence[Traffic]) -> None:
    """Look for differences between two runs of one seed."""
    files = [
        recorded(each, lambda each=each: talk(found, each, questions))  # type: ignore[misc]  # bound now
        for each in (lab, ClusterLab(lab.plan))
    ]
    found.expect("same seed, same bytes", "two files differ", holds=files[0] == files[1])


FAULTS: Final = {
    "masquerading without its exception": Fault("no NAT, pod to pod", masquerade_everything),
    "a pod seen with an address not its own": Fault("itself", masquerade_everything),
    "an entry for NAT that should not be": Fault("no NAT entry", masquerade_everything),
    "a node hidden from pods": Fault("source", hide_nodes),
    "a route that goes round": Fault("TTL", forget_a_route),
    "a way back that is another": Fault("retraced", forget_a_route),
    "a route to nobody": Fault("answered", lead_routes_astray),
    "an FDB entry that leads back": Fault("arrives once", tunnel_to_oneself, network=NetworkSpec("flannel")),
    "a loop of bridges": Fault("storm", loop_the_switch),
    "a TTL that does not fall": Fault("TTL", patch=unfallen_ttl()),
    "a stale checksum": Fault("checksums", patch=stale_checksum()),
    "frames copied": Fault("arrives once", patch=copied_frames()),
    "payload changed": Fault("payload", patch=changed_payload()),
    "answers not translated back": Fault(
        "only the Service", patch=untranslated_replies(), look=talk_to_services, services=2
    ),
    "a client that is not served": Fault(
        "served", patch=untranslated_replies(), look=talk_to_services, services=2
    ),
    "an endpoint forgotten": Fault("shares", forget_an_endpoint, look=look_at_shares, services=2),
    "unequal shares": Fault("shares", patch=unequal_shares(), look=look_at_shares, services=2),
    "an unready pod chosen": Fault("shares", patch=ready_at_any_rate(), look=look_at_shares, services=2),
    "a frame lost without a word": Fault("nothing lost", patch=silent_loss()),
    "chance without a seed": Fault("same seed", patch=unseeded_streams(), look=look_at_two_runs),
    "rules written twice": Fault("twice is once", patch=rules_again_and_again(), look=look_twice),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_on_a_small_cluster(name: str) -> None:
    """The property finds it on generated clusters, and what is left of them has three nodes at the most."""
    fault = FAULTS[name]
    plan, questions = discover(fault)
    assert 1 <= len(plan.cluster.nodes) <= MOST_NODES, plan
    healthy = Fault(fault.invariant, look=fault.look, services=fault.services)
    assert findings_on(healthy, plan, questions).faults == [], "it is wrong without the fault, too"
