# SPDX-License-Identifier: GPL-2.0-only
"""Of a datagram in fragments the cause is what lost one of them, not those that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.source import read_source
from emu.verify.asker import Asker

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER: Final = """\
apiVersion: emu/v1
kind: Cluster
spec: {network: {provider: PROVIDER}, nodes: [{name: a}, {name: b}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one}
spec: {nodeName: a, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two, annotations: {emu/serve: udp/9}}
spec: {nodeName: b, containers: [{name: c, image: busybox}]}
---
apiVersion: emu/v1
kind: Fabric
spec: {links: [{endpoints: ["b:eth0", underlay], mtu: 1400}]}
"""


@pytest.mark.parametrize("provider", ["kindnet", "flannel", "calico"])
def test_a_lost_fragment_is_the_cause(tmp_path: Path, provider: str) -> None:
    """The link swallows the large one of the two, in a tunnel or not."""
    path = tmp_path / "lab.yaml"
    path.write_text(CLUSTER.replace("PROVIDER", provider))
    asker = Asker(read_source([str(path)]).start())
    (outcome,) = asker.judge("pod/default/one", "pod/default/two:9/udp", payload=2000).outcomes
    assert outcome.cause is not None
    assert outcome.cause.code == "PMTU_BLACKHOLE", outcome.cause.words
    (small,) = asker.judge("pod/default/one", "pod/default/two:9/udp", payload=500).outcomes
    assert small.cause is None
