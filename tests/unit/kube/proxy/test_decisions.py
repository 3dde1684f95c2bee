# SPDX-License-Identifier: GPL-2.0-only
"""What a Service and its slices mean to kube-proxy, before any rule is written."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kube.api.objects.service import (
    Endpoint,
    EndpointPort,
    EndpointSlice,
    LoadBalancerIngress,
    LoadBalancerStatus,
    Service,
    ServiceStatus,
)
from emu.kube.proxy.addresses import address, addresses, network
from emu.kube.proxy.catalogue import Catalogue
from emu.kube.proxy.config import Place
from emu.kube.proxy.endpoints import BackendKey, Backends, local_ready, merge
from emu.kube.proxy.services import ProxiedPort, proxied_ports
from emu.kube.proxy.topology import choose
from emu.testing.proxies import endpoint, service, slice_of
from emu.testing.proxy_strategies import NODES, ZONES, clusters

WEB = service("ns/web", "172.30.0.1")
KEY = BackendKey("", "TCP")


def only(made: Service) -> ProxiedPort:
    """Return the one service port of a Service."""
    (port,) = proxied_ports(made)
    return port


def texts(backends: Backends, node: str = "a") -> list[str]:
    """Return the endpoints as `node` sees them."""
    return [each.text for each in backends.seen_from(node)]


class TestServices:
    """Which service ports there are, and what leads to them."""

    @pytest.mark.parametrize(
        "made",
        [
            service("ns/none", "None"),
            service("ns/early", ""),
            service("ns/name", "172.30.0.1", type="ExternalName"),
            service("ns/six", "fd00::1"),
        ],
    )
    def test_some_services_are_not_proxied(self, made: Service) -> None:
        """Headless ones, those without an address yet, mere names, those of another family."""
        assert proxied_ports(made) == ()

    def test_the_address_of_the_family_counts(self) -> None:
        """A dual-stack Service has one of each."""
        made = service("ns/both", "fd00::1", cluster_ips=("fd00::1", "172.30.0.7"))
        assert only(made).cluster_ip == "172.30.0.7"
        assert proxied_ports(made, family=6)[0].cluster_ip == "fd00::1"

    def test_the_name_of_a_port_is_part_of_its_own(self) -> None:
        """It is left out where there is none."""
        named = service("ns/web", "172.30.0.1", [("http", 80), ("admin", 81)])
        assert [each.name for each in proxied_ports(named)] == ["ns/web:http", "ns/web:admin"]
        assert only(WEB).name == "ns/web"

    def test_load_balancer_addresses_that_nodes_see(self) -> None:
        """Not those of a proxying load balancer, nor names, nor another family's."""
        ingress = (
            LoadBalancerIngress("1.2.3.4"),
            LoadBalancerIngress("1.2.3.5", ip_mode="VIP"),
            LoadBalancerIngress("1.2.3.6", ip_mode="Proxy"),
            LoadBalancerIngress(hostname="lb.example"),
            LoadBalancerIngress("fd00::9"),
        )
        made = attrs.evolve(WEB, status=ServiceStatus(LoadBalancerStatus(ingress)))
        assert only(made).load_balancer_ips == ("1.2.3.4", "1.2.3.5")

    def test_the_external_policy_needs_something_external(self) -> None:
        """Of a ClusterIP without external addresses it is not heeded."""
        made = service("ns/web", "172.30.0.1", external_traffic_policy="Local")
        reachable = service(
            "ns/web", "172.30.0.1", external_traffic_policy="Local", external_ips=("192.0.2.1",)
        )
        node_port = service("ns/web", "172.30.0.1", external_traffic_policy="Local", type="NodePort")
        assert [only(each).external_local for each in (made, reachable, node_port)] == [False, True, True]

    def test_affinity_lasts_three_hours_if_nobody_says(self) -> None:
        """And is off where it is None."""
        sticky = service("ns/web", "172.30.0.1", session_affinity="ClientIP")
        assert (only(WEB).affinity_seconds, only(sticky).affinity_seconds) == (0, 10800)

    def test_health_checks_are_of_local_load_balancers(self) -> None:
        """A number that is left over elsewhere means nothing."""
        kinds = [("LoadBalancer", "Local"), ("LoadBalancer", "Cluster"), ("NodePort", "Local")]
        found = [
            only(
                service(
                    "ns/web",
                    "172.30.0.1",
                    type=kind,
                    external_traffic_policy=policy,
                    health_check_node_port=31000,
                )
            ).health_check_node_port
            for kind, policy in kinds
        ]
        assert found == [31000, 0, 0]


class TestAddresses:
    """Old objects have addresses that nobody would take today."""

    def test_leading_zeros_are_decimal(self) -> None:
        """As they were when octal was not thought of."""
        assert address("010.180.00.001", 4) == "10.180.0.1"
        assert str(network(" 203.0.113.000/025", 4)) == "203.0.113.0/25"

    def test_what_is_no_address_is_passed_over(self) -> None:
        """And what is of the other family."""
        assert addresses(["10.0.0.1", "web", "fd00::1", "", "10.0.0.256"], 4) == ("10.0.0.1",)
        assert network("10.0.0.1", 4) is None
        assert network("10.0.0.0/33", 4) is None


class TestEndpoints:
    """Slices become a list for each port."""

    def test_they_are_sorted_as_text(self) -> None:
        """10.2.2.22:22 comes before 10.2.2.2:22, since a digit sorts before a colon."""
        found = merge([slice_of("ns/web", [endpoint("10.2.2.2"), endpoint("10.2.2.22")], [("", 22)])])
        assert texts(found[KEY]) == ["10.2.2.22:22", "10.2.2.2:22"]

    def test_one_that_stands_twice_is_one_and_local_if_any_is(self) -> None:
        """During a change of slices an endpoint may be in two of them."""
        first = slice_of("ns/web", [endpoint("10.0.0.1", "b")])
        second = slice_of("ns/web", [endpoint("10.0.0.1", "a")], suffix="-2")
        found = merge([second, first])[KEY]
        assert [each.node for each in found.seen_from("a")] == ["a"]
        assert [each.node for each in found.seen_from("c")] == ["b"]

    def test_ports_without_name_or_number_do_not_count(self) -> None:
        """An empty name is a name."""
        piece = slice_of("ns/web", [endpoint("10.0.0.1")])
        ports = (EndpointPort(None, 80), EndpointPort("", None), EndpointPort("", 0), EndpointPort("x", 81))
        assert list(merge([attrs.evolve(piece, ports=ports)])) == [BackendKey("x", "TCP")]

    def test_the_first_address_alone_counts(self) -> None:
        """The others are for those who ask the slice themselves."""
        piece = slice_of("ns/web", [Endpoint(("10.0.0.1", "10.0.0.2")), Endpoint(())])
        assert texts(merge([piece])[KEY]) == ["10.0.0.1:8080"]

    def test_conditions_that_are_missing(self) -> None:
        """Ready and serving count as true, terminating as false."""
        (found,) = merge([slice_of("ns/web", [endpoint("10.0.0.1")])])[KEY].listed
        assert (found.ready, found.serving, found.terminating) == (True, True, False)

    def test_ready_addresses_are_counted_per_node(self) -> None:
        """Those of other nodes, and those that are not ready, are not."""
        ends = [endpoint("10.0.0.1", "a"), endpoint("10.0.0.2", "a", ready=False), endpoint("10.0.0.3", "b")]
        found = merge([slice_of("ns/web", ends)]).values()
        assert [local_ready(found, node) for node in NODES] == [1, 1, 0]


class TestTopology:
    """Which endpoints a node may use."""

    def test_neither_ready_nor_going_is_never_used(self) -> None:
        """Serving alone is not enough: it takes termination to be a fallback."""
        found = merge([slice_of("ns/web", [endpoint("10.0.0.1", ready=False, serving=True)])])[KEY]
        assert choose(only(WEB), found, Place("a")) == ((), None, False)

    def test_sets_fall_back_each_for_itself(self) -> None:
        """Local traffic may use one that is going while the rest uses a ready one elsewhere."""
        ends = [
            endpoint("10.0.0.1", "a", ready=False, serving=True, terminating=True),
            endpoint("10.0.0.2", "b"),
        ]
        made = service(
            "ns/web", "172.30.0.1", type="NodePort", node_port=30000, external_traffic_policy="Local"
        )
        found = choose(only(made), merge([slice_of("ns/web", ends)])[KEY], Place("a"))
        assert [each.ip for each in found.cluster or ()] == ["10.0.0.2"]
        assert [each.ip for each in found.local or ()] == ["10.0.0.1"]
        assert [each.ip for each in found.reachable] == ["10.0.0.2", "10.0.0.1"]

    @given(cluster=clusters(), node=st.sampled_from(NODES), zone=st.sampled_from(("", *ZONES, "north")))
    def test_shared_rules_are_those_of_the_place(
        self, cluster: list[tuple[Service, EndpointSlice]], node: str, zone: str
    ) -> None:
        """Places that an entry sees alike may use the same endpoints, whatever their names."""
        catalogue = Catalogue.of([each for each, _ in cluster], [piece for _, piece in cluster])
        here = Place(node, zone)
        for entry in catalogue.entries:
            for other in (Place(name, area) for name in (*NODES, "d") for area in ("", *ZONES)):
                if entry.view(here) == entry.view(other):
                    assert entry.usable(here) == entry.usable(other)
