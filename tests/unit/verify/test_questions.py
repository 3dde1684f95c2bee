# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from emu import document
from emu.cluster.cluster import Cluster
from emu.cluster.source import source_of
from emu.verify.questions import Flow, Member, Party, Port, choose, count, workloads

SHOP = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}]}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}},
 spec: {containers: [{name: c, image: i}]}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: once, namespace: shop},
 spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
 spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 30080}],
        externalIPs: [203.0.113.5]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop},
 spec: {clusterIP: None, selector: {app: db}, ports: [{port: 5432}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: away, namespace: shop},
 spec: {type: ExternalName, externalName: example.com, ports: [{port: 443}]}}
---
{apiVersion: emu/v1, kind: Cluster, spec: {nodes: [{name: n1}, {name: n2}]}}
---
{apiVersion: emu/v1, kind: Fabric, spec: {external: [{name: api, ip: 192.0.2.80, serves: [tcp/443]}]}}
"""


@pytest.fixture(scope="module")
def cluster() -> Cluster:
    """A shop."""
    found = source_of(document.parse(SHOP, "shop.yaml"), "shop.yaml").start()
    assert isinstance(found, Cluster)
    return found


def texts(flows: tuple[Flow, ...]) -> list[str]:
    """Return flows as people read them."""
    return [f"{flow.source.shown} -> {flow.target.shown}:{flow.port}" for flow in flows]


class TestWorkloads:
    """Who asks."""

    def test_pods_are_together_with_who_makes_them(self, cluster: Cluster) -> None:
        """The Deployment is named, not its ReplicaSet; a bare pod stands for itself."""
        parties = [each.party for each in workloads(cluster.store)]
        assert [(each.point, each.shown, len(each.members)) for each in parties] == [
            ("pod/shop/db", "shop/db", 1),
            ("deploy/shop/web", "shop/web-*", 2),
        ]

    def test_ports_are_declared_or_led_to(self, cluster: Cluster) -> None:
        """A pod that declares nothing is asked where its Service leads."""
        assert {each.party.shown: each.ports for each in workloads(cluster.store)} == {
            "shop/db": (Port(5432, "TCP"),),
            "shop/web-*": (Port(8080, "TCP"),),
        }

    def test_the_dns_asks_nobody(self, cluster: Cluster) -> None:
        """It is there if it is asked for."""
        every = [each.party.point for each in workloads(cluster.store, system=True)]
        assert "deploy/kube-system/coredns" in every


class TestFlows:
    """Who asks whom."""

    def test_workloads_ask_services_each_other_and_the_outside(self, cluster: Cluster) -> None:
        """On every port there is, DNS included; names of other people's hosts are not asked."""
        assert [each for each in texts(choose(cluster)) if each.startswith("shop/web-*")] == [
            "shop/web-* -> svc/default/kubernetes:443/TCP",
            "shop/web-* -> svc/kube-system/kube-dns:53/UDP",
            "shop/web-* -> svc/kube-system/kube-dns:53/TCP",
            "shop/web-* -> svc/kube-system/kube-dns:9153/TCP",
            "shop/web-* -> svc/shop/db:5432/TCP",
            "shop/web-* -> svc/shop/web:80/TCP",
            "shop/web-* -> shop/db:5432/TCP",
            "shop/web-* -> shop/web-*:8080/TCP",
            "shop/web-* -> ext/api:443/TCP",
        ]

    def test_the_outside_asks_at_the_doors(self, cluster: Cluster) -> None:
        """Node ports on every node, and addresses outside."""
        assert [each for each in texts(choose(cluster)) if each.startswith("ext/")] == [
            "ext/api -> node/*:30080/TCP",
            "ext/api -> 203.0.113.5:80/TCP",
        ]

    def test_a_headless_service_is_asked_by_its_name(self, cluster: Cluster) -> None:
        """It has no address."""
        flow = next(each for each in choose(cluster) if each.target.shown == "svc/shop/db")
        assert [flow.text(member) for member in flow.target.members] == ["db.shop.svc.cluster.local:5432/TCP"]

    def test_nobody_asks_himself(self) -> None:
        """That would leave no pod."""
        one, two = Member("a", "pod/a"), Member("b", "pod/b")
        flow = Flow(
            Party("deploy/x", "x-*", (one, two)), Party("deploy/x", "x-*", (one, two)), Port(80, "TCP")
        )
        assert list(flow.questions) == [(one, two), (two, one)]
        assert count([flow, flow]) == 4
