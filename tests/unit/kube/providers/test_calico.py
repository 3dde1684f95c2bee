# SPDX-License-Identifier: GPL-2.0-only
"""calico: what its parts write to a node, for each mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import emu
from emu.cluster.cluster import Cluster
from emu.kernel.link.ipip import Ipip
from emu.kernel.route import Route
from emu.kube import cni
from emu.kube.cni.calico import device_name
from emu.kube.cni.calico_ipam import KUBECONFIG
from emu.kube.providers import PROVIDERS, NodeNetwork, OptionsError
from emu.kube.providers.calico import Calico
from emu.kube.providers.calico.hashes import FelixRule, chain_name, lines
from emu.kube.providers.calico.provider import vtep_mac
from emu.wire.addresses import IpAddress
from tests.unit.kube.providers.lab import OUTSIDE, Lab

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from emu.kube.cni.fields import Json
    from emu.kube.providers import Written

FAR = NodeNetwork("far", "192.168.2.13", segment="192.168.2.0/24", gateway=IpAddress.parse("192.168.2.1"))
NEAR = NodeNetwork("near", "192.168.1.11", segment="192.168.1.0/24", gateway=IpAddress.parse("192.168.1.1"))
NEXT = NodeNetwork("next", "192.168.1.12", segment="192.168.1.0/24", gateway=IpAddress.parse("192.168.1.1"))
NODES = (NEAR, NEXT, FAR)


def written(options: Mapping[str, Json], node: NodeNetwork = NEAR) -> Written:
    """Return what calico writes to a node that has a pod, as all others have."""
    provider = Calico.of(options)
    for each in NODES:
        provider.blocks(each.cluster_cidr).assign(each.name, "a pod")
    return provider.configure(node, NODES)


def ways(found: Written) -> list[str]:
    """Return the routes to other nodes: next hop, device, who entered it, and whether it is on the link."""
    return [
        f"{route.nexthops[0].gateway} {route.nexthops[0].device} {route.protocol} {route.nexthops[0].onlink}"
        for route in found.ways
        if isinstance(route, Route) and route.nexthops
    ]


@pytest.mark.parametrize(
    ("options", "near", "far"),
    [
        ({}, "192.168.1.12 tunl0 12 True", "192.168.2.13 tunl0 12 True"),
        ({"ipipMode": "CrossSubnet"}, "192.168.1.12 eth0 12 False", "192.168.2.13 tunl0 12 True"),
        ({"ipipMode": "Never"}, "192.168.1.12 eth0 12 False", "192.168.1.1 eth0 12 False"),
        ({"vxlanMode": "CrossSubnet"}, "192.168.1.12 eth0 80 True", "END vxlan.calico 80 True"),
        ({"vxlanMode": "Always"}, "END vxlan.calico 80 True", "END vxlan.calico 80 True"),
    ],
)
def test_the_way_to_another_nodes_block(options: dict[str, Json], near: str, far: str) -> None:
    """It depends on the mode and the segment; the far end of a VXLAN is an address of the other's block."""
    found = written(options)
    shown = sorted(ways(found))
    for expected in (near, far):
        if expected.startswith("END"):
            assert any(each.startswith("10.244.") and each.endswith(expected[4:]) for each in shown)
        else:
            assert expected in shown
    assert len(shown) == 2


def test_a_block_is_swallowed_where_nobody_has_its_addresses() -> None:
    """The own block is a blackhole, narrower than the routes to pods are wide."""
    (route,) = [each for each in written({}).ways if isinstance(each, Route) and not each.nexthops]
    assert (route.type.value, route.dst.length, route.protocol) == ("blackhole", 26, 12)


def test_the_tunnel_has_the_first_address_of_the_block() -> None:
    """It is taken when the node starts, so that pods get those behind it."""
    provider = Calico.of({})
    (tunnel,) = provider.configure(NEAR, NODES).ipips
    (block,) = provider.blocks(NEAR.cluster_cidr).of("near")
    assert (tunnel.address.address, tunnel.address.length, tunnel.mtu) == (block.address, 32, 1480)


def test_mtus_leave_room_for_the_header() -> None:
    """1480 under IPIP, 1450 under VXLAN, all of it without a tunnel."""
    found = [
        written(options).config
        for options in ({}, {"ipipMode": "CrossSubnet"}, {"vxlanMode": "Always"}, {"ipipMode": "Never"})
    ]
    assert [each.plugins[0].options["mtu"] for each in found if each] == [1480, 1480, 1450, 1500]


def test_names_are_calicos() -> None:
    """Host ends are called by SHA-1 of namespace and pod, VXLAN devices have their nodes' addresses."""
    assert device_name("default", "web-1") == "cali0761ccbeace"
    assert device_name("default", "client") == "calia7a3e029a7b"
    assert str(vtep_mac("worker-1")) == "66:93:7f:54:d5:53"
    assert chain_name("cali-pi-", "default/default/knp.default.deny-all") == "cali-pi-_a8Tnfi9CcN2Hw2ASudn"
    assert chain_name("cali-pi-", "knp/default/deny-all") == "cali-pi-knp/default/deny-all"


def test_rules_have_felixs_hashes() -> None:
    """The hash of a rule is that of a real node, and of the next one too, which knows of the first."""
    rules = [
        FelixRule("--jump MARK --set-mark 0/0xe0000"),
        FelixRule("--jump cali-from-hep-forward", "-m mark --mark 0/0x10000"),
        FelixRule("--jump cali-from-wl-dispatch", "--in-interface cali+"),
    ]
    found = [line.split('"')[1] for line in lines("cali-FORWARD", rules)]
    assert found == ["cali:vjrMJCRpqwy5oRoX", "cali:A_sPAO0mcxbT9mOV", "cali:8ZoYfO5HKXWbB3pk"]


def test_rules_on_a_node_are_felixs() -> None:
    """What masquerades and what lets tunnels in has the hashes that are seen on nodes."""
    lab = Lab("calico")
    nat, filters = lab.rules("node-1", "nat"), lab.rules("node-1", "filter")
    assert nat[-1].endswith(
        "-m set --match-set cali40masq-ipam-pools src -m set ! --match-set cali40network-ip-pools dst "
        "-j MASQUERADE --random-fully"
    )
    assert any("cali:SXWvdsbh4Mw7wOln" in line and "-o tunl0" in line for line in nat)
    assert any(
        "cali:PajejrV4aFdkZojI" in line and "--match-set cali40all-hosts-net src" in line for line in filters
    )
    assert next(line for line in filters if line.startswith("-A FORWARD")).endswith("-j cali-FORWARD")
    assert isinstance(lab.node("node-1").devices["tunl0"].link, Ipip)


def test_nothing_is_masqueraded_where_the_pool_says_so() -> None:
    """Without `natOutgoing` the chain is empty, and with the nodes excluded it asks for them."""
    assert not [
        line for line in Lab("calico", {"natOutgoing": False}).rules("node-1", "nat") if "masq" in line
    ]
    excluded = Lab("calico", {"natOutgoingExclusions": "IPPoolsAndHostIPs"}).rules("node-1", "nat")
    assert any("! --match-set cali40all-hosts-net dst" in line for line in excluded)


@pytest.mark.parametrize("options", [{}, {"ipipMode": "Never"}, {"vxlanMode": "Always"}])
def test_pods_of_two_nodes_talk(options: dict[str, Json]) -> None:
    """In each mode a pod is asked by one on the other node, which is seen under its own address."""
    lab = Lab("calico", options)
    for name in ("node-1", "node-2"):
        lab.show(lab.node(name), "ip", "route", "add", "default", "via", str(OUTSIDE))
    one, other = lab.pod("node-1", "a"), lab.pod("node-2", "b")
    lab.apply()
    assert lab.ping(one, lab.addresses["b"]).outcome == "reply"
    assert lab.who_asks(one, other, lab.addresses["b"]) == str(lab.addresses["a"])
    assert lab.who_asks(one, lab.fabric.namespace("ext/outside"), OUTSIDE) == "192.168.1.11"


def test_a_node_without_a_default_route_cuts_its_pods_off() -> None:
    """Nobody has 169.254.1.1, and a node that knows no way to it does not answer for it."""
    lab = Lab("calico")
    assert lab.ping(lab.pod("node-1", "a"), OUTSIDE).outcome != "reply"


def test_a_pod_goes_as_it_came() -> None:
    """DEL takes device, routes and address away, and the address is the last one to be given again."""
    lab = Lab("calico")
    lab.pod("node-1", "a")
    routes = lab.show(lab.node("node-1"), "ip", "route")
    assert f"{lab.addresses['a']} dev cali" in routes
    cni.check(lab.config("node-1"), lab.call("node-1", "a"))
    cni.delete(lab.config("node-1"), lab.call("node-1", "a"))
    assert "dev cali" not in lab.show(lab.node("node-1"), "ip", "route")
    lab.pod("node-1", "b")
    assert int(lab.addresses["b"]) == int(lab.addresses["a"]) + 1


def test_without_its_kubeconfig_a_node_attaches_no_pod() -> None:
    """The datastore cannot be reached: ADD fails, and the runtime tries again later."""
    lab = Lab("calico")
    del lab.disks["node-1"][KUBECONFIG]
    with pytest.raises(cni.CniError, match="check that the calico/node container is running") as told:
        lab.pod("node-1", "a")
    assert told.value.code == cni.ErrorCode.TRY_AGAIN_LATER


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ipipMode": "Sometimes"}, "is none of Always, CrossSubnet, Never"),
        ({"ipipMode": "Alway"}, "did you mean 'Always'"),
        ({"ipipMode": "Always", "vxlanMode": "Always"}, "a pool has one kind of tunnel"),
        ({"ipipmode": "Never"}, "did you mean 'ipipMode'"),
        ({"blockSize": 19}, "must be from 20 to 32"),
        ({"pool": "10.0.0.0/28"}, "is smaller than a block"),
        ({"pool": "fd00::/64"}, "IPv6"),
        ({"mtu": 12}, "from 68 to 65535"),
        ({"vxlanVNI": 0}, "from 1 to 16777215"),
        ({"vxlanPort": 70000}, "from 1 to 65535"),
        ({"defaultEndpointToHostAction": "Reject"}, "is none of Accept, Drop, Return"),
        ({"natOutgoing": "yes"}, "must be true or false"),
    ],
)
def test_wrong_options_are_told(options: dict[str, Json], words: str) -> None:
    """Each with what is meant, as far as it can be known."""
    with pytest.raises(OptionsError, match=words):
        PROVIDERS["calico"](options)


def test_a_pool_is_the_pod_cidr_unless_that_is_given(tmp_path: Path) -> None:
    """Who names a pool need not say the range again for kube-proxy; pods have addresses of the pool."""
    file = tmp_path / "cluster.yaml"
    file.write_text(
        "apiVersion: emu/v1\nkind: Cluster\n"
        "spec: {network: {provider: calico, calico: {pool: 192.168.128.0/17}}, nodes: [{name: n}]}\n"
    )
    cluster = emu.load(str(file))
    assert isinstance(cluster, Cluster)
    assert str(cluster.topology.cluster.pod_cidr) == "192.168.128.0/17"
    assert str(cluster.node("n").net.devices["tunl0"].addresses[0]).startswith("192.168.")
