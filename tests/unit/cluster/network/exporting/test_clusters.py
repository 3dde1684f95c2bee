# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.cluster import Cluster
from emu.cluster.network.exporting.exporter import export
from emu.cluster.source import read_source
from tests.unit.cluster.network.exporting.rebuilding import bare, differences, rebuilt

if TYPE_CHECKING:
    from pathlib import Path

MANIFESTS: Final = """
apiVersion: emu/v1
kind: Cluster
metadata: {name: small}
spec:
  nodes: [{name: one, role: control-plane}, {name: two}, {name: web}]
  network: %s
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}, annotations: {emu/serve: "tcp/8080, udp/53, sctp/9000"}}
spec: {nodeName: two, containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near.by, labels: {app: web}}
spec: {nodeName: one, containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
NETWORKS: Final = {
    "kubenet": "{provider: kubenet}",
    "kindnet": "{provider: kindnet}",
    "flannel-vxlan": "{provider: flannel}",
    "flannel-host-gw": "{provider: flannel, backend: host-gw}",
}


@pytest.fixture(scope="module", params=list(NETWORKS))
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster of three nodes, one of which is called as a pod is."""
    path = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    path.write_text(MANIFESTS % NETWORKS[request.param])
    found = read_source([str(path)]).start()
    assert isinstance(found, Cluster)
    return found


def test_what_is_built_from_an_export_is_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """Routes, routing rules, addresses, devices, fixed neighbours, rules and settings of every namespace."""
    exported, again = rebuilt(cluster, tmp_path)
    found = [line for line in differences(cluster, exported, again) if not line.startswith("underlay")]
    assert found == []


def test_an_export_of_what_was_built_from_one_is_the_same(cluster: Cluster, tmp_path: Path) -> None:
    """Nothing is lost on the second way, and nothing comes to it."""
    exported, again = rebuilt(cluster, tmp_path)
    assert bare(export(again).document) == bare(exported.document)


def test_namespaces_have_short_names(cluster: Cluster) -> None:
    """The last part; the whole name where a node is called as a pod is, and no dots."""
    names = export(cluster).names
    wanted = {
        "router": "router",
        "switch/underlay": "underlay",
        "ext/laptop": "laptop",
        "node/one": "one",
        "node/web": "node-web",
        "default/web": "default-web",
        "default/near.by": "near-by",
    }
    assert wanted.items() <= names.items()


def test_servers_stand_in_for_programs(cluster: Cluster) -> None:
    """Of TCP and UDP, and this is said; those of SCTP are left out by name."""
    exported = export(cluster)
    of_web = {
        (step.kind, step.action.port)  # type: ignore[union-attr]
        for step in exported.document.actions
        if getattr(step.action, "ns", "") == "default-web" and step.kind.endswith("server")
    }
    assert of_web == {("tcp_server", 8080), ("udp_server", 53)}
    (told,) = exported.remarks.invented
    assert "default-web tcp/8080, default-web udp/53" in told
    assert "default-web: servers of SCTP, on 9000" in exported.remarks.left_out


def test_what_traffic_left_behind_is_counted(cluster: Cluster) -> None:
    """Learned entries and connections are in no document, and nobody has to guess that."""
    assert any(line.startswith("what traffic left behind: ") for line in export(cluster).remarks.left_out)


def test_an_export_leaves_the_cluster_as_it_is(cluster: Cluster) -> None:
    """No time passes, no frame moves, and a second export gives the same document."""
    now = cluster.fabric.loop.now
    with cluster.capture() as recorded:
        first = export(cluster)
    assert export(cluster) == first
    assert cluster.fabric.loop.now == now
    assert not recorded.frames


def test_what_a_document_cannot_say_is_named(tmp_path: Path) -> None:
    """A datapath of Open vSwitch is no bridge, and is not exported as one."""
    path = tmp_path / "cluster.yaml"
    path.write_text(MANIFESTS % "{provider: weave}")
    found = read_source([str(path)]).start()
    assert isinstance(found, Cluster)
    exported = export(found)
    assert "one/datapath: a device of the kind openvswitch" in exported.remarks.left_out
    assert "datapath" not in {each.iface for each in exported.document.bridges}
