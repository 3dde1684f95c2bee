# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from emu.cluster.network import lab as network_lab
from emu.kernel.facts import DecidedAt, Spent
from emu.verify.causes.rules import comment_of, isolated_pod, origin_of_rule, target_of, text_at

TOPOLOGIES = Path(__file__).parents[4] / "topologies"


@pytest.mark.parametrize(
    ("rule", "comment"),
    [
        ('-A A -m comment --comment "two words" -j B', "two words"),
        ("-A A -m comment --comment default/web:http -j B", "default/web:http"),
        ('-A A -m comment --comment "name: \\"cbr0\\"" -j B', 'name: "cbr0"'),
        ('ip daddr 10.0.0.1 reject comment "Reject traffic"', "Reject traffic"),
        ("-A A -j B", ""),
    ],
)
def test_a_comment_is_read_from_either_tool(rule: str, comment: str) -> None:
    """Quoted, bare, with quotes in it, and of nftables."""
    assert comment_of(rule) == comment


def test_a_target_is_a_jump_or_a_goto() -> None:
    """Empty where a rule has none."""
    assert target_of("-A A -p tcp -j DROP") == "DROP"
    assert target_of("-A A -g KUBE-SVC-X") == "KUBE-SVC-X"
    assert target_of("-A A -p tcp") == ""


def test_a_refusing_rule_of_a_policy_names_pod_and_direction() -> None:
    """And no other rule does."""
    rule = '-A NETPOL-IN-X -m comment --comment "Pod shop/db-0: isolated for ingress" -j DROP'
    assert isolated_pod(rule) == ("shop", "db-0", "ingress")
    assert isolated_pod('-A A -m comment --comment "Pod shop/db-0" -j NETPOL-IN-X') is None


@pytest.mark.parametrize(
    ("chain", "rule", "owner", "field"),
    [
        (
            "NETPOL-IN-X",
            '-A NETPOL-IN-X -m comment --comment "NetworkPolicy shop/deny ingress[2].from[0]" -j RETURN',
            "NetworkPolicy shop/deny",
            "spec.ingress[2].from[0]",
        ),
        (
            "NETPOL-FORWARD",
            '-A NETPOL-FORWARD -s 10.0.0.1/32 -m comment --comment "Pod shop/db-0" -j NETPOL-OUT-X',
            "Pod shop/db-0",
            "",
        ),
        (
            "FORWARD",
            '-A FORWARD -m comment --comment "network policies" -j NETPOL-FORWARD',
            "policy agent",
            "",
        ),
        (
            "KUBE-SERVICES",
            '-A KUBE-SERVICES -m comment --comment "shop/web:http cluster IP" -j KUBE-SVC-X',
            "Service shop/web",
            "spec.clusterIP",
        ),
        (
            "KUBE-SEP-X",
            "-A KUBE-SEP-X -m comment --comment shop/web -j DNAT --to-destination 10.0.0.1:80",
            "Service shop/web",
            "spec.ports[0].targetPort",
        ),
        (
            "KUBE-EXT-X",
            '-A KUBE-EXT-X -m comment --comment "masquerade traffic for shop/web external destinations" -j M',
            "Service shop/web",
            "spec.externalTrafficPolicy",
        ),
        ("KUBE-FORWARD", "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP", "kube-proxy", ""),
        (
            "FORWARD",
            '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
            "kube-proxy",
            "",
        ),
        (
            "POSTROUTING",
            '-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG',
            "provider flannel",
            "",
        ),
        (
            "KIND-MASQ-AGENT",
            '-A KIND-MASQ-AGENT -m comment --comment "kind-masq-agent: local" -j RETURN',
            "provider kindnet",
            "",
        ),
        (
            "POSTROUTING",
            '-A POSTROUTING -m comment --comment "kubenet: SNAT" -j MASQUERADE',
            "provider kubenet",
            "",
        ),
    ],
)
def test_whose_a_rule_is_stands_in_its_comment_or_chain(
    chain: str, rule: str, owner: str, field: str
) -> None:
    """Even where there are no objects: dumps of real nodes are named alike."""
    network = network_lab.load(TOPOLOGIES / "service-by-iptables.yaml")
    origin = origin_of_rule(network, network.namespace("node1").net, chain, rule)
    assert origin is not None
    assert (origin.object, origin.field) == (owner, field)


def test_a_rule_of_nobody_is_nobodys() -> None:
    """An administrator's own."""
    network = network_lab.load(TOPOLOGIES / "service-by-iptables.yaml")
    net = network.namespace("node1").net
    assert origin_of_rule(network, net, "FORWARD", "-A FORWARD -p tcp -j DROP") is None


def test_a_drop_says_where_its_rule_is() -> None:
    """By table, chain and number; what is no such place has no text."""
    network = network_lab.load(TOPOLOGIES / "service-by-iptables.yaml")
    network.namespace("node1").run("iptables -A FORWARD -p udp -j DROP")
    net = network.namespace("node1").net
    number = len(network.namespace("node1").run("iptables -S FORWARD").splitlines()) - 1
    decided = DecidedAt("node1", "filter", "FORWARD", number)
    assert text_at(net, decided) == ("FORWARD", "-A FORWARD -p udp -j DROP")
    assert text_at(net, decided._replace(rule=number + 1)) == ("", "")
    assert text_at(net, decided._replace(rule=0)) == ("", "")
    assert text_at(net, Spent()) == ("", "")
