# SPDX-License-Identifier: GPL-2.0-only
"""VPCs that were exported and then built of real namespaces: router, gateways, rules, pods.

A public node and a private one; what the private one sends out goes through the
NAT gateway, and the laptop comes in by the public address of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
import pytest

from emu.cluster.cluster import Cluster
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

    from emu.cluster.network.model import NetworkDocument

STYLES: Final = {
    "aws": "{provider: vpc, style: aws, interfaces: 2, addressesPerInterface: 2}",
    "gke": "{provider: vpc, style: gke}",
}
MANIFESTS: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: small}
spec:
  nodes: [{name: one, role: control-plane, subnet: public, taints: []}, {name: two, subnet: private}]
  network: %s
  kubeProxy: {features: {nfacct: false}}
---
apiVersion: emu/v1
kind: Fabric
spec:
  vpc:
    cidr: 10.0.0.0/16
    subnets: [{name: public, cidr: 10.0.0.0/24, public: true}, {name: private, cidr: 10.0.1.0/24}]
    natGateway: {ip: 203.0.113.9}
    securityGroups:
    - {name: web, ingress: [{protocol: tcp, ports: 30080}]}
    interfaces: [{node: one, publicIP: 203.0.113.20, securityGroups: [default, web]}]
    networkACLs:
    - name: private
      subnets: [private]
      ingress: [{rule: 90, action: deny, protocol: udp}, {rule: 100}]
      egress: [{rule: 100}]
  external: [{name: laptop, ip: 198.51.100.7, serves: [tcp/8080]}]
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
metadata: {name: near, annotations: {emu/serve: tcp/8080}}
spec: {nodeName: two, containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}, annotations: {emu/serve: tcp/8080}}
spec: {nodeName: one, containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  clusterIP: 10.96.0.80
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080, nodePort: 30080}]
"""
FIRST_PORT: Final = 41000
LAPTOP, PUBLIC, SERVICE = map(IpAddress.parse, ("198.51.100.7", "203.0.113.20", "10.96.0.80"))
COMMANDS: Final = ("iptables-save",)


@attrs.frozen
class Run:
    """A document, and what Linux made of it."""

    document: NetworkDocument
    linux: document_run.LinuxRun
    asked: list[tuple[str, IpAddress, int]]


@pytest.fixture(scope="module", params=list(STYLES))
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A cluster in a VPC whose document was written, read again, and run on Linux."""
    folder = tmp_path_factory.mktemp("vpc")
    (folder / "cluster.yaml").write_text(MANIFESTS % STYLES[request.param])
    cluster = read_source([str(folder / "cluster.yaml")]).start()
    assert isinstance(cluster, Cluster)
    web, near = (cluster.pod(name).net.devices["eth0"].addresses[0].address for name in ("web", "near"))
    asked = [
        ("client", web, 8080),
        ("near", web, 8080),
        ("client", near, 8080),
        ("client", SERVICE, 80),
        ("client", LAPTOP, 8080),
        ("two", LAPTOP, 8080),
        ("web", LAPTOP, 8080),
        ("one", near, 8080),
        ("laptop", PUBLIC, 30080),
    ]
    steps = [
        Step("tcp_request", TcpRequest(ns, dst, to, src_port=port, send=b"who is it?", want=5), expect="ok")
        for port, (ns, dst, to) in enumerate(asked, FIRST_PORT)
    ]
    known = (80, 8080, 30080, *range(FIRST_PORT, FIRST_PORT + len(asked)))
    anonymous = Normalize(random_ports=True, known_ports=known)
    made = export.export(cluster, actions=steps, normalize=anonymous)
    export.write_export(made, "cluster.yaml", folder)
    document = load_network(folder / "scenario.yaml")
    return Run(document, document_run.run(document, COMMANDS), asked)


@pytest.mark.kernel
def test_a_vpc_of_linux_carries_the_frames_that_emus_does(
    run: Run, record_property: Callable[[str, object], None]
) -> None:
    """At every device, for each way within the VPC, out of it and into it."""
    ours = NetworkRun(run.document)
    assert ours.run().unexpected == []
    assert run.linux.outcomes == ["ok"] * len(run.asked)
    differences, count = [], 0
    for point in run.document.captures:
        theirs = [(frame.octets, frame.direction) for frame in run.linux.frames[point]]
        emus = [(frame.octets, frame.direction.name.lower()) for frame in ours.capture.at(point)]
        want, got = (
            canonical_frames(frames, random_ports=True, known_ports=run.document.normalize.known_ports)
            for frames in (theirs, emus)
        )
        count += len(want)
        differences += normalize.diff_frames(want, got, "network", label=str(point))
    assert not differences, "\n".join(differences)
    record_property("compared", ("frames of exported VPCs", count, 0))
