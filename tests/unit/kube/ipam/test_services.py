# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.api import codec
from emu.kube.api.objects import Service
from emu.kube.ipam.cluster_ips import ClusterIps
from emu.kube.ipam.errors import RangeFullError, RefusedObjectsError
from emu.kube.ipam.node_ports import NodePorts
from emu.kube.ipam.services import ServiceRanges
from emu.sim.rng import Streams
from emu.wire.addresses import IpAddress, Prefix


def service(name: str, **spec: object) -> Service:
    """Return the Service that a manifest with `spec` describes, with port 80 if it says none."""
    metadata = {"name": name, "namespace": "default"}
    found = codec.read({"kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}], **spec}})
    assert isinstance(found, Service)
    return found


def ranges(cidr: str = "10.96.0.0/16", *others: str, seed: int = 1) -> ServiceRanges:
    """Return the ranges of a cluster that has given nothing yet."""
    return ServiceRanges(Streams(seed), [ClusterIps(Prefix.parse(each)) for each in (cidr, *others)])


def refusal(found: ServiceRanges, *services: Service) -> str:
    """Return why `services` are refused."""
    with pytest.raises(RefusedObjectsError) as caught:
        found.create(services)
    return str(caught.value)


@pytest.mark.parametrize(
    ("cidr", "first", "offset", "last"),
    [
        ("10.96.0.0/12", "10.96.0.1", 256, "10.111.255.254"),
        ("10.96.0.0/16", "10.96.0.1", 256, "10.96.255.254"),
        ("10.0.0.0/24", "10.0.0.1", 16, "10.0.0.254"),
        ("10.0.0.0/28", "10.0.0.1", 0, "10.0.0.14"),
        ("fd00::/112", "fd00::1", 256, "fd00::ffff"),
    ],
)
def test_bands_of_a_range(cidr: str, first: str, offset: int, last: str) -> None:
    """A sixteenth of the range, within 16 and 256, is kept for those who wish for an address."""
    found = ClusterIps(Prefix.parse(cidr))
    bits = found.prefix.address.bits
    assert (str(IpAddress.from_int(found.first, bits)), found.offset) == (first, offset)
    assert str(IpAddress.from_int(found.last, bits)) == last


def test_the_lower_band_is_used_when_the_upper_is_full() -> None:
    """And then the range is full."""
    found = ClusterIps(Prefix.parse("10.0.0.0/27"))
    drawn = [found.allocate(random.Random(seed)) for seed in range(30)]
    assert {each.rpartition(".")[2] for each in drawn[:14]} == {str(n) for n in range(17, 31)}
    assert {each.rpartition(".")[2] for each in drawn[14:]} == {str(n) for n in range(1, 17)}
    with pytest.raises(RangeFullError, match="range is full"):
        found.allocate(random.Random(0))


def test_known_places() -> None:
    """The first address is the API server's, the tenth is for DNS."""
    found = ranges()
    assert (found.kubernetes_address, found.dns_address) == ("10.96.0.1", "10.96.0.10")


def test_a_taken_wish_is_refused_in_the_api_servers_words() -> None:
    """The message has the whole list and the address."""
    found = ranges()
    found.create([service("dns", clusterIP="10.96.0.10")])
    assert refusal(found, service("x", clusterIP="10.96.0.10")) == (
        'Service "x" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: '
        "failed to allocate IP 10.96.0.10: provided IP is already allocated"
    )


@pytest.mark.parametrize("address", ["1.2.3.4", "10.96.0.0", "10.96.255.255"])
def test_a_wish_out_of_range_is_refused(address: str) -> None:
    """So are the network's own address and the broadcast."""
    assert refusal(ranges(), service("x", clusterIP=address)) == (
        f'Service "x" is invalid: spec.clusterIPs: Invalid value: ["{address}"]: failed to allocate IP '
        f"{address}: the provided IP ({address}) is not in the valid range. "
        "The range of valid IPs is 10.96.0.0/16"
    )


def test_a_full_range_is_an_internal_error() -> None:
    """Nothing of the Service is wrong, so no field is named."""
    found = ranges("10.0.0.0/30")
    assert refusal(found, *(service(f"s{n}") for n in range(3))) == (
        "Internal error occurred: failed to allocate a serviceIP: range is full"
    )
    assert len(found.create([service("a"), service("b")])) == 2, "what was refused left nothing behind"


def test_all_refusals_come_at_once() -> None:
    """A document with two faults names both."""
    text = refusal(ranges(), service("a", clusterIP="1.1.1.1"), service("b", clusterIP="2.2.2.2"))
    assert [line.split('"')[1] for line in text.splitlines()] == ["a", "b"]


def test_a_later_wish_is_granted_before_an_earlier_draw() -> None:
    """Within one document nobody is drawn what somebody wishes for."""
    (drawn,) = ranges().create([service("a")])
    both = ranges().create([service("a"), service("b", clusterIP=drawn.spec.cluster_ip)])
    assert both[1].spec.cluster_ip == drawn.spec.cluster_ip != both[0].spec.cluster_ip


def test_headless_and_external_names_have_no_address() -> None:
    """They are not counted in the range either."""
    headless, named = ranges("10.0.0.0/30").create(
        [service("h", clusterIP="None"), service("e", type="ExternalName", externalName="example.org")]
    )
    assert headless.spec.cluster_ips == ("None",)
    assert named.spec.cluster_ip == ""


def test_two_families_give_two_addresses() -> None:
    """Where the Service wants both."""
    (found,) = ranges("10.96.0.0/16", "fd00::/112").create([service("a", ipFamilyPolicy="PreferDualStack")])
    assert [":" in each for each in found.spec.cluster_ips] == [False, True]
    assert found.spec.cluster_ip == found.spec.cluster_ips[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            (
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
                "this cluster is not configured for dual-stack services"
            ),
        ),
        (
            {"ipFamilies": ["IPv6"]},
            'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
        ),
    ],
)
def test_a_family_the_cluster_lacks_is_refused(spec: dict[str, object], message: str) -> None:
    """The field that asks for it is named."""
    assert refusal(ranges(), service("x", **spec)) == f'Service "x" is invalid: {message}'


# --- node ports ---


def test_node_ports_are_drawn_above_the_lower_band() -> None:
    """86 ports stay for those who wish for one; then they are drawn too."""
    ports = NodePorts()
    assert ports.offset == 86
    stream = random.Random(3)
    drawn = [ports.allocate(stream) for _ in range(2768)]
    assert set(drawn[:2682]) == set(range(30086, 32768))
    assert set(drawn[2682:]) == set(range(30000, 30086))
    with pytest.raises(RangeFullError):
        ports.allocate(stream)


@pytest.mark.parametrize(
    ("port", "message"),
    [
        (
            80,
            (
                "Invalid value: 80: provided port is not in the valid range. "
                "The range of valid ports is 30000-32767"
            ),
        ),
        (30080, "Invalid value: 30080: provided port is already allocated"),
    ],
)
def test_node_ports_that_cannot_be_had(port: int, message: str) -> None:
    """Out of range, or another Service's."""
    found = ranges()
    found.create([service("other", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])])
    wish = service("x", type="NodePort", ports=[{"port": 80, "nodePort": port}])
    assert refusal(found, wish) == f'Service "x" is invalid: spec.ports[0].nodePort: {message}'


def test_tcp_and_udp_of_one_port_share_a_node_port() -> None:
    """One number does for both, drawn or wished for."""
    both = [{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}]
    wished = [{"name": "t", "port": 53, "nodePort": 30053}, {**both[1], "nodePort": 30053}]
    for ports in (both, wished):
        (found,) = ranges().create([service("dns", type="NodePort", ports=ports)])
        one, other = found.spec.ports
        assert one.node_port == other.node_port >= 30000


def test_who_has_node_ports() -> None:
    """NodePort and LoadBalancer, unless it renounces; local load balancers have one for health checks."""
    plain, open_, balanced, renouncing = ranges().create(
        [
            service("a"),
            service("b", type="NodePort"),
            service("c", type="LoadBalancer", externalTrafficPolicy="Local"),
            service("d", type="LoadBalancer", allocateLoadBalancerNodePorts=False),
        ]
    )
    assert [bool(each.spec.ports[0].node_port) for each in (plain, open_, balanced, renouncing)] == [
        False,
        True,
        True,
        False,
    ]
    assert 30086 <= balanced.spec.health_check_node_port <= 32767
    assert open_.spec.health_check_node_port == 0


def test_a_port_for_health_checks_that_is_taken_is_refused() -> None:
    """The API server calls that an internal error."""
    found = ranges()
    found.create([service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])])
    wish = service("x", type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30080)
    assert refusal(found, wish) == (
        "Internal error occurred: failed to allocate requested HealthCheck NodePort 30080: "
        "provided port is already allocated"
    )


# --- changes ---


def test_an_update_keeps_what_it_does_not_mention() -> None:
    """Address and node ports stay; a port that is new gets one."""
    found = ranges()
    (old,) = found.create([service("a", type="NodePort")])
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    new = found.update(old, service("a", type="NodePort", ports=ports))
    assert new.spec.cluster_ip == old.spec.cluster_ip
    assert new.spec.ports[0].node_port == old.spec.ports[0].node_port
    assert new.spec.ports[1].node_port


def test_a_cluster_ip_does_not_change() -> None:
    """Once set it stays until the Service goes."""
    found = ranges()
    (old,) = found.create([service("a", clusterIP="10.96.0.20")])
    with pytest.raises(RefusedObjectsError) as caught:
        found.update(old, service("a", clusterIP="10.96.0.21"))
    assert str(caught.value) == (
        'Service "a" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.0.21"]: may not change once set'
    )


def test_a_deleted_service_frees_what_it_had_at_once() -> None:
    """Another can wish for the same."""
    found = ranges()
    spec = {"type": "NodePort", "clusterIP": "10.96.0.20", "ports": [{"port": 80, "nodePort": 30080}]}
    (old,) = found.create([service("a", **spec)])
    found.delete(old)
    assert found.create([service("b", **spec)])[0].spec.cluster_ip == "10.96.0.20"


def test_an_external_name_gives_its_address_up() -> None:
    """A change of type frees it."""
    found = ranges()
    (old,) = found.create([service("a", clusterIP="10.96.0.20")])
    found.update(old, service("a", type="ExternalName", externalName="example.org"))
    assert found.create([service("b", clusterIP="10.96.0.20")])


NAMES = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), unique=True, max_size=20)


@given(names=NAMES, seed=st.integers(0, 2**32), cidr=st.sampled_from(["10.96.0.0/16", "10.0.0.0/26"]))
def test_no_two_services_share_an_address_or_port(names: list[str], seed: int, cidr: str) -> None:
    """All of them lie in their ranges, and are given only once."""
    found = ranges(cidr, seed=seed).create([service(name, type="NodePort") for name in names])
    addresses = [each.spec.cluster_ip for each in found]
    ports = [each.spec.ports[0].node_port for each in found]
    assert len(set(addresses)) == len(set(ports)) == len(names)
    assert all(IpAddress.parse(each) in Prefix.parse(cidr) for each in addresses)
    assert all(30086 <= each <= 32767 for each in ports)


@given(names=NAMES, more=NAMES, seed=st.integers(0, 2**32))
def test_a_service_more_moves_no_other_but_by_collision(names: list[str], more: list[str], seed: int) -> None:
    """Each has what it would have alone, but where two draw the same."""
    alone = {
        each.metadata.name: each.spec.cluster_ip for each in ranges(seed=seed).create(map(service, names))
    }
    later = [name for name in more if name not in alone]
    together = ranges(seed=seed).create(map(service, names + later))
    assert alone.items() <= {each.metadata.name: each.spec.cluster_ip for each in together}.items()
    first = {
        each.metadata.name: each.spec.cluster_ip
        for each in ranges(seed=seed).create(map(service, later + names))
    }
    single = {name: ranges(seed=seed).create([service(name)])[0].spec.cluster_ip for name in first}
    if len(set(single.values())) == len(single):
        assert first == single
