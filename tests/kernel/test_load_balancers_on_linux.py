# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers and node ports, exported and built of real namespaces: Linux sends what emu sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from emu.cluster.emulation import Host
from emu.testing.manifests import WITHOUT_DNS, pod
from emu.wire.addresses import IpAddress
from tests.kernel.exported import compare, connect, run, start

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
CLUSTER: Final = """
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
"""
SERVICES: Final = """
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
PODS: Final = pod("client", "two") + pod("web", "two", "tcp/8080")
PORTS: Final = (80, 8080, 30080, 30081)
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
    cluster = start(tmp_path, CLUSTER % FABRICS[name] + WITHOUT_DNS + PODS + SERVICES)
    steps = [
        connect(each.ns, each.dst, each.port, port, each.outcome)
        for port, each in enumerate(requests(name), FIRST_PORT)
    ]
    exported = run(cluster, tmp_path, steps, PORTS, ("nft list ruleset", "ip rule"))
    record_property("compared", ("frames of load balancers", compare(exported), 0))
    for net, ns in exported.export.names.items():
        if net.startswith("lb/"):
            host = Host(cluster, cluster.fabric.namespaces[net])
            assert host.run("ip rule") == exported.linux.printed[ns, "ip rule"]
