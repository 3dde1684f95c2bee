# SPDX-License-Identifier: GPL-2.0-only
"""Why a packet did not arrive, told with the rule that decided: verdicts, traces, captures."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import emu
from emu.cluster.network.lab import Network
from emu.cluster.network.modelled import unknown_rules
from emu.cluster.network.reader import load_network
from emu.cluster.network.rules import load
from emu.cluster.network.run import NetworkRun
from emu.verify.asker import Asker
from emu.verify.report import report
from emu.verify.verdict import Result, Verdict, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

TOPOLOGIES: Final = Path(__file__).parents[2] / "topologies"
SERVICE: Final = "10.96.0.20:80"
WEB1: Final = "10.244.1.3:8080"
WEB2: Final = "10.244.2.2:8080"


def ask(name: str, target: str, commands: Sequence[str] = (), *, asker: str = "client") -> Verdict:
    """Return the verdict in a topology, after `commands` on node1."""

    def start() -> Network:
        network = Network(NetworkRun(load_network(TOPOLOGIES / name)))
        network.take_steps()
        for command in commands:
            network.namespace("node1").run(command)
        return network

    return Asker(start()).judge(asker, target)


@pytest.mark.parametrize("name", ["service-by-iptables.yaml", "service-by-nftables.yaml"])
def test_a_service_is_reached_whichever_endpoint_is_drawn(name: str) -> None:
    """Each endpoint on half of the branches, its destination translated, the source kept."""
    verdict = ask(name, SERVICE)
    assert verdict.word is Word.ALWAYS
    assert [outcome.probability for outcome in verdict.outcomes] == [Fraction(1, 2)] * 2
    arrivals = [outcome.arrival for outcome in verdict.outcomes]
    assert [None if there is None else (there.net, there.port) for there in arrivals] == [
        ("web1", 8080),
        ("web2", 8080),
    ]
    assert all(outcome.dnat and not outcome.masquerade for outcome in verdict.outcomes)


def test_an_answer_past_the_nat_is_called_by_its_name() -> None:
    """Every other connection hangs, and the verdict says which and why."""
    verdict = ask("reply-past-the-nat.yaml", SERVICE)
    assert (verdict.word, verdict.delivered) == (Word.SOMETIMES, Fraction(1, 2))
    assert verdict.failure is not None
    assert verdict.failure.cause is not None
    assert verdict.failure.cause.code == "REPLY_NOT_UNNATED"
    assert "10.244.1.3" in verdict.failure.cause.words
    assert "bridge-nf-call-iptables" in verdict.failure.cause.fix


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (
            "iptables -P FORWARD DROP",
            "FORWARD_POLICY_DROP",
            (
                "filter/FORWARD policy DROP; no rule of the chain accepts the packet: kube-proxy's "
                "KUBE-FORWARD accepts what has its mark and what belongs to a connection, and this is neither"
            ),
        ),
        (
            "iptables -A FORWARD -p tcp --dport 8080 -j DROP",
            "NETFILTER_DROP",
            "filter/FORWARD rule 2: -A FORWARD -p tcp -m tcp --dport 8080 -j DROP",
        ),
        (
            "iptables -t raw -A PREROUTING -i veth1 -j DROP",
            "NETFILTER_DROP",
            "raw/PREROUTING rule 1: -A PREROUTING -i veth1 -j DROP",
        ),
    ],
)
def test_a_drop_names_table_chain_rule_and_text(command: str, code: str, words: str) -> None:
    """What a rule did is told with the rule; a policy of FORWARD has a code of its own."""
    commands = [command.replace("-i veth1", "-i cni0"), "iptables -t nat -F KUBE-SVC-WEB"]
    verdict = ask("service-by-iptables.yaml", WEB2, commands)
    assert verdict.word is Word.NEVER
    assert verdict.failure is not None
    assert verdict.failure.result is Result.DROPPED
    assert verdict.failure.cause is not None
    assert (verdict.failure.cause.code, verdict.failure.cause.net) == (code, "node1")
    assert verdict.failure.cause.words == words.replace("-i veth1", "-i cni0")


def test_a_rule_that_rejects_is_told_and_the_client_is_refused() -> None:
    """The answer of REJECT comes back, and the request's end names the rule."""
    command = "iptables -I FORWARD -p tcp --dport 8080 -j REJECT --reject-with tcp-reset"
    verdict = ask("service-by-iptables.yaml", WEB2, [command])
    assert verdict.failure is not None
    assert verdict.failure.result is Result.REFUSED
    assert verdict.failure.cause is not None
    assert "REJECT --reject-with tcp-reset" in verdict.failure.cause.words


def test_the_odds_are_those_of_an_attempt() -> None:
    """A SYN that is sent again meets what the first one met, and that is said; not a hundred branches."""
    verdict = ask(
        "service-by-iptables.yaml", SERVICE, asker="web1"
    )  # the hairpin of its own bridge port is off
    assert (verdict.word, verdict.delivered, len(verdict.outcomes)) == (Word.SOMETIMES, Fraction(1, 2), 2)
    assert [words.partition(" that ")[0] for words in verdict.assumptions] == ["a packet"]
    dropping = "iptables -I FORWARD -p tcp --dport 8080 -j DROP"
    verdict = ask("service-by-iptables.yaml", SERVICE, [dropping])
    assert (verdict.word, len(verdict.outcomes)) == (Word.NEVER, 2)


class TestUnknown:
    """Rules that ask what is not modelled."""

    @pytest.mark.parametrize(
        "table",
        [
            "bridge x { chain c { type filter hook forward priority 0; policy drop; }; }",
            "arp x { chain c { type filter hook input priority 0; policy drop; }; }",
            "netdev x { chain c { type filter hook ingress device veth2 priority 0; policy drop; }; }",
        ],
    )
    def test_rules_that_look_where_nothing_is_modelled_are_not_ignored(self, table: str) -> None:
        """Frames that come there end, and the table is named."""
        network = emu.load(TOPOLOGIES / "service-by-nftables.yaml")
        load(network.namespace("node1").net, "nft", f"table {table}\n")
        network.namespace("client").run("ip neigh flush dev eth0")
        dst = "10.244.1.1" if table.startswith("arp") else "10.244.1.3"
        assert network.namespace("client").execute(["ping", "-c", "1", dst]).status == 1
        family = table.partition(" ")[0]
        assert unknown_rules(network.fabric) == [f"table {family} x: what it sees is not modelled (node1)"]

    ASKING: Final = "iptables -I FORWARD -p tcp --dport 8080 -m time --timestart 08:00 -j DROP"

    def test_a_verdict_that_depends_on_one_is_unknown(self) -> None:
        """It names the match, the namespace, the table, the chain and the rule."""
        verdict = ask("service-by-iptables.yaml", WEB2, [self.ASKING])
        assert verdict.word is Word.UNKNOWN
        assert verdict.delivered is None
        assert verdict.unknown == ("match time in node1 filter/FORWARD rule 1",)
        answer = report(verdict, verdict.outcomes)
        assert (answer["verdict"], answer["delivered"]) == ("UNKNOWN", None)
        assert answer["unknown"] == ["match time in node1 filter/FORWARD rule 1"]

    def test_one_that_no_packet_comes_to_changes_nothing(self) -> None:
        """Its other conditions fail."""
        asking = self.ASKING.replace("8080", "9090")
        assert ask("service-by-iptables.yaml", WEB2, [asking]).word is Word.ALWAYS

    def test_an_unknown_target_is_named_too(self) -> None:
        """Whatever it would have done."""
        verdict = ask("service-by-iptables.yaml", WEB2, ["iptables -I FORWARD -j NFQUEUE --queue-num 1"])
        assert verdict.unknown == ("target NFQUEUE in node1 filter/FORWARD rule 1",)

    def test_they_are_listed_by_name(self) -> None:
        """With namespace, table and chain."""
        network = emu.load(TOPOLOGIES / "service-by-iptables.yaml")
        network.namespace("node1").run(self.ASKING)
        assert unknown_rules(network.fabric) == ["-m time (node1 filter/FORWARD)"]


def test_json_has_table_chain_rule_and_what_conntrack_thinks() -> None:
    """For each rule that held, in the order in which the packet met them."""
    verdict = ask("service-by-iptables.yaml", SERVICE)
    answer = json.loads(json.dumps(report(verdict, verdict.outcomes)))
    hops = [hop for hop in answer["outcomes"][0]["hops"] if hop["namespace"] == "node1" and hop["rule"]]
    walked = [(hop["table"], hop["chain"]) for hop in hops]
    assert walked[:4] == [
        ("nat", "PREROUTING"),
        ("nat", "KUBE-SERVICES"),
        ("nat", "KUBE-SVC-WEB"),
        ("nat", "KUBE-SEP-WEB-1"),
    ]
    assert hops[3]["rule"].endswith("-j DNAT --to-destination 10.244.1.3:8080")
    assert hops[0]["conntrack"] == "NEW"
    replies = [
        hop["conntrack"]
        for hop in answer["outcomes"][0]["hops"]
        if hop["chain"] == "KUBE-FORWARD" and hop["rule"]
    ]
    assert replies == ["ESTABLISHED"]
    translated = next(hop for hop in answer["outcomes"][0]["hops"] if hop["stage"] == "nat")
    assert translated["before"] != translated["after"]
    assert translated["after"].endswith("10.244.1.3:8080")


def test_a_capture_has_the_rules_as_comments() -> None:
    """Those met since the last capture point, on the frame that came through."""
    network = emu.load(TOPOLOGIES / "service-by-iptables.yaml")
    with network.capture("any") as capture:
        network.namespace("client").run("ping -c 1 192.168.0.9")
    comments = [comment for frame in capture.capture.frames for comment in frame.comments]
    assert any("nat/POSTROUTING" in comment and "MASQUERADE" in comment for comment in comments)
    assert any("conntrack" in comment and "NEW" in comment for comment in comments)
