# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy's input for nft, given to the real tool: Linux then lists what emu's nodes list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.apps.commands import nft
from emu.fabric.driver import Fabric
from emu.kube.proxy.config import Detect, ProxyConfig
from emu.testing.proxies import Proxies
from emu.testing.proxy_strategies import clusters
from tests.kernel.linux import drawn, namespace, run

if TYPE_CHECKING:
    from emu.kube.api.objects.service import EndpointSlice, Service

LISTED = ("list", "table", "ip", "kube-proxy")
CONFIGS = tuple(
    ProxyConfig("a", ("192.168.0.2",), mode="nftables", cluster_cidr="10.0.0.0/8", **others)
    for others in (
        {"node_port_addresses": ("primary",), "service_cidrs": ("172.30.0.0/16",)},
        {"masquerade_all": True, "masquerade_bit": 31},
        {"detect": Detect.BRIDGE_INTERFACE, "bridge_interface": "lo"},
        {"detect": Detect.NONE, "node_port_addresses": ("10.9.0.0/16",)},
    )
)


@pytest.mark.kernel
def test_linux_lists_the_rules_that_our_nodes_list() -> None:
    """The whole table, maps and sets included, for any Services and ways to run kube-proxy."""
    with namespace() as netns:

        @drawn(25)
        @given(cluster=clusters(), config=st.sampled_from(CONFIGS))
        def lists_the_same(cluster: list[tuple[Service, EndpointSlice]], config: ProxyConfig) -> None:
            proxies = Proxies(Fabric())
            proxies.put(*(each for pair in cluster for each in pair))
            net = proxies.start(config)
            text = proxies.fleet.proxies["a"].plane.text()
            run(netns, "nft", "-f", "-", text=f"flush ruleset\n{text}")
            assert nft.prepare(LISTED)(net) == run(netns, "nft", *LISTED)

        lists_the_same()
