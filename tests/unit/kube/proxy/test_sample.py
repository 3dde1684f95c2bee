# SPDX-License-Identifier: GPL-2.0-only
"""All rules of one node, as `iptables-save` prints them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from emu.apps.commands.iptables_tables import take
from emu.fabric.driver import Fabric
from emu.kube.proxy.config import ProxyConfig
from emu.testing.proxies import Proxies, endpoint, service, slice_of
from emu.tools.iptables.save import render

SAMPLE: Final = Path(__file__).parent / "sample.iptables-save"


def sample_cluster() -> Proxies:
    """Return the proxies of a cluster with a Service of each kind."""
    cluster = Proxies(Fabric())
    cluster.put(
        service("default/kubernetes", "10.96.0.1", [("https", 443)]),
        slice_of("default/kubernetes", [endpoint("172.18.0.2")], [("https", 6443)]),
        service("kube-system/kube-dns", "10.96.0.10", [("dns", 53)], protocol="UDP"),
        slice_of(
            "kube-system/kube-dns",
            [endpoint("10.244.0.2"), endpoint("10.244.0.3")],
            [("dns", 53)],
            protocol="UDP",
        ),
        service(
            "shop/web",
            "10.96.7.7",
            [("http", 80)],
            type="LoadBalancer",
            node_port=30080,
            external_traffic_policy="Local",
            health_check_node_port=31500,
            load_balancer_source_ranges=("198.51.100.0/24",),
            ingress=("203.0.113.10",),
        ),
        slice_of(
            "shop/web",
            [
                endpoint("10.244.1.5", "worker1"),
                endpoint("10.244.2.7", "worker2"),
                endpoint("10.244.2.8", "worker2"),
            ],
            [("http", 8080)],
        ),
        service("shop/cart", "10.96.7.8", [("", 80)], session_affinity="ClientIP"),
        slice_of(
            "shop/cart", [endpoint("10.244.1.6", "worker1"), endpoint("10.244.2.9", "worker2")], [("", 8080)]
        ),
        service("shop/logs", "10.96.7.9", [("", 9000)], internal_traffic_policy="Local"),
        slice_of("shop/logs", [endpoint("10.244.2.4", "worker2")], [("", 9000)]),
        service("shop/old", "10.96.7.10", [("", 80)]),
    )
    return cluster


def test_rules_are_those_of_the_sample() -> None:
    """Every chain and rule of tables filter and nat, in the order in which iptables-save prints them."""
    cluster = sample_cluster()
    net = cluster.start(ProxyConfig("worker1", ("172.18.0.3",), cluster_cidr="10.244.0.0/16"))
    found = render([take(net, "filter"), take(net, "nat")])
    assert found == SAMPLE.read_text(encoding="utf-8")


def test_the_table_mangle_holds_the_canary_alone() -> None:
    """It is there to be missed."""
    net = sample_cluster().start(ProxyConfig("worker1"))
    chains = [chain.name for chain in take(net, "mangle").table.chains if chain.policy is None]
    assert chains == ["KUBE-PROXY-CANARY"]


def test_nodes_without_endpoints_differ_where_traffic_is_local() -> None:
    """On another node the Local service has no local chain, and its load balancer address is refused."""
    net = sample_cluster().start(ProxyConfig("worker3", ("172.18.0.5",), cluster_cidr="10.244.0.0/16"))
    text = render([take(net, "filter"), take(net, "nat")])
    assert "KUBE-SVL" not in text
    assert re.search(r"KUBE-EXTERNAL-SERVICES .*has no local endpoints.* --dport 80 -j DROP", text)
