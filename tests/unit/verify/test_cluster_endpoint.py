# SPDX-License-Identifier: GPL-2.0-only
"""End points of a question about a cluster, and names that DNS does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu import lab
from emu.errors import EndPointError, UnknownNameError
from emu.verify import cluster_endpoint
from emu.verify.endpoint import Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from emu.cluster.cluster import Cluster
    from emu.verify.flow import Flow

CLUSTER = """
apiVersion: emu/v1
kind: Cluster
spec: {nodes: [{name: node-1}]}
---
apiVersion: emu/v1
kind: Fabric
spec: {external: [{name: example.org, ip: 192.0.2.80, serves: [tcp/443]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: c, image: nginx, ports: [{containerPort: 8080, name: http}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: busybox}]}
---
apiVersion: v1
kind: Pod
metadata: {name: host}
spec: {hostNetwork: true, containers: [{name: c, image: busybox}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: two, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: two}}
  template:
    metadata: {labels: {app: two}}
    spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: gone, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {clusterIP: None, selector: {app: nobody}, ports: [{port: 80}]}
"""
SILENT = """
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: dns, namespace: kube-system, labels: {k8s-app: kube-dns}, annotations: {emu/serve: tcp/80}}
spec: {containers: [{name: c, image: busybox}]}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cluster's file."""
    path = tmp_path_factory.mktemp("cluster") / "cluster.yaml"
    path.write_text(CLUSTER)
    return path


@pytest.fixture(scope="module")
def cluster(file: Path) -> Cluster:
    """A cluster of one node, that is only looked at."""
    found = lab.load(str(file))
    assert isinstance(found, lab.Cluster)
    return found


def asked(cluster: Cluster, text: str) -> str:
    """Return who is asked, as `NAME ADDRESS PROTOCOL PORT`; the pod's address is called `web`."""
    source = cluster_endpoint.find_source(cluster, "client")
    target = cluster_endpoint.find_target(cluster, text, source)
    names = {cluster.pod("web").net.devices["eth0"].addresses[0].address: "web"}
    address = names.get(target.address, str(target.address))
    return f"{target.point} {address} {target.protocol.value} {target.port}"


class TestTarget:
    """TO is a point, an address or a name, with port and protocol."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("web", "default/web web ICMP 0"),
            ("pod/web:8080", "default/web web TCP 8080"),
            ("default/web:http", "default/web web TCP 8080"),
            ("web:53/udp", "default/web web UDP 53"),
            ("web:9/SCTP", "default/web web SCTP 9"),
            ("web/icmp", "default/web web ICMP 0"),
            ("node/node-1:10250", "node/node-1 172.18.0.2 TCP 10250"),
            ("ext/example.org:443", "ext/example.org 192.0.2.80 TCP 443"),
            ("example.org:443", "example.org 192.0.2.80 TCP 443"),
            ("192.0.2.80:443/tcp", "192.0.2.80 192.0.2.80 TCP 443"),
            ("headless.default.svc.cluster.local:8080", "headless.default.svc.cluster.local web TCP 8080"),
            ("headless.default:8080", "headless.default web TCP 8080"),  # by the search list
        ],
    )
    def test_is_found(self, cluster: Cluster, text: str, expected: str) -> None:
        """A named port is one of the pod's containers."""
        assert asked(cluster, text) == expected

    @pytest.mark.parametrize(
        ("text", "port"), [("svc/web:http", 80), ("svc/web:81", 81), ("svc/default/web:gone", 81)]
    )
    def test_a_service_is_asked_at_its_address(self, cluster: Cluster, text: str, port: int) -> None:
        """By the number or the name of a port."""
        name, address, protocol, number = asked(cluster, text).split()
        assert (name, protocol, int(number)) == ("svc/default/web", "TCP", port)
        assert address.startswith(("10.9", "10.1"))

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("svc/web", "which port"),
            ("svc/web:smtp", r"which port\? \(http, gone\)"),
            ("svc/headless:8080", "headless: it has no address, ask by its DNS name"),
            ("web:smtp", r"the pod has no port smtp \(http\)"),
            ("web:0", "a port is a number from 1"),
            ("web:80/icmp", "ICMP has no ports"),
            ("web/udp", "UDP needs a port"),
            ("deploy/shop/two:80", r"has 2 pods: say which one, like deploy/shop/two\[0\]"),
        ],
    )
    def test_what_is_not_clear_is_asked_back(self, cluster: Cluster, text: str, words: str) -> None:
        """With what there is to choose from."""
        with pytest.raises(EndPointError, match=words):
            asked(cluster, text)

    @pytest.mark.parametrize("text", ["nobody:80", "svc/nobody:80", "node/nobody:80", "ext/nobody:80"])
    def test_who_is_not_there_is_named(self, cluster: Cluster, text: str) -> None:
        """A name without a dot is none for DNS."""
        with pytest.raises(UnknownNameError, match="nobody"):
            asked(cluster, text)


class TestSource:
    """FROM is a pod, a node, a host outside or an address."""

    @pytest.mark.parametrize(
        ("text", "namespace"),
        [
            ("client", "default/client"),
            ("host", "node/node-1"),
            ("node/node-1", "node/node-1"),
            ("ext/example.org", "ext/example.org"),
            ("172.18.0.2", "node/node-1"),
        ],
    )
    def test_is_found_where_it_runs(self, cluster: Cluster, text: str, namespace: str) -> None:
        """A pod on the node's network is in the node's namespace."""
        assert cluster_endpoint.find_source(cluster, text).namespace == namespace

    def test_may_have_a_port_of_its_own(self, cluster: Cluster) -> None:
        """It asks from there."""
        source = cluster_endpoint.find_source(cluster, "client:9125")
        assert (source.text, source.namespace, source.port) == ("default/client:9125", "default/client", 9125)

    @pytest.mark.parametrize("text", ["client:http", "client:0", "deploy/shop/two", "svc/web"])
    def test_has_no_name_for_a_port_and_is_one(self, cluster: Cluster, text: str) -> None:
        """Of a workload it has to be said which pod."""
        with pytest.raises((EndPointError, UnknownNameError)):
            cluster_endpoint.find_source(cluster, text)

    def test_one_of_a_workload_is_told_by_its_number(self, cluster: Cluster) -> None:
        """From 0, by name."""
        names = [
            cluster_endpoint.find_source(cluster, f"deploy/shop/two[{index}]").namespace for index in (0, 1)
        ]
        assert names == sorted(names)
        assert all(name.startswith("shop/two-") for name in names)


def flow(file: Path, source: str, target: str, more: str = "") -> Flow:
    """Return a question about the cluster, and `more`."""
    extra = file.with_name("more.yaml")
    extra.write_text(more or "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
    found = lab.load(str(file), str(extra))
    return found.flow(source, target)


class TestNames:
    """A name that has no address is no error: nothing reaches it."""

    def test_one_that_dns_knows_is_reached(self, file: Path) -> None:
        """By the search list, too."""
        assert flow(file, "client", "web.default:80").always

    @pytest.mark.parametrize(
        "name", ["nobody.default.svc.cluster.local", "empty.default.svc.cluster.local", "www.example.com"]
    )
    def test_one_that_dns_does_not_know_is_never_reached(self, file: Path, name: str) -> None:
        """Also that of a headless Service without pods, and one of outside."""
        found = flow(file, "client", f"{name}:80")
        assert (found.never, found.reason) == (True, "DNS_NXDOMAIN")
        assert found.verdict.outcomes[0].result.value == "refused"
        assert "Name or service not known" in found.explain()
        assert "> 10.96.0.10:53" in found.explain()

    def test_the_asker_has_its_own_servers(self, file: Path) -> None:
        """A pod on the node's network asks the node's, which do not know the cluster."""
        assert flow(file, "host", "web.default.svc.cluster.local:80").reason == "DNS_NXDOMAIN"
        assert flow(file, "host", "example.org:443").always

    def test_what_cuts_the_query_is_the_reason(self, file: Path) -> None:
        """Nothing listens where the name server should."""
        slices = """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}]
endpoints: [{addresses: [172.18.0.2], conditions: {ready: true}}]
"""
        found = flow(file, "client", "web.default.svc.cluster.local:80", SILENT + slices)
        assert (found.never, found.reason) == (True, "NO_SOCKET")
        assert "Temporary failure in name resolution" in " ".join(found.explain().split())

    def test_a_server_that_is_silent_is_a_timeout(self, file: Path) -> None:
        """The query arrives, and nobody answers it."""
        more = (
            SILENT.replace("tcp/80", "udp/53=nonsense")
            + """
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
ports: [{name: dns, port: 53, protocol: UDP}]
endpoints: [{addresses: [10.244.0.99], conditions: {ready: true}}]
"""
        )
        more = more.replace(
            "metadata: {name: dns, namespace: kube-system, labels: {k8s-app",
            "status: {podIP: 10.244.0.99}\nmetadata: {name: dns, namespace: kube-system, labels: {k8s-app",
        )
        found = flow(file, "client", "web.default.svc.cluster.local:80", more)
        assert (found.never, found.reason) == (True, "DNS_TIMEOUT")
        assert found.verdict.outcomes[0].result.value == "dropped"


class TestAgain:
    """A question is asked of the cluster as it has become."""

    def test_what_was_done_is_done_again(self, file: Path) -> None:
        """Commands, scaling and deleting; asking changes nothing."""
        found = lab.load(str(file))
        assert isinstance(found, lab.Cluster)
        assert found.flow("client", "svc/web:80").always
        found.node("node-1").run("iptables -I FORWARD -p tcp --dport 8080 -j DROP")
        assert found.flow("client", "svc/web:80").never
        found.node("node-1").run("iptables -D FORWARD 1")
        found.do(["scale", "deploy/shop/two", "--replicas=1"])
        assert found.flow("client", "deploy/shop/two:80").verdict.target.protocol is Protocol.TCP
        found.do(["delete", "pod/web"])
        assert found.flow("client", "svc/web:80").reason is not None
