# SPDX-License-Identifier: GPL-2.0-only
"""A small routed fabric: two racks, a spine between them, a pod in each."""

from __future__ import annotations

from typing import Any, Final

import yaml

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology

ROUTERS: Final = """
- {name: spine, interfaces: [{name: 1, addresses: [10.0.0.0/31]}, {name: 2, addresses: [10.0.0.2/31]}]}
- name: tor-1
  interfaces: [{name: rack, addresses: [10.1.1.1/24], ports: []}, {name: up, addresses: [10.0.0.1/31]}]
- name: tor-2
  interfaces: [{name: rack, addresses: [10.1.2.1/24], ports: [1, 2]}, {name: up, addresses: [10.0.0.3/31]}]
"""
LINKS: Final = """
- {endpoints: ["tor-1:up", "spine:1"], delay: 50us}
- {endpoints: ["tor-2:up", "spine:2"], delay: 50us}
- {endpoints: ["w2:eth0", "tor-2:1"], delay: 5us}
"""
NODES: Final = """
- {name: cp, role: control-plane, addresses: [10.1.1.10/24]}
- {name: w1, addresses: [10.1.1.11/24]}
- {name: w2, addresses: [10.1.2.11/24]}
"""


def pod(name: str, node: str) -> dict[str, Any]:
    """Return the manifest of a pod that listens on port 80."""
    container = {"name": "main", "image": "nginx", "ports": [{"containerPort": 80}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"nodeName": node, "containers": [container]},
    }


def documents(
    fabric: dict[str, Any] | None = None, nodes: str = NODES, network: str = "{provider: flannel}"
) -> list[dict[str, Any]]:
    """Return the documents: `fabric` is the spec, instead of the two racks."""
    racks = {"routers": yaml.safe_load(ROUTERS), "links": yaml.safe_load(LINKS)}
    spec = {"nodes": yaml.safe_load(nodes), "network": yaml.safe_load(network)}
    return [
        {"apiVersion": "emu/v1", "kind": "Cluster", "spec": spec},
        {"apiVersion": "emu/v1", "kind": "Fabric", "spec": racks if fabric is None else fabric},
        pod("a", "w1"),
        pod("b", "w2"),
    ]


def built(*manifests: dict[str, Any]) -> Cluster:
    """Return a running cluster."""
    text = yaml.safe_dump_all(list(manifests) or documents(), sort_keys=False)
    return Cluster(load_topology(document.scan(text.encode(), "racks.yaml")))


def plain(**fabric: Any) -> Cluster:  # noqa: ANN401 - a document
    """Return a cluster on the default fabric, with these keys in its document."""
    return built(*documents(fabric, nodes="[{name: cp, role: control-plane}, {name: w1}, {name: w2}]"))
