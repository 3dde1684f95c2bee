# SPDX-License-Identifier: GPL-2.0-only
"""Why nothing comes back from a Service of mode ipvs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.verify.verdict import Result
from tests.unit.verify.causes.lab import WEB, cause, cluster, failures, pod, service

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster

_LB = '"status": {"loadBalancer": {"ingress": [{"ip": "172.30.0.5"}]}}, "spec"'


@pytest.fixture(scope="module")
def shop() -> Cluster:
    """Services that lead nowhere, each in its own way."""
    return cluster(
        *WEB,
        pod("only-1", "w2"),
        service("web", "web"),
        service("misspelt", "wbe"),
        service("away", "only", internalTrafficPolicy="Local"),
        service("closed", "web", port={"port": 80, "targetPort": 8081}),
        service("lb", "web", type="LoadBalancer", loadBalancerSourceRanges=["203.0.113.0/24"]).replace(
            '"spec"', _LB, 1
        ),
        mode="ipvs",
    )


def test_a_service_without_endpoints(shop: Cluster) -> None:
    """IPVS has nobody to pick, and says so by ICMP; no rule has to do with it."""
    (outcome,) = failures(shop, "client", "svc/misspelt:80")
    found = outcome.cause
    assert found is not None
    assert (outcome.result, found.code, found.net) == (Result.REFUSED, "SVC_NO_ENDPOINTS", "node/w1")
    assert (found.object, found.field, found.rule) == ("Service default/misspelt", "spec.selector", "")
    assert found.words.endswith("did you mean 'app=web'?")


def test_internal_traffic_that_has_to_stay(shop: Cluster) -> None:
    """The virtual service of this node has no destination: refused, and not dropped as by rules."""
    (outcome,) = failures(shop, "client", "svc/away:80")
    found = outcome.cause
    assert found is not None
    assert (outcome.result, found.code) == (Result.REFUSED, "SVC_NO_LOCAL_ENDPOINT")
    assert (found.object, found.field) == ("Service default/away", "spec.internalTrafficPolicy")


def test_external_traffic_that_ought_to_stay() -> None:
    """It goes to a pod of another node, whose answer takes the short way and is a stranger's."""
    door = service("door", "only", port={"port": 80, "nodePort": 30080}, type="NodePort")
    door = door.replace('"type"', '"externalTrafficPolicy": "Local", "type"')
    shop = cluster(pod("only-1", "w2"), door, provider="kindnet", mode="ipvs")
    found = cause(shop, "ext/laptop", "node/w1:30080")
    assert (found.code, found.net) == ("SVC_NO_LOCAL_ENDPOINT", "ext/laptop")
    assert (found.object, found.field) == ("Service default/door", "spec.externalTrafficPolicy")
    assert "Service default/door has no endpoint on w1" in found.words
    assert failures(shop, "ext/laptop", "node/w2:30080") == []


def test_a_port_that_a_service_does_not_have(shop: Cluster) -> None:
    """The node has the address, and a rule refuses what is no virtual service's."""
    found = cause(shop, "client", "svc/web:81")
    assert (found.code, found.object, found.field) == (
        "SVC_NO_SUCH_PORT",
        "Service default/web",
        "spec.ports",
    )
    assert found.words.startswith("Service default/web has no port 81/TCP (it has 80/TCP http); ")
    assert "KUBE-IPVS-FILTER" in found.rule


def test_a_ping_to_a_service_is_refused(shop: Cluster) -> None:
    """By the same rule."""
    found = cause(shop, "client", "svc/web/icmp")
    assert found.code == "SVC_NO_SUCH_PORT"
    assert found.words.startswith("Service default/web has ports, and no rule for ICMP")


def test_a_target_port_where_nobody_listens(shop: Cluster) -> None:
    """Told as in every mode."""
    outcomes = failures(shop, "client", "svc/closed:80")
    assert [one.result for one in outcomes] == [Result.REFUSED, Result.REFUSED]
    found = outcomes[0].cause
    assert found is not None
    assert (found.code, found.object) == ("NO_SOCKET", "Service default/closed")


def test_a_source_outside_the_ranges_of_a_load_balancer(shop: Cluster) -> None:
    """A rule drops it before IPVS sees it."""
    found = cause(shop, "web-1", "172.30.0.5:80")
    assert (found.code, found.object) == ("LB_SOURCE_RANGE", "Service default/lb")
