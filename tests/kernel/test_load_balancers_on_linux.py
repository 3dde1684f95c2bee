# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers and node ports, exported and built of real namespaces: Linux sends what emu sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from emu.cluster.cluster import Cluster
from emu.cluster.emulation import Host
from emu.cluster.network.actions import Step, TcpRequest
from emu.cluster.network.exporting import exporter as export
from emu.cluster.network.model import Normalize
from emu.cluster.network.reader import load_network
from emu.cluster.network.run import NetworkRun
from emu.cluster.source import read_source
from emu.observe.canonical.frames import canonical_frames
from emu.wire.addresses import IpAddress
from tests.golden.test_golden import normalize
from tests.kernel import document_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FABRICS: Final = {
    "node ports behind a router": """
  routers:
  - {name: edge, interfaces: [{name: lan, addresses: [10.1.0.1/24], ports: [port1]}]}
  links: [{endpoints: ["two:eth0", "edge:port1"]}]
""",
    "passthrough": "\n  loadBalancers: [{name: cloud, kind: passthrough}]\n",
    "nat": "\n  loadBalancers: [{name: cloud, kind: nat}]\n",
    "nat, source replaced": "\n  loadBalancers: [{name: cloud, kind: nat, source: replace}]\n",
}
MANIFESTS: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: small}
spec:
  nodes:
  - {name: one, role: control-plane, addresses: [10.1.0.10/24]}
  - {name: two, addresses: [10.1.0.11/24]}
  kubeProxy: {mode: iptables, features: {nfacct: false}}
---
apiVersion: emu/v1
kind: Fabric
spec: %s
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: coredns, namespace: kube-system}
spec:
  replicas: 0
  selector: {matchLabels: {k8s-app: kube-dns}}
  template:
    metadata: {labels: {k8s-app: kube-dns}}
    spec: {containers: [{name: coredns, image: coredns}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: two, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}, annotations: {emu/serve: tcp/8080}}
spec: {nodeName: two, containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.80
  externalTrafficPolicy: Local
  healthCheckNodePort: 32000
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: spread}
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.81
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30081}]
"""
FIRST_PORT: Final = 41000
WEB, SPREAD = IpAddress.parse("203.0.113.128"), IpAddress.parse("203.0.113.129")
ONE, TWO = IpAddress.parse("10.1.0.10"), IpAddress.parse("10.1.0.11")


class Request(NamedTuple):
    """Who asks whom for what, and what comes of it."""

    ns: str
    dst: IpAddress
    port: int
    outcome: str = "ok"


def requests(name: str) -> list[Request]:
    """Return the ways in, under both policies; with a balancer also by its address."""
    ports = [
        Request("laptop", TWO, 30080),
        Request("laptop", TWO, 30081),
        Request("laptop", ONE, 30081),
        Request("laptop", ONE, 30080, "timeout"),
    ]
    if not name.startswith(("pass", "nat")):
        return ports
    return [
        Request("laptop", WEB, 80),
        Request("laptop", SPREAD, 80),
        Request("client", WEB, 80),
        Request("one", SPREAD, 80),
        *ports[:2],
    ]


@pytest.mark.kernel
@pytest.mark.parametrize("name", FABRICS)
def test_linux_sends_the_frames_that_emu_sends(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """At every device of all namespaces: the router, the balancer, the nodes, the pods."""
    (tmp_path / "cluster.yaml").write_text(MANIFESTS % FABRICS[name])
    cluster = read_source([str(tmp_path / "cluster.yaml")]).start()
    assert isinstance(cluster, Cluster)
    asked = requests(name)
    steps = [
        Step(
            "tcp_request",
            TcpRequest(each.ns, each.dst, each.port, src_port=port, send=b"who is it?", want=5),
            expect=each.outcome,
        )
        for port, each in enumerate(asked, FIRST_PORT)
    ]
    known = (80, 8080, 30080, 30081, *range(FIRST_PORT, FIRST_PORT + len(asked)))
    made = export.export(cluster, actions=steps, normalize=Normalize(random_ports=True, known_ports=known))
    export.write_export(made, "cluster.yaml", tmp_path)
    document = load_network(tmp_path / "scenario.yaml")
    linux = document_run.run(document, ("nft list ruleset", "ip rule"))
    ours = NetworkRun(document)
    assert ours.run().unexpected == []
    assert linux.outcomes == [each.outcome for each in asked]
    differences, count = [], 0
    for point in document.captures:
        theirs = [(frame.octets, frame.direction) for frame in linux.frames[point]]
        emus = [(frame.octets, frame.direction.name.lower()) for frame in ours.capture.at(point)]
        want, got = (
            canonical_frames(frames, random_ports=True, known_ports=document.normalize.known_ports)
            for frames in (theirs, emus)
        )
        count += len(want)
        differences += normalize.diff_frames(want, got, "network", label=str(point))
    assert not differences, "\n".join(differences)
    record_property("compared", ("frames of load balancers", count, 0))
    for net, ns in made.names.items():
        if net.startswith("lb/"):
            host = Host(cluster, cluster.fabric.namespaces[net])
            assert host.run("ip rule") == linux.printed[ns, "ip rule"]
