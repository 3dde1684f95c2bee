# SPDX-License-Identifier: GPL-2.0-only
"""Faults of nodes, bridges and of what is between nodes, in clusters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from emu.verify.asker import Asker
from emu.verify.causes.objects import object_of, origin_of
from emu.verify.story import Way
from tests.unit.verify.causes.lab import WEB, cause, cluster, failures, pod, service

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster


@pytest.fixture
def web() -> Cluster:
    """Two servers behind a Service, and a pod that is alone behind its own."""
    return cluster(
        *WEB, pod("self-1", "w1"), service("web", "web"), service("self", "self"), service("nobody", "x")
    )


def test_a_bridge_that_passes_answers_on_at_layer_2(web: Cluster) -> None:
    """The setting of the node is to blame, on the branch of the server on the client's node."""
    web.node("w1").run("sysctl -w net.bridge.bridge-nf-call-iptables=0")
    (outcome,) = failures(web, "client", "svc/web:80")
    found = outcome.cause
    assert found is not None
    assert (found.code, found.way) == ("REPLY_NOT_UNNATED", Way.REPLY)
    assert (found.object, found.field) == ("Node w1", "net.bridge.bridge-nf-call-iptables")
    assert "bridge cni0 of Node w1 passed it on at layer 2" in found.words


def test_a_pod_that_cannot_reach_itself_by_its_service(web: Cluster) -> None:
    """Its bridge port sends nothing back."""
    node = web.node("w1")
    for device in node.net.devices.values():
        if device.port is not None:
            node.run(f"bridge link set dev {device.name} hairpin off")
    found = cause(web, "self-1", "svc/self:80")
    assert (found.code, found.net) == ("BRIDGE_HAIRPIN_OFF", "node/w1")
    assert (found.object, found.field) == ("provider flannel", "hairpinMode")
    assert "was translated to the asker itself" in found.words


def test_a_firewall_that_lets_no_tunnel_in(web: Cluster) -> None:
    """The packet that carries is named, and what it carries."""
    web.node("w2").run("iptables -I INPUT -p udp --dport 8472 -j DROP")
    found = cause(web, "client", "web-2:80")
    assert (found.code, found.net) == ("UNDERLAY_FILTER", "node/w2")
    assert found.rule == "-A INPUT -p udp -m udp --dport 8472 -j DROP"
    assert ":8472, which carries 10.244.1.2:" in found.words


def test_a_filter_on_the_switch_between_nodes() -> None:
    """A routed provider shows the pods' addresses to it."""
    routed = cluster(*WEB, provider="kindnet")
    switch = routed.namespace("switch/underlay")
    switch.run("sysctl -w net.bridge.bridge-nf-call-iptables=1")
    switch.run("iptables -A FORWARD -s 10.244.0.0/16 -j DROP")
    found = cause(routed, "client", "web-2:80")
    assert (found.code, found.net) == ("UNDERLAY_FILTER", "switch/underlay")
    assert "-A FORWARD -s 10.244.0.0/16 -j DROP" in found.words


@pytest.mark.parametrize(
    ("commands", "code", "field"),
    [
        (["iptables -P FORWARD DROP", "iptables -F FLANNEL-FWD"], "FORWARD_POLICY_DROP", ""),
        (["sysctl -w net.ipv4.ip_forward=0"], "IP_FORWARD_OFF", "net.ipv4.ip_forward"),
    ],
)
def test_a_node_that_forwards_nothing(web: Cluster, commands: list[str], code: str, field: str) -> None:
    """The node is the object, and its setting the field."""
    for command in commands:
        web.node("w2").run(command)
    found = cause(web, "client", "web-2:80")
    assert (found.code, found.object, found.field) == (code, "Node w2", field)


def test_a_host_outside_within_the_pods_range_is_looked_for_on_the_bridge() -> None:
    """The node's pod range is the field."""
    laptop = cluster(*WEB).external("laptop")
    laptop.run("ip addr add 10.244.1.50/24 dev eth0")
    found = cause(laptop.emulation, "client", "10.244.1.50:80")
    assert (found.code, found.net) == ("CIDR_OVERLAP", "default/client")
    assert (found.object, found.field) == ("Node w1", "spec.podCIDR")


def test_a_packet_to_nobody_goes_to_and_fro() -> None:
    """A routed provider has a route for the range, and none for a pod that is not there."""
    routed = cluster(*WEB, provider="kindnet")
    found = cause(routed, "client", "10.244.2.77:80")
    assert found.code == "TTL_EXPIRED"
    assert found.words == "the TTL is spent; no pod, node or host has 10.244.2.77"


class TestObjects:
    """What each step of a packet is owed to."""

    def test_hops_name_pods_services_nodes_and_programs(self, web: Cluster) -> None:
        """The way of one delivered request."""
        verdict = Asker(web).judge("client", "svc/web:80")
        by_stage: dict[str, set[str | None]] = {}
        for outcome in verdict.outcomes:
            for hop in outcome.story.hops():
                step = hop.told.step
                place = step.stage or step.device
                by_stage.setdefault(place, set()).add(object_of(web, step))
        services = [objects for stage, objects in by_stage.items() if stage.startswith("nat/KUBE-S")]
        assert services
        assert all("Service default/web" in objects for objects in services)
        assert by_stage["nat"] == {"Service default/web"}
        assert by_stage["cni0"] == {"provider flannel"}
        assert by_stage["flannel.1"] == {"provider flannel"}
        assert "Node w2" in by_stage["route"]
        assert by_stage["socket"] == {"Pod default/client", "Pod default/web-1", "Pod default/web-2"}
        assert by_stage["filter/FLANNEL-FWD"] == {"provider flannel"}
        assert by_stage["filter/KUBE-FORWARD"] == {"kube-proxy"}

    def test_rules_of_a_host_port_name_the_pod_that_has_it(self) -> None:
        """Though the chain that translates has no comments."""
        door = json.loads(pod("door-1", "w2"))
        door["spec"]["containers"][0]["ports"][0]["hostPort"] = 8088
        network = cluster(*WEB, json.dumps(door))
        story = Asker(network).judge("client", "node/w2:8088").outcomes[0].story
        steps = [hop.told.step for hop in story.hops() if hop.told.step.stage.startswith("nat/CNI-")]
        assert steps
        assert {object_of(network, step) for step in steps} == {"Pod default/door-1"}

    def test_a_drop_names_the_object_of_its_rule(self, web: Cluster) -> None:
        """Not only the step before it does."""
        (outcome,) = failures(web, "client", "svc/nobody:80")
        assert outcome.story.request is not None
        assert object_of(web, outcome.story.request.end.step) == "Service default/nobody"

    def test_a_step_in_a_namespace_that_is_gone_is_nobodys(self, web: Cluster) -> None:
        """A trace may be read after its pods."""
        outcome = Asker(web).judge("client", "web-2:80").outcomes[0]
        step = outcome.story.hops()[0].told.step
        assert origin_of(web, step._replace(net="default/gone")) is None
