# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy's minimal period between two syncs, out of the document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.cluster.source import ClusterSource, read_source
from emu.sim.time import MILLISECOND

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: one}], kubeProxy: {mode: %s, %s: {minSyncPeriod: %s}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: emu/v1
kind: Scenario
spec:
  until: 60s
  steps:
  - {at: 20s, run: scale deploy/web --replicas=2}
  - {at: 20.1s, run: scale deploy/web --replicas=3}
"""


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize(("period", "waits"), [("1s", 1000), ("10s", 10_000), ("250ms", 250)])
def test_the_second_of_two_changes_waits_for_its_period(
    tmp_path: Path, mode: str, period: str, waits: int
) -> None:
    """The first is written at once."""
    path = tmp_path / "periods.yaml"
    path.write_text(TEXT % (mode, mode, period))
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    story = source.start().story
    assert story is not None
    times = [each.time // MILLISECOND for each in story.entries if each.kind == "rules"]
    assert times == [20_000, 20_000 + waits]
