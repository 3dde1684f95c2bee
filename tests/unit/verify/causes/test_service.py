# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.kube.api.objects import Service
from emu.verify.verdict import Result
from tests.unit.verify.causes.lab import WEB, cause, cluster, failures, pod, service

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster

_UNREADY = {"tcpSocket": {"port": 81}, "periodSeconds": 1}


@pytest.fixture(scope="module", params=["iptables", "nftables"])
def shop(request: pytest.FixtureRequest) -> Cluster:
    """Services that lead nowhere, each in its own way."""
    return cluster(
        *WEB,
        pod("slow-1", "w2", readinessProbe=_UNREADY),
        service("web", "web"),
        service("misspelt", "wbe"),
        service("headless", "slow", clusterIP="None"),
        service("unready", "slow"),
        service("unnamed", "web", port={"port": 80, "targetPort": "htpp"}),
        service("unselected"),
        service("closed", "web", port={"port": 80, "targetPort": 8081}),
        service("away", "only", internalTrafficPolicy="Local"),
        service("door", "only", port={"port": 80, "nodePort": 30080}, type="NodePort").replace(
            '"type"', '"externalTrafficPolicy": "Local", "type"'
        ),
        pod("only-1", "w2"),
        service("lb", "web", type="LoadBalancer", loadBalancerSourceRanges=["203.0.113.0/24"]).replace(
            '"spec"', '"status": {"loadBalancer": {"ingress": [{"ip": "172.30.0.5"}]}}, "spec"', 1
        ),
        mode=request.param,
    )


@pytest.mark.parametrize(
    ("name", "whose", "field", "words"),
    [
        ("misspelt", "Service default/misspelt", "spec.selector", "did you mean 'app=web'?"),
        ("unready", "Pod default/slow-1", "status.conditions", "none is ready: slow-1 (Running, not Ready)"),
        ("unnamed", "Service default/unnamed", "spec.ports[0].targetPort", "did you mean 'http'?"),
        ("unselected", "Service default/unselected", "spec.selector", "there is no EndpointSlice for it"),
    ],
)
def test_why_a_service_has_no_endpoints_is_told_apart(
    shop: Cluster, name: str, whose: str, field: str, words: str
) -> None:
    """A selector, readiness, the name of a port, no selector: one code, and four remedies."""
    (outcome,) = failures(shop, "client", f"svc/{name}:80")
    found = outcome.cause
    assert found is not None
    assert outcome.result is Result.REFUSED
    assert (found.code, found.net) == ("SVC_NO_ENDPOINTS", "node/w1")
    assert (found.object, found.field) == (whose, field)
    assert f"Service default/{name} has no" in found.words
    assert found.words.endswith(words)
    assert f'"default/{name}' in found.rule


def test_a_target_port_where_nobody_listens_is_the_services_fault(shop: Cluster) -> None:
    """For each backend, with what it does listen on."""
    outcomes = failures(shop, "client", "svc/closed:80")
    assert [one.result for one in outcomes] == [Result.REFUSED, Result.REFUSED]
    found = outcomes[0].cause
    assert found is not None
    assert (found.code, found.object) == ("NO_SOCKET", "Service default/closed")
    assert found.field == "spec.ports[0].targetPort"
    assert "sends to targetPort 8081" in found.words
    assert found.words.endswith("in Pod default/web-1 (it listens on TCP 80)")


def test_a_closed_port_of_a_pod_is_the_pods(shop: Cluster) -> None:
    """Asked without a Service."""
    found = cause(shop, "client", "web-2:81")
    assert (found.code, found.object) == ("NO_SOCKET", "Pod default/web-2")
    assert found.words == "nobody listens on TCP port 81 in Pod default/web-2 (it listens on TCP 80)"


def test_internal_traffic_that_has_to_stay_finds_no_endpoint(shop: Cluster) -> None:
    """Silence, unlike without any endpoint."""
    (outcome,) = failures(shop, "client", "svc/away:80")
    found = outcome.cause
    assert found is not None
    assert (outcome.result, found.code) == (Result.DROPPED, "SVC_NO_LOCAL_ENDPOINT")
    assert (found.object, found.field) == ("Service default/away", "spec.internalTrafficPolicy")
    assert found.words.endswith("and its internalTrafficPolicy is Local (it has endpoints on w2)")


def test_external_traffic_that_has_to_stay_finds_no_endpoint(shop: Cluster) -> None:
    """At the node port of a node without one; where there is one, it is delivered."""
    found = cause(shop, "ext/laptop", "node/w1:30080")
    assert (found.code, found.net) == ("SVC_NO_LOCAL_ENDPOINT", "node/w1")
    assert (found.object, found.field) == ("Service default/door", "spec.externalTrafficPolicy")
    assert failures(shop, "ext/laptop", "node/w2:30080") == []


def test_a_source_outside_the_ranges_of_a_load_balancer(shop: Cluster) -> None:
    """With the ranges that there are."""
    found = cause(shop, "web-1", "172.30.0.5:80")
    assert (found.code, found.object) == ("LB_SOURCE_RANGE", "Service default/lb")
    assert found.field == "spec.loadBalancerSourceRanges"
    assert found.words.endswith("of Service default/lb (203.0.113.0/24)")


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("svc/web:81", "Service default/web has no port 81/TCP (it has 80/TCP http); "),
        ("svc/web:80/udp", "Service default/web has no port 80/UDP (it has 80/TCP http); "),
        ("svc/web/icmp", "Service default/web has ports, and no rule for ICMP: ask one of them"),
    ],
)
def test_a_port_that_a_service_does_not_have_is_hinted_at(shop: Cluster, target: str, hint: str) -> None:
    """In mode iptables no rule refuses it, so the packet ends for the reason of where it goes."""
    found = cause(shop, "client", target)
    mode = shop.topology.cluster.proxy.mode
    assert found.code == {"iptables": "IP_INNOROUTES", "nftables": "SVC_NO_SUCH_PORT"}[mode]
    assert found.words.startswith(hint)
    assert (found.object, found.field) == ("Service default/web", "spec.ports")


@pytest.mark.parametrize(
    ("name", "words", "whose"),
    [
        ("wbe.default", "; did you mean 'web'?", ""),
        (
            "kube-dns.default",
            ": Service kube-dns is in namespace kube-system",
            "Service kube-system/kube-dns",
        ),
    ],
)
def test_a_name_that_is_not_there_hints_at_the_service_that_was_meant(
    shop: Cluster, name: str, words: str, whose: str
) -> None:
    """A misspelt name, or the wrong namespace."""
    found = cause(shop, "client", f"{name}:80")
    assert (found.code, found.object) == ("DNS_NXDOMAIN", whose)
    assert found.words.endswith(words)


def test_a_node_port_that_no_service_has_hints_at_those_that_there_are(shop: Cluster) -> None:
    """The node has no program there."""
    found = cause(shop, "ext/laptop", "node/w2:30081")
    assert found.code == "NO_SOCKET"
    assert "no Service has the node port TCP 30081 (there is " in found.words
    assert "30080/TCP of default/door" in found.words


def test_a_headless_service_without_a_ready_pod_has_no_address(shop: Cluster) -> None:
    """Its name is there, and the Service is to blame."""
    found = cause(shop, "client", "headless.default:80")
    assert (found.code, found.object) == ("DNS_NXDOMAIN", "Service default/headless")
    assert found.words.endswith("Service default/headless is headless, and none of its endpoints is ready")


def test_a_workload_that_was_scaled_to_nothing_is_told() -> None:
    """It is what has to change, and the name server of the cluster is one."""
    silent = cluster(*WEB)
    silent.do("scale deploy/kube-system/coredns --replicas=0")
    silent.settle(5)
    found = cause(silent, "client", "web.default:80")
    assert found.code == "SVC_NO_ENDPOINTS"
    assert (found.object, found.field) == ("Deployment kube-system/coredns", "spec.replicas")
    assert "Service kube-system/kube-dns has no endpoints" in found.words


def test_a_node_that_has_the_address_itself_refuses_a_port_that_there_is_not() -> None:
    """As with ipvs."""
    nodes = cluster(*WEB, service("web", "web"))
    address = nodes.store.get(Service, "web", "default").spec.cluster_ip
    nodes.node("w1").run(f"ip addr add {address}/32 dev lo")
    found = cause(nodes, "client", "svc/web:81")
    assert (found.code, found.net) == ("SVC_NO_SUCH_PORT", "node/w1")
    assert (found.object, found.field) == ("Service default/web", "spec.ports")
