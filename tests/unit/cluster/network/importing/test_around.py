# SPDX-License-Identifier: GPL-2.0-only
"""What stands at the other ends of the cables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.cluster.network.importing.nodes import (
    Json,
    answer,
    connected,
    device,
    learned,
    neighbour,
    said,
    veth,
    with_addresses,
)

if TYPE_CHECKING:
    from emu.cluster.network.lab import Network
    from tests.unit.cluster.network.importing.nodes import Folder

ETH0 = with_addresses(device("eth0"), "192.168.0.1/24")
CNI0 = with_addresses(device("cni0", "bridge", index=3), "10.244.1.1/24")
POD = "0a:58:00:00:00:02"
BY_ETH0 = connected("192.168.0.0/24", "eth0", "192.168.0.1")


def pings(network: Network, ns: str, target: str) -> bool:
    """Return whether somebody answers."""
    return network.namespace(ns).execute(["ping", "-c1", "-W2", target]).status == 0


def names(folder: Folder) -> set[str]:
    """Return the names of the namespaces."""
    return {spec.name for spec in folder.imported().document.namespaces}


def routed(dst: str, gateway: str, dev: str = "eth0") -> Json:
    """Return the record of a route by a gateway."""
    return {"dst": dst, "gateway": gateway, "dev": dev, "flags": []}


class TestPods:
    """Pods behind the cables of a node."""

    def test_a_pod_on_a_bridge_has_what_the_tables_know(self, folder: Folder) -> None:
        """The MAC address by the bridge's table, the address by the node's neighbours."""
        folder.node(
            ip_link=[CNI0, veth("veth1", index=4, master="cni0")],
            ip_neigh=[neighbour("10.244.1.2", "cni0", POD)],
            bridge_fdb=[learned(POD, "veth1", "cni0")],
        )
        network = folder.network()
        shown = answer(network, "node1-veth1", "ip -j addr show dev eth0")[0]
        assert shown["address"] == POD
        assert [(one["local"], one["prefixlen"]) for one in shown["addr_info"]] == [("10.244.1.2", 24)]
        assert answer(network, "node1-veth1", "ip -j route")[0]["gateway"] == "10.244.1.1"
        assert pings(network, "node1", "10.244.1.2")
        assert pings(network, "node1-veth1", "10.244.1.1")

    def test_a_silent_pod_is_given_a_port_that_nobody_is_behind(self, folder: Folder) -> None:
        """The bridge forgets it in five minutes, the node's neighbours do not."""
        folder.node(
            ip_link=[CNI0, veth("veth1", index=4, master="cni0")],
            ip_neigh=[neighbour("10.244.1.2", "cni0", POD, "STALE")],
        )
        assert said(folder.imported().remarks.invented, f"that {POD} is behind it")
        assert pings(folder.network(), "node1", "10.244.1.2")

    def test_a_pod_without_bridge_has_what_the_routes_say(self, folder: Folder) -> None:
        """It sends everything to an address that stands for its node."""
        folder.node(
            ip_link=[ETH0, veth("cali1", index=4)],
            ip_route=[BY_ETH0, {"dst": "10.244.1.9", "dev": "cali1", "scope": "link", "flags": []}],
        )
        network = folder.network()
        assert answer(network, "node1-cali1", "ip -j route")[0]["gateway"] == "169.254.1.1"
        assert pings(network, "node1", "10.244.1.9")

    def test_nobody_known_is_told(self, folder: Folder) -> None:
        """The cable runs, and nobody answers."""
        folder.node(ip_link=[CNI0, veth("veth1", index=4, master="cni0")])
        invented = folder.imported().remarks.invented
        assert said(invented, "node1-veth1: what is behind", "no address is known", "MAC address is invented")
        assert folder.network()

    def test_a_pod_whose_namespace_was_recorded_is_itself(self, folder: Folder) -> None:
        """Numbers of the ends fit, and the bridge knows the pod's MAC address."""
        pod = with_addresses(veth("eth0", index=2) | {"link_index": 4, "address": POD}, "10.244.1.2/24")
        folder.node(
            ip_link=[CNI0, veth("veth1", index=4, master="cni0")],
            bridge_fdb=[learned(POD, "veth1", "cni0")],
        )
        folder.node("pod1", ip_link=[pod], ip_route=[routed("default", "10.244.1.1")])
        assert names(folder) == {"node1", "pod1"}
        assert pings(folder.network(), "pod1", "10.244.1.1")

    def test_ends_that_fit_by_chance_are_no_pair(self, folder: Folder) -> None:
        """Numbers of devices repeat in every namespace."""
        other = with_addresses(veth("eth0", index=2) | {"link_index": 4}, "192.168.7.1/24")
        folder.node(ip_link=[CNI0, veth("veth1", index=4, master="cni0")]).node("node2", ip_link=[other])
        assert names(folder) == {"node1", "node2", "node1-veth1", "node2-eth0"}

    def test_a_pair_within_a_node_is_one_cable(self, folder: Folder) -> None:
        """Both ends are there already."""
        pair = [device("a", "veth", index=4, link="b"), device("b", "veth", index=5, link="a")]
        folder.node(ip_link=pair)
        assert names(folder) == {"node1"}
        assert len(folder.imported().document.links) == 1


class TestNetworks:
    """What is behind the devices that lead out of nodes."""

    def test_one_host_is_at_the_other_end_itself(self, folder: Folder) -> None:
        """With the MAC address of the neighbour table."""
        folder.node(
            ip_link=[ETH0],
            ip_route=[BY_ETH0, routed("default", "192.168.0.254")],
            ip_neigh=[neighbour("192.168.0.254", "eth0", "02:aa:00:00:00:01")],
        )
        assert names(folder) == {"node1", "node1-eth0"}
        network = folder.network()
        assert answer(network, "node1-eth0", "ip -j link show dev eth0")[0]["address"] == "02:aa:00:00:00:01"
        assert pings(network, "node1", "192.168.0.254")
        assert pings(network, "node1", "203.0.113.77")  # the way to the outside answers for it

    def test_several_hosts_are_on_a_switch(self, folder: Folder) -> None:
        """One for each MAC address, whatever number of addresses it has."""
        folder.node(
            ip_link=[ETH0],
            ip_route=[BY_ETH0, routed("default", "192.168.0.254"), routed("10.244.2.0/24", "192.168.0.2")],
            ip_neigh=[
                neighbour("192.168.0.2", "eth0", "02:aa:00:00:00:02"),
                neighbour("192.168.0.22", "eth0", "02:aa:00:00:00:02"),
                neighbour("192.168.0.9", "eth0", "02:aa:00:00:00:09", "STALE"),
            ],
        )
        hosts = {"node1-eth0-192-168-0-254", "node1-eth0-192-168-0-2", "node1-eth0-192-168-0-9"}
        assert names(folder) == {"node1", "node1-eth0"} | hosts
        network = folder.network()
        assert all(pings(network, "node1", f"192.168.0.{last}") for last in (2, 22, 9, 254))
        assert pings(network, "node1", "10.244.2.5")

    def test_nodes_with_a_subnet_in_common_share_a_switch(self, folder: Folder) -> None:
        """And the gateway that both know is one host."""
        for number in (1, 2):
            record = with_addresses(device("eth0", index=number + 1), f"192.168.0.{number}/24")
            by_eth0 = connected("192.168.0.0/24", "eth0", f"192.168.0.{number}")
            folder.node(
                f"node{number}", ip_link=[record], ip_route=[by_eth0, routed("default", "192.168.0.254")]
            )
        assert names(folder) == {"node1", "node2", "underlay-192-168-0-0", "host-192-168-0-254"}
        network = folder.network()
        assert pings(network, "node1", "192.168.0.2")
        assert pings(network, "node2", "192.168.0.254")

    def test_nodes_that_know_each_other_share_a_switch(self, folder: Folder) -> None:
        """Clouds give addresses without a subnet."""
        for number, other in ((1, 2), (2, 1)):
            record = with_addresses(device("eth0", index=number + 1), f"10.128.0.{number}/32")
            folder.node(
                f"node{number}",
                ip_link=[record],
                ip_route=[{"dst": f"10.128.0.{other}", "dev": "eth0", "scope": "link", "flags": []}],
                ip_neigh=[neighbour(f"10.128.0.{other}", "eth0", f"02:00:00:00:00:0{other + 1}")],
            )
        assert pings(folder.network(), "node1", "10.128.0.2")

    def test_nodes_with_one_address_have_networks_of_their_own(self, folder: Folder) -> None:
        """Virtual machines behind NAT all have 10.0.2.15."""
        for number in (1, 2):
            folder.node(f"node{number}", ip_link=[with_addresses(device("eth0"), "10.0.2.15/24")])
        assert names(folder) == {"node1", "node2", "node1-eth0", "node2-eth0"}

    def test_the_addresses_of_a_bridge_are_those_of_the_cable_in_it(self, folder: Folder) -> None:
        """Hypervisors have their network card in a bridge."""
        folder.node(
            ip_link=[
                with_addresses(device("br0", "bridge", index=3), "192.168.0.1/24"),
                device("eth0", master="br0"),
            ],
            ip_route=[BY_ETH0 | {"dev": "br0"}, routed("default", "192.168.0.254", "br0")],
            ip_neigh=[neighbour("192.168.0.254", "br0", "02:aa:00:00:00:01")],
            bridge_fdb=[learned("02:aa:00:00:00:01", "eth0", "br0")],
        )
        assert pings(folder.network(), "node1", "192.168.0.254")

    def test_thousands_of_neighbours_are_not_thousands_of_hosts(self, folder: Folder) -> None:
        """Gateways come first; how many more there were is told."""
        many = [neighbour(f"192.168.0.{n}", "eth0", f"02:aa:00:00:00:{n:02x}") for n in range(2, 250)]
        folder.node(ip_link=[ETH0], ip_neigh=many, ip_route=[BY_ETH0, routed("default", "192.168.0.249")])
        assert "node1-eth0-192-168-0-249" in names(folder)
        assert said(folder.imported().remarks.left_out, "184 more hosts on the network of node1/eth0")

    def test_namespaces_listen_where_rules_lead(self, folder: Folder) -> None:
        """A pod behind a Service would, and so would a program of the node."""
        dnat = "-A OUTPUT -p {} -m {} --dport 1 -j DNAT --to-destination {}\n"
        rules = dnat.format("tcp", "tcp", "10.244.1.2:8080") + dnat.format("udp", "udp", "192.168.0.1:53")
        folder.node(
            ip_link=[ETH0, CNI0, veth("veth1", index=4, master="cni0")],
            ip_neigh=[neighbour("10.244.1.2", "cni0", POD)],
            iptables_save=f"*nat\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n",
        )
        network = folder.network()
        assert ":8080 " in network.namespace("node1-veth1").execute(["ss", "-tln"]).stdout
        assert ":53 " in network.namespace("node1").execute(["ss", "-uln"]).stdout


class TestNeighbours:
    """The neighbour table of a node."""

    def test_more_than_the_table_has_room_for_are_left_out(self, folder: Folder) -> None:
        """Gateways and pods stay; the kernel of a node with so many was told to keep more."""
        many = [neighbour(f"10.0.{n // 250}.{n % 250 + 2}", "eth0", "02:aa:00:00:00:01") for n in range(1200)]
        pod = neighbour("10.244.1.2", "cni0", POD)
        folder.node(
            ip_link=[
                with_addresses(device("eth0"), "10.0.0.1/16"),
                CNI0,
                veth("veth1", index=4, master="cni0"),
            ],
            ip_neigh=[*many, pod],
            bridge_fdb=[learned(POD, "veth1", "cni0")],
        )
        assert said(
            folder.imported().remarks.left_out, "node1: 701 neighbours, more than its table has room for"
        )
        shown = answer(folder.network(), "node1", "ip -j neigh")
        assert (len(shown), pod in shown) == (500, True)

    def test_entries_come_out_as_they_went_in(self, folder: Folder) -> None:
        """Those that were being asked are as before that; who did not answer failed."""
        entries = [
            neighbour("192.168.0.2", "eth0", "02:aa:00:00:00:02", "PERMANENT"),
            neighbour("192.168.0.3", "eth0", "02:aa:00:00:00:03", "STALE"),
            neighbour("192.168.0.4", "eth0", "02:aa:00:00:00:04", "PROBE"),
            {"dst": "192.168.0.5", "dev": "eth0", "state": ["INCOMPLETE"]},
            {"dst": "fe80::1", "dev": "eth0", "lladdr": "02:aa:00:00:00:05", "state": ["STALE"]},
            neighbour("10.8.0.2", "wg0", "02:aa:00:00:00:06"),
        ]
        folder.node(ip_link=[ETH0], ip_neigh=entries)
        shown = answer(folder.network(), "node1", "ip -j neigh")
        assert {one["dst"]: one["state"][0] for one in shown} == {
            "192.168.0.2": "PERMANENT",
            "192.168.0.3": "STALE",
            "192.168.0.4": "STALE",
            "192.168.0.5": "FAILED",
        }
        left_out = folder.imported().remarks.left_out
        assert said(left_out, "1 neighbours of IPv6")
        assert said(left_out, "1 neighbours on wg0")
