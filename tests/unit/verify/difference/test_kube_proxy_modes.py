# SPDX-License-Identifier: GPL-2.0-only
"""What changes with kube-proxy's mode, and nothing else: on a cluster that has all the known differences."""

from __future__ import annotations

from functools import cache
from typing import Final

import pytest

from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.cluster.topology.settings import with_settings
from emu.document import scan
from emu.verify.asker import Asker
from emu.verify.difference.compare import compare
from emu.verify.difference.seen import Kind, Owners, owners
from tests.scenarios.kube_proxy_modes import SHOP

CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
spec:
  kubeProxy: {mode: MODE}
  nodes:
  - {name: one, role: control-plane, addresses: [192.168.0.11/24, 10.9.0.11/24]}
  - {name: two, addresses: [192.168.0.12/24]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: two, containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: one, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  loadBalancerSourceRanges: [203.0.113.0/24]
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
status: {loadBalancer: {ingress: [{ip: 172.30.0.5}]}}
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{port: 80, nodePort: 30081}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""
LOOPBACK: Final = {
    ("node/*", "127.0.0.1", "30080/TCP", "ALWAYS", "NEVER"),
    ("node/*", "127.0.0.1", "30081/TCP", "ALWAYS", "NEVER"),
}
SECOND: Final = {
    ("node/one", "10.9.0.11", "30080/TCP", "ALWAYS", "NEVER"),
    ("node/one", "10.9.0.11", "30081/TCP", "ALWAYS", "NEVER"),
}
UNSERVED: Final = {
    (source, target, port, "NEVER", "NEVER")
    for source in ("default/client", "default/web")
    for target, port in (("svc/*", "ICMP"), ("svc/*", "81/TCP"), ("10.111.255.254", "81/TCP"))
}


@cache
def cluster(mode: str) -> Cluster:
    """Return the cluster with kube-proxy in a mode."""
    return Cluster(load_topology(scan(CLUSTER.replace("MODE", mode).encode(), "cluster.yaml")))


@pytest.mark.parametrize(
    ("mode", "expected"), [("nftables", LOOPBACK | SECOND | UNSERVED), ("iptables", set())]
)
def test_known_differences_are_listed_and_no_others(mode: str, expected: set[tuple[str, ...]]) -> None:
    """Node ports at loopback and at a second address, and what no Service serves; all else is as before."""
    other = Cluster(load_topology(scan(CLUSTER.replace("MODE", mode).encode(), "cluster.yaml")))
    found = compare(cluster("iptables"), other)
    assert found.questions > 20
    assert {
        (row.source.shown, row.target.shown, row.port, str(row.before), str(row.after))
        for row in found.changed
    } == expected


def shop(setting: str) -> Cluster:
    """Return the shop of the reference with another setting."""
    documents = list(scan(SHOP.read_bytes(), SHOP.name))
    return Cluster(load_topology(with_settings(documents, [setting])))


def changes(setting: str) -> dict[str, str]:
    """Return the flows of the shop that change with a setting, and why."""
    found = compare(shop("kubeProxy.mode=iptables"), shop(setting))
    return {row.flow: row.cause for row in found.changed}


def test_userspace_hides_the_clients_of_services() -> None:
    """Every workload's, by TCP and by UDP; who asks a pod itself is seen."""
    found = changes("kubeProxy.mode=userspace")
    hidden = {f"svc/kube-system/kube-dns:{port}" for port in ("53/UDP", "53/TCP", "9153/TCP")}
    assert {(flow.split(" -> ")[1]) for flow in found} == hidden | {"svc/default/web:80/TCP"}
    assert len(found) == 8
    assert found["default/client -> svc/default/web:80/TCP"] == "source: client -> gateway or node"
    assert all(cause.startswith("source: client") and cause.endswith("node") for cause in found.values())


def test_nftables_drops_what_is_for_nobody_and_refuses_what_is_not_served() -> None:
    """At an unused address, at ports that Services lack, and pings; each in other words."""
    found = changes("kubeProxy.mode=nftables")
    assert found["default/client -> 10.111.255.254:81/TCP"].startswith(
        "was refused, now dropped: SVC_NO_SUCH_ADDRESS"
    )
    assert found["default/client -> svc/*:81/TCP"] == "was IP_INNOROUTES, now SVC_NO_SUCH_PORT"
    assert found["default/client -> svc/*/ICMP"] == "was IP_INNOROUTES, now SVC_NO_SUCH_PORT"
    assert len(found) == 7


def test_ipvs_leaves_unused_addresses_alone() -> None:
    """It knows ClusterIPs only."""
    found = changes("kubeProxy.mode=ipvs")
    assert len(found) == 5
    assert not any("10.111.255.254" in flow for flow in found)


def test_no_node_is_known_by_a_services_address() -> None:
    """In mode ipvs a device of each node has all of them, only so that packets come in."""
    made = shop("kubeProxy.mode=ipvs")
    (node,) = (each for name, each in made.machines.items() if name == "control-plane")
    held = {own.address for own in node.net.devices["kube-ipvs0"].addresses}
    known = owners(made).of
    assert held
    assert not held & known.keys()
    assert {known[node.net.devices[name].addresses[0].address] for name in ("eth0", "lo")} == {Kind.NODE}


def test_who_has_an_address_that_no_node_has_is_another() -> None:
    """The same request is a node's where it is known that the node has the address."""
    verdict = Asker(cluster("iptables")).judge("ext/laptop", "node/one:30080")
    assert owners(cluster("iptables")).kinds(verdict) == ("node",)
    assert Owners({}).kinds(verdict) == ("another",)


def test_another_provider_shows_nodes_by_other_addresses() -> None:
    """To pods that are asked by node ports, and by the nodes themselves; pods are seen by their own."""
    found = changes("network.provider=weave")
    assert found["ext/laptop -> node/control-plane:30080/TCP"] == "source: node -> gateway"
    assert "source: client -> gateway" in found.values()
    assert not any(flow.startswith("default/") for flow in found)
