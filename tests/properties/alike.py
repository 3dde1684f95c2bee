# SPDX-License-Identifier: GPL-2.0-only
"""What the property of likeness does with clusters: many pods of few sorts, something odd, every question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs
from hypothesis import strategies as st

from emu.cluster.cluster import Cluster
from emu.cluster.topology import ProxySpec
from emu.errors import EmuError
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.network import EgressRule, IngressRule, NetworkPolicySpec, PolicyPeer
from emu.testing.policy_strategies import policed_plans
from emu.verify.asker import Asker
from emu.verify.likeness.classes import classes

if TYPE_CHECKING:
    from collections.abc import Hashable

    from emu.testing.invariants import Findings
    from emu.testing.plans import Plan

_MOST_PODS: Final = 6
_PORTS: Final = (80, 81, 7)

_NFT: Final = (
    "nft 'add table ip odd; add chain ip odd c {{{{ type filter hook forward priority 5; }}}}; "
    "add rule ip odd c {rule}'"
)
ODD: Final = (
    ("node", "iptables -I FORWARD -s {pod} -p tcp --dport 80 -j REJECT"),
    ("node", "iptables -I FORWARD -d {pod} -j DROP"),
    ("node", "iptables -I FORWARD -s {pod} -d {other} -j DROP"),
    ("node", "iptables -A FORWARD -s {pod}/31 -j DROP"),
    ("node", "iptables -I FORWARD ! -d {pod} -p udp -j REJECT"),
    ("node", "iptables -I FORWARD -m iprange --dst-range {pod}-{other} -p tcp --dport 81 -j REJECT"),
    ("node", "iptables -I FORWARD -m statistic --mode random --probability 0.5 -j DROP"),
    ("node", "iptables -I FORWARD -m statistic --mode nth --every 2 --packet 0 -j DROP"),
    ("node", "iptables -t nat -I POSTROUTING -s {pod} -j MASQUERADE"),
    ("node", "iptables -t nat -I PREROUTING -d {pod} -p tcp --dport 80 -j REDIRECT"),
    ("node", "iptables -t nat -I PREROUTING -d {pod} -p tcp --dport 7 -j DNAT --to-destination {other}:80"),
    ("node", "iptables -t raw -I PREROUTING -s {pod} -j NOTRACK"),
    ("node", "iptables -t mangle -I PREROUTING -s {pod} -j MARK --set-mark 0x4000"),
    ("node", "iptables -t mangle -I FORWARD -d {pod} -j TTL --ttl-set 1"),
    ("node", "iptables -t mangle -I PREROUTING -d {pod} -j TTL --ttl-set 1"),
    ("node", "iptables -I FORWARD -i {device} -j DROP"),
    ("node", "iptables -I FORWARD -o {device} -p tcp -j REJECT"),
    ("node", "iptables -I FORWARD ! -o {device} -m mark --mark 0x80000/0x80000 -j DROP"),
    ("node", "iptables -I FORWARD -m mark --mark 0x80000/0x80000 -p tcp --dport 80 -j DROP"),
    ("node", "iptables -P FORWARD DROP"),
    ("node", "ip route add blackhole {pod}"),
    ("node", "ip route add unreachable {pod}/32 metric 5"),
    ("node", "ip rule add from {pod} blackhole"),
    ("node", "sysctl -w net.ipv4.ip_forward=0"),
    ("node", "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
    ("node", _NFT.format(rule="ip saddr {pod} tcp dport 80 reject")),
    ("node", _NFT.format(rule="ip daddr != {pod} ip protocol icmp drop")),
    ("node", _NFT.format(rule="ip saddr {pod}/31 ct state new drop")),
    ("node", _NFT.format(rule="ip saddr . ip daddr {{ {pod} . {other} }} drop")),
    (
        "node",
        _NFT.format(rule="ip daddr . tcp dport vmap {{ {pod} . 80 : drop, {other} . 81 : accept }}"),
    ),
    ("node", _NFT.format(rule="meta mark and 0x80000 == 0x80000 tcp dport 80-90 drop")),
    ("node", _NFT.format(rule="fib saddr type local drop")),
    ("node", _NFT.format(rule="oifname {device} drop")),
    ("node", _NFT.format(rule="ip daddr {pod} meta mark set 0x4000")),
    ("node", _NFT.format(rule="ip saddr {pod} numgen random mod 2 0 drop")),
    ("node", "ipvsadm -A -t {pod}:80"),
    ("node", "ipvsadm -A -t 10.96.0.7:80"),
    ("pod", "sysctl -w net.ipv4.ip_default_ttl=1"),
    ("pod", "sysctl -w net.ipv4.icmp_echo_ignore_all=1"),
    ("pod", "iptables -A INPUT -s {other} -j DROP"),
    ("pod", "ip link set eth0 mtu 600"),
    ("pod", "ip link set eth0 down"),
    ("pod", "ip route del default"),
    ("pod", "ip route add blackhole {other}"),
    ("pod", "ip addr add {other}/32 dev eth0"),
    ("pod", "ip neigh replace {other} lladdr 02:00:00:00:00:01 dev eth0"),
    ("pod", "sysctl -w net.ipv4.conf.eth0.proxy_arp=1"),
)
"""What somebody may do to a node or a pod that no policy has to do with; often it changes who is reached."""


class Doing(NamedTuple):
    """Something odd.

    Attributes:
        odd: one of `ODD`.
        pod: the number of a pod: the one meant, or one of the node that is meant.
        other: the number of the other pod.
    """

    odd: tuple[str, str]
    pod: int
    other: int


@attrs.frozen
class Crowd:
    """A cluster in which pods come twice, and what is odd there."""

    plan: Plan
    doings: tuple[Doing, ...]
    protocol: str


@st.composite
def crowds(draw: st.DrawFn) -> Crowd:
    """Draw a cluster; shrinks to one where nothing is odd."""
    plan = draw(policed_plans())
    names = [each.name for each in plan.cluster.nodes]
    pods = [each for each in plan.objects if isinstance(each, Pod) and not each.spec.host_network]
    copies = [_copy(each, draw(st.sampled_from(names))) for each in pods[: _MOST_PODS - len(pods)]]
    copies += [_relabelled(each, "ab"[place % 2]) for place, each in enumerate(copies[:2])]
    late = [each for each in plan.objects if isinstance(each, NetworkPolicy)]
    late += [_sharp(draw(st.sampled_from(pods)), draw(st.sampled_from(("Ingress", "Egress"))))]
    early = [each for each in plan.objects if not isinstance(each, NetworkPolicy)]
    numbers = st.integers(0, len(pods) + len(copies) - 1)
    doings = st.builds(Doing, st.sampled_from(ODD), numbers, numbers)
    proxy = ProxySpec(draw(st.sampled_from(("iptables", "iptables", "nftables", "ipvs"))))
    cluster = attrs.evolve(plan.cluster, proxy=proxy)
    return Crowd(
        attrs.evolve(plan, cluster=cluster, objects=(*early, *copies, *late)),
        tuple(draw(st.lists(doings, min_size=draw(st.integers(0, 1)), max_size=2))),
        draw(st.sampled_from(("tcp", "udp", "sctp", "icmp"))),
    )


def _copy(pod: Pod, node: str) -> Pod:
    meta = attrs.evolve(pod.metadata, name=f"{pod.metadata.name}b")
    return attrs.evolve(pod, metadata=meta, spec=attrs.evolve(pod.spec, node_name=node))


def _relabelled(pod: Pod, value: str) -> Pod:
    meta = pod.metadata
    return attrs.evolve(pod, metadata=attrs.evolve(meta, name=f"{meta.name}c", labels={"app": value}))


def _sharp(pod: Pod, direction: str) -> NetworkPolicy:
    """Return a policy that isolates those like `pod` from all but those called `a`."""
    meta = pod.metadata
    peers = (PolicyPeer(LabelSelector({"app": "a"}), LabelSelector()),)
    rules = (IngressRule(from_=peers),) if direction == "Ingress" else ()
    ways = (EgressRule(to=peers),) if direction == "Egress" else ()
    selector = LabelSelector(dict(meta.labels))
    return NetworkPolicy(
        Meta("sharp", meta.namespace), NetworkPolicySpec(selector, (direction,), rules, ways)
    )


def started(crowd: Crowd) -> tuple[Cluster, list[str]]:
    """Return the cluster with all that is odd, and its pods that have a network of their own."""
    cluster = Cluster(crowd.plan.topology)
    mine = {space.metadata.name for space in crowd.plan.objects if isinstance(space, Namespace)}
    every = [each for each in cluster.store.list(Pod) if each.metadata.namespace in mine]
    pods = [each for each in every if not each.spec.host_network]
    places = [f"{each.metadata.namespace}/{each.metadata.name}" for each in pods]
    for doing in crowd.doings:
        pod, other = (pods[number % len(pods)] for number in (doing.pod, doing.other))
        kind, command = doing.odd
        device = _device_of(cluster, places[pods.index(pod)])
        text = command.format(pod=pod.status.pod_ip, other=other.status.pod_ip, device=device)
        where = f"node/{pod.spec.node_name}" if kind == "node" else places[pods.index(pod)]
        try:
            cluster.namespace(where).run(text)
        except EmuError:
            continue  # it cannot be done twice, or not there
    return cluster, places


def _device_of(cluster: Cluster, pod: str) -> str:
    """Return the device of its node at the other end of a pod's cable."""
    end = cluster.fabric.far_end(cluster.namespace(f"pod/{pod}").net, "eth0")
    assert end is not None
    return end[1]


def check_classes(found: Findings, crowd: Crowd) -> None:
    """Check that questions which must end alike do."""
    cluster, places = started(crowd)
    ports = () if crowd.protocol == "icmp" else _PORTS
    likeness = classes(cluster, places, crowd.protocol, ports)
    asker = Asker(cluster, is_brief=True)
    answers: dict[Hashable, tuple[Hashable, str]] = {}
    for source in places:
        for target in places:
            for port in ports or (0,):
                kind = next((each for each in likeness.port_classes if port in each), None)
                question = f"{source} -> {target}:{port}/{crowd.protocol}"
                answer = _answer(asker, source, target, port, crowd.protocol)
                first, whose = answers.setdefault((likeness.key(source, target), kind), (answer, question))
                what = f"{question}: {answer}; {whose}: {first}; {crowd.doings}"
                found.expect("likeness", what, holds=answer == first)


def _answer(asker: Asker, source: str, target: str, port: int, protocol: str) -> Hashable:
    """Return what comes of a question: each outcome's probability and reason."""
    where = f"pod/{target}:{port}/{protocol}" if port else f"pod/{target}/{protocol}"
    verdict = asker.judge(f"pod/{source}", where)
    shares: dict[Hashable, object] = {}
    for each in verdict.outcomes:
        sense = each.result.name, None if each.cause is None else each.cause.code
        shares[sense] = shares.get(sense, 0) + each.probability  # type: ignore[operator]  # fractions
    return tuple(sorted(shares.items(), key=repr)), verdict.unknown
