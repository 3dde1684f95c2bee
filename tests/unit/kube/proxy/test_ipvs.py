# SPDX-License-Identifier: GPL-2.0-only
"""What kube-proxy in mode ipvs writes to a node, and takes away again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from emu.fabric.driver import Fabric
from emu.kernel.netfilter.ipvs.virtual import Destination, DestinationKey, ServiceKey, VirtualService
from emu.kube.api.objects.service import Service
from emu.kube.proxy.config import Detect, IpvsConfig, ProxyConfig
from emu.kube.proxy.ipvs import names
from emu.kube.proxy.ipvs.mode import clean_up
from emu.sim.time import SECOND
from emu.testing.proxies import Proxies, endpoint, service, slice_of
from emu.tools.ipset import entries
from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import TCP, UDP

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace

NODE = "worker1"
POD, OTHER_POD = "10.244.1.5", "10.244.2.7"


def config(**words: object) -> ProxyConfig:
    """Return the configuration of the node's proxy."""
    given = {"cluster_cidr": "10.244.0.0/16", **words}
    return ProxyConfig(NODE, ("172.18.0.3",), mode="ipvs", **given)  # type: ignore[arg-type]  # its fields


def started(*objects: object, **words: object) -> tuple[Proxies, Namespace]:
    """Return a node whose proxy has written what these objects want."""
    cluster = Proxies(Fabric())
    cluster.put(*objects)  # type: ignore[arg-type]  # Services and slices
    return cluster, cluster.start(config(**words))


def web(**words: object) -> list[object]:
    """Return a Service with two endpoints, one of them on the node."""
    backends = [endpoint(POD, NODE), endpoint(OTHER_POD, "worker2")]
    return [service("shop/web", "10.96.0.7", **words), slice_of("shop/web", backends)]  # type: ignore[arg-type]


def key(address: str, port: int = 80, protocol: int = TCP) -> ServiceKey:
    """Return the key of a virtual service."""
    return ServiceKey(protocol, IpAddress.parse(address), port)


def servers(net: Namespace, of: ServiceKey) -> dict[str, int]:
    """Return the destinations of a virtual service with their weights."""
    found = net.netfilter.ipvs.services.get(of)
    assert found is not None
    return {str(each.key): each.weight for each in sorted(found.destinations, key=lambda each: each.key)}


def members(net: Namespace, name: str) -> set[str]:
    """Return the elements of a set."""
    known = net.netfilter.ipsets.find(name)
    return {entries.render(known.spec, each, net.now) for each in known.listed(net.now)}


def rules(net: Namespace, table: str, chain: str) -> int:
    """Return how many rules a chain has."""
    return len(net.netfilter.tables[table].table.by_name[chain].rules)


def test_a_service_is_an_address_a_virtual_service_and_an_element_of_a_set() -> None:
    """The device is a dummy that is down and answers no ARP; its addresses are the node's all the same."""
    _, net = started(*web())
    device = net.devices[names.DEVICE]
    assert [str(own.address) for own in device.addresses] == ["10.96.0.7"]
    assert (device.link.kind, device.up, device.arp) == ("dummy", False, False)
    assert servers(net, key("10.96.0.7")) == {f"{POD}:8080": 1, f"{OTHER_POD}:8080": 1}
    assert members(net, names.CLUSTER_IP) == {"10.96.0.7,tcp:80"}
    assert members(net, names.LOOP_BACK) == {f"{POD},tcp:8080,{POD}"}
    assert members(net, names.IPVS_IPS) == {"10.96.0.7"}


def test_a_proxy_sets_what_it_needs() -> None:
    """Connection tracking of balanced connections above all; ARP only if it is told so."""
    _, net = started()
    number = net.sysctl.number
    assert [number(name) for name in names.SYSCTLS] == list(names.SYSCTLS.values())
    assert number("net.ipv4.vs.conn_reuse_mode") == 1
    assert number("net.ipv4.conf.all.arp_ignore") == 0
    _, net = started(ipvs=IpvsConfig(strict_arp=True))
    assert [net.sysctl.number(name) for name in names.STRICT_ARP] == [1, 2]


def test_the_rules_do_not_grow_with_the_services() -> None:
    """They ask sets."""
    _, few = started(*web())
    many = [service(f"shop/web-{number}", f"10.96.1.{number}") for number in range(1, 20)]
    _, net = started(*web(), *many)
    for table, chains in names.CHAINS.items():
        assert [rules(net, table, chain) for chain in chains] == [
            rules(few, table, chain) for chain in chains
        ]


def test_a_node_port_is_served_at_each_address_of_the_node() -> None:
    """Not at those of the loopback, and not at those of Services."""
    _, net = started(*web(type="NodePort", node_port=30080))
    assert servers(net, key("172.18.0.3", 30080)) == {f"{POD}:8080": 1, f"{OTHER_POD}:8080": 1}
    for address in ("127.0.0.1", "10.96.0.7"):
        assert net.netfilter.ipvs.services.get(key(address, 30080)) is None
    assert members(net, names.NODE_PORTS["tcp"]) == {"30080"}


def test_node_port_addresses_choose_among_them() -> None:
    """None of the node's is among these: no node port anywhere, and none in a set."""
    _, net = started(*web(type="NodePort", node_port=30080), node_port_addresses=("192.168.0.0/24",))
    assert [str(each.key) for each in net.netfilter.ipvs.services] == ["TCP 10.96.0.7:80"]
    assert members(net, names.NODE_PORTS["tcp"]) == set()


def test_local_external_traffic_goes_to_endpoints_of_the_node() -> None:
    """The ClusterIP goes everywhere still."""
    _, net = started(*web(type="NodePort", node_port=30080, external_traffic_policy="Local"))
    assert servers(net, key("172.18.0.3", 30080)) == {f"{POD}:8080": 1}
    assert len(servers(net, key("10.96.0.7"))) == 2
    assert members(net, names.LOCAL_NODE_PORTS["tcp"]) == {"30080"}


def test_without_local_endpoints_local_external_traffic_goes_everywhere() -> None:
    """Other than in mode iptables, where it is dropped: the answer comes from a pod that nobody asked."""
    backends = slice_of("shop/web", [endpoint(OTHER_POD, "worker2")])
    given = web(type="NodePort", node_port=30080, external_traffic_policy="Local")
    _, net = started(given[0], backends)
    assert servers(net, key("172.18.0.3", 30080)) == {f"{OTHER_POD}:8080": 1}


def test_local_internal_traffic_without_local_endpoints_has_none() -> None:
    """The virtual service is there, and refuses."""
    backends = slice_of("shop/web", [endpoint(OTHER_POD, "worker2")])
    _, net = started(web(internal_traffic_policy="Local")[0], backends)
    assert servers(net, key("10.96.0.7")) == {}


def test_external_and_load_balancer_addresses_are_put_on_the_device() -> None:
    """An external one that the node has on another device stays where it is."""
    given = web(
        type="LoadBalancer",
        external_ips=("203.0.113.5", "172.18.0.3"),
        ingress=("203.0.113.9",),
        load_balancer_source_ranges=("198.51.100.0/24",),
    )
    _, net = started(*given)
    own = [str(each.address) for each in net.devices[names.DEVICE].addresses]
    assert own == ["10.96.0.7", "203.0.113.5", "203.0.113.9"]
    for address in (*own, "172.18.0.3"):
        assert len(servers(net, key(address))) == 2
    assert members(net, names.EXTERNAL_IP) == {"203.0.113.5,tcp:80", "172.18.0.3,tcp:80"}
    assert members(net, names.LOAD_BALANCER_FW) == {"203.0.113.9,tcp:80"}
    assert members(net, names.SOURCE_CIDR) == {"203.0.113.9,tcp:80,198.51.100.0/24"}
    assert rules(net, "filter", "KUBE-IPVS-OUT-FILTER") == 1


def test_session_affinity_is_persistence() -> None:
    """For as long as the Service says."""
    _, net = started(*web(session_affinity="ClientIP"))
    found = net.netfilter.ipvs.services.get(key("10.96.0.7"))
    assert found is not None
    assert found.persistence == 10800


def test_settings_reach_the_kernel() -> None:
    """The scheduler, and the time-outs of connections."""
    settings = IpvsConfig(scheduler="sh", tcp_timeout=100 * SECOND, udp_timeout=10 * SECOND)
    _, net = started(*web(), ipvs=settings)
    found = net.netfilter.ipvs.services.get(key("10.96.0.7"))
    assert found is not None
    assert found.scheduler == "sh"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, "! -s 10.244.0.0/16"),
        ({"masquerade_all": True}, "dst,dst -j"),
        ({"detect": Detect.NONE}, "src,dst -j"),
    ],
)
def test_what_is_masqueraded_depends_on_whether_pods_are_known(
    words: dict[str, object], expected: str
) -> None:
    """All, all that are no pods, or the node alone, which takes the Service's address for its own."""
    cluster, _ = started(*web(), **words)
    text = cluster.fleet.proxies[NODE].plane.text()
    (line,) = [line for line in text.splitlines() if "cluster ip + port" in line]
    assert expected in line


# --- what changes ---


def test_an_endpoint_that_goes_keeps_its_connections_and_gets_no_new_ones() -> None:
    """Its weight is 0 until a look each minute finds none left; one without goes at once."""
    cluster, net = started(*web())
    ipvs, service_key = net.netfilter.ipvs, key("10.96.0.7")
    ipvs.load(service_key, DestinationKey(IpAddress.parse(POD), 8080)).active = 1
    cluster.put(slice_of("shop/web", []))
    cluster.wait(2 * SECOND)
    assert servers(net, service_key) == {f"{POD}:8080": 0}
    ipvs.load(service_key, DestinationKey(IpAddress.parse(POD), 8080)).active = 0
    cluster.wait(60 * SECOND)
    assert servers(net, service_key) == {}


def test_an_endpoint_that_comes_again_has_weight_again() -> None:
    """It is deleted and added: its old connections are cut off from nothing, for they find it again."""
    cluster, net = started(*web())
    service_key = key("10.96.0.7")
    net.netfilter.ipvs.load(service_key, DestinationKey(IpAddress.parse(POD), 8080)).active = 1
    cluster.put(slice_of("shop/web", []))
    cluster.wait(2 * SECOND)
    cluster.put(slice_of("shop/web", [endpoint(POD, NODE)]))
    cluster.wait(2 * SECOND)
    assert servers(net, service_key) == {f"{POD}:8080": 1}


def test_an_endpoint_of_udp_goes_at_once() -> None:
    """Its connections have no end that anybody could wait for."""
    given = service("shop/dns", "10.96.0.8", protocol="UDP")
    backends = slice_of("shop/dns", [endpoint(POD, NODE)], protocol="UDP")
    cluster, net = started(given, backends)
    service_key = key("10.96.0.8", protocol=UDP)
    net.netfilter.ipvs.load(service_key, DestinationKey(IpAddress.parse(POD), 8080)).inactive = 1
    cluster.put(slice_of("shop/dns", [], protocol="UDP"))
    cluster.wait(2 * SECOND)
    assert servers(net, service_key) == {}


def test_a_service_that_goes_takes_address_virtual_service_and_element_with_it() -> None:
    """What somebody else set up at an excluded address stays; elsewhere it goes."""
    cluster, net = started(*web(), ipvs=IpvsConfig(exclude_cidrs=("192.0.2.0/24",)))
    for address in ("192.0.2.1", "192.0.3.1"):
        net.netfilter.ipvs.add_service(VirtualService(key(address)))
    cluster.store.delete(Service, "web", "shop")
    cluster.wait(2 * SECOND)
    assert [str(each.key) for each in net.netfilter.ipvs.services] == ["TCP 192.0.2.1:80"]
    assert net.devices[names.DEVICE].addresses == []
    assert members(net, names.CLUSTER_IP) == set()


def test_what_somebody_changes_is_mended_within_the_sync_period() -> None:
    """A flush of virtual services, of a set, of a chain; an address that is taken away."""
    cluster, net = started(*web())
    netfilter = net.netfilter
    netfilter.ipvs.flush()
    netfilter.ipsets.find(names.CLUSTER_IP).flush()
    net.devices[names.DEVICE].addresses.clear()
    cluster.wait(31 * SECOND)
    assert len(servers(net, key("10.96.0.7"))) == 2
    assert members(net, names.CLUSTER_IP) == {"10.96.0.7,tcp:80"}


def test_a_second_sync_changes_nothing() -> None:
    """Twice is the same as once."""
    cluster, net = started(*web(type="NodePort", node_port=30080))
    before = tuple(net.netfilter.ipvs.services), net.netfilter.tables["nat"].table
    cluster.fleet.proxies[NODE].request_full_sync()
    cluster.wait(2 * SECOND)
    assert (tuple(net.netfilter.ipvs.services), net.netfilter.tables["nat"].table) == before


def test_cleaning_up_leaves_nothing_but_settings() -> None:
    """As a proxy in mode nftables does when it starts."""
    _, net = started(*web(type="NodePort", node_port=30080))
    clean_up(net)
    assert names.DEVICE not in net.devices
    assert list(net.netfilter.ipvs.services) == []
    assert len(net.netfilter.ipsets) == 0
    assert all(not chain.rules for each in net.netfilter.tables.values() for chain in each.table.chains)


def test_destinations_come_as_if_they_were_added_in_their_order() -> None:
    """A new one stands before those that were there, as the kernel's list has them."""
    _, net = started(*web())
    found = net.netfilter.ipvs.services.get(key("10.96.0.7"))
    assert found is not None
    assert [each.key.address for each in found.destinations] == [
        IpAddress.parse(OTHER_POD),
        IpAddress.parse(POD),
    ]
    assert all(isinstance(each, Destination) for each in found.destinations)
