# SPDX-License-Identifier: GPL-2.0-only
"""kubenet: one bridge, one rule, and routes that the cloud would have."""

from __future__ import annotations

import pytest

from emu.kube.providers import PROVIDERS, NodeNetwork, OptionsError
from tests.unit.kube.providers.lab import NODES, OUTSIDE, Lab

RULE = (
    '-A POSTROUTING ! -d 10.0.0.0/8 -m comment --comment "kubenet: SNAT for outbound traffic from cluster" '
    "-m addrtype ! --dst-type LOCAL -j MASQUERADE"
)


@pytest.fixture
def lab() -> Lab:
    """Two nodes with kubenet."""
    return Lab("kubenet")


def test_what_is_written_is_one_rule_a_setting_and_the_routes_of_the_others(lab: Lab) -> None:
    """There is no file: kubelet has its configuration in memory."""
    net = lab.node("node-1")
    assert lab.rules("node-1", "nat") == [RULE]
    assert net.sysctl.get("net.bridge.bridge-nf-call-iptables") == 1
    assert lab.show(net, "ip", "route") == (
        "10.244.2.0/24 via 192.168.1.12 dev eth0 \n"
        "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11 \n"
    )
    assert list(lab.disks["node-1"]) == []


def test_the_configuration_is_a_lone_bridge_of_version_0_1_0(lab: Lab) -> None:
    """Its result has the form of that time."""
    config = lab.config("node-1")
    assert (config.cni_version, config.name, [each.type for each in config.plugins]) == (
        "0.1.0",
        "kubenet",
        ["bridge"],
    )
    assert config.plugins[0].options["ipam"] == {
        "type": "host-local",
        "ranges": [[{"subnet": "10.244.1.0/24", "gateway": "10.244.1.1"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }


def test_without_a_pod_cidr_there_is_no_configuration() -> None:
    """The node is not ready for pods."""
    written = PROVIDERS["kubenet"]({}).configure(NodeNetwork("node-1", "192.168.1.11"), NODES)
    assert written.config is None


def test_pods_of_one_node_are_bridged_and_others_two_hops_away(lab: Lab) -> None:
    """TTL 64 and 62; the pod's own address arrives, by UDP and TCP."""
    a, b, c = lab.pod("node-1", "a"), lab.pod("node-1", "b"), lab.pod("node-2", "c")
    assert lab.show(a, "ip", "route") == (
        "default via 10.244.1.1 dev eth0 \n10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2 \n"
    )
    assert lab.ping(a, lab.addresses["b"]).ttl == 64
    assert lab.ping(a, lab.addresses["c"]).ttl == 62
    assert lab.who_asks(a, c, lab.addresses["c"]) == "10.244.1.2"
    assert lab.who_connects(b, c, lab.addresses["c"]) == "10.244.1.3"


def test_only_what_leaves_the_private_range_gets_the_nodes_address(lab: Lab) -> None:
    """A node reaches its own pod with the bridge's address, a remote one with its own."""
    a, c = lab.pod("node-1", "a"), lab.pod("node-2", "c")
    assert lab.who_asks(a, lab.fabric.namespace("ext/outside"), OUTSIDE) == "192.168.1.11"
    assert lab.who_asks(lab.node("node-1"), a, lab.addresses["a"]) == "10.244.1.1"
    assert lab.who_asks(lab.node("node-1"), c, lab.addresses["c"]) == "192.168.1.11"


def test_a_pod_network_outside_of_it_is_masqueraded_between_nodes() -> None:
    """The classic mistake: each node on the way does it, and a pod sees its own node's bridge."""
    lab = Lab("kubenet", {"nonMasqueradeCIDR": "172.16.0.0/12"})
    a, c = lab.pod("node-1", "a"), lab.pod("node-2", "c")
    assert lab.who_asks(a, c, lab.addresses["c"]) == "10.244.2.1"


def test_everything_unmasqueraded_is_no_rule() -> None:
    """0.0.0.0/0 leaves it away."""
    assert Lab("kubenet", {"nonMasqueradeCIDR": "0.0.0.0/0"}).rules("node-1", "nat") == []


def test_the_rule_comes_back_at_the_end(lab: Lab) -> None:
    """It is ensured by being appended, so others may stand before it."""
    lab.show(lab.node("node-1"), "iptables", "-t", "nat", "-F", "POSTROUTING")
    lab.show(lab.node("node-1"), "iptables", "-t", "nat", "-A", "POSTROUTING", "-j", "ACCEPT")
    lab.apply()
    lab.apply()
    assert lab.rules("node-1", "nat") == ["-A POSTROUTING -j ACCEPT", RULE]


def test_a_route_that_leads_elsewhere_is_replaced_and_an_old_one_deleted(lab: Lab) -> None:
    """A node that changed its address, and one that is gone."""
    net = lab.node("node-1")
    moved = NodeNetwork("node-2", "192.168.1.22", ("10.244.2.0/24",))
    lab.apply((NODES[0], moved))
    assert "10.244.2.0/24 via 192.168.1.22 dev eth0" in lab.show(net, "ip", "route")
    lab.apply((NODES[0],))
    assert "10.244.2.0/24" not in lab.show(net, "ip", "route")


def test_what_the_kernel_refuses_is_told_and_the_rest_done(lab: Lab) -> None:
    """A node behind no link of ours has no route, the others have."""
    far = NodeNetwork("node-0", "172.31.0.1", ("10.244.9.0/24",))
    refused = lab.apply((far, *NODES))
    assert refused == ["route 10.244.9.0/24 via 172.31.0.1: Nexthop has invalid gateway"] * 2
    assert "10.244.2.0/24 via 192.168.1.12" in lab.show(lab.node("node-1"), "ip", "route")


def test_what_is_not_modelled_is_refused_by_name() -> None:
    """The promiscuous bridge of kubelet's default."""
    with pytest.raises(OptionsError, match="'promiscuous-bridge' is not modelled"):
        PROVIDERS["kubenet"]({"hairpinMode": "promiscuous-bridge"})
