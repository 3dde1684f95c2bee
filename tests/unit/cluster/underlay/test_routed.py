# SPDX-License-Identifier: GPL-2.0-only
"""Switches, routers and cables that documents name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from emu.cluster.underlay.learning import Learning, Speaker
from emu.errors import DocumentError
from emu.kernel.route import Nexthop
from emu.testing.whole_state import whole_state
from emu.verify.asker import Asker
from emu.verify.verdict import Word
from emu.wire.addresses import Interface, IpAddress, Prefix
from tests.unit.cluster.underlay import racks

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster


@pytest.fixture(scope="module")
def routed() -> Cluster:
    """Return two racks."""
    return racks.built()


def routes(cluster: Cluster, net: str) -> list[str]:
    """Return the routes of a machine, without what the kernel says of them."""
    return [
        line.split(" proto")[0].strip() for line in str(cluster.namespace(net).run("ip route")).splitlines()
    ]


def test_racks_reach_each_other_through_three_routers(routed: Cluster) -> None:
    """Each takes one from the TTL, and the cables take their time."""
    said = str(routed.node("w1").run("ping -c2 10.1.2.11"))
    assert "ttl=61" in said
    assert "icmp_seq=2 ttl=61 time=0.210 ms" in said  # twice 50 + 50 + 5 us


def test_routers_know_networks_and_pods(routed: Cluster) -> None:
    """As they would have told each other: the pods' ranges through the racks of their nodes."""
    known = routes(routed, "router/tor-1")
    assert "10.1.2.0/24 via 10.0.0.0 dev up" in known
    assert "10.244.1.0/24 via 10.1.1.11 dev rack" in known
    assert "10.244.2.0/24 via 10.0.0.0 dev up" in known
    assert "198.51.100.7 via 10.0.0.0 dev up" in known
    assert not routed.warnings


def test_machines_no_link_names_hang_in_the_rack_of_their_subnet(routed: Cluster) -> None:
    """It has a port more for each."""
    node = routed.node("w1").net
    assert routed.fabric.far_end(node, "eth0") is not None
    ends = [routed.fabric.far_end(routed.node(name).net, "eth0") for name in ("cp", "w1", "w2")]
    assert [end[0].name for end in ends if end is not None] == [
        "router/tor-1",
        "router/tor-1",
        "router/tor-2",
    ]
    assert ends[2] is not None
    assert ends[2][1] == "port1"


@pytest.mark.parametrize(
    "ask", [("a", "b:80"), ("b", "a:80"), ("ext/laptop", "b:80"), ("node/w1", "node/w2/icmp")]
)
def test_questions_across_racks_are_answered_and_leave_everything_as_it_was(
    routed: Cluster, ask: tuple[str, str]
) -> None:
    """Cables, filters and routers are kept like all else."""
    before = whole_state(routed.fabric)
    assert Asker(routed).judge(*ask).word is Word.ALWAYS
    assert whole_state(routed.fabric) == before


def test_pods_need_no_tunnel_where_routers_know_them() -> None:
    """Plain packets of pods cross the fabric, with kubenet's nodes knowing nothing of the other rack."""
    cluster = racks.built(*racks.documents(network="{provider: kubenet}"))
    assert Asker(cluster).judge("a", "b:80").word is Word.ALWAYS


def test_routers_that_learn_nothing_drop_what_they_do_not_know() -> None:
    """Only what somebody entered is there: plain packets of pods are lost at the first router."""
    fabric = {"routers": yaml.safe_load(racks.ROUTERS), "links": yaml.safe_load(racks.LINKS)}
    spine, tor_1, tor_2 = fabric["routers"]
    for each in fabric["routers"]:
        each["learns"] = False
    tor_1["routes"] = [{"to": "0.0.0.0/0", "via": "10.0.0.0"}]
    tor_2["routes"] = [{"to": "0.0.0.0/0", "via": "10.0.0.2"}]
    spine["routes"] = [{"to": "10.1.1.0/24", "via": "10.0.0.1"}, {"to": "10.1.2.0/24", "via": "10.0.0.3"}]
    cluster = racks.built(*racks.documents(fabric, network="{provider: kubenet}"))
    assert Asker(cluster).judge("node/w1", "node/w2/icmp").word is Word.ALWAYS
    verdict = Asker(cluster).judge("a", "b:80")
    assert verdict.failure is not None
    assert verdict.failure.cause is not None
    assert (verdict.failure.cause.code, verdict.failure.cause.net) == ("IP_INNOROUTES", "router/spine")


def test_what_is_no_longer_announced_is_forgotten() -> None:
    """A speaker says everything that it has each time."""
    cluster = racks.built()
    underlay, virtual = cluster.control_plane.underlay, Prefix.parse("203.0.113.5/32")
    one, other = IpAddress.parse("10.1.1.11"), IpAddress.parse("10.1.2.11")
    kept = Prefix.parse("10.244.1.0/24")
    underlay.announce(one, [kept, virtual])
    assert "203.0.113.5 via 10.1.1.11 dev rack" in routes(cluster, "router/tor-1")
    underlay.announce(other, [Prefix.parse("10.244.2.0/24"), virtual])
    underlay.announce(one, [kept])
    assert "203.0.113.5 via 10.0.0.0 dev up" in routes(cluster, "router/tor-1")
    assert "203.0.113.5 via 10.1.2.11 dev rack" in routes(cluster, "router/tor-2")
    underlay.announce(other, [Prefix.parse("10.244.2.0/24")])
    for name in ("spine", "tor-1", "tor-2"):
        assert not any("203.0.113.5" in line for line in routes(cluster, f"router/{name}"))
        assert any("10.244.1.0/24" in line for line in routes(cluster, f"router/{name}"))


def test_a_fabric_of_links_alone_is_the_default_with_those_cables() -> None:
    """Addresses, names and ways are what they were."""
    cluster = racks.plain(links=[{"endpoints": ["w1:eth0", "underlay:1"], "delay": "1ms"}])
    default = racks.plain()
    assert [*cluster.fabric.namespaces] == [*default.fabric.namespaces]
    assert routes(cluster, "router") == routes(default, "router")
    assert "icmp_seq=2 ttl=64 time=2.000 ms" in str(cluster.node("w1").run("ping -c2 172.18.0.4"))


def test_a_link_makes_the_switch_that_it_names_and_all_others_hang_there_too() -> None:
    """The example in the reference: one switch with another name."""
    links = [{"endpoints": ["w1:eth0", "tor-1:1"], "mtu": 1500, "delay": "200us", "loss": "0%"}]
    cluster = racks.plain(links=links)
    assert [name for name in cluster.fabric.namespaces if name.startswith("switch")] == ["switch/tor-1"]
    assert Asker(cluster).judge("a", "b:80").word is Word.ALWAYS


def test_second_devices_hang_where_links_say() -> None:
    """Else on the second switch."""
    nodes = "[{name: cp, role: control-plane}, {name: w1, addresses: [172.18.0.8/16, 10.9.0.8/24]}, "
    nodes += "{name: w2, addresses: [172.18.0.9/16, 10.9.0.9/24]}]"
    links = [{"endpoints": ["w1:eth1", "store:1"]}, {"endpoints": ["w2:eth1", "store:2"]}]
    fabric = {"switches": [{"name": "underlay"}], "links": links}
    cluster = racks.built(*racks.documents(fabric, nodes=nodes))
    end = cluster.fabric.far_end(cluster.node("w1").net, "eth1")
    assert end is not None
    assert (end[0].name, end[1]) == ("switch/store", "port1")
    assert "ttl=64" in str(cluster.node("w1").run("ping -c1 10.9.0.9"))


def test_a_router_masquerades() -> None:
    """What leaves by that device has its address."""
    routers: list[dict[str, Any]] = [
        {
            "name": "home",
            "interfaces": [
                {"name": "lan", "addresses": ["172.18.0.1/16"], "ports": []},
                {"name": "wan", "addresses": ["100.64.0.2/30"], "masquerade": True},
            ],
        },
        {"name": "isp", "interfaces": [{"name": "to-home", "addresses": ["100.64.0.1/30"]}], "learns": False},
    ]
    links = [{"endpoints": ["home:wan", "isp:to-home"]}, {"endpoints": ["ext/laptop", "isp"], "delay": "5ms"}]
    routers[0]["routes"] = [{"to": "0.0.0.0/0", "via": "100.64.0.1"}]
    cluster = racks.plain(routers=routers, links=links)
    verdict = Asker(cluster).judge("node/w1", "198.51.100.7/icmp")
    assert verdict.word is Word.ALWAYS
    assert str(verdict.outcomes[0].arrival and verdict.outcomes[0].arrival.source) == "100.64.0.2"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"links": [{"endpoints": ["w1:eth0", "w2:eth0"]}]}, "a switch or a router has to be between"),
        (
            {"links": [{"endpoints": ["w1:eth0", "s:1"]}, {"endpoints": ["w2:eth0", "s:1"]}]},
            "s:port1 has a cable",
        ),
        ({"switches": [{"name": "w1"}]}, "w1 is the name of something else already"),
        ({"filters": [{"at": "tor-9", "drop": "udp"}]}, "there is no tor-9"),
        (
            {"external": [{"name": "x", "ip": "192.0.2.1"}], "links": [{"endpoints": ["ext/y", "s"]}]},
            "no ext/y",
        ),
    ],
)
def test_names_that_lead_nowhere_are_told_with_their_line(spec: dict[str, Any], words: str) -> None:
    """File, line, and what is wrong."""
    with pytest.raises(DocumentError) as error:
        racks.plain(**spec)
    assert words in str(error.value)
    assert str(error.value).startswith("racks.yaml:")


def test_a_node_without_a_router_in_its_subnet_is_told() -> None:
    """It has no default route."""
    nodes = racks.NODES.replace("10.1.2.11", "10.1.9.11")
    cluster = racks.built(*racks.documents(nodes=nodes))
    assert any("w2 has no router in its subnet 10.1.9.0/24" in each for each in cluster.warnings)


def speaker(name: str, *addresses: str, multipath: bool = False) -> Speaker:
    """Return a router with these addresses on `eth0`, `eth1`, ..."""
    given = tuple((f"eth{number}", Interface.parse(each)) for number, each in enumerate(addresses))
    return Speaker(name, given, multipath)


@pytest.mark.parametrize("multipath", [False, True])
def test_of_ways_equally_long_the_first_neighbours_is_taken_or_all(*, multipath: bool) -> None:
    """Two spines between two racks."""
    found = Learning(
        [
            speaker("s1", "10.0.1.0/31", "10.0.1.2/31"),
            speaker("s2", "10.0.2.0/31", "10.0.2.2/31"),
            speaker("t1", "10.0.1.1/31", "10.0.2.1/31", multipath=multipath),
            speaker("t2", "10.0.1.3/31", "10.0.2.3/31"),
        ]
    ).toward(frozenset({"t2"}))
    ways = (Nexthop("eth0", IpAddress.parse("10.0.1.0")), Nexthop("eth1", IpAddress.parse("10.0.2.0")))
    assert found["t1"] == (ways if multipath else ways[:1])
    assert found["s1"] == (Nexthop("eth1", IpAddress.parse("10.0.1.3")),)
    assert "t2" not in found


def test_who_hears_of_nobody_has_no_way() -> None:
    """A router without neighbours."""
    found = Learning([speaker("a", "10.0.0.1/24"), speaker("b", "10.9.0.1/24")]).toward(frozenset({"a"}))
    assert found == {}
