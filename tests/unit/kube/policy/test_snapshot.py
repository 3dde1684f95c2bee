# SPDX-License-Identifier: GPL-2.0-only
"""Which pods count, and what policies see of them."""

from __future__ import annotations

import pytest
import yaml

from emu.kube.api import codec
from emu.kube.api.objects import Pod
from emu.kube.policy.snapshot import NamedPort, Snapshot, view_of

POD = """
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: x, labels: {app: a}}
spec:
  nodeName: n1
  initContainers:
  - {name: once, ports: [{name: early, containerPort: 1}]}
  - {name: sidecar, restartPolicy: Always, ports: [{name: mesh, containerPort: 15001}]}
  containers:
  - name: c
    ports: [{name: web, containerPort: 80}, {containerPort: 81}, {name: q, containerPort: 53, protocol: UDP}]
status: {phase: Running, podIP: 10.0.1.2}
"""


def pod(text: str = POD) -> Pod:
    """Return a pod of a manifest."""
    found = codec.read(yaml.safe_load(text))
    assert isinstance(found, Pod)
    return found


def test_names_of_ports_are_those_of_containers_and_sidecars() -> None:
    """Containers that end before the others begin have none that counts."""
    found = view_of(pod())
    assert found is not None
    assert found.ports == (
        NamedPort("web", "TCP", 80),
        NamedPort("q", "UDP", 53),
        NamedPort("mesh", "TCP", 15001),
    )


@pytest.mark.parametrize(
    "text",
    [
        POD.replace("Running", "Succeeded"),
        POD.replace("Running", "Failed"),
        POD.replace(", podIP: 10.0.1.2", ""),
        POD.replace("  nodeName: n1\n", ""),
        POD.replace("10.0.1.2", "fd00::2"),
    ],
)
def test_a_pod_that_has_ended_or_has_no_address_does_not_count(text: str) -> None:
    """Its address may be somebody else's by now."""
    assert view_of(pod(text)) is None


def test_the_node_knows_an_address_before_the_api_does() -> None:
    """And its word counts more than what stood there before."""
    found = view_of(pod(), "10.0.1.9")
    assert found is not None
    assert found.address == "10.0.1.9"


def test_each_namespace_has_its_name_as_a_label() -> None:
    """One that nobody made, too; what an object claims instead does not count."""
    snapshot = Snapshot(namespaces={"x": {"team": "red", "kubernetes.io/metadata.name": "other"}})
    assert snapshot.labels_of("x") == {"team": "red", "kubernetes.io/metadata.name": "x"}
    assert snapshot.labels_of("y") == {"kubernetes.io/metadata.name": "y"}
