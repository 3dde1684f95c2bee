# SPDX-License-Identifier: GPL-2.0-only
"""A cluster written down by `emu get ... -o yaml` loads again as the same cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
import yaml

from emu.cluster.source import ClusterSource, read_source
from emu.kube.api.objects import Pod

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.cluster import Cluster

CLUSTER: Final = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: cp, role: control-plane}, {name: w1, zone: a}, {name: w2}]}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: c
        image: nginx
        ports: [{containerPort: 80, name: http}]
        readinessProbe: {httpGet: {port: http}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http, name: http}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: redis, ports: [{containerPort: 6379, hostPort: 6000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 6379}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostNetwork: true, containers: [{name: c, image: agnhost, args: [netexec, --http-port=7777]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}, {podSelector: {}}]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: ["true"]}]}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {containers: [{name: c, image: busybox}]}}
"""
KINDS: Final = "all,netpol,endpointslices,endpoints,nodes,ns,cm"
_OF_THE_RUN: Final = re.compile(r"resourceVersion|Time|startedAt|finishedAt|containerID|generation|-time:")


def load(path: Path, text: str = "") -> Cluster:
    """Return the cluster of a file, which `text` is written to first if it is given."""
    if text:
        path.write_text(text)
    source = read_source([str(path)])
    assert isinstance(source, ClusterSource)
    return source.start()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster."""
    return load(tmp_path_factory.mktemp("first") / "cluster.yaml", CLUSTER)


@pytest.fixture(scope="module")
def dump(first: Cluster) -> str:
    """All of it, as YAML."""
    finished = first.kubectl("get", [KINDS, "-A", "-o", "yaml"])
    assert finished.status == 0
    return finished.stdout


@pytest.fixture(scope="module")
def second(dump: str, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster that the dump describes."""
    return load(tmp_path_factory.mktemp("second") / "dump.yaml", dump)


def said(text: str) -> dict[str, list[str]]:
    """Return what a dump says of each object, but for times, revisions and the order of conditions."""
    found = {}
    for item in yaml.safe_load(text)["items"]:
        lines = yaml.safe_dump(item).splitlines()
        meta = item["metadata"]
        name = f"{item['kind']} {meta.get('namespace', '')}/{meta['name']}"
        found[name] = sorted(line.strip(" -") for line in lines if not _OF_THE_RUN.search(line))
    return found


def test_every_object_comes_back(dump: str, second: Cluster) -> None:
    """With its UID, its addresses and its status."""
    again = second.kubectl("get", [KINDS, "-A", "-o", "yaml"]).stdout
    assert said(again) == said(dump)


@pytest.mark.parametrize("node", ["cp", "w1", "w2"])
class TestKernel:
    """The nodes are set up as they were."""

    def test_has_the_same_rules(self, first: Cluster, second: Cluster, node: str) -> None:
        """All of kube-proxy's, of the plugins' and of the provider's."""

        def rules(cluster: Cluster) -> list[str]:
            text = re.sub(r"\[\d+:\d+\]", "", cluster.node(node).run("iptables-save"))
            return [line for line in text.splitlines() if not line.startswith("#")]

        assert sorted(rules(first)) == sorted(rules(second))
        assert len(rules(first)) > 50

    def test_has_the_same_routes(self, first: Cluster, second: Cluster, node: str) -> None:
        """To pods and to other nodes."""
        routes = [sorted(each.node(node).run("ip route").splitlines()) for each in (first, second)]
        assert routes[0] == routes[1]

    def test_has_the_same_devices(self, first: Cluster, second: Cluster, node: str) -> None:
        """With their addresses; their numbers are in the order in which pods came."""
        links = [
            sorted(
                re.findall(r"(?m)^\d+: ([^:@]+)|(link/ether \S+)|(inet \S+)", each.node(node).run("ip addr"))
            )
            for each in (first, second)
        ]
        assert links[0] == links[1]


def test_nothing_starts_anew(second: Cluster) -> None:
    """No container has to be started twice, for what it needs is there."""
    table = second.kubectl("get", ["pods", "-A", "--no-headers"]).stdout.splitlines()
    assert {line.split()[4] for line in table} == {"0"}
    assert not any("was made" in line for line in second.warnings)


def test_pods_serve_as_before(first: Cluster, second: Cluster) -> None:
    """By the node port and by the name."""
    for cluster in (first, second):
        assert cluster.pod("client").run("curl -s http://web.shop").startswith("web-")
        assert cluster.node("w1").run("curl -s http://127.0.0.1:7777/hostname") == "w1"


def test_json_and_lists_of_one_kind_are_read_too(first: Cluster, tmp_path: Path) -> None:
    """`-o json`, and a PodList as the API gives it: its items name no kind."""
    items = yaml.safe_load(first.kubectl("get", ["nodes,pods", "-A", "-o", "json"]).stdout)["items"]
    nodes = [item for item in items if item["kind"] == "Node"]
    pods = [item for item in items if item["kind"] == "Pod" and item["metadata"]["namespace"] == "shop"]
    for item in pods:
        del item["kind"], item["apiVersion"], item["metadata"]["ownerReferences"]
    parts = [
        {"apiVersion": "v1", "kind": "PodList", "items": pods},
        {"apiVersion": "v1", "kind": "List", "items": nodes},
    ]
    again = load(tmp_path / "pods.json", "\n---\n".join(map(yaml.safe_dump, parts)))
    before = {each.metadata.name: each.status.pod_ip for each in _pods(first)}
    assert {each.metadata.name: each.status.pod_ip for each in _pods(again)} == before


def _pods(cluster: Cluster) -> list[Pod]:
    return cluster.store.list(Pod, "shop")
