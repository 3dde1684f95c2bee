# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.cluster.network.importing.nodes import (
    Json,
    address,
    answer,
    device,
    said,
    veth,
    with_addresses,
)

if TYPE_CHECKING:
    from tests.unit.cluster.network.importing.nodes import Folder

ETH0 = with_addresses(device("eth0"), "10.0.0.1/24")
CONNECTED: Json = {
    "dst": "10.0.0.0/24",
    "dev": "eth0",
    "protocol": "kernel",
    "scope": "link",
    "prefsrc": "10.0.0.1",
    "flags": [],
}
RULES: list[Json] = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 32766, "src": "all", "table": "main"},
    {"priority": 32767, "src": "all", "table": "default"},
]


def route(dst: str, **further: object) -> Json:
    """Return the record of a route."""
    return {"dst": dst, "flags": [], **further}


class TestRoutes:
    """Routes that the list of a document can have, and those that take a command."""

    @pytest.mark.parametrize(
        "wanted",
        [
            route("default", gateway="10.0.0.254", dev="eth0", metric=100, prefsrc="10.0.0.1"),
            route("10.2.0.0/16", gateway="10.0.0.254", dev="eth0", metrics=[{"mtu": 1400}]),
            route("10.3.0.0/16", dev="eth0", scope="link"),
            route("10.3.1.0/24", dev="eth0"),
            route("10.3.2.2", dev="eth0", scope="host"),
            route("10.4.0.0/16", tos="0x10", gateway="10.0.0.254", dev="eth0"),
            {"type": "blackhole", "dst": "10.5.0.0/16", "flags": []},
            {"type": "unreachable", "dst": "10.6.0.0/16", "metric": 7, "flags": []},
            route("10.7.0.0/16", gateway="172.31.0.9", dev="eth0") | {"flags": ["onlink"]},
            route(
                "10.8.0.0/16",
                nexthops=[
                    {"gateway": "10.0.0.2", "dev": "eth0", "weight": 1, "flags": []},
                    {"gateway": "10.0.0.3", "dev": "eth0", "weight": 9, "flags": []},
                ],
            ),
        ],
        ids=lambda record: str(record["dst"]),
    )
    def test_a_route_comes_out_as_it_went_in(self, folder: Folder, wanted: Json) -> None:
        """`ip -j route` of the node says what was recorded."""
        folder.node(ip_addr=[ETH0], ip_route=[CONNECTED, wanted])
        assert wanted in answer(folder.network(), "node1", "ip -j route")

    def test_a_connected_route_with_a_metric_takes_the_place_of_the_kernels(self, folder: Folder) -> None:
        """Address managers add their own and tell the kernel to add none."""
        folder.node(ip_addr=[ETH0], ip_route=[CONNECTED | {"metric": 100}])
        (shown,) = answer(folder.network(), "node1", "ip -j route")
        assert (shown["dst"], shown["metric"]) == ("10.0.0.0/24", 100)

    def test_tables_with_names_get_numbers(self, folder: Folder) -> None:
        """Routes and rules of one table stay together."""
        rule: Json = {"priority": 90, "src": "10.0.0.9", "table": "vpn"}
        by_vpn = route("default", gateway="10.0.0.254", dev="eth0", table="vpn")
        folder.node(ip_addr=[ETH0], ip_route=[CONNECTED, by_vpn], ip_rule=[rule, *RULES])
        assert said(folder.imported().remarks.invented, "number 1001 of the routing table vpn")
        network = folder.network()
        assert answer(network, "node1", "ip -j route show table 1001") == [
            route("default", gateway="10.0.0.254", dev="eth0")
        ]
        assert answer(network, "node1", "ip -j rule")[1] == rule | {"table": "1001"}

    def test_a_gateway_that_no_route_leads_to_is_said_to_be_on_the_link(self, folder: Folder) -> None:
        """The route that it was entered by may be gone: the kernel asks when it is entered only."""
        folder.node(
            ip_addr=[ETH0], ip_route=[CONNECTED, route("10.9.0.0/16", gateway="172.16.0.1", dev="eth0")]
        )
        assert said(folder.imported().remarks.invented, "onlink of route 10.9.0.0/16")
        assert answer(folder.network(), "node1", "ip -j route show 10.9.0.0/16")[0]["flags"] == ["onlink"]

    @pytest.mark.parametrize(
        ("lost", "why"),
        [
            (route("10.9.0.0/16", dev="wg0"), "there is no device wg0"),
            (route("10.9.0.0/16", dev="tun0"), "tun0 is left out"),
            (route("10.9.0.0/16", dev="eth1"), "eth1 is down"),
            (
                route("10.9.0.0/16", dev="eth0", via={"family": "inet6", "host": "fe80::1"}),
                "of another family",
            ),
            (route("10.9.0.0/16", dev="eth0", encap="mpls"), "encap is not modelled"),
            (route("10.9.0.0/16", nhid=9), "it leads nowhere"),
        ],
    )
    def test_what_cannot_be_is_left_out_by_name(self, folder: Folder, lost: Json, why: str) -> None:
        """The rest of the node is there."""
        tun = device("tun0", "tun", index=3) | {"link_type": "none"}
        down = device("eth1", index=4) | {"flags": ["BROADCAST"]}
        folder.node(ip_addr=[ETH0, tun, down], ip_link=[ETH0, tun, down], ip_route=[CONNECTED, lost])
        assert said(folder.imported().remarks.left_out, why)
        assert len(answer(folder.network(), "node1", "ip -j route")) == 1

    def test_routes_of_ipv6_are_counted(self, folder: Folder) -> None:
        """By what shows of them alone, also those to everywhere."""
        default6: Json = {"dst": "default", "dev": "eth0", "metric": 1024, "flags": [], "pref": "medium"}
        link6: Json = {"dst": "fe80::/64", "dev": "eth0", "flags": []}
        folder.node(ip_addr=[ETH0], ip_route=[CONNECTED, default6, link6])
        assert said(folder.imported().remarks.left_out, "node1: 2 routes of IPv6")

    def test_addresses_are_those_of_routes_where_nothing_else_tells(self, folder: Folder) -> None:
        """The kernel has a route for each address."""
        local: Json = {
            "type": "local",
            "dst": "10.0.0.1",
            "dev": "eth0",
            "table": "local",
            "protocol": "kernel",
            "scope": "host",
            "prefsrc": "10.0.0.1",
        }
        folder.node(ip_link=[device("eth0")], ip_route=[CONNECTED, local])
        (shown,) = answer(folder.network(), "node1", "ip -j addr show dev eth0")
        assert [(one["local"], one["prefixlen"]) for one in shown["addr_info"]] == [("10.0.0.1", 24)]
        assert said(folder.imported().remarks.invented, "the addresses, which routes tell of")


class TestRules:
    """`ip rule`."""

    @pytest.mark.parametrize(
        "rule",
        [
            {"priority": 90, "src": "10.244.1.0", "srclen": 24, "table": "100"},
            {
                "priority": 90,
                "src": "all",
                "dst": "10.30.0.0",
                "dstlen": 16,
                "table": "main",
                "suppress_prefixlen": 0,
            },
            {"priority": 90, "src": "all", "fwmark": "0x4000", "fwmask": "0xffff", "table": "100"},
            {"priority": 90, "not": None, "src": "all", "iif": "eth0", "table": "100"},
            {"priority": 90, "src": "172.16.0.2", "action": "blackhole"},
            {"priority": 90, "src": "all", "tos": "0x10", "table": "100"},
        ],
    )
    def test_a_rule_comes_out_as_it_went_in(self, folder: Folder, rule: Json) -> None:
        """Every selector that is modelled."""
        wanted = [RULES[0], rule, *RULES[1:]]
        folder.node(ip_addr=[ETH0], ip_rule=wanted)
        assert answer(folder.network(), "node1", "ip -j rule") == wanted

    def test_rules_that_the_node_has_not_go(self, folder: Folder) -> None:
        """Some move the rule for local addresses."""
        wanted = [{"priority": 100, "src": "all", "table": "local"}, *RULES[1:]]
        folder.node(ip_addr=[ETH0], ip_rule=wanted)
        assert answer(folder.network(), "node1", "ip -j rule") == wanted

    @pytest.mark.parametrize(
        "further",
        [{"uid_start": 0, "uid_end": 9}, {"ipproto": "tcp", "dport": 80}, {"l3mdev": None}, {"goto": 100}],
    )
    def test_what_is_not_modelled_is_left_out_by_name(self, folder: Folder, further: Json) -> None:
        """A selector that is not understood never becomes one for everything."""
        folder.node(ip_addr=[ETH0], ip_rule=[*RULES, {"priority": 90, "src": "all", "table": "7", **further}])
        assert said(folder.imported().remarks.left_out, "node1: routing rule 90:", next(iter(further)))
        assert answer(folder.network(), "node1", "ip -j rule") == RULES


class TestAddresses:
    """Addresses that a document's devices cannot begin with."""

    @pytest.mark.parametrize(
        "own",
        [
            address("10.0.0.2/24", scope="link"),
            address("10.0.0.5/32", address="10.0.9.9"),
            address("169.254.20.10/32"),
        ],
    )
    def test_a_command_adds_them(self, folder: Folder, own: Json) -> None:
        """Scopes, peers, and everything on lo."""
        name = "lo" if own["local"].startswith("169") else "eth0"
        lo: Json = {
            "ifindex": 1,
            "ifname": "lo",
            "flags": ["LOOPBACK", "UP", "LOWER_UP"],
            "mtu": 65536,
            "link_type": "loopback",
            "address": "00:00:00:00:00:00",
        }
        devices = [lo | {"addr_info": [own]}] if name == "lo" else [device("eth0") | {"addr_info": [own]}]
        folder.node(ip_addr=devices)
        (shown,) = answer(folder.network(), "node1", f"ip -j addr show dev {name}")
        last = shown["addr_info"][-1]
        assert {key: last.get(key) for key in own} == own

    def test_a_device_without_carrier_is_up_without_carrier(self, folder: Folder) -> None:
        """Its routes are there, and marked so."""
        record = with_addresses(veth("eth1"), "10.5.0.1/24") | {"flags": ["NO-CARRIER", "BROADCAST", "UP"]}
        folder.node(ip_addr=[record], ip_link=[veth("eth1") | {"flags": ["NO-CARRIER", "BROADCAST", "UP"]}])
        network = folder.network()
        (shown,) = answer(network, "node1", "ip -j addr show dev eth1")
        assert "NO-CARRIER" in shown["flags"]
        assert answer(network, "node1", "ip -j route")[0]["flags"] == ["linkdown"]
