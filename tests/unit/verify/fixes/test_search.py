# SPDX-License-Identifier: GPL-2.0-only
"""What is shown was proved: the search for a fix, with proposals that are planted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from emu import lab
from emu.verify.fixes import MAX_TRIES, Command, Fix, Proposal, Question, search
from emu.verify.fixes.remedy import broken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from emu.verify.fixes.case import Case
    from emu.verify.fixes.proposers import Proposer

NETWORK = """
name: hosts-and-a-router
title: Two hosts and a router
namespaces:
  a: {}
  r: {sysctls: {net.ipv4.ip_forward: 1}}
  b: {}
links:
  - a: {ns: a, if: eth0, mac: "02:00:00:00:00:01", addr: [10.0.1.2/24]}
    b: {ns: r, if: eth0, mac: "02:00:00:00:00:02", addr: [10.0.1.1/24]}
  - a: {ns: b, if: eth0, mac: "02:00:00:00:00:03", addr: [10.0.2.2/24]}
    b: {ns: r, if: eth1, mac: "02:00:00:00:00:04", addr: [10.0.2.1/24]}
  - a: {ns: a, if: eth1, mac: "02:00:00:00:00:05", addr: [10.0.3.2/24]}
    b: {ns: r, if: eth2, mac: "02:00:00:00:00:06", addr: [10.0.3.1/24]}
  - a: {ns: a, if: eth2, mac: "02:00:00:00:00:07", addr: [10.0.4.1/24]}
    b: {ns: b, if: eth1, mac: "02:00:00:00:00:08", addr: [10.0.4.2/24]}
routes:
  - {ns: a, dst: default, via: 10.0.1.1}
  - {ns: b, dst: default, via: 10.0.2.1}
captures: []
"""
FORWARDING = Command("r", ("sysctl", "-w", "net.ipv4.ip_forward=1"))
NOTHING = Command("r", ("sysctl", "-w", "net.ipv4.ip_default_ttl=65"))
REFUSED = Command("r", ("sysctl", "-w", "net.ipv4.nonsense=1"))


@pytest.fixture
def network(tmp_path: Path) -> lab.Network:
    """Two hosts, and a router between them that forwards nothing any more."""
    path = tmp_path / "network.yaml"
    path.write_text(NETWORK)
    found = lab.load(str(path))
    assert isinstance(found, lab.Network)
    found.namespace("r").run("sysctl -w net.ipv4.ip_forward=0")
    return found


def plant(monkeypatch: pytest.MonkeyPatch, *remedies: Command | Question) -> None:
    """Have these be proposed, one after the other, whatever the failure is."""

    def propose(case: Case) -> Iterator[Proposal]:
        del case
        for remedy in remedies:
            yield Proposal("planted", (remedy,))

    planted: tuple[Proposer, ...] = (propose,)
    monkeypatch.setattr(search, "ALWAYS", planted)
    monkeypatch.setattr(search, "PROPOSERS", {})


class TestProof:
    """Only the same question, asked again, decides."""

    def test_what_helps_is_shown(self, network: lab.Network, monkeypatch: pytest.MonkeyPatch) -> None:
        """Behind what does not help, and what is refused."""
        plant(monkeypatch, NOTHING, REFUSED, FORWARDING)
        fix = network.flow("a", "b").fix
        assert fix is not None
        assert fix.remedies == (FORWARDING,)
        assert fix.lines() == ["planted", "  in r: sysctl -w net.ipv4.ip_forward=1"]

    def test_what_does_not_help_is_never_shown(
        self, network: lab.Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor what cannot be done, or asks for nobody."""
        plant(monkeypatch, NOTHING, REFUSED, Question("a", "nobody"), Question("a", "10.0.2.9"))
        assert network.flow("a", "b").fix is None

    def test_what_comes_too_late_is_not_tried(
        self, network: lab.Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each try is a network of its own."""
        others = [Command("r", ("sysctl", "-w", f"net.ipv4.ip_default_ttl={ttl}")) for ttl in range(60, 64)]
        assert len(others) == MAX_TRIES
        plant(monkeypatch, *others, FORWARDING)
        assert network.flow("a", "b").fix is None

    def test_the_network_stays_as_it_is(self, network: lab.Network) -> None:
        """The fix was done to a copy."""
        assert network.flow("a", "b").fix is not None
        assert network.flow("a", "b").never

    def test_a_step_on_the_way_is_followed(self, network: lab.Network) -> None:
        """The router does not forward, and the host behind it has no route back."""
        network.namespace("b").run("ip route del default")
        fix = network.flow("a", "b").fix
        assert fix is not None
        assert [type(each) for each in fix.remedies] == [Command, Command]
        assert fix.apply(network.again()) is not network
        assert network.flow("a", "b").reason == "IP_FORWARD_OFF"
        assert "ip route add 10.0.1.0/24 via 10.0.2.1" in "\n".join(fix.lines())

    def test_what_succeeds_needs_no_fix(self, network: lab.Network) -> None:
        """Nothing is tried."""
        assert network.flow("a", "r").fix is None

    @pytest.mark.parametrize(
        ("command", "host"),
        [
            ("ip route del default", "a"),
            ("ip route del default", "b"),
            ("sysctl -w net.ipv4.ip_default_ttl=1", "a"),
            ("iptables -P FORWARD DROP", "r"),
            ("iptables-legacy -P FORWARD DROP", "r"),
        ],
    )
    def test_a_network_without_kubernetes_has_remedies(
        self, network: lab.Network, command: str, host: str
    ) -> None:
        """Routes, times to live, policies of chains."""
        network.namespace("r").run("sysctl -w net.ipv4.ip_forward=1")
        assert network.flow("a", "b").always
        network.namespace(host).run(command)
        assert network.flow("a", "b").never
        assert network.flow("a", "b").fix is not None

    def test_sources_are_checked_loosely(self, network: lab.Network) -> None:
        """Where the way back is another one."""
        router = network.namespace("r")
        router.run("sysctl -w net.ipv4.ip_forward=1 net.ipv4.conf.eth0.rp_filter=1")
        router.run("ip route add 10.0.1.2/32 via 10.0.3.2")
        network.namespace("a").run("ip neigh add 10.0.1.1 lladdr 02:00:00:00:00:02 dev eth0")
        flow = network.flow("a", "b")
        assert flow.reason == "IP_RPFILTER"
        assert flow.fix is not None
        assert "in r: sysctl -w net.ipv4.conf.eth0.rp_filter=2" in flow.fix.lines()[-1]

    def test_answers_that_are_invalid_pass_without_the_rule(self, network: lab.Network) -> None:
        """The router sees the answer alone, for the question took another cable."""
        router = network.namespace("r")
        router.run("sysctl -w net.ipv4.ip_forward=1")
        router.run("iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP")
        network.namespace("a").run("ip route add 10.0.2.2/32 dev eth2 src 10.0.1.2")
        flow = network.flow("a", "10.0.2.2")
        assert flow.reason == "CT_INVALID"
        assert flow.fix is not None
        assert "-D FORWARD -m conntrack --ctstate INVALID" in " ".join(flow.fix.lines())


class TestFix:
    """What was proved, as text and as something to do."""

    def test_has_all_its_words_in_a_line(self, network: lab.Network, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of each proposal."""
        plant(monkeypatch, FORWARDING)
        fix = network.flow("a", "b").fix
        assert fix is not None
        two = Fix((*fix.proposals, *fix.proposals), fix.verdict)
        assert two.words == "planted; then planted"
        assert two.lines()[:2] == ["1. planted", "2. planted"]
        assert attrs.evolve(fix).question is None

    def test_long_commands_are_broken(self) -> None:
        """By backslashes, as a shell takes them."""
        assert broken(["emu", "exec", "a", "--", "x" * 20, "y" * 20], 40) == [
            "emu exec a -- xxxxxxxxxxxxxxxxxxxx \\",
            "    yyyyyyyyyyyyyyyyyyyy",
        ]
        assert broken(["emu", "trace", "a", "b c"], 78) == ["emu trace a 'b c'"]
