# SPDX-License-Identifier: GPL-2.0-only
"""A node that has lost its power comes back as it was, whatever network it is in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

from emu.cluster.topology.spec import ClusterSpec, NetworkSpec, NodeSpec, ProxySpec
from emu.kube.api.objects.scheduling import Taint
from emu.sim.time import SECOND, later
from emu.testing.cluster_strategies import NETWORKS
from emu.testing.clusters import ClusterLab
from emu.testing.plans import Plan, pod
from emu.wire.addresses import Interface

if TYPE_CHECKING:
    from emu.cluster.topology.spec import ProxyMode

NO_MORE: Final = (Taint("full", "NoSchedule"),)
"""So that the cluster's name servers are on the other node."""
NODES: Final = (
    NodeSpec("n0", addresses=((Interface.parse("10.1.0.10/24"),),), taints=()),
    NodeSpec("n1", addresses=((Interface.parse("10.1.1.11/24"),),), taints=NO_MORE),
)
WRITTEN: Final = ("ip route show table all", "ip rule", "ip address", "iptables-save", "nft list ruleset")
NAMED: Final = re.compile(
    r"(veth|vethwepl|cali|eni)[0-9a-f]{6,}|^\d+: |@if\d+|\[\d+:\d+\]|#.*|([0-9a-f]{2}:){5}..", re.MULTILINE
)
"""Names, numbers and counters that are drawn or counted anew."""


def state_of(lab: ClusterLab, node: str) -> list[str]:
    """Return what is written in a node's kernel, without the addresses and names of its pods."""
    text = NAMED.sub("", "".join(lab.text_of(f"node/{node}", command) for command in WRITTEN))
    for party in lab.pods:
        text = re.sub(rf"\b{re.escape(str(party.address))}\b(?!/)", "POD", text)
    return sorted(text.splitlines())


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
@pytest.mark.parametrize("network", range(len(NETWORKS)))
def test_a_node_comes_back_as_it_was(network: int, mode: ProxyMode) -> None:
    """Its addresses, routes, routing rules and packet filter; its pods are other ones."""
    spec = ClusterSpec(network=NetworkSpec(*NETWORKS[network]), nodes=NODES, proxy=ProxySpec(mode))
    lab = ClusterLab(Plan(spec, (pod("a", node="n0"), pod("b", node="n1"))))
    before = state_of(lab, "n1")
    for line, seconds in (("fail n1 --power", 5), ("recover n1", 60)):
        assert lab.do(line, settle=False).status == 0
        lab.wait_until(later(lab.fabric.loop.now, seconds * SECOND))
    lab.settle_down()
    assert state_of(lab, "n1") == before
