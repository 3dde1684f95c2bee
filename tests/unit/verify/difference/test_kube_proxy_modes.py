# SPDX-License-Identifier: GPL-2.0-only
"""What changes with kube-proxy's mode, and nothing else: on a cluster that has all the known differences."""

from __future__ import annotations

from functools import cache
from typing import Final

import pytest

from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.document import scan
from emu.verify.difference.compare import compare

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


@cache
def cluster(mode: str) -> Cluster:
    """Return the cluster with kube-proxy in a mode."""
    return Cluster(load_topology(scan(CLUSTER.replace("MODE", mode).encode(), "cluster.yaml")))


@pytest.mark.parametrize(("mode", "expected"), [("nftables", LOOPBACK | SECOND), ("iptables", set())])
def test_known_differences_are_listed_and_no_others(mode: str, expected: set[tuple[str, ...]]) -> None:
    """Node ports at loopback and at a second address; all else fares as before."""
    other = Cluster(load_topology(scan(CLUSTER.replace("MODE", mode).encode(), "cluster.yaml")))
    found = compare(cluster("iptables"), other)
    assert found.questions > 20
    assert {
        (row.source.shown, row.target.shown, row.port, str(row.before), str(row.after))
        for row in found.changed
    } == expected
