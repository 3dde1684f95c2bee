# SPDX-License-Identifier: GPL-2.0-only
"""Which pods of a small cluster are alike, and what makes them differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.cluster.cluster import Cluster
from emu.cluster.topology import ClusterSpec, NetworkSpec, NodeSpec, ProxySpec
from emu.errors import EmuError, UnknownNameError
from emu.kube.api.objects import Namespace, NetworkPolicy, Pod
from emu.kube.api.objects.container import Container, ContainerPort
from emu.kube.api.objects.meta import LabelSelector, Meta
from emu.kube.api.objects.network import IngressRule, NetworkPolicySpec, PolicyPeer, PolicyPort
from emu.kube.api.objects.pod import PodSpec
from emu.kube.api.objects.scheduling import Toleration
from emu.kube.api.objects.service import ServicePort
from emu.kube.kubelet.serving import ANNOTATION
from emu.sim.time import SECOND, Instant
from emu.testing.plans import IMAGE, Plan, service
from emu.verify.likeness.classes import classes
from emu.verify.likeness.likeness import PortClass, port_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.topology.spec import ProxyMode
    from emu.verify.likeness.likeness import Likeness

NETWORKS: Final = (
    NetworkSpec("kindnet"),
    NetworkSpec("flannel", policy="iptables"),
    NetworkSpec("flannel", {"backend": "host-gw"}, policy="iptables"),
    NetworkSpec("kubenet", policy="iptables"),
)
NFT: Final = (
    "nft 'add table ip odd; add chain ip odd c {{ type filter hook forward priority 5; }}; "
    "add rule ip odd c {}'"
)
DB: Final = ("x/db0", "x/db1", "x/db2", "x/db3")
WEB: Final = ("x/web0", "x/web1", "x/web2", "x/web3")
PODS: Final = (*DB, *WEB)
PAIRS: Final = tuple((source, target) for source in PODS for target in PODS)
ALIKE: Final = 10
"""Keys of two sorts of pods: four pairs of sorts, on one node and on two; and each pod itself."""


def cluster_of(network: NetworkSpec, port: int | str = 80, mode: ProxyMode = "iptables") -> Cluster:
    """Return a cluster of two nodes: four databases that only the four servers may ask."""
    everywhere = (Toleration(operator="Exists"),)
    pods = tuple(
        Pod(
            Meta(
                f"{app}{number}",
                "x",
                labels={"app": app},
                annotations={ANNOTATION: "tcp/80, tcp/8080, udp/53"},
            ),
            PodSpec(
                (Container("c", image=IMAGE, ports=(ContainerPort(80, name="sql"),)),),
                node_name=f"n{number % 2}",
                tolerations=everywhere,
            ),
        )
        for app in ("db", "web")
        for number in range(4)
    )
    peer = PolicyPeer(LabelSelector({"app": "web"}))
    rule = IngressRule((PolicyPort("TCP", port),), (peer,))
    policy = NetworkPolicy(Meta("db", "x"), NetworkPolicySpec(LabelSelector({"app": "db"}), (), (rule,)))
    front = attrs.evolve(service("db", "db", (ServicePort(80, "t", "TCP", 80),)), metadata=Meta("db", "x"))
    nodes = (NodeSpec("n0", taints=()), NodeSpec("n1", taints=()))
    spec = ClusterSpec(network=network, nodes=nodes, proxy=ProxySpec(mode))
    return Cluster(Plan(spec, (Namespace(Meta("x")), *pods, front, policy)).topology)


def keys(likeness: Likeness) -> int:
    """Return how many questions of all pairs of pods there are to ask."""
    return len({likeness.key(*pair) for pair in PAIRS})


def asked(cluster: Cluster, ports: Sequence[int] = (80,), protocol: str = "tcp") -> Likeness:
    """Return what all pods are like."""
    return classes(cluster, PODS, protocol, ports)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_pods_that_only_names_tell_apart_are_of_one_class(network: NetworkSpec) -> None:
    """Their nodes, addresses, chains and devices have other names, and nothing else is different."""
    likeness = asked(cluster_of(network))
    assert likeness.refusals == ()
    assert len({likeness.of(pod) for pod in DB}) == 1
    assert len({likeness.of(pod) for pod in WEB}) == 1
    assert likeness.of(DB[0]) != likeness.of(WEB[0])
    assert keys(likeness) == ALIKE


@pytest.mark.parametrize(("mode", "alone"), [("nftables", 2), ("ipvs", len(DB) + 1)])
def test_pods_are_alike_in_every_mode_of_kube_proxy(mode: ProxyMode, alone: int) -> None:
    """Its tables are about Services, but that ipvs knows endpoints that ask themselves, one by one."""
    likeness = asked(cluster_of(NETWORKS[0], mode=mode))
    assert likeness.refusals == ()
    assert len({likeness.key(*pair) for pair in PAIRS if pair[0] != pair[1]}) == ALIKE - 2
    assert len({likeness.key(pod, pod) for pod in PODS}) == alone


def test_where_two_pods_are_is_part_of_the_key() -> None:
    """A pod that asks itself, one on its node and one elsewhere asks three different things."""
    likeness = asked(cluster_of(NETWORKS[0]))
    same, elsewhere = likeness.key(WEB[0], WEB[2]), likeness.key(WEB[0], WEB[1])
    assert len({likeness.key(WEB[0], WEB[0]), same, elsewhere}) == 3
    assert same == likeness.key(WEB[1], WEB[3])
    assert elsewhere == likeness.key(WEB[3], WEB[2])


def test_classes_of_ports_end_where_rules_listeners_or_the_kernels_own_ports_do() -> None:
    """In between nothing tells ports apart."""
    likeness = asked(cluster_of(NETWORKS[0]), range(1, 65536))
    firsts = [each.first for each in likeness.port_classes]
    assert firsts == [1, 80, 81, 8080, 8081, 32768, 61000]
    assert likeness.port_classes[-1].last == 65535


@pytest.mark.parametrize(
    ("where", "command"),
    [
        ("node/n0", "iptables -I FORWARD -m recent --name seen --set -p tcp --dport 90 -j DROP"),
        ("node/n0", NFT.format("tcp dport vmap { 90 : drop }")),
        ("x/web0", "iptables -A INPUT -p tcp --dport 90 -j DROP"),
    ],
)
def test_ports_are_told_apart_by_what_is_not_understood_too(where: str, command: str) -> None:
    """Nobody shares an answer there, but the ports of one pair of pods might."""
    cluster = cluster_of(NETWORKS[3])
    cluster.namespace(where).run(command)
    likeness = asked(cluster, (88, 89, 90, 91, 92))
    assert likeness.refusals
    assert [each.first for each in likeness.port_classes] == [88, 90, 91]


def test_ports_by_name_are_classes_too() -> None:
    """What a name stands for is in a set of addresses and ports."""
    likeness = asked(cluster_of(NETWORKS[3], "sql"), (79, 80, 81))
    assert [each.first for each in likeness.port_classes] == [79, 80, 81]
    assert keys(likeness) == ALIKE


ODD_ON_A_NODE: Final = (
    "iptables -A FORWARD -s 10.9.9.9 -d {db} -j DROP",
    "iptables -I FORWARD -m statistic --mode random --probability 0.5 -j DROP",
    "iptables -P FORWARD DROP",
    "sysctl -w net.ipv4.ip_forward=0",
    "ip link set eth0 mtu 1400",
    NFT.format("ct state new drop"),
    NFT.format("meta l4proto tcp return; add rule ip odd c drop"),
    NFT.format("ip daddr 10.0.0.0/8 tcp dport 80-90 reject"),
)


@pytest.mark.parametrize("command", ODD_ON_A_NODE[1:])
def test_something_odd_on_one_node_splits_its_pods_from_others(command: str) -> None:
    """They stay alike among themselves."""
    cluster = cluster_of(NETWORKS[3])
    cluster.namespace("node/n0").run(command)
    likeness = asked(cluster)
    assert likeness.of(WEB[0]) == likeness.of(WEB[2]) != likeness.of(WEB[1])
    assert keys(likeness) > ALIKE


def test_a_rule_that_no_packet_of_a_question_meets_splits_nobody() -> None:
    """Most rules of a node are about Services."""
    cluster = cluster_of(NETWORKS[3])
    cluster.namespace("node/n0").run(ODD_ON_A_NODE[0].format(db=_address(cluster, DB[0])))
    assert keys(asked(cluster)) == ALIKE


def test_a_rule_about_one_pod_makes_it_unlike_all_others() -> None:
    """The others of its sort are as they were."""
    cluster = cluster_of(NETWORKS[3])
    cluster.namespace("node/n0").run(f"iptables -I FORWARD -d {_address(cluster, DB[0])} -p tcp -j REJECT")
    likeness = asked(cluster)
    assert len({likeness.of(pod) for pod in DB}) == 3
    assert likeness.key(WEB[1], DB[1]) == likeness.key(WEB[3], DB[3])
    assert likeness.key(WEB[1], DB[0]) != likeness.key(WEB[3], DB[2])


def test_a_rule_about_two_pods_is_about_that_pair_alone() -> None:
    """And about the way back."""
    cluster = cluster_of(NETWORKS[3])
    source, target = _address(cluster, WEB[0]), _address(cluster, DB[1])
    cluster.namespace("node/n0").run(f"iptables -I FORWARD -s {source} -d {target} -j DROP")
    likeness = asked(cluster)
    assert keys(likeness) == ALIKE + 2
    assert likeness.key(WEB[0], DB[1]) == (WEB[0], DB[1])


def test_who_is_missing_in_a_set_on_one_node_is_unlike_all_others() -> None:
    """Only where that set is asked."""
    cluster = cluster_of(NETWORKS[3])
    node = cluster.namespace("node/n0")
    name = next(each.name for each in node.net.netfilter.ipsets if "POD" in each.name)
    node.run(f"ipset del {name} {_address(cluster, WEB[1])}")
    likeness = asked(cluster)
    assert likeness.key(WEB[1], DB[0]) != likeness.key(WEB[3], DB[2])
    assert likeness.key(WEB[1], DB[1]) == likeness.key(WEB[3], DB[3])


@pytest.mark.parametrize(
    "command",
    [
        "sysctl -w net.ipv4.ip_default_ttl=1",
        "ip route del default",
        "ip link set eth0 mtu 600",
        "iptables -A INPUT -j DROP",
    ],
)
def test_what_one_pod_has_otherwise_makes_it_unlike_all_others(command: str) -> None:
    """Sysctls, routes, devices, rules of its own."""
    cluster = cluster_of(NETWORKS[0])
    cluster.namespace(WEB[0]).run(command)
    likeness = asked(cluster)
    assert len({likeness.of(pod) for pod in WEB}) == 2


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("iptables -I FORWARD -m recent --name seen --set -j ACCEPT", "Recent"),
        ("iptables -I FORWARD -m statistic --mode nth --every 2 --packet 0 -j DROP", "Nth"),
        ("iptables -t nat -I POSTROUTING -j MASQUERADE", "translated"),
        ("iptables -t raw -I PREROUTING -j NOTRACK", "Notrack"),
        ("ip rule add from 10.0.0.0/8 lookup main", "routing rules"),
        (NFT.format("meta mark set 1"), "SetMeta"),
        (NFT.format("numgen inc mod 2 0 drop"), "Numgen"),
        (NFT.format("ct original ip daddr 10.9.9.9 drop"), "Ct"),
        (NFT.format("flow add @f"), "flow"),
        ("ipvsadm -A -f 7", "FWM 7"),
    ],
)
def test_of_a_node_that_is_not_understood_nothing_is_shared(command: str, why: str) -> None:
    """Questions between pods of other nodes still are; the refusal says why."""
    cluster = cluster_of(NETWORKS[3])
    cluster.namespace("node/n0").run(command)
    likeness = asked(cluster)
    assert any(why in each and each.startswith("node/n0: ") for each in likeness.refusals)
    assert len({likeness.key(*pair) for pair in PAIRS if set(pair) & {DB[0], DB[2], WEB[0], WEB[2]}}) == 48
    assert likeness.key(WEB[1], DB[1]) == likeness.key(WEB[3], DB[3])


def test_between_nodes_whose_tunnel_leads_elsewhere_nothing_is_shared() -> None:
    """On each of the nodes it is."""
    cluster = cluster_of(NETWORKS[1])
    peer = cluster.fabric.namespace("node/n1").device("flannel.1").mac
    cluster.namespace("node/n0").run(f"bridge fdb replace {peer} dev flannel.1 dst 172.18.0.9 self permanent")
    likeness = asked(cluster)
    assert likeness.key(WEB[0], DB[1]) == (WEB[0], DB[1])
    assert likeness.key(WEB[0], DB[2]) == likeness.key(WEB[2], DB[0])
    assert "node/n0, node/n1: flannel.1 sends elsewhere what is for node/n1" in likeness.refusals


def test_of_a_pod_on_its_nodes_network_nothing_is_shared() -> None:
    """It is asked about by the name of the node."""
    likeness = classes(cluster_of(NETWORKS[0]), (*PODS, "node/n0"), "tcp", (80,))
    assert likeness.key("node/n0", DB[0]) == ("node/n0", DB[0])
    assert keys(likeness) == ALIKE
    assert likeness.refusals == ("node/n0: it has not one device with a cable",)


def test_pods_that_have_a_connection_are_told_apart_from_others() -> None:
    """A new one might have the same ports."""
    cluster = cluster_of(NETWORKS[0])
    cluster.namespace(WEB[0]).run(f"curl -s http://{_address(cluster, WEB[1])}:80")
    likeness = asked(cluster)
    assert likeness.key(WEB[0], WEB[1]) == (WEB[0], WEB[1])
    assert likeness.key(WEB[2], WEB[1]) == likeness.key(WEB[2], WEB[3])


def test_who_complained_a_short_while_ago_may_be_silent_now() -> None:
    """ICMP is sent so often and no more; after a rest nobody remembers."""
    cluster = cluster_of(NETWORKS[0])
    cluster.namespace(WEB[0]).run(f"traceroute {_address(cluster, WEB[1])}")
    assert "node/n0: it complained a short while ago" in asked(cluster).refusals
    assert keys(asked(cluster)) == len(PAIRS)
    cluster.run_until(lambda: False, Instant(60 * SECOND))
    assert keys(asked(cluster)) == ALIKE


def test_icmp_has_no_ports() -> None:
    """What is asked is asked once for each key."""
    likeness = classes(cluster_of(NETWORKS[0]), PODS, "ICMP", ())
    assert likeness.port_classes == ()
    assert keys(likeness) == ALIKE


def test_a_protocol_or_a_pod_that_is_not_there_is_refused() -> None:
    """As elsewhere."""
    cluster = cluster_of(NETWORKS[0])
    with pytest.raises(EmuError, match="no protocol gre"):
        classes(cluster, PODS, "gre", (80,))
    with pytest.raises(UnknownNameError):
        classes(cluster, ("x/nobody",), "tcp", (80,))


def test_edges_cut_the_ports_that_are_asked() -> None:
    """A class has no ports but those asked."""
    assert port_classes([80, 81], [1, 79, 80, 90, 91]) == (
        PortClass(1, 79),
        PortClass(80, 80),
        PortClass(90, 91),
    )
    assert port_classes([], [7]) == (PortClass(7, 7),)
    assert 90 in PortClass(90, 91)


def _address(cluster: Cluster, pod: str) -> str:
    return str(cluster.fabric.namespace(pod).device("eth0").addresses[0].address)
