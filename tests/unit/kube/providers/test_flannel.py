# SPDX-License-Identifier: GPL-2.0-only
"""flannel: what it writes, and what its pods' packets look like."""

from __future__ import annotations

import json
from functools import partial

import attrs
import pytest

from emu.errors import CommandError
from emu.kernel import rtnetlink
from emu.kube import cni
from emu.kube.providers import PROVIDERS, NodeNetwork, OptionsError, Written, apply
from emu.wire.addresses import IpAddress
from tests.unit.kube.providers.lab import NODES, OUTSIDE, Lab

NAT = [
    '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
    '-A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN',
    '-A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 -m comment --comment "flanneld masq" -j RETURN',
    '-A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN',
    '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "flanneld masq" -j RETURN',
    (
        '-A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" '
        "-j MASQUERADE --random-fully"
    ),
    (
        '-A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -m comment --comment "flanneld masq" '
        "-j MASQUERADE --random-fully"
    ),
]
FILTER = [
    '-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
    '-A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
    '-A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
]
MAC_1, MAC_2 = (
    json.loads(
        PROVIDERS["flannel"]({}).configure(node, ()).annotations["flannel.alpha.coreos.com/backend-data"]
    )["VtepMAC"]
    for node in NODES
)


@pytest.fixture
def lab() -> Lab:
    """Two nodes with flannel over VXLAN."""
    return Lab("flannel")


class TestWritten:
    """What stands on a node before there is a pod."""

    def test_files_are_the_installed_configuration_and_what_the_daemon_found_out(self, lab: Lab) -> None:
        """`subnet.env` has network, own subnet, MTU less 50, and that the daemon masquerades."""
        disk = lab.disks["node-1"]
        assert disk["/run/flannel/subnet.env"] == (
            "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n"
            "FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
        )
        assert json.loads(disk["/etc/cni/net.d/10-flannel.conflist"]) == {
            "name": "cbr0",
            "cniVersion": "0.3.1",
            "plugins": [
                {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }

    def test_rules_are_the_daemons(self, lab: Lab) -> None:
        """Jumps are appended; order, comments and `--random-fully` are as the real ones."""
        assert lab.rules("node-1", "nat") == NAT
        assert lab.rules("node-1", "filter") == FILTER

    def test_the_way_to_a_node_is_neighbour_fdb_entry_and_route(self, lab: Lab) -> None:
        """All three are permanent, and the next hop is the remote's network address."""
        net = lab.node("node-1")
        assert "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink" in lab.show(net, "ip", "route")
        assert lab.show(net, "ip", "neigh").startswith(f"10.244.2.0 dev flannel.1 lladdr {MAC_2} PERMANENT")
        assert lab.show(net, "bridge", "fdb", "show", "dev", "flannel.1") == (
            f"{MAC_2} dst 192.168.1.12 self permanent\n"
        )

    def test_the_device_is_what_linux_shows(self, lab: Lab) -> None:
        """VNI 1, port 8472, no learning, MTU 1450, the network address as a /32."""
        net = lab.node("node-1")
        text = lab.show(net, "ip", "-d", "addr", "show", "flannel.1")
        assert "mtu 1450 qdisc noqueue state UNKNOWN" in text
        assert f"link/ether {MAC_1} brd ff:ff:ff:ff:ff:ff" in text
        assert "vxlan id 1 local 192.168.1.11 dev eth0" in text
        assert "dstport 8472 nolearning ttl auto ageing 300" in text
        assert "inet 10.244.1.0/32 scope global flannel.1" in text

    def test_annotations_tell_the_others(self) -> None:
        """Backend, its data, and the address under which the node is reached."""
        assert PROVIDERS["flannel"]({}).configure(NODES[0], NODES).annotations == {
            "flannel.alpha.coreos.com/backend-data": f'{{"VNI":1,"VtepMAC":"{MAC_1}"}}',
            "flannel.alpha.coreos.com/backend-type": "vxlan",
            "flannel.alpha.coreos.com/public-ip": "192.168.1.11",
            "flannel.alpha.coreos.com/kube-subnet-manager": "true",
        }

    def test_the_address_of_an_annotation_is_kept(self) -> None:
        """A daemon that comes back takes the MAC address that it had."""
        data = '{"VNI":1,"VtepMAC":"02:00:00:00:00:09"}'
        node = attrs.evolve(NODES[0], annotations={"flannel.alpha.coreos.com/backend-data": data})
        written = PROVIDERS["flannel"]({}).configure(node, NODES)
        assert str(written.vxlans[0].mac) == "02:00:00:00:00:09"

    def test_without_a_pod_cidr_only_the_configuration_is_there(self) -> None:
        """Pods then fail for want of `subnet.env`, in the plugin's words."""
        written = PROVIDERS["flannel"]({}).configure(NodeNetwork("node-1", "192.168.1.11"), NODES)
        assert list(written.files) == ["/etc/cni/net.d/10-flannel.conflist"]
        assert (written.rules, written.vxlans, written.ways) == ((), (), ())
        lab = Lab("flannel")
        del lab.disks["node-1"]["/run/flannel/subnet.env"]
        with pytest.raises(cni.CniError, match=r"failed to load flannel 'subnet\.env' file"):
            lab.pod("node-1", "a")


class TestPods:
    """Pods and their packets."""

    def test_cni0_comes_with_the_first_pod(self, lab: Lab) -> None:
        """Before there is neither the device nor its route."""
        net = lab.node("node-1")
        assert "cni0" not in net.devices
        lab.pod("node-1", "a")
        assert lab.show(net, "ip", "route") == (
            "10.244.1.0/24 dev cni0 proto kernel scope link src 10.244.1.1 \n"
            "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink \n"
            "192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.11 \n"
        )

    def test_the_pod_has_three_routes(self, lab: Lab) -> None:
        """The default one, the cluster's, and its own subnet."""
        pod = lab.pod("node-1", "a")
        assert lab.show(pod, "ip", "route") == (
            "default via 10.244.1.1 dev eth0 \n"
            "10.244.0.0/16 via 10.244.1.1 dev eth0 \n"
            "10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2 \n"
        )

    def test_the_delegated_configuration_is_kept_by_container(self, lab: Lab) -> None:
        """It is the merged one of bridge with host-local."""
        lab.pod("node-1", "a")
        disk, container_id = lab.disks["node-1"], lab.call("node-1", "a").container_id
        assert json.loads(disk[f"/var/lib/cni/flannel/{container_id}"]) == {
            "cniVersion": "0.3.1",
            "name": "cbr0",
            "type": "bridge",
            "hairpinMode": True,
            "isDefaultGateway": True,
            "isGateway": True,
            "ipMasq": False,
            "mtu": 1450,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": "10.244.1.0/24"}]],
                "routes": [{"dst": "10.244.0.0/16"}],
            },
        }
        assert disk["/var/lib/cni/networks/cbr0/10.244.1.2"] == f"{container_id}\r\neth0"

    def test_same_node_is_bridged_and_other_nodes_are_two_hops_away(self, lab: Lab) -> None:
        """TTL 64 stays on one node and is 62 across; nobody's address is translated."""
        a, b, c = lab.pod("node-1", "a"), lab.pod("node-1", "b"), lab.pod("node-2", "c")
        assert (lab.ping(a, lab.addresses["b"]).outcome, lab.ping(a, lab.addresses["b"]).ttl) == ("reply", 64)
        assert (lab.ping(a, lab.addresses["c"]).outcome, lab.ping(a, lab.addresses["c"]).ttl) == ("reply", 62)
        assert lab.who_asks(a, b, lab.addresses["b"]) == "10.244.1.2"
        assert lab.who_asks(a, c, lab.addresses["c"]) == "10.244.1.2"
        assert lab.who_connects(a, c, lab.addresses["c"]) == "10.244.1.2"

    def test_outside_sees_the_node_and_remote_pods_see_flannel_1(self, lab: Lab) -> None:
        """A pod is masqueraded; a node's own packets to a remote pod have the tunnel's address."""
        a, c = lab.pod("node-1", "a"), lab.pod("node-2", "c")
        assert lab.who_asks(a, lab.fabric.namespace("ext/outside"), OUTSIDE) == "192.168.1.11"
        assert lab.who_asks(lab.node("node-1"), c, lab.addresses["c"]) == "10.244.1.0"
        assert lab.who_asks(lab.node("node-1"), a, lab.addresses["a"]) == "10.244.1.1"

    def test_a_pod_that_is_gone_leaves_nothing_but_the_last_address(self, lab: Lab) -> None:
        """Link, port, files go; the next pod gets the address behind."""
        lab.pod("node-1", "a")
        call = lab.call("node-1", "a")
        before = set(lab.node("node-1").devices)
        for _ in range(2):  # DEL is idempotent
            cni.delete(lab.config("node-1"), call)
        assert {name for name in before if name.startswith("veth")} & set(lab.node("node-1").devices) == set()
        assert [path for path in lab.disks["node-1"] if "/networks/" in path] == [
            "/var/lib/cni/networks/cbr0/last_reserved_ip.0"
        ]
        lab.pod("node-1", "b")
        assert lab.addresses["b"] == IpAddress.parse("10.244.1.3")


class TestApply:
    """Twice is the same as once, and what somebody broke comes back."""

    def test_twice_is_the_same_as_once(self, lab: Lab) -> None:
        """No rule is doubled, no device made anew."""
        index = lab.node("node-1").device("flannel.1").index
        assert lab.apply() == []
        assert lab.rules("node-1", "nat") == NAT
        assert lab.node("node-1").device("flannel.1").index == index

    def test_rules_that_were_deleted_come_back_in_order(self, lab: Lab) -> None:
        """One rule missing, the daemon writes all of them anew."""
        lab.show(lab.node("node-1"), "iptables", "-t", "nat", "-D", "FLANNEL-POSTRTG", "2")
        lab.apply()
        assert lab.rules("node-1", "nat") == NAT
        lab.show(lab.node("node-1"), "iptables", "-t", "nat", "-F")
        lab.apply()
        assert lab.rules("node-1", "nat") == NAT

    def test_a_node_that_is_gone_takes_its_way_with_it(self, lab: Lab) -> None:
        """Neighbour, FDB entry and route are deleted."""
        lab.apply(NODES[:1])
        net = lab.node("node-1")
        assert lab.show(net, "ip", "neigh") == ""
        assert lab.show(net, "bridge", "fdb", "show", "dev", "flannel.1") == ""
        assert "10.244.2.0" not in lab.show(net, "ip", "route")
        lab.apply()
        assert "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink" in lab.show(net, "ip", "route")

    def test_a_device_that_was_deleted_is_made_again(self, lab: Lab) -> None:
        """With its address and, here, with the ways that hung on it."""
        net = lab.node("node-1")
        tunnel = net.device("flannel.1")
        lab.fabric.call(net, partial(rtnetlink.remove, device=tunnel))
        lab.apply()
        assert "10.244.1.0/32" in lab.show(net, "ip", "addr", "show", "flannel.1")
        assert "10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink" in lab.show(net, "ip", "route")

    def test_nothing_wanted_takes_everything_away(self, lab: Lab) -> None:
        """Chains, rules, device and files are gone."""
        net = lab.node("node-1")
        apply(lab.fabric, net, lab.written["node-1"], Written(), disk=lab.disks["node-1"])
        assert lab.rules("node-1", "nat") == lab.rules("node-1", "filter") == []
        assert "flannel.1" not in net.devices
        assert list(lab.disks["node-1"]) == []
        with pytest.raises(CommandError):
            lab.show(net, "iptables", "-t", "nat", "-S", "FLANNEL-POSTRTG")


class TestBackends:
    """host-gw and direct routing."""

    def test_host_gw_is_plain_routes(self) -> None:
        """No tunnel, the MTU of the device, and nodes keep their own address."""
        lab = Lab("flannel", {"backend": "host-gw"})
        a, c = lab.pod("node-1", "a"), lab.pod("node-2", "c")
        net = lab.node("node-1")
        assert "flannel.1" not in net.devices
        assert "10.244.2.0/24 via 192.168.1.12 dev eth0 \n" in lab.show(net, "ip", "route")
        assert net.device("cni0").mtu == 1500
        assert lab.ping(a, lab.addresses["c"]).ttl == 62
        assert lab.who_asks(a, c, lab.addresses["c"]) == "10.244.1.2"
        assert lab.who_asks(net, c, lab.addresses["c"]) == "192.168.1.11"

    def test_direct_routing_tunnels_only_to_other_segments(self) -> None:
        """A neighbour gets a plain route, who is behind a router a tunnel."""
        far = NodeNetwork("node-3", "192.168.9.13", ("10.244.3.0/24",))
        written = PROVIDERS["flannel"]({"directRouting": True}).configure(NODES[0], (*NODES, far))
        kinds = [type(way).__name__ for way in written.ways]
        assert kinds == ["Route", "PermanentNeighbour", "PermanentFdb", "Route"]

    def test_wrong_options_are_all_told(self) -> None:
        """Each with its path."""
        with pytest.raises(OptionsError) as caught:
            PROVIDERS["flannel"]({"backend": "udp", "vni": 0, "prot": 1})
        assert [fault.path for fault in caught.value.faults] == ["$.prot", "$.backend", "$.vni"]
        assert "did you mean 'port'?" in str(caught.value)
