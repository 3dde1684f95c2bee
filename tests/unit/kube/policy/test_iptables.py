# SPDX-License-Identifier: GPL-2.0-only
"""Which rules and sets policies come to."""

from __future__ import annotations

import pytest

from emu.kube.policy.enforcer import AGENT, KINDNET
from emu.kube.policy.iptables import Decision, directions
from emu.kube.policy.settings import Settings
from emu.kube.policy.snapshot import Snapshot
from tests.unit.kube.policy.rules import comments, elements, pod, policy, rules, wanted

A = pod("x/a", "10.0.1.2", ("web", "TCP", 80), ("dns", "UDP", 53), app="a")
B = pod("x/b", "10.0.1.3", ("web", "TCP", 8080), app="b")
C = pod("y/c", "10.0.2.4", ("web", "SCTP", 81), node="n2", app="a")
NODE = pod("x/host", "192.168.0.2", ("web", "TCP", 90), host_network=True, app="a")
PODS = [A, B, C, NODE]
OF_A = "podSelector: {matchLabels: {app: a}}\n"


class TestIsolation:
    """Which pods are isolated, and for what."""

    @pytest.mark.parametrize(
        ("spec", "expected"),
        [
            ("podSelector: {}", ("ingress",)),
            ("podSelector: {}\negress: []", ("ingress",)),
            ("podSelector: {}\negress: [{}]", ("ingress", "egress")),
            ("podSelector: {}\npolicyTypes: [Egress]\ningress: [{}]", ("egress",)),
            ("podSelector: {}\npolicyTypes: [Egress, Ingress]", ("ingress", "egress")),
        ],
    )
    def test_types_that_are_not_said_follow_from_the_rules(self, spec: str, expected: tuple[str]) -> None:
        """Ingress always, and egress where there is a rule for it; what is said counts alone."""
        assert directions(policy("x/p", spec)) == expected

    def test_pods_of_other_namespaces_and_nodes_and_without_network_are_let_be(self) -> None:
        """A policy selects pods of its namespace that have a network; a node looks after its own."""
        found = wanted([policy("x/p", OF_A)], PODS)
        assert comments(found) == ["Pod x/a: isolated for ingress"]
        assert wanted([policy("x/p", OF_A)], PODS, node="n2").is_empty

    def test_without_policies_there_is_nothing(self) -> None:
        """Not even empty chains."""
        found = wanted([], PODS)
        assert found.is_empty
        assert found.sets == ()
        assert found.hooks == ()

    def test_rules_of_all_policies_add_up(self) -> None:
        """They stand in one chain, each with its policy, and a refusal behind them."""
        one = policy("x/one", OF_A + "ingress: [{ports: [{port: 80}]}]")
        two = policy("x/two", "podSelector: {}\ningress: [{ports: [{port: 81}]}]")
        assert comments(wanted([one, two], [A])) == [
            "NetworkPolicy x/one ingress[0]",
            "NetworkPolicy x/two ingress[0]",
            "Pod x/a: isolated for ingress",
        ]

    def test_a_long_name_is_cut_so_that_the_comment_fits(self) -> None:
        """There is room for 255 octets; what is behind the name stays whole."""
        found = wanted([policy(f"x/{'n' * 253}", OF_A + "ingress: [{from: [{podSelector: {}}]}]")], [A])
        assert [len(each) for each in comments(found)] == [255, 29]
        assert comments(found)[0].endswith(" ingress[0].from[0]")


class TestPeers:
    """Who is meant."""

    def test_absent_and_empty_lists_of_peers_mean_everybody(self) -> None:
        """An empty rule allows all, an empty list of rules nothing."""
        assert rules(wanted([policy("x/p", OF_A + "ingress: [{}]")], PODS)) == [""]
        assert rules(wanted([policy("x/p", OF_A + "ingress: [{from: [], ports: []}]")], PODS)) == [""]
        assert rules(wanted([policy("x/p", OF_A + "ingress: []")], PODS)) == []

    def test_a_pod_selector_alone_is_of_the_namespace_of_the_policy(self) -> None:
        """Pods of other namespaces are not in the set."""
        found = wanted([policy("x/p", OF_A + "ingress: [{from: [{podSelector: {}}]}]")], PODS)
        assert elements(found) == [["10.0.1.2", "10.0.1.3"]]

    def test_both_selectors_in_one_peer_have_to_hold_in_two_peers_either(self) -> None:
        """One dash more or less changes the meaning."""
        both = "ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: a}}}]}]"
        either = "ingress: [{from: [{namespaceSelector: {}}, {podSelector: {matchLabels: {app: b}}}]}]"
        assert elements(wanted([policy("x/p", OF_A + both)], PODS)) == [["10.0.1.2", "10.0.2.4"]]
        assert elements(wanted([policy("x/p", OF_A + either)], PODS)) == [
            ["10.0.1.2", "10.0.1.3", "10.0.2.4"],
            ["10.0.1.3"],
        ]

    def test_namespaces_are_selected_by_labels_and_by_the_name_that_each_has(self) -> None:
        """A namespace needs no label of its own to be found by its name."""
        peer = "ingress: [{from: [{namespaceSelector: {matchLabels: {%s}}}]}]"
        by_name = peer % "kubernetes.io/metadata.name: y"
        by_label = peer % "team: red"
        assert elements(wanted([policy("x/p", OF_A + by_name)], PODS)) == [["10.0.2.4"]]
        found = wanted([policy("x/p", OF_A + by_label)], PODS, namespaces={"y": {"team": "red"}})
        assert elements(found) == [["10.0.2.4"]]

    def test_equal_selectors_ask_one_set(self) -> None:
        """Whatever policy and direction they stand in."""
        spec = OF_A + "ingress: [{from: [{podSelector: {}}]}]\negress: [{to: [{podSelector: {}}]}]"
        found = wanted([policy("x/p", spec)], PODS)
        assert len(found.sets) == 1
        assert [rule.split()[-1] for rule in rules(found)] == ["src", "dst"]

    def test_pods_on_their_nodes_network_are_peers_only_if_the_cluster_says_so(self) -> None:
        """As `node` they are nobody to selectors, as `pod` they have their node's address."""
        one = policy("x/p", OF_A + "ingress: [{from: [{podSelector: {}}], ports: [{port: web}]}]")
        asked = wanted([one], PODS, settings=Settings(host_network_peer="pod"))
        assert "192.168.0.2" in elements(asked)[1]
        assert "192.168.0.2,tcp:90" in elements(asked)[0]
        assert "192.168.0.2" not in elements(wanted([one], PODS))[1]


class TestBlocks:
    """Addresses."""

    @pytest.mark.parametrize(
        ("cidr", "rule"),
        [
            ("10.1.2.3/8", "-s 10.0.0.0/8"),
            ("010.001.0.0/16", "-s 10.1.0.0/16"),
            ("0.0.0.0/0", ""),
            ("10.1.2.3/32", "-s 10.1.2.3/32"),
        ],
    )
    def test_a_block_is_an_address_of_the_rule(self, cidr: str, rule: str) -> None:
        """Host bits and leading zeros do not count; all addresses are no condition."""
        found = wanted([policy("x/p", OF_A + f"ingress: [{{from: [{{ipBlock: {{cidr: {cidr}}}}}]}}]")], PODS)
        assert rules(found) == [rule]

    def test_exceptions_are_taken_out_of_their_own_block_alone(self) -> None:
        """A set of networks holds both; another peer may allow the address again."""
        block = "{ipBlock: {cidr: 0.0.0.0/0, except: [0.0.0.0/1, 192.168.0.0/16]}}"
        found = wanted(
            [policy("x/p", OF_A + f"egress: [{{to: [{block}, {{ipBlock: {{cidr: 10.0.0.0/8}}}}]}}]")], [A]
        )
        assert elements(found) == [["0.0.0.0/1 nomatch", "128.0.0.0/1", "192.168.0.0/16 nomatch"]]
        assert rules(found)[1] == "-d 10.0.0.0/8"

    def test_a_block_of_ipv6_means_no_packet_of_ipv4(self) -> None:
        """The rule allows nobody, and not everybody."""
        found = wanted([policy("x/p", OF_A + "ingress: [{from: [{ipBlock: {cidr: '::/0'}}]}]")], PODS)
        assert rules(found) == []


class TestPorts:
    """Where to."""

    @pytest.mark.parametrize(
        ("port", "rule"),
        [
            ("{port: 80}", "-p tcp -m tcp --dport 80"),
            ("{port: 80, protocol: UDP}", "-p udp -m udp --dport 80"),
            ("{port: 80, endPort: 90, protocol: SCTP}", "-p sctp -m sctp --dport 80:90"),
            ("{port: 80, endPort: 80}", "-p tcp -m tcp --dport 80"),
            ("{protocol: SCTP}", "-p sctp"),
            ("{}", "-p tcp"),
        ],
    )
    def test_a_number_a_range_or_a_protocol(self, port: str, rule: str) -> None:
        """TCP where no protocol is said."""
        assert rules(wanted([policy("x/p", OF_A + f"ingress: [{{ports: [{port}]}}]")], [A])) == [rule]

    def test_a_name_is_looked_up_on_the_destination_with_its_protocol(self) -> None:
        """Each pod may call another number so; both directions ask the destination."""
        spec = OF_A + "ingress: [{ports: [{port: web}]}]\negress: [{ports: [{port: web, protocol: SCTP}]}]"
        found = wanted([policy("x/p", spec)], PODS)
        assert elements(found) == [["10.0.1.2,tcp:80", "10.0.1.3,tcp:8080"], ["10.0.2.4,sctp:81"]]
        assert all("dst,dst" in rule for rule in rules(found))

    def test_a_name_that_nobody_has_matches_nothing(self) -> None:
        """The rule is there, its set is empty."""
        found = wanted([policy("x/p", OF_A + "ingress: [{ports: [{port: other}]}]")], PODS)
        assert elements(found) == [[]]

    def test_a_name_means_nothing_to_a_block_of_destinations(self) -> None:
        """Addresses have no ports with names; sources may be a block, since the pod is the destination."""
        block = "[{ipBlock: {cidr: 10.0.0.0/8}}]"
        out = wanted(
            [policy("x/p", OF_A + f"egress: [{{to: {block}, ports: [{{port: web}}, {{port: 80}}]}}]")], [A]
        )
        assert rules(out) == ["-p tcp -m tcp --dport 80 -d 10.0.0.0/8"]
        into = wanted([policy("x/p", OF_A + f"ingress: [{{from: {block}, ports: [{{port: web}}]}}]")], [A])
        assert len(rules(into)) == 1

    def test_each_peer_is_allowed_each_port(self) -> None:
        """A rule of two peers and two ports is four rules of iptables."""
        spec = (
            "ingress: [{from: [{podSelector: {}}, {namespaceSelector: {}}], ports: [{port: 80}, {port: 81}]}]"
        )
        found = wanted([policy("x/p", OF_A + spec)], [A])
        assert comments(found)[:-1] == [
            "NetworkPolicy x/p ingress[0].from[0]",
            "NetworkPolicy x/p ingress[0].from[0]",
            "NetworkPolicy x/p ingress[0].from[1]",
            "NetworkPolicy x/p ingress[0].from[1]",
        ]


class TestHooks:
    """Where packets are judged."""

    def test_the_agent_judges_what_is_forwarded_and_what_pods_send_to_their_node(self) -> None:
        """No jump for packets that the node sends to its own pods."""
        found = wanted([policy("x/p", OF_A + "egress: [{}]")], PODS)
        assert (found.table, [hook.chain for hook in found.hooks]) == ("filter", ["FORWARD", "INPUT"])
        assert "OUTPUT" not in {hook.chain for hook in found.hooks}

    def test_a_policy_of_ingress_alone_does_not_look_at_what_comes_to_the_node(self) -> None:
        """INPUT stays as it is."""
        found = wanted([policy("x/p", OF_A)], PODS)
        assert [hook.chain for hook in found.hooks] == ["FORWARD"]

    def test_kindnet_lets_packets_of_its_node_go_back_at_once(self) -> None:
        """They come by in POSTROUTING."""
        found = wanted([policy("x/p", OF_A)], PODS, enforcer=KINDNET)
        assert (found.table, [hook.chain for hook in found.hooks]) == ("mangle", ["POSTROUTING"])
        assert found.chains[0].lines[1].startswith("-m addrtype --src-type LOCAL ")

    @pytest.mark.parametrize(
        ("settings", "expected"),
        [
            (Settings("keep"), ["RELATED,ESTABLISHED -j RETURN"]),
            (Settings("recheck"), ["RELATED -j RETURN", "ESTABLISHED --ctdir REPLY -j RETURN"]),
        ],
    )
    def test_what_belongs_to_a_connection_passes_before_anybody_is_judged(
        self, settings: Settings, expected: list[str]
    ) -> None:
        """Under `recheck` only replies, and errors that are related."""
        found = wanted([policy("x/p", OF_A)], PODS, settings=settings)
        first = [line.partition("--ctstate ")[2] for line in found.chains[0].lines if "ctstate" in line]
        assert first == expected


def test_a_decision_serves_all_nodes() -> None:
    """Each node takes its part of what was worked out once, and the same sets."""
    pods = [A, B, pod("x/d", "10.0.3.2", node="n3", app="a")]
    one = policy("x/p", OF_A + "ingress: [{from: [{podSelector: {}}]}]")
    decision = Decision(Snapshot((one,), tuple(pods)), Settings())
    first, second = (decision.of_node(node, AGENT) for node in ("n1", "n3"))
    assert first.sets == second.sets
    assert {chain.name for chain in first.chains} & {chain.name for chain in second.chains} == {
        "NETPOL-FORWARD"
    }
