# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.cluster.network.importing.nodes import (
    Json,
    answer,
    device,
    learned,
    said,
    veth,
    with_addresses,
)

if TYPE_CHECKING:
    from tests.unit.cluster.network.importing.nodes import Folder

ETH0 = with_addresses(device("eth0"), "192.168.0.1/24")


def vxlan(**data: object) -> Json:
    """Return the record of a VXLAN device."""
    info: Json = {"id": 1, "local": "192.168.0.1", "link": "eth0", "port": 8472, "learning": False, "ttl": 0}
    record = with_addresses(device("flannel.1", index=5, mtu=1450), "10.244.1.0/32")
    return record | {"linkinfo": {"info_kind": "vxlan", "info_data": info | data}}


def bridge(name: str = "cni0", *, index: int = 3, **data: object) -> Json:
    """Return the record of a bridge."""
    return device(name, index=index) | {"linkinfo": {"info_kind": "bridge", "info_data": data}}


class TestKinds:
    """What becomes of devices."""

    @pytest.mark.parametrize("kind", ["wireguard", "ipvlan", "macvlan", "macvtap", "vrf", "sit", "geneve"])
    def test_a_kind_that_is_not_modelled_is_left_out_by_name(self, folder: Folder, kind: str) -> None:
        """With the addresses that go with it."""
        folder.node(ip_link=[ETH0, with_addresses(device("x0", kind, index=3), "10.9.0.1/24")])
        assert said(folder.imported().remarks.left_out, "node1/x0", kind, "not modelled", "10.9.0.1/24")
        shown = answer(folder.network(), "node1", "ip -j addr")
        assert [one["ifname"] for one in shown] == ["lo", "eth0"]

    @pytest.mark.parametrize("kind", ["bond", "team", "vlan"])
    def test_a_cable_stands_in_for_what_carries_plain_frames(self, folder: Folder, kind: str) -> None:
        """And what it is made of is left out."""
        parts = [device("eth1", index=7, master="b0"), device("eth2", index=8, master="b0")]
        folder.node(ip_link=[with_addresses(device("b0", kind, index=3), "192.168.0.1/24"), *parts])
        remarks = folder.imported().remarks
        assert said(remarks.invented, f"node1/b0: a plain cable, for a {kind} device")
        assert said(remarks.left_out, "node1/eth1: it is a part of b0")
        assert answer(folder.network(), "node1", "ip -j route")[0]["dst"] == "192.168.0.0/24"

    def test_a_dummy_is_a_cable_to_nobody(self, folder: Folder) -> None:
        """Its addresses are the node's."""
        folder.node(ip_link=[with_addresses(device("nodelocaldns", "dummy"), "169.254.20.10/32")])
        assert said(folder.imported().remarks.invented, "node1/nodelocaldns is a dummy device")
        assert folder.network().namespace("node1").execute(["ping", "-c1", "169.254.20.10"]).status == 0

    def test_kinds_are_guessed_without_details(self, folder: Folder) -> None:
        """By who is a master, and whose other end is elsewhere."""
        port = veth("veth1", index=4, master="cni0")
        del port["linkinfo"]
        folder.node(ip_addr=[ETH0, with_addresses(device("cni0", index=3), "10.244.1.1/24"), port])
        assert said(folder.imported().remarks.invented, "the kinds of devices")
        assert [spec.iface for spec in folder.imported().document.bridges] == ["cni0"]

    def test_a_link_layer_without_mac_addresses_is_left_out(self, folder: Folder) -> None:
        """Though its kind is not told."""
        record = device("ib0", index=3) | {"link_type": "infiniband", "address": "80:00:02"}
        folder.node(ip_addr=[ETH0, record])
        assert said(folder.imported().remarks.left_out, "node1/ib0", "infiniband")


class TestBridges:
    """Bridges, their ports and their tables."""

    def test_ports_have_their_switches(self, folder: Folder) -> None:
        """Hairpin and its like; ageing; what is not modelled is named."""
        switches: Json = {
            "hairpin": True,
            "learning": False,
            "flood": False,
            "isolated": True,
            "proxy_arp": True,
        }
        slave: Json = {"info_kind": "veth", "info_slave_kind": "bridge", "info_slave_data": switches}
        port = veth("veth1", index=4, master="cni0") | {"linkinfo": slave}
        folder.node(ip_link=[bridge(ageing_time=1000, vlan_filtering=1), port])
        imported = folder.imported()
        assert said(imported.remarks.left_out, "node1/cni0: vlan_filtering")
        assert said(imported.remarks.left_out, "node1/veth1: proxy_arp")
        text = folder.written().read_text()
        assert (
            "ageing: 10, ports: [{if: veth1, hairpin: true, learning: false, flood: false, isolated: true}]"
            in text
        )
        (shown,) = answer(folder.network(), "node1", "bridge -j -d link show dev veth1")
        assert (shown["hairpin"], shown["isolated"]) == (True, True)

    def test_a_bridge_without_running_port_has_no_carrier(self, folder: Folder) -> None:
        """As docker0 of a node without containers."""
        record = with_addresses(bridge("docker0"), "172.17.0.1/16") | {
            "flags": ["NO-CARRIER", "BROADCAST", "UP"]
        }
        folder.node(ip_addr=[record], ip_link=[record])
        (shown,) = answer(folder.network(), "node1", "ip -j route")
        assert (shown["dst"], shown["flags"]) == ("172.17.0.0/16", ["linkdown"])

    def test_entries_by_hand_and_by_learning_are_entered(self, folder: Folder) -> None:
        """Those that the ports have for themselves come by themselves."""
        entries = [
            learned("0a:00:00:00:00:01", "veth1", "cni0"),
            learned("0a:00:00:00:00:02", "veth1", "cni0") | {"state": "static"},
            learned("02:00:00:00:00:04", "veth1", "cni0") | {"state": "permanent"},
        ]
        folder.node(ip_link=[bridge(), veth("veth1", index=4, master="cni0")], bridge_fdb=entries)
        shown = answer(folder.network(), "node1", "bridge -j fdb show dev veth1")
        states = {one["mac"]: one["state"] for one in shown if "master" in one}
        assert states == {
            "0a:00:00:00:00:01": "",
            "0a:00:00:00:00:02": "static",
            "02:00:00:00:00:04": "permanent",
        }


class TestVxlan:
    """VXLAN devices."""

    def test_a_device_has_its_settings_and_destinations(self, folder: Folder) -> None:
        """`ip -d link` and `bridge fdb` of the node say what was recorded."""
        entries: list[Json] = [
            {
                "mac": "02:00:00:00:02:ff",
                "ifname": "flannel.1",
                "dst": "192.168.0.2",
                "flags": ["self"],
                "state": "permanent",
            },
            {
                "mac": "02:00:00:00:03:ff",
                "ifname": "flannel.1",
                "dst": "192.168.0.3",
                "flags": ["self"],
                "state": "",
            },
            {
                "mac": "02:00:00:00:04:ff",
                "ifname": "flannel.1",
                "dst": "192.168.0.4",
                "port": 9999,
                "flags": ["self"],
                "state": "permanent",
            },
        ]
        folder.node(ip_link=[ETH0, vxlan(ttl=9, udp_csum=False, learning=True)], bridge_fdb=entries)
        network = folder.network()
        (shown,) = answer(network, "node1", "ip -j -d link show dev flannel.1")
        data = shown["linkinfo"]["info_data"]
        assert (data["id"], data["ttl"], data["udp_csum"], data["learning"]) == (1, 9, False, True)
        found = answer(network, "node1", "bridge -j fdb show dev flannel.1")
        key = ("mac", "dst", "port", "state")
        assert sorted(tuple(one.get(name) for name in key) for one in found) == sorted(
            tuple(one.get(name) for name in key) for one in entries
        )

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            ({"external": True}, "external"),
            ({"group": "239.1.1.1"}, "group"),
            ({"link": "eth9"}, "nothing tells by which device it sends"),
            ({"local": "10.9.9.9", "link": None}, "nothing tells by which device it sends"),
        ],
    )
    def test_what_a_document_cannot_have_is_left_out_by_name(
        self, folder: Folder, data: Json, why: str
    ) -> None:
        """And so is all that leads through it."""
        by_it: Json = {"dst": "10.244.2.0/24", "dev": "flannel.1", "flags": []}
        folder.node(ip_link=[ETH0, vxlan(**data)], ip_route=[by_it])
        left_out = folder.imported().remarks.left_out
        assert said(left_out, "node1/flannel.1", why)
        assert said(left_out, "route 10.244.2.0/24: flannel.1 is left out")
        assert folder.network()

    def test_the_lower_device_is_found_by_its_address(self, folder: Folder) -> None:
        """A device that was made without `dev` sends by the routes."""
        folder.node(ip_link=[ETH0, vxlan(link=None)])
        (spec,) = folder.imported().document.vxlans
        assert spec.dev == "eth0"

    def test_a_port_of_a_bridge_is_one_here(self, folder: Folder) -> None:
        """The list of ports takes cables alone, so a command joins it."""
        folder.node(ip_link=[ETH0, bridge(), vxlan() | {"master": "cni0"}])
        (shown,) = answer(folder.network(), "node1", "ip -j link show dev flannel.1")
        assert shown["master"] == "cni0"

    def test_an_mtu_that_does_not_fit_is_told(self, folder: Folder) -> None:
        """A document takes no more than the lower device's less the headers."""
        folder.node(ip_link=[ETH0, vxlan() | {"mtu": 1500}])
        assert said(folder.imported().remarks.left_out, "node1/flannel.1: its MTU of 1500 (it is 1450")
        assert folder.network()
