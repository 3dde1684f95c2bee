# SPDX-License-Identifier: GPL-2.0-only
"""Small clusters and networks that are asked, and the one cause of what fails in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from emu import document
from emu.apps import datagram, stream
from emu.cluster.cluster import Cluster
from emu.cluster.topology import load_topology
from emu.sim.time import SECOND
from emu.verify.asker import Asker

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.emulation import Emulation
    from emu.testing.lab import Lab
    from emu.verify.causes.cause import Cause
    from emu.verify.verdict import Outcome

_NODES: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: demo}
spec:
  network: {provider: PROVIDER}
  kubeProxy: {mode: MODE}
  nodes: [{name: cp, role: control-plane}, {name: w1}, {name: w2}]
---
apiVersion: emu/v1
kind: Fabric
spec:
  external: [{name: laptop, ip: 198.51.100.7}]
"""


def pod(name: str, node: str, *, image: str = "nginx", **spec: object) -> str:
    """Return the manifest of a pod on `node` whose label `app` is its name up to the first dash."""
    ports = [{"name": "http", "containerPort": 80}] if image == "nginx" else []
    container = {"name": "main", "image": image, "ports": ports, **spec}
    labels = {"app": name.partition("-")[0]}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": node, "containers": [container]},
        }
    )


def service(name: str, app: str = "", *, port: dict[str, object] | None = None, **spec: object) -> str:
    """Return the manifest of a Service in front of the pods with this label `app`; empty for no selector."""
    wanted = {"selector": {"app": app}} if app else {}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"ports": [port or {"name": "http", "port": 80}], **wanted, **spec},
        }
    )


def policy(name: str, app: str, **spec: object) -> str:
    """Return the manifest of a NetworkPolicy for the pods with this label `app`."""
    return json.dumps(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name},
            "spec": {"podSelector": {"matchLabels": {"app": app}}, **spec},
        }
    )


WEB: Final = (pod("client", "w1", image="busybox"), pod("web-1", "w1"), pod("web-2", "w2"))
"""A client, and a server on each of two nodes."""


def cluster(*manifests: str, provider: str = "flannel", mode: str = "iptables") -> Cluster:
    """Return a cluster of a control plane `cp`, the workers `w1` and `w2`, and `ext/laptop` outside."""
    text = "\n---\n".join((_NODES.replace("PROVIDER", provider).replace("MODE", mode), *manifests))
    return Cluster(load_topology(document.scan(text.encode(), "cluster.yaml")))


def served(make: Callable[[], Lab], name: str, *commands: str) -> Lab:
    """Return a lab where `name` serves TCP 80 and UDP 53, after commands, each `NAMESPACE COMMAND...`."""
    lab = make()
    lab.start(name, stream.serve(80, b"hello"))
    lab.start(name, datagram.serve(53))
    for command in commands:
        where, _, line = command.partition(" ")
        lab.namespace(where).run(line)
    return lab


def connect(lab: Lab, source: str, target: str, count: int) -> None:
    """Open `count` connections to TCP 80 that stay open."""
    for _ in range(count):
        lab.start(source, stream.request(lab.address(target), 80, b"x", gap=30 * SECOND, timeout=60 * SECOND))
        lab.wait()


def failures(network: Emulation, source: str, target: str, *, payload: int = 0) -> list[Outcome]:
    """Return the outcomes of a question that are not delivered."""
    verdict = Asker(network).judge(source, target, payload=payload)
    return [one for one in verdict.outcomes if one.cause is not None]


def cause(network: Emulation, source: str, target: str, *, payload: int = 0) -> Cause:
    """Return the cause of the first failure of a question."""
    found = failures(network, source, target, payload=payload)[0].cause
    assert found is not None
    return found
