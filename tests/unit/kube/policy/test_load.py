# SPDX-License-Identifier: GPL-2.0-only
"""What agents put into a kernel directly is what the tools would put there, and nothing else changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from emu.apps.commands import ipset, iptables, iptables_restore, iptables_save
from emu.fabric.driver import Fabric
from emu.kube.policy.enforcer import AGENT, KINDNET, Enforcer
from emu.kube.policy.iptables import decide
from emu.kube.policy.load import is_intact, load
from emu.kube.policy.settings import Settings
from emu.kube.policy.wanted import Wanted, render_rules, render_sets
from tests.unit.kube.policy.rules import NODE, pod, policy, snapshots, wanted

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kube.policy.snapshot import Snapshot

STRANGERS = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [5:300]
:OUTPUT ACCEPT [0:0]
:AAA - [0:0]
:ZZZ - [0:0]
[9:540] -A FORWARD -j ZZZ
[2:120] -A FORWARD -s 10.244.0.0/16 -j ACCEPT
[1:60] -A ZZZ -m limit --limit 3/sec -j RETURN
COMMIT
"""
PODS = [
    pod("x/a", "10.0.1.2", ("web", "TCP", 80), ("sig", "SCTP", 81), app="a"),
    pod("x/b", "10.0.1.3", ("web", "TCP", 8080), app="b"),
]
SPEC = """
podSelector: {matchLabels: {app: a}}
ingress:
- from: [{podSelector: {}}, {ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]
  ports: [{port: web}, {port: 9, endPort: 12}]
egress:
- {to: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{protocol: SCTP, port: 81}, {protocol: UDP}]}
- ports: [{port: sig, protocol: SCTP}]
"""


def node(text: str = STRANGERS) -> Namespace:
    """Return a node with rules of others."""
    net = Fabric().add_namespace("n1")
    iptables_restore.prepare(["-c"], text=text)(net)
    return net


def saved(net: Namespace, *argv: str) -> list[str]:
    """Return what iptables-save prints, but for remarks."""
    return [line for line in iptables_save.prepare(argv)(net).splitlines() if line[0] != "#"]


def sets(net: Namespace) -> list[str]:
    """Return what ipset prints of all sets, sorted."""
    return sorted(ipset.prepare(["save"])(net).splitlines())


@pytest.mark.parametrize("enforcer", [AGENT, KINDNET])
def test_the_tools_make_the_same_of_the_text(enforcer: Enforcer) -> None:
    """`ipset restore` and `iptables-restore --noflush` of what is rendered leave the same kernel."""
    found = wanted([policy("x/p", SPEC)], PODS, enforcer=enforcer)
    ours, theirs = node(), node()
    load(ours, Wanted(enforcer.table), found)
    ipset.restore_file(theirs, render_sets(found))
    iptables_restore.prepare(["--noflush"], text=render_rules(found))(theirs)
    assert saved(ours) == saved(theirs)
    assert sets(ours) == sets(theirs)


def test_twice_is_the_same_as_once_and_nothing_is_left_at_the_end() -> None:
    """Chains, sets and jumps go with the last policy; what others wrote and counted stays."""
    found, nothing = wanted([policy("x/p", SPEC)], PODS), Wanted("filter")
    net = node()
    before = saved(net, "-c")
    load(net, nothing, found)
    once = saved(net, "-c"), sets(net)
    load(net, found, found)
    assert (saved(net, "-c"), sets(net)) == once
    load(net, found, nothing)
    assert saved(net, "-c") == before
    assert sets(net) == []


def test_a_pod_that_comes_changes_a_set_and_no_rule() -> None:
    """Rules that stay keep their counters."""
    one = policy("x/p", "podSelector: {matchLabels: {app: a}}\ningress: [{from: [{podSelector: {}}]}]")
    before, after = wanted([one], PODS[:1]), wanted([one], PODS)
    net = node()
    load(net, Wanted("filter"), before)
    rules = saved(net, "-c")
    load(net, before, after)
    assert saved(net, "-c") == rules
    assert [line.split()[-1] for line in sets(net) if line.startswith("add")] == ["10.0.1.2", "10.0.1.3"]


def test_a_pod_that_goes_leaves_its_set() -> None:
    """Its address may be somebody else's soon."""
    one = policy("x/p", "podSelector: {matchLabels: {app: a}}\ningress: [{from: [{podSelector: {}}]}]")
    before, after = wanted([one], PODS), wanted([one], PODS[:1])
    net = node()
    load(net, Wanted("filter"), before)
    load(net, before, after)
    assert [line.split()[-1] for line in sets(net) if line.startswith("add")] == ["10.0.1.2"]


@given(before=snapshots(), after=snapshots())
def test_what_was_there_before_makes_no_difference(before: Snapshot, after: Snapshot) -> None:
    """A node that comes from any other policies and pods ends like one that comes from none."""
    first, second = (decide(each, NODE, AGENT, Settings()) for each in (before, after))
    net, fresh = node(), node()
    load(net, Wanted("filter"), first)
    load(net, first, second)
    load(fresh, Wanted("filter"), second)
    assert saved(net) == saved(fresh)
    assert sets(net) == sets(fresh)
    assert is_intact(net, second)


def test_jumps_are_the_first_rules_again_when_somebody_got_before_them() -> None:
    """As kube-proxy may, whose chains accept what is marked."""
    found = wanted([policy("x/p", SPEC)], PODS)
    net = node()
    load(net, Wanted("filter"), found)
    assert is_intact(net, found)
    iptables.prepare(["-I", "FORWARD", "-j", "AAA"])(net)
    assert not is_intact(net, found)
    load(net, Wanted("filter"), found)
    assert is_intact(net, found)
    forward = [line for line in saved(net) if line.startswith("-A FORWARD")]
    assert [line.split()[-1] for line in forward] == ["NETPOL-FORWARD", "AAA", "ZZZ", "ACCEPT"]


@pytest.mark.parametrize("words", ["-F FORWARD", "-F NETPOL-FORWARD", "-D INPUT 1"])
def test_what_somebody_took_away_is_missed(words: str) -> None:
    """An agent that looks finds out."""
    found = wanted([policy("x/p", SPEC)], PODS)
    net = node()
    load(net, Wanted("filter"), found)
    iptables.prepare(words.split())(net)
    assert not is_intact(net, found)
