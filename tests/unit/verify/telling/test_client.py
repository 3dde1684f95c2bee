# SPDX-License-Identifier: GPL-2.0-only
"""What is told of a client whose address its server does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.source import read_source
from emu.verify.asker import Asker
from emu.verify.telling.client import lost_address
from emu.verify.telling.places import Places

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER: Final = """\
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: a}, {name: b}]}
---
apiVersion: emu/v1
kind: Fabric
spec:
  external: [{name: laptop, ip: 198.51.100.7}]
  loadBalancers: [{name: cloud, kind: nat, pool: [203.0.113.128/28]}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: b, containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: a, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  loadBalancerIP: 203.0.113.130
  selector: {app: web}
  externalTrafficPolicy: POLICY
  ports: [{port: 80}]
"""


@pytest.mark.parametrize(
    ("source", "policy", "words"),
    [
        ("ext/laptop", "Cluster", "spec.externalTrafficPolicy is Cluster, Local would keep"),
        ("ext/laptop", "Local", ""),
        ("pod/default/client", "Cluster", "it was that of node/a before it came to the Service's node"),
    ],
)
def test_only_who_comes_with_his_own_address_would_keep_it(
    tmp_path: Path, source: str, policy: str, words: str
) -> None:
    """What leaves the pods' network, and passes a balancer, has lost the pod's address before."""
    path = tmp_path / "lab.yaml"
    path.write_text(CLUSTER.replace("POLICY", policy))
    cluster = read_source([str(path)]).start()
    verdict = Asker(cluster).judge(source, "203.0.113.130:80")
    told = lost_address(verdict, Places(cluster))
    assert words in told
    assert bool(told) is bool(words)
