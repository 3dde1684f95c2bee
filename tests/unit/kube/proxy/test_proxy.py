# SPDX-License-Identifier: GPL-2.0-only
"""kube-proxy in time: when it writes, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from emu.fabric.driver import Fabric
from emu.kernel.netfilter.conntrack.tuples import Tuple
from emu.kube.api.objects.service import EndpointSlice, Service
from emu.kube.proxy.catalogue import ServiceKey
from emu.kube.proxy.config import Detect, ProxyConfig, UnmodelledModeError
from emu.kube.proxy.iptables import render
from emu.kube.proxy.modes import NOT_YET
from emu.sim.time import MILLISECOND, SECOND
from emu.testing.proxies import Proxies, endpoint, node, service, slice_of
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection

WEB = service("ns/web", "172.30.0.1")
ONE = slice_of("ns/web", [endpoint("10.0.0.1", "a")])
TWO = slice_of("ns/web", [endpoint("10.0.0.1", "a"), endpoint("10.0.0.2", "b")])


def chains(net: Namespace) -> set[str]:
    """Return how the endpoint chains of a node end."""
    return {name for name in net.netfilter.tables["nat"].table.by_name if name.startswith("KUBE-SEP-")}


def test_the_first_sync_is_at_once() -> None:
    """At the very instant at which the proxy is started."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, ONE)
    assert len(chains(cluster.start(ProxyConfig("a")))) == 1


def test_a_change_in_quiet_times_is_followed_at_once() -> None:
    """The minimal period counts from the last sync."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, ONE)
    net = cluster.start(ProxyConfig("a"))
    cluster.wait(5 * SECOND)
    cluster.put(TWO)
    cluster.wait(0)
    assert len(chains(net)) == 2


def test_changes_soon_after_a_sync_wait_for_the_period_to_end() -> None:
    """Two changes within a second are one sync."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, ONE)
    net = cluster.start(ProxyConfig("a"))
    cluster.wait(200 * MILLISECOND)
    cluster.put(TWO)
    cluster.wait(700 * MILLISECOND)
    assert len(chains(net)) == 1
    cluster.wait(100 * MILLISECOND)
    assert len(chains(net)) == 2


def test_a_change_that_shows_in_no_rule_writes_nothing() -> None:
    """An annotation, or a slice of another family."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, ONE)
    net = cluster.start(ProxyConfig("a"))
    table = net.netfilter.tables["nat"].table
    net.netfilter.tables["nat"].counts("KUBE-SERVICES").packets[0] = 3
    cluster.wait(5 * SECOND)
    cluster.put(attrs.evolve(WEB, metadata=attrs.evolve(WEB.metadata, annotations={"a": "b"})))
    cluster.put(attrs.evolve(slice_of("ns/web", [endpoint("10.0.0.9")], suffix="-6"), address_type="IPv6"))
    cluster.wait(5 * SECOND)
    assert net.netfilter.tables["nat"].table is table
    assert net.netfilter.tables["nat"].counts("KUBE-SERVICES").packets[0] == 3


def test_nothing_keeps_the_clock_from_standing_still() -> None:
    """Looking after the canary is upkeep that nobody waits for."""
    cluster = Proxies(Fabric())
    cluster.start(ProxyConfig("a"))
    cluster.wait(2 * SECOND)
    assert cluster.fabric.loop.is_idle


def test_a_node_that_moves_to_another_zone_takes_other_endpoints() -> None:
    """A change of its topology labels is followed by a full sync."""
    cluster = Proxies(Fabric())
    hinted = [endpoint("10.0.0.1", zones=["east"]), endpoint("10.0.0.2", zones=["west"])]
    cluster.put(WEB, slice_of("ns/web", hinted), node("a", "east"))
    net = cluster.start(ProxyConfig("a"))
    before = chains(net)
    cluster.wait(5 * SECOND)
    cluster.put(node("a", "west"))
    cluster.wait(0)
    assert len(before) == len(chains(net)) == 1
    assert before != chains(net)


def test_a_proxy_that_was_stopped_follows_nothing() -> None:
    """Its rules stay as they were."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, ONE)
    net = cluster.start(ProxyConfig("a"))
    cluster.fleet.stop(cluster.fleet.proxies["a"])
    cluster.wait(5 * SECOND)
    cluster.put(TWO)
    cluster.wait(40 * SECOND)
    assert len(chains(net)) == 1


def test_two_slices_add_up_and_one_may_go() -> None:
    """Endpoints of a Service come from all of its slices."""
    cluster = Proxies(Fabric())
    cluster.put(WEB, ONE, slice_of("ns/web", [endpoint("10.0.0.2")], suffix="-2"))
    net = cluster.start(ProxyConfig("a"))
    assert len(chains(net)) == 2
    cluster.wait(5 * SECOND)
    cluster.store.delete(EndpointSlice, "web-2", "ns")
    cluster.wait(0)
    assert len(chains(net)) == 1
    cluster.wait(5 * SECOND)
    cluster.store.delete(Service, "web", "ns")
    cluster.wait(0)
    assert chains(net) == set()


def test_a_large_cluster_does_without_comments_and_deletes_later() -> None:
    """Above a thousand endpoints: chains of endpoints have none, and stale ones go once in 30 s."""
    cluster = Proxies(Fabric())
    many = [endpoint(f"10.0.{each // 250}.{each % 250 + 1}") for each in range(1001)]
    cluster.put(WEB, slice_of("ns/web", many), service("ns/other", "172.30.0.2"))
    net = cluster.start(ProxyConfig("a", cluster_cidr="10.0.0.0/8"))
    text = render(cluster.ruleset("a"))
    assert "ns/web ->" not in text
    assert text.count('"ns/web cluster IP"') == 2
    cluster.wait(5 * SECOND)
    cluster.put(slice_of("ns/web", many[:-1], suffix="-1"), slice_of("ns/other", many[:1]))
    cluster.wait(0)
    assert len(chains(net)) == 1002
    cluster.wait(60 * SECOND)
    assert len(chains(net)) == 1001


def connection(net: Namespace, to: str, port: int, backend: str, protocol: int = 17) -> Connection:
    """Enter a connection into the table of a node."""
    client = IpAddress.parse("10.0.0.99")
    table = net.netfilter.conntrack
    made = table.begin(
        Tuple(client, IpAddress.parse(to), protocol, 4000, port),
        Tuple(IpAddress.parse(backend), client, protocol, 8080, 4000),
    )
    made.timeout = 1000 * SECOND
    table.confirm(made, net.now)
    return made


@pytest.mark.parametrize(("protocol", "number", "stays"), [("UDP", 17, False), ("TCP", 6, True)])
def test_connections_to_an_endpoint_that_is_gone(protocol: str, number: int, *, stays: bool) -> None:
    """Those of UDP are forgotten with the sync, those of TCP are not."""
    cluster = Proxies(Fabric())
    dns = service("ns/dns", "172.30.0.10", [("dns", 53)], protocol=protocol)
    ends = [endpoint("10.0.0.1"), endpoint("10.0.0.2")]
    cluster.put(dns, slice_of("ns/dns", ends, [("dns", 53)], protocol=protocol))
    net = cluster.start(ProxyConfig("a"))
    old = connection(net, "172.30.0.10", 53, "10.0.0.1", number)
    cluster.wait(5 * SECOND)
    cluster.put(slice_of("ns/dns", ends[1:], [("dns", 53)], protocol=protocol))
    cluster.wait(0)
    assert (old in net.netfilter.conntrack.entries(net.now)) is stays


def test_connections_from_before_there_were_endpoints_are_forgotten() -> None:
    """A client that asked too early is not kept from its service by what it asked."""
    cluster = Proxies(Fabric())
    cluster.put(service("ns/dns", "172.30.0.10", [("dns", 53)], protocol="UDP"))
    net = cluster.start(ProxyConfig("a"))
    early = connection(net, "172.30.0.10", 53, "172.30.0.10")
    cluster.wait(5 * SECOND)
    assert early in net.netfilter.conntrack.entries(net.now)
    cluster.put(slice_of("ns/dns", [endpoint("10.0.0.1")], [("dns", 53)], protocol="UDP"))
    cluster.wait(0)
    assert early not in net.netfilter.conntrack.entries(net.now)


def test_loopback_node_ports_need_a_sysctl() -> None:
    """`route_localnet` is set where they are on, and only there."""
    cluster = Proxies(Fabric())
    on = cluster.start(ProxyConfig("a"))
    off = cluster.start(ProxyConfig("b", localhost_node_ports=False))
    elsewhere = cluster.start(ProxyConfig("c", node_port_addresses=("192.168.0.0/24",)))
    found = [net.sysctl.number("net.ipv4.conf.all.route_localnet") for net in (on, off, elsewhere)]
    assert found == [1, 0, 0]


def test_node_ports_of_some_addresses_are_dispatched_by_address() -> None:
    """One rule for each address of the node that serves, in order."""
    cluster = Proxies(Fabric())
    config = ProxyConfig(
        "a", ("192.168.0.2", "192.168.1.2"), node_port_addresses=("192.168.0.0/23", "127.0.0.0/8")
    )
    cluster.start(config)
    rules = cluster.ruleset("a").lines("nat", "KUBE-SERVICES")
    served = ["127.0.0.1", "192.168.0.2", "192.168.1.2"]
    assert [line.split(" -d ")[1] for line in rules] == [f"{each} -j KUBE-NODEPORTS" for each in served]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (ProxyConfig("a", cluster_cidr="10.0.0.0/8"), "! -s 10.0.0.0/8 "),
        (ProxyConfig("a", cluster_cidr="fd00::/64,10.0.0.0/8"), "! -s 10.0.0.0/8 "),
        (ProxyConfig("a", detect=Detect.NODE_CIDR), "! -s 10.0.3.0/24 "),
        (ProxyConfig("a", detect=Detect.BRIDGE_INTERFACE, bridge_interface="cbr0"), "! -i cbr0 "),
        (ProxyConfig("a", detect=Detect.INTERFACE_PREFIX, interface_prefix="veth"), "! -i veth+ "),
        (ProxyConfig("a", masquerade_all=True), ""),
        (ProxyConfig("a"), None),
        (ProxyConfig("a", detect=Detect.NONE, cluster_cidr="10.0.0.0/8"), None),
    ],
)
def test_others_than_pods_are_told_apart(config: ProxyConfig, words: str | None) -> None:
    """By the words that the way of detection has; without one there is no such rule."""
    cluster = Proxies(Fabric())
    named = node("a")
    cluster.put(WEB, ONE, attrs.evolve(named, spec=attrs.evolve(named.spec, pod_cidr="10.0.3.0/24")))
    cluster.start(config)
    ruleset = cluster.ruleset("a")
    (chain,) = [each.name for each in ruleset.nat.written if each.name.startswith("KUBE-SVC-")]
    first = ruleset.lines("nat", chain)[0]
    if words is None:
        assert "KUBE-MARK-MASQ" not in first
    else:
        assert first.endswith(f"-d 172.30.0.1 --dport 80 {words}-j KUBE-MARK-MASQ")


@pytest.mark.parametrize("mode", ["ebpf", *NOT_YET])
def test_modes_that_are_not_modelled_are_refused_by_name(mode: str) -> None:
    """Nobody gets the rules of another mode in silence."""
    with pytest.raises(UnmodelledModeError, match=mode):
        Proxies(Fabric()).start(ProxyConfig("a", mode=mode))


def test_health_counts_addresses_on_the_node_once() -> None:
    """An address with two ports is one endpoint; terminating ones, and others' nodes, do not count."""
    cluster = Proxies(Fabric())
    ports = [("http", 80), ("admin", 81)]
    balanced = service(
        "ns/web",
        "172.30.0.1",
        ports,
        type="LoadBalancer",
        external_traffic_policy="Local",
        health_check_node_port=31000,
    )
    ends = [
        endpoint("10.0.0.1", "a"),
        endpoint("10.0.0.2", "a", ready=False, serving=True, terminating=True),
        endpoint("10.0.0.3", "b"),
    ]
    cluster.put(balanced, slice_of("ns/web", ends, ports))
    cluster.start(ProxyConfig("a"))
    proxy = cluster.fleet.proxies["a"]
    assert proxy.local_endpoints() == {ServiceKey("ns", "web"): 1}
    assert proxy.health_check_node_ports() == {ServiceKey("ns", "web"): 31000}
