# SPDX-License-Identifier: GPL-2.0-only
"""Nodes with several network cards: routes, the InternalIP, and which card a provider goes by."""

from __future__ import annotations

import pytest

from emu.errors import DocumentError
from emu.kube.api.objects import Node
from emu.verify.asker import Asker
from emu.verify.verdict import Word
from tests.unit.cluster.underlay import racks

NODES = """
- {name: cp, role: control-plane, addresses: [10.1.1.10/24, 10.9.0.10/24]}
- name: w1
  addresses: [10.1.1.11/24, 10.9.0.11/24]
  nodeIP: 10.9.0.11
  routes: [{to: 10.7.0.0/16, via: 10.9.0.10}]
- {name: w2, addresses: [10.1.1.12/24, 10.9.0.12/24], routes: [{to: 0.0.0.0/0, via: 10.9.0.10, dev: eth1}]}
"""


def test_a_node_has_routes_and_an_address_of_its_choice() -> None:
    """Its default route, too."""
    cluster = racks.built(*racks.documents({}, nodes=NODES))
    assert cluster.store.get(Node, "w1").addresses("InternalIP") == ("10.9.0.11",)
    assert "10.7.0.0/16 via 10.9.0.10 dev eth1" in str(cluster.node("w1").run("ip route"))
    assert "default via 10.9.0.10 dev eth1" in str(cluster.node("w2").run("ip route"))
    assert "default via 10.1.1.1 dev eth0" in str(cluster.node("w1").run("ip route"))


@pytest.mark.parametrize("network", ["{provider: flannel, iface: eth1}", "{provider: kindnet, iface: eth1}"])
def test_a_provider_goes_by_the_card_it_is_told(network: str) -> None:
    """Packets between pods leave by it."""
    nodes = NODES.replace("nodeIP: 10.9.0.11", "").replace("{to: 0.0.0.0/0, via: 10.9.0.10, dev: eth1}", "")
    cluster = racks.built(*racks.documents({}, nodes=nodes, network=network))
    with cluster.capture("node/w1/*", condition="host 10.9.0.12 or host 10.244.2.2") as capture:
        assert Asker(cluster).judge("a", "b:80").word is Word.ALWAYS
        cluster.pod("a").run("ping -c1 10.244.2.2")
    points = {str(capture.capture.points[frame.point]) for frame in capture.capture.frames}
    assert any("eth1" in each for each in points)
    assert not any("eth0@" in each for each in points)


def test_a_route_that_leads_nowhere_is_told() -> None:
    """By the node's name."""
    nodes = NODES.replace("16, via: 10.9.0.10", "16, via: 10.8.0.10")
    cluster = racks.built(*racks.documents({}, nodes=nodes))
    assert any("node w1: no route to 10.7.0.0/16 via 10.8.0.10" in each for each in cluster.warnings)


def test_an_address_that_the_node_has_not_is_no_node_ip() -> None:
    """It is told with its line."""
    with pytest.raises(DocumentError, match="nodeIP: is none of the node's addresses"):
        racks.built(*racks.documents({}, nodes=NODES.replace("nodeIP: 10.9.0.11", "nodeIP: 10.9.0.99")))


def test_a_card_leaves_checksums_unfinished_unless_the_kernel_reckons_them() -> None:
    """`ethtool` says who does."""
    card = "{device: eth0, txChecksum: broken-vxlan}"
    nodes = f"[{{name: cp, role: control-plane}}, {{name: w1, nics: [{card}]}}, {{name: w2}}]"
    cluster = racks.built(*racks.documents({}, nodes=nodes))
    assert Asker(cluster).judge("a", "b:80").word is Word.NEVER
    assert Asker(cluster).judge("node/w1", "node/w2/icmp").word is Word.ALWAYS
    assert "tx-checksum-ip-generic: on" in str(cluster.node("w1").run("ethtool -k flannel.1"))
    cluster.node("w1").run("ethtool -K flannel.1 tx-checksum-ip-generic off")
    assert "tx-checksum-ip-generic: off" in str(cluster.node("w1").run("ethtool -k flannel.1"))
    assert Asker(cluster).judge("a", "b:80").word is Word.ALWAYS
