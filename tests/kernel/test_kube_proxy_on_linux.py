# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy's restore input, given to the real tools: Linux then holds the rules that emu's nodes hold."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from emu.apps.commands.iptables_tables import take
from emu.fabric.driver import Fabric
from emu.kube.proxy.config import ProxyConfig
from emu.kube.proxy.iptables import ENSURED, JUMPS, render
from emu.testing.proxies import Proxies
from emu.testing.proxy_strategies import clusters
from emu.tools.iptables.save import render as save
from tests.kernel.linux import drawn, namespace, run

if TYPE_CHECKING:
    from emu.kube.api.objects.service import EndpointSlice, Service

CONFIG = ProxyConfig("a", ("192.168.0.2",), cluster_cidr="10.0.0.0/8")


@pytest.mark.kernel
def test_linux_holds_the_rules_that_our_nodes_hold() -> None:
    """Tables filter and nat as iptables-save prints them, for any Services, as each follows the other."""
    with namespace() as netns:
        for table, chains in ENSURED.items():
            for chain in chains:
                run(netns, "iptables", "-t", table, "-N", chain)
        for table, chain, line in JUMPS:
            run(netns, "iptables", "-t", table, "-I", chain, *shlex.split(line))
        present: set[str] = set()

        @drawn(25)
        @given(cluster=clusters())
        def holds_the_same(cluster: list[tuple[Service, EndpointSlice]]) -> None:
            proxies = Proxies(Fabric())
            proxies.put(*(each for pair in cluster for each in pair))
            net = proxies.start(CONFIG)
            ruleset = proxies.ruleset("a")
            wanted = {each.name for each in ruleset.nat.ports.own}
            text = render(ruleset, {"nat": sorted(present - wanted)})
            run(netns, "iptables-restore", "--noflush", "--counters", text=text)
            present.clear()
            present.update(wanted)
            for table in ("filter", "nat"):
                printed = run(netns, "iptables-save", "-t", table).splitlines()
                theirs = [line for line in printed if not line.startswith("#")]
                assert theirs == save([take(net, table)]).splitlines()

        holds_the_same()
