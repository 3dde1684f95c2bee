# SPDX-License-Identifier: GPL-2.0-only
"""kindnet: routed cables, and a chain that masquerades what leaves the pod network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from emu.kube.cni.links import host_name
from emu.kube.providers import PROVIDERS, NodeNetwork, Written
from emu.wire.addresses import IpAddress
from tests.unit.kube.providers.lab import NODES, OUTSIDE, PORT, Lab

if TYPE_CHECKING:
    from emu.kube.cni.fields import Json

JUMP = (
    "-A POSTROUTING -m addrtype ! --dst-type LOCAL -m comment --comment "
    '"kind-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom '
    'KIND-MASQ-AGENT chain" -j KIND-MASQ-AGENT'
)
CHAIN = [
    (
        '-A KIND-MASQ-AGENT -d 10.244.0.0/16 -m comment --comment "kind-masq-agent: local traffic is not '
        'subject to MASQUERADE" -j RETURN'
    ),
    (
        '-A KIND-MASQ-AGENT -m comment --comment "kind-masq-agent: outbound traffic is subject to MASQUERADE '
        '(must be last in chain)" -j MASQUERADE'
    ),
]


@pytest.fixture
def lab() -> Lab:
    """Two nodes with kindnet."""
    return Lab("kindnet")


def test_rules_routes_and_settings_are_the_daemons(lab: Lab) -> None:
    """The jump is appended; a route is set without a device; reverse paths are checked strictly."""
    net = lab.node("node-1")
    assert lab.rules("node-1", "nat") == [JUMP, *CHAIN]
    assert "10.244.2.0/24 via 192.168.1.12 dev eth0 \n" in lab.show(net, "ip", "route")
    names = ("conf.all.rp_filter", "conf.default.rp_filter", "conf.all.route_localnet", "ip_forward")
    assert [net.sysctl.get(f"net.ipv4.{name}") for name in names] == [1, 1, 1, 1]


def test_the_configuration_is_a_file(lab: Lab) -> None:
    """It is ptp with host-local, whose files do not outlive a reboot, and portmap."""
    text = lab.disks["node-1"]["/etc/cni/net.d/10-kindnet.conflist"]
    assert json.loads(text) == {
        "cniVersion": "0.3.1",
        "name": "kindnet",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-ipam-state",
                    "routes": [{"dst": "0.0.0.0/0"}],
                    "ranges": [[{"subnet": "10.244.1.0/24"}]],
                },
                "mtu": 1500,
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    assert PROVIDERS["kindnet"]({}).configure(NodeNetwork("x", "192.168.1.1"), NODES).config is None


def test_a_pod_reaches_everything_by_its_gateway(lab: Lab) -> None:
    """Its own subnet too; the node has a host route for it."""
    pod = lab.pod("node-1", "a")
    veth = host_name(lab.call("node-1", "a").container_id, "eth0")
    assert lab.show(pod, "ip", "route") == (
        "default via 10.244.1.1 dev eth0 \n"
        "10.244.1.0/24 via 10.244.1.1 dev eth0 src 10.244.1.2 \n"
        "10.244.1.1 dev eth0 scope link src 10.244.1.2 \n"
    )
    assert lab.show(lab.node("node-1"), "ip", "route") == (
        f"10.244.1.2 dev {veth} scope host \n"
        "10.244.2.0/24 via 192.168.1.12 dev eth0 \n"
        "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11 \n"
    )
    assert f"inet 10.244.1.1/32 scope global {veth}" in lab.show(lab.node("node-1"), "ip", "addr")


def test_pods_of_one_node_are_one_hop_apart(lab: Lab) -> None:
    """TTL 63 on one node, 62 across; no address is translated."""
    a, b, c = lab.pod("node-1", "a"), lab.pod("node-1", "b"), lab.pod("node-2", "c")
    assert lab.ping(a, lab.addresses["b"]).ttl == 63
    assert lab.ping(a, lab.addresses["c"]).ttl == 62
    assert lab.who_asks(a, b, lab.addresses["b"]) == "10.244.1.2"
    assert lab.who_asks(a, c, lab.addresses["c"]) == "10.244.1.2"
    assert lab.who_connects(b, c, lab.addresses["c"]) == "10.244.1.3"


def test_what_leaves_the_pod_network_is_masqueraded_other_nodes_included(lab: Lab) -> None:
    """The own node sees the pod, another node and the outside see the node."""
    a, c = lab.pod("node-1", "a"), lab.pod("node-2", "c")
    assert lab.who_asks(a, lab.fabric.namespace("ext/outside"), OUTSIDE) == "192.168.1.11"
    assert lab.who_asks(a, lab.node("node-2"), NODES[1].internal_ip) == "192.168.1.11"
    assert lab.who_connects(a, lab.node("node-1"), NODES[0].internal_ip) == "10.244.1.2"
    assert lab.who_asks(lab.node("node-1"), a, lab.addresses["a"]) == "10.244.1.1"
    assert lab.who_asks(lab.node("node-1"), c, lab.addresses["c"]) == "192.168.1.11"


def test_a_missing_rule_is_appended_each_for_itself(lab: Lab) -> None:
    """The chain's RETURN then comes behind what should be last, as the daemon leaves it."""
    lab.show(lab.node("node-1"), "iptables", "-t", "nat", "-D", "KIND-MASQ-AGENT", "1")
    lab.apply()
    assert lab.rules("node-1", "nat") == [JUMP, CHAIN[1], CHAIN[0]]


def test_a_host_port_leads_to_the_pod_from_outside_from_a_neighbour_and_from_localhost(lab: Lab) -> None:
    """Clients keep their address but for the hairpin and 127.0.0.1."""
    mapping: dict[str, Json] = {"hostPort": 8080, "containerPort": PORT, "protocol": "tcp"}
    a = lab.pod("node-1", "a", {"portMappings": [mapping]})
    outside, c = lab.fabric.namespace("ext/outside"), lab.pod("node-2", "c")
    node = lab.node("node-1")
    own = NODES[0].internal_ip
    assert lab.who_connects(outside, a, own, 8080) == str(OUTSIDE)
    assert lab.who_connects(c, a, own, 8080) == "192.168.1.12"  # masqueraded by its own node
    assert lab.who_connects(a, a, own, 8080) == "10.244.1.1"
    assert lab.who_connects(node, a, IpAddress.parse("127.0.0.1"), 8080) == "10.244.1.1"


def test_no_provider_writes_nothing() -> None:
    """Nodes stay NotReady."""
    assert PROVIDERS["none"]({}).configure(NODES[0], NODES) == Written()
