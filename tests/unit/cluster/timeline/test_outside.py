# SPDX-License-Identifier: GPL-2.0-only
"""Clients of a scenario that stand outside the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import ClusterSource, read_source
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.timeline.windows import Summary

HEAD = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: one}, {name: two}]}
---
apiVersion: emu/v1
kind: Fabric
spec:
  external: [{name: laptop, ip: 198.51.100.7}]
  loadBalancers: [{name: cloud, kind: passthrough, pool: [203.0.113.16/28]}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: two
  containers: [{name: c, image: nginx, ports: [{containerPort: 80}, {containerPort: 53, protocol: UDP}]}]
---
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: TYPE
  selector: {app: web}
  ports: [{name: h, port: 80}, {name: d, port: 53, protocol: UDP}]
"""


def seen(path: Path, kind: str, spec: str) -> dict[str, Summary]:
    """Return what clients saw of a Service of a type."""
    scenario = f"---\napiVersion: emu/v1\nkind: Scenario\nspec:\n{spec}"
    path.write_text(HEAD + SERVICE.replace("TYPE", kind) + scenario)
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    story = source.start().story
    assert story is not None
    return {each.spec.name: each.summary for each in story.clients}


CLIENTS = """
  until: 20s
  traffic:
  - {name: named, from: ext/laptop, to: svc/web:h}
  - {name: kept, from: ext/laptop, to: "svc/web:80", keepAlive: true}
  - {name: udp, from: ext/laptop, to: "svc/web:53/udp", sourcePort: 5555}
"""


def test_a_client_outside_asks_a_service_by_its_load_balancer(tmp_path: Path) -> None:
    """As questions do: nobody outside has a way to a ClusterIP."""
    found = seen(tmp_path / "s.yaml", "LoadBalancer", CLIENTS)
    assert {name: (each.lost, each.sent > 3) for name, each in found.items()} == dict.fromkeys(
        ("named", "kept", "udp"), (0, True)
    )


@pytest.mark.parametrize("client", ["named", "kept", "udp"])
def test_an_address_that_a_balancer_gives_later_is_used_from_then_on(tmp_path: Path, client: str) -> None:
    """It is looked for with each connection, and datagram, until there is one."""
    (tmp_path / "later.yaml").write_text(SERVICE.replace("TYPE", "LoadBalancer"))
    spec = CLIENTS + f'  steps: [{{at: 14s, run: "apply -f {tmp_path / "later.yaml"}"}}]\n'
    found = seen(tmp_path / "s.yaml", "ClusterIP", spec)[client]
    (window,) = found.windows
    assert not window.is_open
    assert 14 * SECOND <= window.end <= 17 * SECOND
