# SPDX-License-Identifier: GPL-2.0-only
"""What kube-proxy puts into the kernel directly is what the tools it calls would put there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from emu.apps.commands import iptables, iptables_restore, iptables_save
from emu.errors import CommandError
from emu.fabric.driver import Fabric
from emu.kube.proxy.config import Features, ProxyConfig
from emu.kube.proxy.iptables import ENSURED, JUMPS, render
from emu.kube.proxy.iptables_mode import clean_up
from emu.kube.proxy.load import is_intact
from emu.kube.proxy.names import PER_SERVICE
from emu.sim.time import SECOND
from emu.testing.proxies import Proxies, endpoint, service, slice_of
from emu.testing.proxy_strategies import NODES, clusters

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kube.api.objects.service import EndpointSlice, Service
    from emu.kube.proxy.iptables import Ruleset

    Cluster = list[tuple[Service, EndpointSlice]]

CONFIG = ProxyConfig("a", ("192.168.0.2",), cluster_cidr="10.0.0.0/8", features=Features(nfacct=True))
STRANGERS = """\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [7:420]
:CNI-abc - [0:0]
:ZZZ - [0:0]
[3:180] -A POSTROUTING -s 10.244.0.0/24 -j CNI-abc
[1:60] -A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j ZZZ
[3:180] -A CNI-abc ! -d 224.0.0.0/4 -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [5:300]
:OUTPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
[9:540] -A INPUT -j KUBE-FIREWALL
[2:120] -A FORWARD -s 10.244.0.0/16 -j ACCEPT
COMMIT
"""


def run(net: Namespace, tool: str, *argv: str, text: str | None = None) -> str:
    """Run one of the modelled tools."""
    if tool == "iptables-restore":
        return iptables_restore.prepare(argv, text=text)(net)
    if tool == "iptables-save":
        return iptables_save.prepare(argv)(net)
    return iptables.prepare(argv)(net)


def saved(net: Namespace) -> list[str]:
    """Return what `iptables-save -c` prints, but for comments."""
    return [line for line in run(net, "iptables-save", "-c").splitlines() if not line.startswith("#")]


def sync_by_tools(net: Namespace, ruleset: Ruleset) -> None:
    """Do what kube-proxy does in a full sync: make chains and jumps, then restore."""
    for table, chains in ENSURED.items():
        there = {line.split()[1] for line in run(net, "iptables", "-t", table, "-S").splitlines()}
        for chain in chains:
            if chain not in there:
                run(net, "iptables", "-t", table, "-N", chain)
    for table, chain, line in JUMPS:
        try:
            run(net, "iptables", "-t", table, "-C", chain, *shlex.split(line))
        except CommandError:
            run(net, "iptables", "-t", table, "-I", chain, *shlex.split(line))
    wanted = {written.name for written in ruleset.nat.written}
    nat = run(net, "iptables", "-t", "nat", "-S").splitlines()
    stale = [
        line.split()[1]
        for line in nat
        if line.startswith(tuple(f"-N {prefix}" for prefix in PER_SERVICE)) and line.split()[1] not in wanted
    ]
    run(net, "iptables-restore", "--noflush", "--counters", text=render(ruleset, {"nat": stale}))


def two_nodes(before: Cluster) -> tuple[Proxies, Namespace, Namespace]:
    """Return a cluster, a node whose kube-proxy loads directly, and an equal one for the tools."""
    cluster = Proxies(Fabric())
    cluster.put(*(each for pair in before for each in pair))
    ours, theirs = cluster.node("a", "192.168.0.2"), cluster.node("tools", "192.168.0.2")
    for net in (ours, theirs):
        run(net, "iptables-restore", "--counters", text=STRANGERS)
    return cluster, ours, theirs


@given(before=clusters(), after=clusters())
def test_loading_is_the_same_as_running_the_tools(before: Cluster, after: Cluster) -> None:
    """Rules, order of chains and counters, on a node that has rules of others, at first and after changes."""
    cluster, ours, theirs = two_nodes(before)
    cluster.fleet.start(ours, CONFIG)
    cluster.wait(0)
    sync_by_tools(theirs, cluster.ruleset("a"))
    assert saved(ours) == saved(theirs)
    replace(cluster, before, after)
    cluster.wait(5 * SECOND)
    sync_by_tools(theirs, cluster.ruleset("a"))
    assert saved(ours) == saved(theirs)


def replace(cluster: Proxies, before: Cluster, after: Cluster) -> None:
    """Have the objects of `after` instead of those of `before`."""
    for each in (each for pair in before for each in pair):
        cluster.store.delete(type(each), each.metadata.name, each.metadata.namespace)
    cluster.put(*(each for pair in after for each in pair))


@given(before=clusters(), after=clusters())
def test_a_node_that_followed_a_change_is_like_one_that_began_behind_it(
    before: Cluster, after: Cluster
) -> None:
    """What was written in parts is what would be written at once, on each node of several."""
    cluster = Proxies(Fabric())
    cluster.put(*(each for pair in before for each in pair))
    followers = [cluster.start(ProxyConfig(name, cluster_cidr="10.0.0.0/8")) for name in NODES]
    replace(cluster, before, after)
    cluster.wait(5 * SECOND)
    fresh = Proxies(Fabric())
    fresh.put(*(each for pair in after for each in pair))
    for name, net in zip(NODES, followers, strict=True):
        beginner = fresh.start(ProxyConfig(name, cluster_cidr="10.0.0.0/8"))
        assert saved(net) == saved(beginner)


def test_equal_nodes_hold_the_same_tables() -> None:
    """A thousand nodes do not hold a thousand copies, nor do those that differ in one Service."""
    cluster = Proxies(Fabric())
    cluster.put(service("ns/web", "172.30.0.1"), slice_of("ns/web", [endpoint("10.0.0.1", "a")]))
    nets = [cluster.start(ProxyConfig(name)) for name in NODES]
    tables = {id(net.netfilter.tables["nat"].table) for net in nets}
    assert len(tables) == 1
    local = service("ns/local", "172.30.0.2", internal_traffic_policy="Local")
    cluster.put(local, slice_of("ns/local", [endpoint("10.0.0.2", "a")]))
    cluster.wait(2 * SECOND)
    first, second, third = (net.netfilter.tables["nat"].table for net in nets)
    assert second is third
    assert first is not second
    name = next(name for name in first.by_name if name.startswith("KUBE-SVC-"))
    assert first.by_name[name] is second.by_name[name]


def test_counters_of_rules_that_stay_are_kept() -> None:
    """A change of one Service sets neither others' chains nor strangers' back to nought."""
    cluster = Proxies(Fabric())
    cluster.put(service("ns/web", "172.30.0.1"), slice_of("ns/web", [endpoint("10.0.0.1", "a")]))
    net = cluster.start(CONFIG)
    run(net, "iptables", "-A", "INPUT", "-j", "ACCEPT")
    nat, filter_ = net.netfilter.tables["nat"], net.netfilter.tables["filter"]
    endpoint_chain = next(name for name in nat.table.by_name if name.startswith("KUBE-SEP-"))
    nat.counts(endpoint_chain).packets[0] = 5
    filter_.counts("INPUT").packets[-1] = 7
    nat.counts("KUBE-SERVICES").packets[0] = 3
    cluster.put(service("ns/other", "172.30.0.2"))
    cluster.wait(2 * SECOND)
    assert nat.counts(endpoint_chain).packets[0] == 5
    assert filter_.counts("INPUT").packets[-1] == 7
    assert nat.counts("KUBE-SERVICES").packets[0] == 0


def test_a_chain_that_somebody_else_uses_stops_the_sync() -> None:
    """As iptables-restore would refuse all of it, nothing changes until the other rule is gone."""
    cluster = Proxies(Fabric())
    cluster.put(service("ns/web", "172.30.0.1"), slice_of("ns/web", [endpoint("10.0.0.1", "a")]))
    net = cluster.start(CONFIG)
    proxy = cluster.fleet.proxies["a"]
    chain = next(name for name in net.netfilter.tables["nat"].table.by_name if name.startswith("KUBE-SVC-"))
    run(net, "iptables", "-t", "nat", "-A", "OUTPUT", "-j", chain)
    cluster.store.delete(type(service("ns/web", "172.30.0.1")), "web", "ns")
    cluster.wait(2 * SECOND)
    assert "busy" in proxy.failure
    assert chain in net.netfilter.tables["nat"].table.by_name
    run(net, "iptables", "-t", "nat", "-D", "OUTPUT", "-j", chain)
    cluster.wait(40 * SECOND)
    assert proxy.failure == ""
    assert chain not in net.netfilter.tables["nat"].table.by_name


@pytest.mark.parametrize("table", ["mangle", "nat", "filter"])
def test_rules_that_were_flushed_come_back(table: str) -> None:
    """The canary is missed within half a minute, and a full sync follows."""
    cluster = Proxies(Fabric())
    cluster.put(service("ns/web", "172.30.0.1"), slice_of("ns/web", [endpoint("10.0.0.1", "a")]))
    net = cluster.start(CONFIG)
    before = saved(net)
    run(net, "iptables", "-t", table, "-F")
    run(net, "iptables", "-t", table, "-X")
    assert not is_intact(net)
    cluster.wait(31 * SECOND)
    assert saved(net) == before


@given(before=clusters())
def test_a_clean_up_takes_away_what_kube_proxy_wrote_and_nothing_else(before: Cluster) -> None:
    """Rules, chains and canaries go; rules of others stay, and so does what the kubelet writes, too."""
    cluster, ours, theirs = two_nodes(before)
    cluster.fleet.start(ours, CONFIG)
    cluster.wait(0)
    clean_up(ours)
    assert not [line for line in saved(ours) if "KUBE-" in line and "KUBE-FIREWALL" not in line]
    for table in ("nat", "filter"):
        left, strangers = (
            [line for line in run(net, "iptables-save", "-c", "-t", table).splitlines() if line[0] != "#"]
            for net in (ours, theirs)
        )
        added = [line for line in left if line not in strangers]
        assert [line for line in left if line in strangers] == strangers
        assert all("KUBE-FIREWALL" in line for line in added)
