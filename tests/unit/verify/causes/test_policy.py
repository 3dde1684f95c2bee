# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.verify.causes.lab import WEB, cause, cluster, failures, pod, policy, service

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster

_BLOCK = {"ipBlock": {"cidr": "198.51.100.0/24"}}


@pytest.fixture(scope="module")
def guarded() -> Cluster:
    """Servers that two policies isolate, and a pod that is isolated for egress."""
    return cluster(
        *WEB,
        pod("prisoner", "w1", image="busybox"),
        service("web", "web", port={"port": 8080, "targetPort": 80, "nodePort": 30080}, type="NodePort"),
        policy("deny", "web", policyTypes=["Ingress"]),
        policy("outside", "web", ingress=[{"from": [_BLOCK]}]),
        policy("out", "prisoner", policyTypes=["Egress"], egress=[{"ports": [{"port": 8080}]}]),
        provider="kindnet",
    )


def test_ingress_names_all_policies_that_isolate_and_who_was_refused(guarded: Cluster) -> None:
    """The first policy is the object: a rule in any of them would do."""
    found = cause(guarded, "client", "web-2:80")
    assert (found.code, found.net) == ("NETPOL_INGRESS", "node/w2")
    assert (found.object, found.field) == ("NetworkPolicy default/deny", "spec.ingress")
    assert found.words == (
        "NetworkPolicies default/deny and default/outside isolate Pod default/web-2 for ingress, and no rule "
        "of them admits Pod default/client (10.244.1.2) on TCP 80"
    )
    assert '"Pod default/web-2: isolated for ingress"' in found.rule


def test_a_block_of_clients_does_not_hold_the_node_that_masquerades(guarded: Cluster) -> None:
    """Through a node port, a client outside arrives at another node's pods as the node."""
    outcomes = failures(guarded, "ext/laptop", "node/w1:30080")
    assert len(outcomes) == 1  # the pod on the node itself is reached
    found = outcomes[0].cause
    assert found is not None
    assert found.code == "NETPOL_INGRESS"
    assert (found.object, found.field) == ("NetworkPolicy default/outside", "spec.ingress[0].from[0].ipBlock")
    assert found.words.endswith("holds 198.51.100.7, and the policy is asked about 172.18.0.3")


def test_egress_is_asked_about_the_pods_port_and_not_the_services(guarded: Cluster) -> None:
    """A rule for the Service's port is pointed at."""
    found = cause(guarded, "prisoner", "svc/web:8080")
    assert (found.code, found.net) == ("NETPOL_EGRESS", "node/w1")
    assert (found.object, found.field) == ("NetworkPolicy default/out", "spec.egress[0].ports[0].port")
    assert "no rule of it admits Pod default/web-1" in found.words
    assert found.words.endswith("is that of the Service, and the policy is asked about 80")


def test_a_look_up_that_a_policy_cuts_has_the_reason_of_the_policy(guarded: Cluster) -> None:
    """Not that of a time that is over."""
    found = cause(guarded, "prisoner", "web.default:8080")
    assert (found.code, found.object) == ("NETPOL_EGRESS", "NetworkPolicy default/out")
    assert "Pod kube-system/coredns-" in found.words
    assert "on UDP 53" in found.words
