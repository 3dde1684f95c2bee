# SPDX-License-Identifier: GPL-2.0-only
"""Tables that are walked: what decides, what counts, what is remembered, in which order tables stand."""

from __future__ import annotations

import pytest

from emu.kernel.drops import DropReason
from emu.kernel.fib import Nexthop, Route
from emu.kernel.netfilter.hooks import Hook
from emu.kernel.netfilter.needs import needs_conntrack
from emu.kernel.netfilter.program import program_of
from emu.kernel.netfilter.ruleset import (
    ACCEPT,
    BUILTIN,
    DROP,
    Chain,
    Rule,
    Table,
    UnknownMatch,
    UnknownTarget,
    empty,
)
from emu.kernel.netfilter.verdict import Verdict
from emu.kernel.netfilter.xtables import ChainCounts, Count, XTable
from emu.kernel.rules import RoutingRule
from emu.testing.lab import EVERYWHERE
from emu.tools.iptables import restore
from emu.wire.ipv4 import UDP
from tests.unit.kernel.netfilter.nat_gateway import HERE, Flow, Gateway, ip

CLIENT, SERVER, OWN = ip("10.1.0.2"), ip("10.2.0.2"), ip("10.1.0.1")
FLOW = Flow(UDP, CLIENT, SERVER, 1000, 53)


def counts(gateway: Gateway, chain: str, table: str = "filter") -> list[int]:
    """Return how many packets each rule of a chain has seen."""
    return list(gateway.net.netfilter.tables[table].counts(chain).packets)


def filtering(*lines: str, users: str = "") -> Gateway:
    """Return a gateway with such a table filter, and with users' chains of these names."""
    return Gateway("*filter", *(f":{name} - [0:0]" for name in users.split()), *lines, "COMMIT")


# --- a walk ---


def test_the_first_rule_that_decides_ends_the_walk() -> None:
    """Those behind it do not count."""
    gateway = filtering("-A FORWARD -p udp", "-A FORWARD -p udp -j ACCEPT", "-A FORWARD -j DROP")
    assert gateway.send("left", FLOW.packet())
    assert counts(gateway, "FORWARD") == [1, 1, 0]


def test_a_jump_comes_back_behind_its_rule() -> None:
    """At the end of the chain, or where RETURN says so."""
    gateway = filtering(
        "-A FORWARD -j A",
        "-A FORWARD -j DROP",
        "-A A -j B",
        "-A A -j RETURN",
        "-A A -j ACCEPT",
        "-A B -p udp",
        users="A B",
    )
    assert gateway.send("left", FLOW.packet()) == []
    assert (counts(gateway, "FORWARD"), counts(gateway, "A"), counts(gateway, "B")) == (
        [1, 1],
        [1, 1, 0],
        [1],
    )


def test_a_goto_does_not_come_back_to_its_chain() -> None:
    """But behind the jump before it, or to the policy."""
    gateway = filtering(
        "-A FORWARD -j A",
        "-A FORWARD -p udp",
        "-A FORWARD -g B",
        "-A FORWARD -j DROP",
        "-A A -g B",
        "-A A -j DROP",
        users="A B",
    )
    assert gateway.send("left", FLOW.packet())
    assert counts(gateway, "FORWARD") == [1, 1, 1, 0]
    assert gateway.net.netfilter.tables["filter"].counts("FORWARD").policy_packets == 1


def test_return_in_a_built_in_chain_is_the_policy() -> None:
    """Which counts."""
    gateway = Gateway(
        "*filter", ":FORWARD DROP [0:0]", "-A FORWARD -j RETURN", "-A FORWARD -j ACCEPT", "COMMIT"
    )
    assert gateway.send("left", FLOW.packet()) == []
    found = gateway.net.netfilter.tables["filter"].counts("FORWARD")
    assert (found.packets, found.policy) == ([1, 0], Count(1, len(FLOW.packet())))
    assert gateway.drops[-1].detail == "gw filter/FORWARD policy"


def test_octets_are_those_of_the_packet_as_it_is_then() -> None:
    """From the IP header on."""
    gateway = filtering("-A FORWARD -j ACCEPT")
    for data in (b"", b"12345"):
        gateway.send("left", FLOW.packet(data))
    assert gateway.net.netfilter.tables["filter"].counts("FORWARD").rules == [Count(2, 28 + 33)]


def test_a_drop_tells_its_rule() -> None:
    """By namespace, table, chain, and a number counted from 1."""
    gateway = filtering("-A FORWARD -p tcp", "-A FORWARD -j DROP")
    gateway.send("left", FLOW.packet())
    (drop,) = gateway.drops
    assert (drop.reason, drop.detail) == (DropReason.NETFILTER_DROP, "gw filter/FORWARD rule 2")


@pytest.mark.parametrize(
    ("rule", "detail"),
    [
        (Rule((UnknownMatch("bpf"),), ACCEPT), "match bpf in gw filter/FORWARD rule 1"),
        (Rule((), UnknownTarget("TPROXY")), "target TPROXY in gw filter/FORWARD rule 1"),
    ],
)
def test_what_is_not_modelled_decides_nothing(rule: Rule, detail: str) -> None:
    """Whether it gets through is unknown, so it ends there, and says why."""
    gateway = Gateway()
    table = empty("filter")
    chains = tuple(
        Chain(chain.name, (rule,), chain.policy) if chain.name == "FORWARD" else chain
        for chain in table.chains
    )
    gateway.net.netfilter.replace(Table("filter", chains), {})
    assert gateway.send("left", FLOW.packet()) == []
    (drop,) = gateway.drops
    assert (drop.reason, drop.detail) == (DropReason.NOT_MODELLED, detail)


# --- rules that are replaced ---


def test_new_rules_have_the_counts_they_are_given() -> None:
    """And remember nothing."""
    gateway = filtering("-A FORWARD -m statistic --mode nth --every 2 --packet 0 -j DROP")
    assert gateway.send("left", FLOW.packet()) == []
    assert gateway.send("left", FLOW.packet())
    table = gateway.net.netfilter.tables["filter"]
    assert counts(gateway, "FORWARD") == [1]
    table.replace(table.table, {"FORWARD": ChainCounts([Count(7, 8)], Count(9, 10))})
    assert gateway.send("left", FLOW.packet()) == []
    assert counts(gateway, "FORWARD") == [8]
    assert table.counts("FORWARD").policy == Count(9, 10)


def test_equal_chains_are_compiled_once() -> None:
    """Wherever they came from: nodes of a cluster share their rules."""
    text = "*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -s 10.99.0.1 -j DROP\nCOMMIT\n"
    one, other = (restore.parse(text)["filter"].table.by_name["FORWARD"] for _ in range(2))
    assert program_of(one) is program_of(other)


def test_a_table_that_nobody_used_is_not_there() -> None:
    """And empty when it is asked for."""
    gateway = Gateway()
    assert gateway.net.netfilter.tables == {}
    assert gateway.net.netfilter.table("raw").table == empty("raw")
    with pytest.raises(KeyError):
        gateway.net.netfilter.table("broute")


def test_a_chain_of_a_hook_that_the_table_lacks_accepts() -> None:
    """Table raw has nothing in FORWARD."""
    assert "FORWARD" not in XTable(empty("raw")).table.by_name


# --- the order of tables ---


def test_tables_stand_in_the_kernels_order() -> None:
    """The first that drops is the one that tells: raw, mangle, nat's rules do not drop, filter, security."""
    order = [name for name in ("raw", "mangle", "filter", "security") if Hook.OUTPUT in BUILTIN[name]]
    for first in range(len(order)):
        lines = [
            line for name in order[first:] for line in (f"*{name}", "-A OUTPUT -p udp -j DROP", "COMMIT")
        ]
        gateway = Gateway(*lines)
        gateway.send(HERE, Flow(UDP, ip("10.2.0.1"), SERVER, 1, 2).packet())
        assert gateway.drops[-1].detail == f"gw {order[first]}/OUTPUT rule 1"


def test_mangle_comes_before_dnat_and_filter_behind_it() -> None:
    """One sees the virtual address, the other the real one."""
    gateway = Gateway(
        *("*mangle", "-A PREROUTING -d 10.96.0.1", "-A FORWARD -d 10.2.0.2", "COMMIT"),
        *("*nat", "-A PREROUTING -d 10.96.0.1 -j DNAT --to-destination 10.2.0.2", "COMMIT"),
        *("*filter", "-A FORWARD -d 10.2.0.2", "-A FORWARD -d 10.96.0.1", "COMMIT"),
    )
    gateway.send("left", Flow(UDP, CLIENT, ip("10.96.0.1"), 1, 2).packet())
    assert counts(gateway, "PREROUTING", "mangle") == [1]
    assert counts(gateway, "FORWARD", "mangle") == [1]
    assert counts(gateway, "FORWARD") == [1, 0]


def test_a_mark_of_mangle_reroutes_what_this_host_sends() -> None:
    """OUTPUT comes behind routing, so the route is asked again for the new mark."""
    gateway = Gateway("*mangle", "-A OUTPUT -p udp -j MARK --set-mark 5", "COMMIT")
    flow = Flow(UDP, ip("10.2.0.1"), SERVER, 1, 2)
    (out,) = gateway.send(HERE, flow.packet())
    assert out.place == "right"
    gateway.net.fib.add_rule(RoutingRule(100, table=7, mark=5, mask=0xFF))
    gateway.net.fib.add(Route(EVERYWHERE, nexthops=(Nexthop("left", ip("10.1.0.39")),), table=7))
    (out,) = gateway.send(HERE, flow.packet())
    assert out.place == "left"


def test_a_sender_whose_packet_is_dropped_is_told() -> None:
    """`sendto` says EPERM."""
    gateway = filtering("-A OUTPUT -p udp -j DROP")
    assert gateway.send(HERE, Flow(UDP, ip("10.2.0.1"), SERVER, 1, 2).packet()) == []
    assert gateway.drops[-1].reason is DropReason.NETFILTER_DROP


# --- who needs connections ---


@pytest.mark.parametrize(
    ("table", "rule"),
    [
        ("filter", "-m conntrack --ctstate NEW -j ACCEPT"),
        ("filter", "-m state --state NEW -j ACCEPT"),
        ("filter", "-m connmark --mark 1 -j ACCEPT"),
        ("mangle", "-j CONNMARK --save-mark"),
        ("nat", "-j MASQUERADE"),
        ("nat", "-j SNAT --to-source 1.2.3.4"),
    ],
)
def test_rules_that_ask_for_connections_switch_tracking_on(table: str, rule: str) -> None:
    """Each by itself, also in a chain that nothing leads to."""
    chain = {"filter": "FORWARD", "mangle": "FORWARD", "nat": "POSTROUTING"}[table]
    parsed = restore.parse(f"*{table}\n-A {chain} {rule}\nCOMMIT\n")[table].table
    assert needs_conntrack(parsed)


def test_other_rules_leave_tracking_off() -> None:
    """Nobody pays for what no rule asks."""
    for name in BUILTIN:
        assert not needs_conntrack(empty(name))
    chain = Chain("FORWARD", (Rule((), DROP),), Verdict.ACCEPT)
    assert not needs_conntrack(Table("filter", (chain,)))
