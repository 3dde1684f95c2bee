# SPDX-License-Identifier: GPL-2.0-only
"""Filters at switches, routers and ports, in the words of tcpdump."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from emu.cluster.network.exporting.exporter import export
from emu.verify.asker import Asker
from emu.verify.verdict import Result, Word
from tests.unit.cluster.underlay import racks

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster


def cause(cluster: Cluster, source: str, target: str) -> tuple[str, str, str]:
    """Return code, place and words of a question that fails silently."""
    failed = Asker(cluster).judge(source, target).failure
    assert failed is not None
    assert failed.result is Result.DROPPED
    assert failed.cause is not None
    return failed.cause.code, failed.cause.place, failed.cause.words


def racked(*filters: dict[str, str]) -> Cluster:
    """Return two racks with filters."""
    fabric: dict[str, Any] = {"routers": yaml.safe_load(racks.ROUTERS), "links": yaml.safe_load(racks.LINKS)}
    return racks.built(*racks.documents({**fabric, "filters": list(filters)}))


def test_a_filter_that_eats_vxlan_at_a_switch() -> None:
    """Nodes reach each other, pods of two nodes do not, and those of one do; the answer has the line."""
    cluster = racks.plain(filters=[{"at": "underlay", "drop": "udp dst port 8472"}])
    assert Asker(cluster).judge("node/w1", "node/w2/icmp").word is Word.ALWAYS
    code, place, words = cause(cluster, "a", "b:80")
    assert (code, place) == ("UNDERLAY_FILTER", "switch/underlay/port3")
    assert "which carries 10.244.1.2:" in words
    assert "the filter at underlay: drop udp dst port 8472 (racks.yaml:1" in words


@pytest.mark.parametrize(
    ("at", "place"),
    [("tor-1", "router/tor-1/port2"), ("spine:1", "router/spine/port1"), ("w2:eth0", "node/w2/eth0")],
)
def test_a_filter_stands_where_it_is_put(at: str, place: str) -> None:
    """At all ports of a machine, those of nodes that came later too, or at one."""
    assert cause(racked({"at": at, "drop": "udp port 8472"}), "a", "b:80")[:2] == ("UNDERLAY_FILTER", place)


def test_a_filter_at_one_port_lets_the_others_be() -> None:
    """It looks at what comes in there, not at what leaves."""
    cluster = racked({"at": "tor-2:1", "drop": "icmp[icmptype] = icmp-echo"})
    assert Asker(cluster).judge("node/w1", "node/w2/icmp").word is Word.ALWAYS
    assert cause(cluster, "node/w2", "node/w1/icmp")[1] == "router/tor-2/port1"


def test_only_what_a_filter_accepts_gets_through() -> None:
    """ARP is a frame like any other."""
    cluster = racks.plain(filters=[{"at": "underlay", "accept": "arp or icmp"}])
    assert Asker(cluster).judge("node/w1", "node/w2/icmp").word is Word.ALWAYS
    code, _, words = cause(cluster, "a", "b:80")
    assert code == "UNDERLAY_FILTER"
    assert "accept arp or icmp" in words


def test_a_capture_shows_what_a_filter_drops() -> None:
    """Taps stand before it."""
    cluster = racks.plain(filters=[{"at": "underlay", "drop": "icmp"}])
    with cluster.capture("switch/underlay/port3") as capture:
        assert cluster.node("w1").execute(["ping", "-c1", "-W1", "172.18.0.4"]).status == 1
    assert any(frame[23] == 1 for frame in capture.frames)


def test_what_an_export_cannot_say_is_told_by_name() -> None:
    """A filter, what a cable does to frames, and a card that spoils them."""
    nodes = "[{name: w1, nics: [{device: eth0, txChecksum: broken-vxlan}]}, {name: w2}]"
    fabric = {
        "filters": [{"at": "underlay", "drop": "udp port 9"}],
        "links": [{"endpoints": ["w1:eth0", "underlay"], "delay": "1ms"}],
    }
    left_out = export(racks.built(*racks.documents(fabric, nodes=nodes))).remarks.left_out
    assert any("the filter at underlay: drop udp port 9" in each for each in left_out)
    assert "underlay/port2: bandwidth, latency, MTU and faults of its cable" in left_out
    assert "w1/eth0: that it spoils checksums inside of tunnels" in left_out


def test_ipip_is_protocol_4() -> None:
    """The tunnel has no ports."""
    network = "{provider: calico, calico: {ipipMode: Always}}"
    fabric = {"filters": [{"at": "underlay", "drop": "ip proto 4"}]}
    nodes = "[{name: cp, role: control-plane}, {name: w1}, {name: w2}]"
    cluster = racks.built(*racks.documents(fabric, nodes=nodes, network=network))
    assert Asker(cluster).judge("node/w1", "node/w2/icmp").word is Word.ALWAYS
    code, _, words = cause(cluster, "a", "b:80")
    assert code == "UNDERLAY_FILTER"
    assert "drop ip proto 4" in words


def test_of_two_spines_one_filters() -> None:
    """Half of the connections are lost, and which half is chance."""
    links = []
    routers: list[dict[str, Any]] = []
    for tor, subnet in (("tor-1", 1), ("tor-2", 2)):
        ups = [{"name": f"s{spine}", "addresses": [f"10.0.{subnet}{spine}.1/24"]} for spine in (1, 2)]
        rack = {"name": "rack", "addresses": [f"10.1.{subnet}.1/24"], "ports": []}
        routers.append({"name": tor, "multipath": True, "interfaces": [rack, *ups]})
    for spine in (1, 2):
        downs = [{"name": f"t{tor}", "addresses": [f"10.0.{tor}{spine}.2/24"]} for tor in (1, 2)]
        routers.append({"name": f"spine-{spine}", "interfaces": downs})
        links += [{"endpoints": [f"tor-{tor}:s{spine}", f"spine-{spine}:t{tor}"]} for tor in (1, 2)]
    filters = [{"at": "spine-2:t1", "drop": "tcp dst port 80"}]
    fabric = {"routers": routers, "links": links, "filters": filters}
    cluster = racks.built(*racks.documents(fabric, network="{provider: kubenet}"))
    verdict = Asker(cluster).judge("a", "b:80")
    assert (verdict.word, str(verdict.delivered)) == (Word.SOMETIMES, "1/2")
    assert verdict.failure is not None
    assert verdict.failure.cause is not None
    assert verdict.failure.cause.code == "UNDERLAY_FILTER"
