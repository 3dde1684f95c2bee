# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from emu.apps import association, datagram, stream
from emu.cluster.network import lab as network_lab
from emu.kernel import ipv4
from emu.kernel.drops import DropReason
from emu.observe.capture import Capture
from emu.sim.time import SECOND
from emu.testing.lab import Lab, looped_switches, pods_on_a_bridge, routed_chain, two_hosts, vxlan_pair
from emu.verify import asker as module
from emu.verify.asker import Asker
from emu.verify.story import Way
from emu.verify.verdict import Outcome, Result, Verdict, Word
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.verify.exchange import Exchange

TWO_WAYS = Path(__file__).parents[1] / "cli" / "two-ways.yaml"
HALF = Fraction(1, 2)


def changed(make: Callable[[], Lab], *commands: str) -> Callable[[], Lab]:
    """Return what makes a lab and runs `commands` in it, each `NAMESPACE COMMAND...`."""

    def start() -> Lab:
        lab = make()
        for command in commands:
            name, _, line = command.partition(" ")
            lab.namespace(name).run(line)
        return lab

    return start


def serving(make: Callable[[], Lab], name: str) -> Callable[[], Lab]:
    """Return what makes a lab where `name` serves TCP 80, UDP 53, SCTP 36412, and is mute on UDP 54."""

    def start() -> Lab:
        lab = make()
        lab.start(name, stream.serve(80, b"hello"))
        lab.start(name, datagram.serve(53))
        lab.start(name, association.serve(36412))
        lab.start(name, datagram.serve(54, reply=lambda _: None))
        return lab

    return start


def only(verdict: Verdict) -> Outcome:
    """Return the outcome of a verdict that nothing was left to chance in."""
    (outcome,) = verdict.outcomes
    assert outcome.probability == 1
    return outcome


def failure(start: Callable[[], Lab], source: str, target: str) -> tuple[Result, str, str, Way]:
    """Return result, reason, place and direction of a question that fails."""
    verdict = Asker(start()).judge(source, target)
    outcome = only(verdict)
    assert verdict.word is Word.NEVER
    assert outcome.cause is not None
    return outcome.result, outcome.cause.code, outcome.cause.place, outcome.cause.way


class TestDelivered:
    """A complete exchange."""

    @pytest.mark.parametrize("target", ["server", "server:80", "server:53/udp", "server:36412/sctp"])
    def test_echo_connection_and_datagram_are_answered(self, target: str) -> None:
        """By the programs that are there, through two routers."""
        verdict = Asker((serving(partial(routed_chain, 2), "server"))()).judge("client", target)
        outcome = only(verdict)
        assert verdict.word is Word.ALWAYS
        assert verdict.delivered == 1
        assert verdict.failure is None
        assert (outcome.result, outcome.cause) == (Result.DELIVERED, None)
        assert outcome.arrival is not None
        assert outcome.arrival.net == "server"
        assert str(outcome.arrival.source) == "10.0.0.1"
        assert (outcome.dnat, outcome.masquerade) == (False, False)

    @pytest.mark.parametrize("target", ["pod2", "pod2:80", "pod2:53/udp", "pod2:36412/sctp"])
    def test_a_tunnel_rewrites_nothing(self, target: str) -> None:
        """Its outer addresses are not the packet's."""
        outcome = only(Asker((serving(vxlan_pair, "pod2"))()).judge("pod1", target))
        assert outcome.result is Result.DELIVERED
        assert outcome.arrival is not None
        assert str(outcome.arrival.address) == "10.244.2.2"
        assert (outcome.dnat, outcome.masquerade) == (False, False)

    def test_a_host_reaches_itself(self) -> None:
        """By the loopback."""
        outcome = only(Asker((serving(two_hosts, "a"))()).judge("a", "a:80"))
        assert outcome.result is Result.DELIVERED
        assert {hop.device for hop in outcome.story.hops()} == {"", "lo"}

    def test_a_source_address_is_bound_to(self) -> None:
        """And seen by the server."""
        start = changed(two_hosts, "a ip addr add 10.0.0.9/24 dev eth0")
        arrival = only(Asker(start()).judge("10.0.0.9", "b")).arrival
        assert arrival is not None
        assert str(arrival.source) == "10.0.0.9"
        assert (arrival.port, arrival.source_port) == (None, None)


class TestFailures:
    """Why a question fails, where, and on which half."""

    @pytest.mark.parametrize("target", ["server:81", "server:81/udp", "server:81/sctp"])
    def test_nothing_listens_for_the_occasion(self, target: str) -> None:
        """A closed port is refused, and the packet arrived all the same."""
        start = serving(routed_chain, "server")
        assert failure(start, "client", target) == (
            Result.REFUSED,
            "NO_SOCKET",
            "server/eth0",
            Way.REQUEST,
        )
        arrival = only(Asker(start()).judge("client", target)).arrival
        assert arrival is not None
        assert (arrival.net, arrival.port) == ("server", 81)

    def test_a_host_that_does_not_forward(self) -> None:
        """In silence."""
        start = changed(routed_chain, "r1 sysctl -w net.ipv4.ip_forward=0")
        assert failure(start, "client", "server") == (
            Result.DROPPED,
            "IP_FORWARD_OFF",
            "r1/eth0",
            Way.REQUEST,
        )

    def test_a_router_without_route(self) -> None:
        """It says so by ICMP."""
        start = changed(partial(routed_chain, 2), "r1 ip route del 10.0.2.0/24")
        wanted = Result.REFUSED, "IP_INNOROUTES", "r1/eth0", Way.REQUEST
        assert failure(start, "client", "server") == wanted
        assert failure(start, "client", "server:80") == wanted
        assert failure(start, "client", "server:80/udp") == wanted

    def test_a_blackhole_tells_nobody(self) -> None:
        """So the client waits."""
        start = changed(
            partial(routed_chain, 2), "r1 ip route del 10.0.2.0/24", "r1 ip route add blackhole 10.0.2.0/24"
        )
        outcome = only(Asker(start()).judge("client", "server:80"))
        assert outcome.result is Result.DROPPED
        assert outcome.story.resent > 2

    def test_a_client_without_route_sends_nothing(self) -> None:
        """Its call fails."""
        start = changed(routed_chain, "client ip route del 10.0.1.0/24")
        for target in ("server", "server:80", "server:80/udp"):
            assert failure(start, "client", target) == (
                Result.DROPPED,
                "IP_OUTNOROUTES",
                "client",
                Way.REQUEST,
            )

    def test_a_broadcast_needs_permission(self) -> None:
        """Which `ping` and the others did not ask for."""
        assert failure(two_hosts, "a", "10.0.0.255") == (Result.DROPPED, "SEND_REFUSED", "a", Way.REQUEST)

    def test_the_way_back_is_missing(self) -> None:
        """The request arrives, the reply dies."""
        start = changed(serving(partial(routed_chain, 2), "server"), "r2 ip route del 10.0.0.0/24")
        for target in ("server", "server:80", "server:53/udp"):
            assert failure(start, "client", target) == (
                Result.DROPPED,
                "IP_INNOROUTES",
                "r2/eth1",
                Way.REPLY,
            )
            arrival = only(Asker(start()).judge("client", target)).arrival
            assert arrival is not None
            assert arrival.net == "server"

    def test_a_host_without_a_way_back(self) -> None:
        """It takes the echo and cannot answer."""
        start = changed(routed_chain, "server ip route del 10.0.0.0/24")
        assert failure(start, "client", "server") == (
            Result.DROPPED,
            "IP_OUTNOROUTES",
            "server/eth0",
            Way.REPLY,
        )

    def test_the_reverse_path_filter(self) -> None:
        """It refuses a source that is routed elsewhere."""
        start = changed(
            routed_chain,
            "client ping -c 1 10.0.0.2",  # ARP for a strange address is not believed either
            "r1 sysctl -w net.ipv4.conf.eth0.rp_filter=1",
            "r1 ip route add 10.9.0.1/32 via 10.0.1.2",
            "client ip addr add 10.9.0.1/32 dev eth0",
        )
        assert failure(start, "10.9.0.1", "server")[1:] == ("IP_RPFILTER", "r1/eth0", Way.REQUEST)

    def test_a_routing_loop_spends_the_ttl(self) -> None:
        """Two routers that send a packet to each other."""
        start = changed(
            partial(routed_chain, 2),
            "client ip route add 10.9.0.0/24 via 10.0.0.2",
            "r1 ip route add 10.9.0.0/24 via 10.0.1.2",
            "r2 ip route add 10.9.0.0/24 via 10.0.1.1",
        )
        result, code, _, way = failure(start, "client", "10.9.0.7")
        assert (result, code, way) == (Result.DROPPED, "TTL_EXPIRED", Way.REQUEST)

    def test_a_packet_too_big_for_the_path(self) -> None:
        """With ICMP, which is a refusal, for a packet with DF."""
        start = partial(routed_chain, 1, (1500, 80))
        assert failure(start, "client", "server") == (
            Result.REFUSED,
            "PKT_TOO_BIG",
            "r1/eth0",
            Way.REQUEST,
        )

    def test_nobody_answers_arp(self) -> None:
        """On the client's own link, and behind a router."""
        assert failure(two_hosts, "a", "10.0.0.9") == (
            Result.REFUSED,
            "NEIGH_FAILED",
            "a/eth0",
            Way.REQUEST,
        )
        assert failure(routed_chain, "client", "10.0.1.9") == (
            Result.REFUSED,
            "NEIGH_FAILED",
            "r1/eth1",
            Way.REQUEST,
        )

    def test_a_packet_that_waits_still_is_told(self) -> None:
        """With more ARP requests than the question waits for."""
        start = changed(two_hosts, "a sysctl -w net.ipv4.neigh.eth0.mcast_solicit=30")
        assert failure(start, "a", "10.0.0.9")[:2] == (Result.DROPPED, "NEIGH_FAILED")

    def test_a_server_that_does_not_answer(self) -> None:
        """Nothing was dropped, and nothing came back."""
        assert failure(serving(two_hosts, "b"), "a", "b:54/udp") == (
            Result.DROPPED,
            "NO_ANSWER",
            "b/eth0",
            Way.REPLY,
        )

    def test_an_answer_from_another_address_finds_no_socket(self) -> None:
        """A UDP server on all addresses answers from the one that routing chooses."""
        start = changed(
            serving(two_hosts, "b"),
            "b ip addr add 10.9.0.1/32 dev lo",
            "a ip route add 10.9.0.1/32 via 10.0.0.2",
        )
        assert failure(start, "a", "10.9.0.1:53/udp") == (Result.DROPPED, "NO_SOCKET", "a/eth0", Way.REPLY)
        cause = only(Asker(start()).judge("a", "10.9.0.1:53/udp")).cause
        assert cause is not None
        assert cause.words == "the answer comes from 10.0.0.2, and 10.9.0.1 was asked"

    def test_a_storm_is_stopped_and_said(self) -> None:
        """Two cables between two switches."""
        assert failure(looped_switches, "a", "b")[1] == "FRAME_STORM"


class TestFlooding:
    """Copies that a bridge makes."""

    def test_copies_for_others_are_not_the_cause(self) -> None:
        """The port is closed; that a third pod saw the packet too does not matter."""

        def start() -> Lab:
            lab = pods_on_a_bridge(4)
            lab.ping("pod1", "pod2")
            lab.wait(310 * SECOND)  # they have probed each other once; then the bridge forgot them
            return lab

        verdict = Asker(start()).judge("pod1", "pod2:9/udp")
        outcome = only(verdict)
        assert outcome.cause is not None
        assert (outcome.cause.code, outcome.cause.place) == ("NO_SOCKET", "pod2/eth0")
        others = [
            hop.told.step.net for hop in outcome.story.hops() if hop.told.step.reason is DropReason.OTHERHOST
        ]
        assert sorted(others) == ["pod3", "pod4"]

    def test_they_are_if_nobody_has_the_mac_address(self) -> None:
        """A neighbour entry for a device that is gone."""
        start = changed(
            partial(pods_on_a_bridge, 3), "pod1 ip neigh add 10.244.0.3 lladdr 02:00:00:00:00:99 dev eth0"
        )
        result, code, place, way = failure(start, "pod1", "pod2")
        assert (result, code, way) == (Result.DROPPED, "OTHERHOST", Way.REQUEST)
        assert place in {"pod2/eth0", "pod3/eth0"}


class TestChance:
    """Verdicts over branches."""

    @pytest.mark.parametrize("target", ["server", "server:80", "server:53/udp"])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_half_of_all_flows_take_the_dead_end(self, target: str, seed: int) -> None:
        """Whatever the seed, one branch for each nexthop, with exact probabilities."""
        verdict = Asker((partial(network_lab.load, TWO_WAYS, seed=seed))()).judge("pod1", target)
        assert (verdict.word, verdict.delivered) == (Word.SOMETIMES, HALF)
        assert [one.probability for one in verdict.outcomes] == [HALF, HALF]
        assert [one.result for one in verdict.outcomes] == [Result.DELIVERED, Result.DROPPED]
        assert verdict.failure is verdict.outcomes[1]
        assert verdict.failure.cause is not None
        assert (verdict.failure.cause.code, verdict.failure.cause.net) == ("IP_FORWARD_OFF", "up2")
        assert [[choice.name for choice in one.choices] for one in verdict.outcomes] == [
            ["via 10.2.1.2 dev eth1"],
            ["via 10.2.2.2 dev eth2"],
        ]

    def test_what_was_chosen_before_is_chosen_again(self) -> None:
        """A ping of the document's own takes no branch away."""

        def start() -> network_lab.Network:
            network = network_lab.load(TWO_WAYS)
            network.namespace("pod1").execute(["ping", "-c", "1", "-W", "1", "10.3.0.2"])
            return network

        assert Asker(start()).judge("pod1", "server").delivered == HALF

    def test_weights_are_shares(self) -> None:
        """Two of three flows take a nexthop of weight 2."""

        def start() -> network_lab.Network:
            network = network_lab.load(TWO_WAYS)
            network.namespace("gw").run(
                "ip route replace 10.3.0.0/24 nexthop via 10.2.1.2 weight 2 nexthop via 10.2.2.2 weight 1"
            )
            return network

        assert Asker(start()).judge("pod1", "server").delivered == Fraction(2, 3)

    def test_too_many_branches_are_no_verdict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is said that it is not known."""
        monkeypatch.setattr(module, "MAX_BRANCHES", 1)
        verdict = Asker((partial(network_lab.load, TWO_WAYS))()).judge("pod1", "server")
        assert (verdict.word, verdict.delivered) == (Word.UNKNOWN, None)
        assert verdict.unknown == ("more than 1 branches",)


class TestHonesty:
    """A verdict is made of the packets of its own run."""

    def test_a_fault_in_the_kernel_shows_in_verdict_story_and_capture(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nothing is computed beside the data path that could know better."""

        def forward(net: Namespace, skb: Skb) -> None:
            net.drop(skb, DropReason.NETFILTER_DROP, "planted")

        captures: list[Capture] = []

        def start() -> Lab:
            lab = routed_chain()
            captures.append(Capture(lab.points()))
            lab.recording.add(captures[-1])
            return lab

        assert Asker(start()).judge("client", "server").word is Word.ALWAYS
        assert captures[-1].endings == []
        monkeypatch.setattr(ipv4, "_forward", forward)
        outcome = only(Asker(start()).judge("client", "server"))
        assert (outcome.result, outcome.arrival) == (Result.DROPPED, None)
        assert outcome.cause is not None
        assert (outcome.cause.code, outcome.cause.words) == ("NETFILTER_DROP", "planted")
        assert outcome.cause.place == "r1/eth0"
        last = outcome.story.hops()[-1].told
        assert (last.step.reason, last.module) == (DropReason.NETFILTER_DROP, __name__)
        assert captures[-1].endings[0].comments[-1].startswith("DROP NETFILTER_DROP hop=")

    def test_a_packet_that_vanishes_without_a_word_is_told_where_it_was_last(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No drop, no reason: NOT_SPECIFIED."""
        monkeypatch.setattr(ipv4, "_forward", lambda _net, _skb: None)
        outcome = only(Asker(routed_chain()).judge("client", "server"))
        assert outcome.cause is not None
        assert (outcome.cause.code, outcome.cause.place) == ("NOT_SPECIFIED", "r1/eth0")
        assert outcome.cause.words == "it is not seen again after route: 10.0.1.0/24 dev eth1"

    def test_an_address_rewritten_on_the_way_shows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As destination and source translation, and in what the server saw."""
        genuine = ipv4.prerouting

        def prerouting(net: Namespace, skb: Skb) -> ipv4.Stage | None:
            if net.name == "r1" and str(skb.dst) == "10.0.1.9":
                skb.rewrite_network(12, IpAddress.parse("10.0.1.1") + IpAddress.parse("10.0.1.2"))
            return genuine(net, skb)

        monkeypatch.setattr(ipv4, "prerouting", prerouting)
        outcome = only(Asker(routed_chain()).judge("client", "10.0.1.9"))
        assert (outcome.dnat, outcome.masquerade) == (True, True)


def test_packets_of_a_question_share_no_number_whoever_was_asked_before() -> None:
    """Namespaces draw from one counter, and go on drawing from one when a question is over."""
    asker = Asker(serving(partial(routed_chain, 2), "server")())
    numbers: list[list[int]] = []

    def hear(_network: object, exchange: Exchange, _source: object, _target: object) -> None:
        births = [told.step for told in exchange.told if not told.step.parent]
        numbers.append([step.packet_id for step in births])

    for source, target in (("client", "r1"), ("server", "r2"), ("client", "server:80")):
        asker.judge(source, target, witness=hear)
    assert [len(each) for each in numbers] == [len(set(each)) for each in numbers]
