# SPDX-License-Identifier: GPL-2.0-only
"""What NetworkPolicy leaves open is told where a verdict depends on it, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu import lab
from emu.verify.asker import Asker

if TYPE_CHECKING:
    from pathlib import Path

LAB: Final = """
apiVersion: emu/v1
kind: Cluster
spec: {networkPolicy: SETTINGS}
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec: {nodeName: worker-1, containers: [{name: c, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {nodeName: worker-2, containers: [{name: c, image: web, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec: {podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress, Egress]}
"""
KEEP: Final = "a connection that stood before a policy goes on (networkPolicy.establishedConnections: keep)"
NODE: Final = (
    "a pod on its node's network is no pod to selectors of policies (networkPolicy.hostNetworkPeer: node)"
)
ICMP: Final = "a policy isolates a pod for ICMP, too"
BACK: Final = "what a pod sends to itself through a Service is judged by its policies"


def asker(tmp_path: Path, settings: str = "{}") -> Asker:
    """Return who answers questions about the cluster above."""
    path = tmp_path / "lab.yaml"
    path.write_text(LAB.replace("SETTINGS", settings))
    return Asker(lab.load(str(path)))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("server", "client:99", {KEEP}),
        ("client", "server:80", {KEEP}),
        ("node/worker-2", "server:80", {KEEP, NODE}),
        ("server", "node/worker-2:80", {KEEP, NODE}),
        ("client", "server/icmp", {KEEP, ICMP}),
        ("server", "svc/server:80", {KEEP, BACK}),
        ("ext/laptop", "client:80", set()),
        ("client", "ext/laptop/icmp", set()),
    ],
)
def test_a_point_is_told_where_it_matters(
    tmp_path: Path, source: str, target: str, expected: set[str]
) -> None:
    """Between ends of which a policy isolates one."""
    assert set(asker(tmp_path).judge(source, target).assumptions) == expected


def test_points_are_told_as_the_cluster_settles_them(tmp_path: Path) -> None:
    """With the setting and its value."""
    settings = "{establishedConnections: recheck, hostNetworkPeer: pod}"
    found = asker(tmp_path, settings).judge("node/worker-2", "server:80").assumptions
    assert [each.partition("(")[2] for each in found] == [
        "networkPolicy.hostNetworkPeer: pod)",
        "networkPolicy.establishedConnections: recheck)",
    ]
