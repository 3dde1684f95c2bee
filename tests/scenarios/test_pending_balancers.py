# SPDX-License-Identifier: GPL-2.0-only
"""Services of type LoadBalancer that nobody has given an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.testing import CliRunner

from emu.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = """\
apiVersion: emu/v1
kind: Cluster
spec:
  nodes: [{name: worker-1}]
---
apiVersion: v1
kind: Service
metadata: {name: front}
spec:
  type: LoadBalancer
  selector: {app: front}
  ports: [{port: 80, nodePort: 30080}]
"""


def test_from_outside_a_pending_address_is_told(tmp_path: Path) -> None:
    """Not that a router has no route to the ClusterIP; the node port would do."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER, encoding="utf-8")
    words = ["trace", "-f", str(tmp_path / "cluster.yaml"), "ext/laptop", "svc/front"]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 1, result.output
    assert result.stdout.splitlines()[0].endswith("LB_PENDING")
    told = " ".join(result.stdout.split())
    assert "<pending>" in told
    assert "loadBalancers" in told
    assert "port 30080" in told
