# SPDX-License-Identifier: GPL-2.0-only
"""What a VPC carries, and what it does not."""

from __future__ import annotations

import shlex
from functools import cache
from typing import TYPE_CHECKING

import pytest

from emu import document
from emu.apps import datagram
from emu.cluster.cluster import Cluster
from emu.cluster.topology import ClusterSpec, NetworkSpec, NodeSpec, load_topology
from emu.errors import DocumentError
from emu.kube.api.objects import Node
from emu.sim.time import SECOND, later
from emu.testing.clusters import ClusterLab
from emu.testing.manifests import WITHOUT_DNS
from emu.testing.plans import Plan
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.causes.objects import object_of
from emu.verify.endpoint import Protocol
from emu.verify.likeness.classes import classes
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.cluster.topology import Topology
    from emu.verify.verdict import Verdict

PODS = """
---
{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeName: one, containers: [
  {name: c, image: nginx, ports: [{containerPort: 80}]}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {nodeName: two, containers: [
  {name: c, image: nginx, ports: [{containerPort: 80}]}]}}
"""


NODES = "{name: control, role: control-plane}, {name: one}, {name: two}"


def source_of(vpc: str, network: str, nodes: str = NODES) -> str:
    """Return the documents of a cluster of three nodes."""
    return f"""
apiVersion: emu/v1
kind: Cluster
spec:
  network: {{{network}}}
  nodes: [{nodes}]
---
apiVersion: emu/v1
kind: Fabric
spec:
  vpc: {{{vpc}}}
  external: [{{name: laptop, ip: 198.51.100.7, serves: [tcp/443, udp/53]}}]
{WITHOUT_DNS}{PODS}"""


def topology_of(vpc: str, network: str) -> Topology:
    """Return what they describe."""
    return load_topology(document.parse(source_of(vpc, network), "in.yaml"))


@cache
def cluster(vpc: str, network: str = "provider: vpc") -> Cluster:
    """Return such a cluster, which questions leave as it is."""
    return Cluster(topology_of(vpc, network))


def ask(vpc: str, source: str, target: str, network: str = "provider: vpc") -> Verdict:
    """Return what comes of a question."""
    return Asker(cluster(vpc, network)).judge(source, target)


def ending(verdict: Verdict) -> str:
    """Return the word of a verdict, and the code of its failure."""
    failed = verdict.failure
    return verdict.word.value if failed is None or failed.cause is None else failed.cause.code


def seen(verdict: Verdict) -> str:
    """Return the source that the asked saw."""
    (outcome,) = verdict.outcomes
    assert outcome.arrival is not None
    return str(outcome.arrival.source)


NAT = "natGateway: {ip: 203.0.113.9}"
PUBLIC = "internetGateway: true"
OPEN = "securityGroups: [{name: default, ingress: [{from: 0.0.0.0/0}]}]"
ROUTED = "provider: kindnet"


# --- addresses ---


@pytest.mark.parametrize("network", ["provider: vpc", "provider: vpc, style: gke", "provider: flannel"])
def test_a_private_node_is_seen_outside_as_the_nat_gateway(network: str) -> None:
    """And so are the pods on it."""
    for source in ("a", "node/one"):
        verdict = ask(NAT, source, "ext/laptop:443", network)
        assert (ending(verdict), seen(verdict)) == ("ALWAYS", "203.0.113.9")


def test_a_public_node_is_seen_outside_as_its_public_address_and_reached_by_it() -> None:
    """One to one, both ways."""
    vpc = f"{PUBLIC}, {OPEN}"
    node = cluster(vpc).store.get(Node, "one")
    assert node.addresses("ExternalIP") == ("203.0.113.69",)
    assert seen(ask(vpc, "node/one", "ext/laptop:443")) == "203.0.113.69"
    inward = ask(vpc, "ext/laptop", "203.0.113.69/icmp")
    assert (ending(inward), seen(inward)) == ("ALWAYS", "198.51.100.7")


def test_a_private_address_neither_leaves_by_the_internet_gateway_nor_is_found_from_outside() -> None:
    """A node in a public subnet without a public address, and anybody asked by the wrong address."""
    vpc = f"{PUBLIC}, {OPEN}, interfaces: [{{node: one, publicIP: false}}]"
    assert ending(ask(vpc, "node/one", "ext/laptop:443")) == "VPC_NO_PUBLIC_ADDRESS"
    assert ending(ask(vpc, "ext/laptop", "node/two")) == "VPC_NO_PUBLIC_ADDRESS"
    assert ending(ask(vpc, "ext/laptop", "a:80")) == "VPC_NO_PUBLIC_ADDRESS"


def test_a_nat_gateway_has_as_many_connections_as_ports() -> None:
    """To one server: another one's are counted apart."""
    made = Cluster(topology_of(f"natGateway: {{ip: 203.0.113.9, ports: 5000}}, {OPEN}", "provider: vpc"))
    laptop = IpAddress.parse("198.51.100.7")
    held = made.fabric.spawn(made.pod("a").net, datagram.request(laptop, 53, b"first", timeout=SECOND))
    made.wait_until(later(made.fabric.loop.now, SECOND))
    assert held.done
    assert ending(Asker(made).judge("b", "ext/laptop:53/udp")) == "CT_NAT_PORTS_EXHAUSTED"
    assert ending(Asker(made).judge("b", "ext/laptop:443")) == "ALWAYS"


def test_a_nat_gateway_carries_no_sctp() -> None:
    """TCP, UDP and ICMP are what it knows."""
    verdict = ask(NAT, "node/one", "ext/laptop:443/sctp")
    assert ending(verdict) == "UNDERLAY_FILTER"
    assert verdict.failure is not None
    assert verdict.failure.cause is not None
    assert "carries TCP, UDP and ICMP" in verdict.failure.cause.words


# --- checks, groups, ACLs, routes ---


def test_an_interface_drops_what_is_not_from_or_to_an_address_of_its_own() -> None:
    """The sender's looks at the source, the receiver's at the destination."""
    for vpc, side in (
        (NAT, "source 10.244.1.2"),
        (f"{NAT}, interfaces: [{{node: one, sourceDestCheck: false}}]", "destination 10.244.2.2"),
    ):
        verdict = ask(vpc, "a", "b:80", ROUTED)
        assert ending(verdict) == "SRC_DST_CHECK"
        assert verdict.failure is not None
        assert verdict.failure.cause is not None
        assert side in verdict.failure.cause.words
    assert ending(ask(f"{NAT}, sourceDestCheck: false", "a", "b:80", ROUTED)) == "ALWAYS"


def test_a_group_that_a_rule_names_is_known_by_its_interfaces() -> None:
    """Pods whose addresses are their own pass, too, as long as nobody has translated them."""
    group = "{name: g, ingress: [{protocol: tcp, ports: 80, from: h}]}, {name: h}"
    members = "interfaces: [{node: two, securityGroups: [g]}, {node: one, securityGroups: [h]}]"
    vpc = f"{NAT}, sourceDestCheck: false, securityGroups: [{group}], {members}"
    assert ending(ask(vpc, "a", "b:80", ROUTED)) == "ALWAYS"
    assert ending(ask(vpc, "node/control", "b:80", ROUTED)) == "SG_DENY"
    assert ending(ask(vpc, "a", "b", ROUTED)) == "SG_DENY"


def test_a_group_may_keep_its_members_from_sending() -> None:
    """Answers leave all the same: a group knows connections."""
    vpc = f"{NAT}, securityGroups: [{{name: mute, ingress: [{{from: 0.0.0.0/0}}], egress: []}}]"
    vpc += ", interfaces: [{node: two, securityGroups: [mute]}]"
    assert ending(ask(vpc, "a", "b:80")) == "ALWAYS"
    verdict = ask(vpc, "node/two", "node/one")
    assert ending(verdict) == "SG_DENY"
    assert verdict.failure is not None
    assert verdict.failure.cause is not None
    assert "no egress rule of security group mute" in verdict.failure.cause.words
    assert verdict.failure.cause.field == "spec.vpc.securityGroups[0]"


def test_an_acl_is_asked_for_answers_too_and_not_within_its_subnet() -> None:
    """It knows no connections."""
    acl = "{name: in, subnets: [private], ingress: [{from: 0.0.0.0/0}], egress: [{protocol: udp}]}"
    vpc = f"{NAT}, networkACLs: [{acl}]"
    assert ending(ask(vpc, "a", "b:80")) == "ALWAYS"
    assert ending(ask(vpc, "node/one", "ext/laptop:443")) == "NACL_DENY"
    assert ending(ask(vpc, "node/one", "ext/laptop:53/udp")) == "ALWAYS"


def test_what_no_route_table_knows_vanishes() -> None:
    """Nobody is told: neither of the world outside, nor of an address that nobody has."""
    for target in ("ext/laptop:443", "10.0.99.9:80"):
        verdict = ask("cidr: 10.0.0.0/16", "node/one", target)
        assert (ending(verdict), verdict.outcomes[0].result.value) == ("VPC_NO_ROUTE", "dropped")


def test_a_route_may_lead_to_a_node() -> None:
    """The routes of its own range, written by hand where no controller writes them."""
    table = "{name: t, routes: [{to: 10.244.2.0/24, via: node/two}, {to: 10.244.1.0/24, via: node/one}]}"
    vpc = f"cidr: 10.0.0.0/16, podRoutes: false, sourceDestCheck: false, routeTables: [{table}]"
    assert ending(ask(vpc, "a", "b:80", ROUTED)) == "ALWAYS"


# --- the router ---


def test_only_the_nat_gateway_shows_on_the_way_out() -> None:
    """The router and the internet gateway give back the TTL that they take, and answer nobody."""
    made = cluster(NAT)
    told = made.node("one").run("traceroute -n -q 1 198.51.100.7")
    hops = [line.split()[1] for line in told.splitlines()[1:]]
    assert hops == ["10.0.0.4", "169.254.100.6", "198.51.100.7"]
    assert ending(ask(NAT, "node/one", "10.0.16.1/icmp")) == "UNDERLAY_FILTER"


def test_large_packets_stay_inside() -> None:
    """9001 octets within the VPC; who sends them out is told that 1500 is the most."""
    made = cluster(NAT)
    other = made.store.get(Node, "two").addresses("InternalIP")[0]
    assert " 0% packet loss" in made.node("one").run(f"ping -c 1 -M do -s 8000 {other}")
    finished = made.node("one").execute(shlex.split("ping -c 1 -M do -s 3000 198.51.100.7"))
    assert "From 10.0.0.1 icmp_seq=1 Frag needed and DF set" in finished.stdout
    assert {device.mtu for device in made.pod("a").net.devices.values()} >= {9001}


def test_with_gke_a_machine_knows_nobody_but_the_gateway() -> None:
    """Even a neighbour in its subnet is reached by way of the router."""
    made = cluster(NAT, "provider: vpc, style: gke")
    assert made.node("one").run("ip route").splitlines()[:2] == [
        "default via 10.0.16.1 dev eth0 ",
        "10.0.16.1 dev eth0 scope link ",
    ]
    assert made.machines["one"].net.devices["eth0"].mtu == 1460


# --- around it ---


def test_a_question_leaves_everything_as_it_was() -> None:
    """Neighbours, connections and counters of the router and its gateways, too."""
    made = cluster(NAT)
    before = whole_state(made.fabric)
    assert ending(ask(NAT, "a", "ext/laptop:443")) == "ALWAYS"
    assert whole_state(made.fabric) == before


def test_pods_on_nodes_whose_interfaces_differ_share_no_answers() -> None:
    """A VPC is no switch: nothing that goes through it is taken for like."""
    likeness = classes(cluster(NAT), ["default/a", "default/b"], "tcp", [80])
    assert likeness.key("default/a", "default/b") != likeness.key("default/b", "default/a")


@pytest.mark.parametrize(
    ("vpc", "nodes", "told"),
    [
        (
            f"{NAT}, interfaces: [{{node: oen}}]",
            NODES,
            "in.yaml:11: $.spec.vpc.interfaces[0].node: there is no node oen (there are control, one, two)",
        ),
        (
            f"{NAT}, routeTables: [{{name: t, routes: [{{to: 10.9.0.0/16, via: node/thre}}]}}]",
            NODES,
            "in.yaml:11: $.spec.vpc.routeTables[0].routes[0].via: there is no node thre",
        ),
        (
            NAT,
            "{name: one, addresses: [192.168.0.4/24]}, {name: two}",
            "in.yaml:6: $.spec.nodes[0]: address 192.168.0.4 of one is in no subnet of the VPC",
        ),
        (NAT, "{name: one}, {name: two, subnet: x}", "in.yaml:6: $.spec.nodes[1]: the VPC has no subnet x"),
    ],
)
def test_what_does_not_fit_is_a_fault_with_its_line(vpc: str, nodes: str, told: str) -> None:
    """Nodes that there are not, and nodes that have no place."""
    with pytest.raises(DocumentError) as caught:
        load_topology(document.parse(source_of(vpc, "provider: vpc", nodes), "in.yaml"))
    assert told in str(caught.value)


def test_a_vpc_that_nobody_described_is_told_of() -> None:
    """With what there is in it."""
    made = ClusterLab(Plan(ClusterSpec(network=NetworkSpec("vpc"), nodes=(NodeSpec("n0"),))))
    told = (
        "no vpc in a Fabric document: one is made with the subnets public 10.0.0.0/20, private 10.0.16.0/20"
    )
    assert any(each.startswith(told) for each in made.warnings)


def test_a_node_may_have_interfaces_in_several_subnets_that_pods_have_addresses_of() -> None:
    """What the node itself sends to them leaves by its first interface, whose address it has."""
    nodes = ", ".join(
        f"{{name: {name}, addresses: [10.0.1.{number}/24, 10.0.2.{number}/24], taints: []}}"
        for number, name in enumerate(("control", "one", "two"), 11)
    )
    subnets = "{name: a, cidr: 10.0.1.0/24}, {name: b, cidr: 10.0.2.0/24}"
    text = source_of(f"subnets: [{subnets}]", "provider: vpc, interfaces: 3, addressesPerInterface: 2", nodes)
    pod = (
        "---\n{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {nodeName: two, containers: "
        "[{name: c, image: nginx, ports: [{containerPort: 80}]}]}}\n"
    )
    more = pod % "b1" + pod % "b2"
    made = Cluster(load_topology(document.parse(text + more, "in.yaml")))
    own = {str(made.pod(name).net.devices["eth0"].addresses[0].address)[:7] for name in ("b", "b1", "b2")}
    assert own == {"10.0.1.", "10.0.2."}
    for source in ("node/one", "node/two", "a"):
        for target in ("b:80", "b1:80", "b2:80"):
            assert ending(Asker(made).judge(source, target)) == "ALWAYS"


def test_a_node_that_comes_after_one_that_is_gone_takes_its_place() -> None:
    """With its address, and its rules: the VPC forgets whose they were."""
    made = ClusterLab(Plan(ClusterSpec(network=NetworkSpec("vpc"), nodes=(NodeSpec("n0"), NodeSpec("n1")))))
    made.leave("n1")
    made.join(NodeSpec("n2"))
    assert str(made.internal_ip("n2")) == "10.0.16.5"
    n0, n2 = made.nodes
    assert made.ask(n0, n2.address, Protocol.ICMP).outcome == "ok"
    assert made.ask(n2, n0.address, Protocol.ICMP).outcome == "ok"


def test_a_vpc_that_overlaps_with_the_services_range_is_told_of() -> None:
    """Once, whatever subnets its nodes are in; `podCIDR` counts only where pods have addresses of it."""
    for network, told in (
        ("provider: vpc", ["Services"]),
        ("provider: vpc, style: gke", ["pods", "Services"]),
        ("provider: kindnet", ["pods", "Services"]),
    ):
        warnings = Cluster(topology_of("cidr: 10.0.0.0/8", network)).warnings
        ours = [each for each in warnings if each.startswith("CIDR_OVERLAP")]
        assert len(ours) == len(told)
        assert all(any(f"the {each}' range" in line for line in ours) for each in told)


def test_a_namespace_may_be_called_as_the_vpc_is() -> None:
    """Its pods have network namespaces of other names."""
    pod = (
        "---\n{apiVersion: v1, kind: Namespace, metadata: {name: vpc}}\n"
        "---\n{apiVersion: v1, kind: Pod, metadata: {name: router, namespace: vpc}, spec: {nodeName: one, "
        "containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}}\n"
    )
    text = source_of(NAT, "provider: vpc") + pod
    made = Cluster(load_topology(document.parse(text, "in.yaml")))
    assert ending(Asker(made).judge("a", "pod/vpc/router:80")) == "ALWAYS"


@pytest.mark.parametrize("style", ["aws", "gke"])
def test_rules_of_the_provider_and_of_the_vpc_are_owed_to_them(style: str) -> None:
    """A hop names who wrote the rule: `provider vpc` on a node, the `Fabric` document at the router."""
    made = cluster(f"{NAT}, {OPEN}", f"provider: vpc, style: {style}")
    owed = set()
    for source, target in (("a", "ext/laptop:443"), ("a", "b:80")):
        (outcome,) = Asker(made).judge(source, target).outcomes
        owed |= {object_of(made, hop.told.step) for hop in outcome.story.hops()}
    assert {"provider vpc", "Fabric"} <= owed
