# SPDX-License-Identifier: GPL-2.0-only
"""VPCs that were exported and then built of real namespaces: router, gateways, rules, pods.

A public node and a private one; what the private one sends out goes through the
NAT gateway, and the laptop comes in by the public address of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.testing.manifests import WITHOUT_DNS, pod
from emu.wire.addresses import IpAddress
from tests.kernel.exported import Exported, compare, connect, run, start

if TYPE_CHECKING:
    from collections.abc import Callable

STYLES: Final = {
    "aws": "{provider: vpc, style: aws, interfaces: 2, addressesPerInterface: 2}",
    "gke": "{provider: vpc, style: gke}",
}
CLUSTER: Final = """
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
"""
SERVICE: Final = """
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
PODS: Final = pod("client", "two") + pod("near", "two", "tcp/8080") + pod("web", "one", "tcp/8080")
PORTS: Final = (80, 8080, 30080)
FIRST_PORT: Final = 41000
LAPTOP, PUBLIC, WEB = map(IpAddress.parse, ("198.51.100.7", "203.0.113.20", "10.96.0.80"))


@pytest.fixture(scope="module", params=list(STYLES))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A cluster in a VPC whose document was written, read again, and run on Linux."""
    folder = tmp_path_factory.mktemp("vpc")
    cluster = start(folder, CLUSTER % STYLES[request.param] + WITHOUT_DNS + PODS + SERVICE)
    web, near = (cluster.pod(name).net.devices["eth0"].addresses[0].address for name in ("web", "near"))
    asked = [
        ("client", web, 8080),
        ("near", web, 8080),
        ("client", near, 8080),
        ("client", WEB, 80),
        ("client", LAPTOP, 8080),
        ("two", LAPTOP, 8080),
        ("web", LAPTOP, 8080),
        ("one", near, 8080),
        ("laptop", PUBLIC, 30080),
    ]
    steps = [connect(*each, port) for port, each in enumerate(asked, FIRST_PORT)]
    return run(cluster, folder, steps, PORTS)


@pytest.mark.kernel
def test_a_vpc_of_linux_carries_the_frames_that_emus_does(
    exported: Exported, record_property: Callable[[str, object], None]
) -> None:
    """At every device, for each way within the VPC, out of it and into it."""
    record_property("compared", ("frames of exported VPCs", compare(exported), 0))
