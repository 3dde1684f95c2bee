# SPDX-License-Identifier: GPL-2.0-only
"""What balancers decide from objects alone."""

from __future__ import annotations

import hashlib

import attrs
import pytest

from emu.cluster.topology.fabric.load_balancers import load_balancers
from emu.document import parse
from emu.document.fields import Place, Report
from emu.errors import AddressError, DocumentError
from emu.kube.api import codec
from emu.kube.api.objects import EndpointSlice, Node, Service
from emu.kube.loadbalancers.checks import Tally
from emu.kube.loadbalancers.frontends import Check, Target, eligible, frontends
from emu.kube.loadbalancers.rules import Ruleset, commands, ruleset
from emu.kube.loadbalancers.settings import AddressRange, Against, HealthCheck, Kind, LoadBalancerSpec
from emu.kube.loadbalancers.speakers import announcer, candidates
from emu.sim.time import SECOND
from emu.wire.addresses import IpAddress

VIP = "203.0.113.1"


def node(name: str, number: int, *, taints: tuple[str, ...] = (), labels: tuple[str, ...] = ()) -> Node:
    """Return a node with an address."""
    found = codec.read(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": dict.fromkeys(labels, "")},
            "spec": {"taints": [{"key": each, "effect": "NoSchedule"} for each in taints]},
            "status": {"addresses": [{"type": "InternalIP", "address": f"172.18.0.{number}"}]},
        }
    )
    assert isinstance(found, Node)
    return found


def service(**spec: object) -> Service:
    """Return a Service with an address of a balancer."""
    whole = {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}], **spec}
    found = codec.read(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": whole,
            "status": {"loadBalancer": {"ingress": [{"ip": VIP}]}},
        }
    )
    assert isinstance(found, Service)
    return found


NODES = (node("b", 4), node("a", 3))


class TestAddressRange:
    """Addresses that are given away."""

    @pytest.mark.parametrize(
        ("text", "first", "last"),
        [
            ("203.0.113.16/28", "203.0.113.17", "203.0.113.30"),
            ("203.0.113.16/31", "203.0.113.16", "203.0.113.17"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.7"),
            ("203.0.113.7 - 203.0.113.9", "203.0.113.7", "203.0.113.9"),
        ],
    )
    def test_it_is_read_as_people_write_it(self, text: str, first: str, last: str) -> None:
        """A prefix means its hosts."""
        found = AddressRange.parse(text)
        assert [str(found.first), str(found.last)] == [first, last]
        assert found.last in found
        assert len(list(found)) == int(found.last) - int(found.first) + 1

    @pytest.mark.parametrize("text", ["203.0.113.9-203.0.113.7", "somewhere", "1.2.3.4-::1"])
    def test_nonsense_is_refused(self, text: str) -> None:
        """Also a range that runs backwards."""
        with pytest.raises(AddressError):
            AddressRange.parse(text)


class TestFrontends:
    """What a balancer has to do for a Service."""

    @pytest.mark.parametrize(
        ("kind", "port"), [("passthrough", 80), ("nat", 30080), ("proxy", 30080), ("l2", 30080)]
    )
    def test_targets_are_nodes_by_the_port_that_arrives_there(self, kind: Kind, port: int) -> None:
        """In the order of their names: the Service's port where packets are passed on as they are."""
        (found,) = frontends(LoadBalancerSpec("x", kind), service(), eligible(NODES))
        assert found.targets == (
            Target("a", IpAddress.parse("172.18.0.3"), port),
            Target("b", IpAddress.parse("172.18.0.4"), port),
        )

    def test_nodes_that_are_excluded_or_about_to_go_do_not_count(self) -> None:
        """Cordoned ones do."""
        excluded = node("c", 5, labels=("node.kubernetes.io/exclude-from-external-load-balancers",))
        going = node("d", 6, taints=("ToBeDeletedByClusterAutoscaler",))
        cordoned = node("e", 7, taints=("node.kubernetes.io/unschedulable",))
        assert [each.metadata.name for each in eligible((*NODES, excluded, going, cordoned))] == [
            "a",
            "b",
            "e",
        ]

    @pytest.mark.parametrize(
        ("kind", "against", "spec", "check"),
        [
            ("nat", "auto", {}, Check("tcp", 30080)),
            ("proxy", "auto", {}, Check("tcp", 30080)),
            ("passthrough", "auto", {}, Check("http", 10256)),
            ("nat", "healthz", {}, Check("http", 10256)),
            ("passthrough", "nodePort", {}, Check("tcp", 30080)),
            ("nat", "auto", {"healthCheckNodePort": 32000}, Check("http", 32000)),
            ("nat", "none", {"healthCheckNodePort": 32000}, None),
        ],
    )
    def test_nodes_are_asked_as_the_kind_asks(
        self, kind: Kind, against: Against, spec: dict[str, object], check: Check | None
    ) -> None:
        """Where a Service has a health check node port, there."""
        health = attrs.evolve(HealthCheck(), against=against)
        (found,) = frontends(LoadBalancerSpec("x", kind, health=health), service(**spec), NODES)
        assert found.check == check


class TestTally:
    """Answers, counted."""

    def test_the_first_answer_counts_at_once(self) -> None:
        """Either way: nobody waits for a node that works, or sends to one that does not."""
        good, bad = Tally(HealthCheck()), Tally(HealthCheck())
        assert good.count(is_success=True)
        assert bad.count(is_success=False)
        assert (good.is_healthy, bad.is_healthy) == (True, False)

    def test_then_it_takes_so_many_in_a_row(self) -> None:
        """One that says the contrary begins the count anew."""
        tally = Tally(HealthCheck(unhealthy=3, healthy=2), is_healthy=True)
        answers = [False, False, True, False, False, False]
        assert [tally.count(is_success=each) for each in answers] == [False] * 5 + [True]
        assert [tally.count(is_success=True), tally.count(is_success=True)] == [False, True]


class TestRules:
    """The table of a balancer, as text."""

    def test_equal_states_need_no_command(self) -> None:
        """Twice is the same as once."""
        spec = LoadBalancerSpec("x", "nat")
        (one,) = frontends(spec, service(), NODES)
        made = ruleset(spec, [one], {one.identity: {"a", "b"}}, {"a": 1, "b": 2})
        assert commands(made, made) == ""

    def test_a_node_that_leaves_takes_its_chain_and_leaves_the_map(self) -> None:
        """What was remembered of flows stays: they go on to where they went."""
        spec = LoadBalancerSpec("x", "passthrough")
        (one,) = frontends(spec, service(), NODES)
        marks = {"a": 1, "b": 2}
        both = ruleset(spec, [one], {one.identity: {"a", "b"}}, marks)
        left = ruleset(spec, [one], {one.identity: {"b"}}, marks)
        text = commands(both, left)
        assert "delete chain ip balancer to-a" in text
        assert " map " not in text.replace("sport map @", "")
        assert "delete map" in commands(both, Ruleset())

    def test_without_a_node_packets_end_with_a_word(self) -> None:
        """The comment names the Service."""
        spec = LoadBalancerSpec("x", "nat")
        (one,) = frontends(spec, service(), NODES)
        made = ruleset(spec, [one], {}, {})
        assert 'drop comment "no healthy node for shop/web"' in commands(Ruleset(), made)


class TestSpeakers:
    """Who announces an address in layer 2."""

    def test_the_first_is_who_has_the_least_digest(self) -> None:
        """SHA-256 of NODE#ADDRESS, as MetalLB sorts; another node that goes moves nothing."""
        address = IpAddress.parse("172.18.255.200")
        names = ["w1", "w2", "w3"]
        order = sorted(names, key=lambda name: hashlib.sha256(f"{name}#172.18.255.200".encode()).digest())
        assert announcer(address, names) == order[0]
        assert announcer(address, order[:2]) == order[0]
        assert announcer(address, order[1:]) == order[1]
        assert announcer(address, ()) is None

    def test_candidates_have_an_endpoint_where_the_policy_is_local(self) -> None:
        """Nobody announces a Service without ready endpoints."""
        slices = [_slice(("w1", True), ("w2", False))]
        local = service(externalTrafficPolicy="Local")
        assert candidates(local, slices, ["w1", "w2", "w3"]) == ("w1",)
        assert candidates(service(), slices, ["w1", "w2", "w3"]) == ("w1", "w2", "w3")
        assert candidates(service(), [_slice(("w2", False))], ["w1", "w2"]) == ()


def _slice(*endpoints: tuple[str, bool]) -> EndpointSlice:
    found = codec.read(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "namespace": "shop"},
            "addressType": "IPv4",
            "ports": [],
            "endpoints": [
                {"addresses": ["10.0.0.1"], "nodeName": name, "conditions": {"ready": is_ready}}
                for name, is_ready in endpoints
            ],
        }
    )
    assert isinstance(found, EndpointSlice)
    return found


class TestDocument:
    """The key `loadBalancers`."""

    def test_every_key_is_read(self) -> None:
        """Into one value."""
        (found,) = _read(
            "- {name: x, kind: proxy, pool: [10.0.0.0/30], class: a/b, ipMode: VIP, proxyProtocol: v2, "
            "healthCheck: {against: healthz, interval: 2s, timeout: 1s, unhealthyThreshold: 2, "
            "healthyThreshold: 3}}"
        )
        health = HealthCheck("healthz", 2 * SECOND, SECOND, 2, 3)
        pool = (AddressRange.parse("10.0.0.1-10.0.0.2"),)
        assert found == LoadBalancerSpec("x", "proxy", pool, "a/b", "VIP", proxy_protocol=2, health=health)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("- {kind: nat, proxyProtocol: v1}", "a nat balancer has no such setting; proxy has"),
            ("- {kind: l2, healthCheck: none}", "l2 asks no node"),
            ("- {kind: tcp}", "must be one of passthrough, nat, proxy, l2"),
            ("- {pool: [nowhere]}", "nowhere"),
            ("- {name: a}\n- {name: b}", "a second one for Services without a class"),
            ("- {name: a}\n- {name: a, class: x/y}", "a second load balancer a"),
            ("- {knid: nat}", "unknown key; did you mean 'kind'?"),
        ],
    )
    def test_faults_are_told(self, text: str, words: str) -> None:
        """With their place."""
        with pytest.raises(DocumentError) as caught:
            _read(text)
        assert words in str(caught.value)


def _read(text: str) -> tuple[LoadBalancerSpec, ...]:
    (document,) = parse(text, "fabric.yaml")
    report = Report("fabric.yaml")
    found = load_balancers(Place(document.value, report))
    report.check()
    return found
