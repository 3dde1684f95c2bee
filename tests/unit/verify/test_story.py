# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from typing import TYPE_CHECKING

from emu.apps import stream
from emu.kernel import ipv4
from emu.kernel.drops import DropReason
from emu.observe.recording import Kind
from emu.testing.lab import Lab, pods_on_a_bridge, routed_chain, two_hosts, vxlan_pair
from emu.verify.endpoint import find_source, find_target
from emu.verify.exchange import Exchange, ask
from emu.verify.story import Hop, Story, Way, tell

if TYPE_CHECKING:
    import pytest

    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb


def told(lab: Lab, source: str, target: str) -> tuple[Exchange, Story]:
    """Ask once and return the exchange with its story."""
    asker, asked = find_source(lab, source), find_target(lab, target)
    exchange = ask(lab, asker, asked)
    return exchange, tell(exchange, asker, asked)


def stages(hops: list[Hop], net: str, way: Way) -> list[str]:
    """Return what happened in one namespace on one half of the way, in order."""
    return [
        hop.told.step.stage or f"{hop.told.step.kind.value} {hop.device}"
        for hop in hops
        if hop.told.step.net == net and hop.way is way and not hop.aside
    ]


def test_a_node_between_shows_every_stage() -> None:
    """From tap to tap, both ways."""
    lab = routed_chain()
    lab.ping("client", "server")
    _, story = told(lab, "client", "server")
    way = ["PREROUTING", "route", "forward", "FORWARD", "POSTROUTING", "neighbour"]
    assert stages(story.hops(), "r1", Way.REQUEST) == ["in eth0", *way, "out eth1"]
    assert stages(story.hops(), "r1", Way.REPLY) == ["in eth1", *way, "out eth0"]


def test_the_ends_show_who_takes_the_packet() -> None:
    """The echo is answered; the reply goes to the socket that waits."""
    lab = routed_chain()
    lab.ping("client", "server")
    _, story = told(lab, "client", "server")
    assert stages(story.hops(), "server", Way.REQUEST)[-4:] == ["PREROUTING", "route", "INPUT", "echo"]
    assert "socket" in stages(story.hops(), "client", Way.REPLY)


def test_each_step_names_the_module_that_took_it() -> None:
    """The one that decided, not the recorder."""
    _, story = told(vxlan_pair(), "pod1", "pod2")
    modules = {hop.told.step.stage: hop.told.module for hop in story.hops()}
    assert modules["route"] == "emu.kernel.ipv4"
    assert modules["FORWARD"] == "emu.kernel.netfilter.hooks"
    assert modules["vxlan"] == "emu.kernel.link.vxlan"
    assert modules["bridge"] == "emu.kernel.link.bridge"
    assert modules["neighbour"] == "emu.kernel.arp"
    assert modules[""] == "emu.kernel.netdev"


def test_a_tunnel_changes_the_addresses_and_back() -> None:
    """Each hop says between whom the packet travelled before and after."""
    _, story = told(vxlan_pair(), "pod1", "pod2")
    changes = [
        (hop.told.step.net, str(hop.after).replace(" ", "").split(">")[-1].split(":")[0])
        for hop in story.hops()
        if hop.way is Way.REQUEST and hop.before != hop.after
    ]
    assert changes == [("node1", "192.168.0.2"), ("node2", "10.244.2.2")]


def test_arp_that_a_packet_waits_for_is_part_of_the_story() -> None:
    """Asked and answered between the packet's wait and its departure."""
    _, story = told(two_hosts(), "a", "b")
    assert len(story.arp) == 2
    assert story.resent == 0
    kinds = [hop.told.step.kind for hop in story.hops()]
    assert len(kinds) == sum(len(packet.told) for packet in (*story.requests, *story.arp)) + len(
        story.answer.told if story.answer else ()
    )


def test_of_a_flooded_question_the_copy_matters_that_is_answered() -> None:
    """Whatever the order of the ports; the others are aside."""
    for name in ("pod2", "pod3", "pod4"):
        _, story = told(pods_on_a_bridge(4), "pod1", name)
        question = story.arp[0]
        assert question.end.step.net == name
        aside = {hop.told.step.net for hop in story.hops() if hop.aside}
        assert aside == {"node1", "pod2", "pod3", "pod4"} - {name}


def test_steps_are_in_order_within_each_half() -> None:
    """The request's half first."""
    _, story = told(pods_on_a_bridge(4), "pod1", "pod3:80")
    hops = story.hops()
    turn = [hop.way for hop in hops].index(Way.REPLY)
    assert {hop.way for hop in hops[:turn]} == {Way.REQUEST}
    assert {hop.way for hop in hops[turn:]} == {Way.REPLY}
    for half in (hops[:turn], hops[turn:]):
        numbers = [hop.told.step.number for hop in half]
        assert numbers == sorted(numbers)


def test_traffic_of_others_is_left_out() -> None:
    """Only the question's packets, and ARP."""
    lab = pods_on_a_bridge(3)
    lab.start("pod2", stream.request(lab.address("pod3"), 81, b""))
    _, story = told(lab, "pod1", "pod2")
    ids = {hop.told.step.packet_id for hop in story.hops()}
    assert ids == {packet.birth.step.packet_id for packet in (*story.requests, *story.arp)} | (
        {story.answer.birth.step.packet_id} if story.answer else set()
    )


def test_a_question_that_only_its_repetition_brought_through_shows_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first SYN is dropped, the second one answered."""
    genuine = ipv4._forward
    lost: list[bytes] = []

    def forward(net: Namespace, skb: Skb) -> ipv4.Stage | None:
        if lost:
            return genuine(net, skb)
        lost.append(skb.packet)
        net.drop(skb, DropReason.NETFILTER_DROP)
        return None

    monkeypatch.setattr(ipv4, "_forward", forward)
    lab = routed_chain()
    lab.start("server", stream.serve(80, b"hello"))
    exchange, story = told(lab, "client", "server:80")
    assert exchange.is_answered
    assert story.resent == 1
    assert [packet.is_accepted for packet in story.requests] == [False, True]
    assert story.requests[0].end.step.kind is Kind.DROP


def test_fragments_are_one_packet() -> None:
    """Cut at the beginning and put together at the end, which is where the copy that matters ends."""
    exchange, story = told(routed_chain(1, (68, 1500)), "client", "server")
    assert exchange.is_answered
    assert story.request is not None
    assert len(story.requests) == 1
    notes = [one.step.stage for one in story.request.told]
    assert notes.count("fragment") == 1
    assert notes.count("forward") == 2
    assert notes.count("reassembly") == 2
    assert story.request.end.step.stage == "echo"
