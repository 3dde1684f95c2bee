# SPDX-License-Identifier: GPL-2.0-only
"""The rules and sets of policies, given to the real tools: Linux then holds what emu's nodes hold."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from emu.apps.commands.iptables_tables import take
from emu.fabric.driver import Fabric
from emu.kube.policy.enforcer import AGENT, KINDNET, Enforcer
from emu.kube.policy.iptables import decide
from emu.kube.policy.load import load
from emu.kube.policy.settings import Settings
from emu.kube.policy.snapshot import Snapshot, view_of
from emu.kube.policy.wanted import Wanted, render_rules, render_sets
from emu.testing.policy_strategies import policed_pods, policies
from emu.tools.ipset import listing
from emu.tools.iptables.save import render as save
from tests.kernel.linux import namespace

NODE = "n1"


def run(netns: str, *argv: str, text: str | None = None) -> str:
    """Run a tool in a namespace of the real kernel."""
    command = ["ip", "netns", "exec", netns, *argv]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    return done.stdout


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Return policies and pods on one node, each pod with an address."""
    pods = [draw(policed_pods(number, [NODE])) for number in range(draw(st.integers(1, 4)))]
    views = [view_of(pod, f"10.0.1.{number}") for number, pod in enumerate(pods, 2)]
    found = [draw(policies(f"np{number}")) for number in range(draw(st.integers(1, 4)))]
    return Snapshot(tuple(found), tuple(each for each in views if each is not None))


@pytest.mark.kernel
@pytest.mark.parametrize("enforcer", [AGENT, KINDNET])
def test_linux_holds_what_our_nodes_hold(enforcer: Enforcer) -> None:
    """Sets as `ipset save` prints them, rules as iptables-save does, for any policies."""

    @settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(snapshot=snapshots())
    def holds_the_same(snapshot: Snapshot) -> None:
        wanted = decide(snapshot, NODE, enforcer, Settings())
        net = Fabric().add_namespace("node")
        load(net, Wanted(enforcer.table), wanted)
        run(netns, "iptables", "-t", enforcer.table, "-F")
        run(netns, "iptables", "-t", enforcer.table, "-X")
        run(netns, "ipset", "destroy")
        run(netns, "ipset", "restore", text=render_sets(wanted))
        run(netns, "iptables-restore", "--noflush", text=render_rules(wanted))
        theirs = run(netns, "iptables-save", "-t", enforcer.table).splitlines()
        ours = save([take(net, enforcer.table)]).splitlines()
        assert _plain(theirs) == _plain(ours)
        sets = listing.render_save(net.netfilter.ipsets, net.now)
        assert _members(run(netns, "ipset", "save")) == _members(sets)

    with namespace() as netns:
        holds_the_same()


def _plain(lines: list[str]) -> list[str]:
    """Return a table without remarks."""
    return [line for line in lines if not line.startswith("#")]


def _members(saved: str) -> list[str]:
    """Return sets and elements, sorted, without what Linux draws for each set."""
    return sorted(line.partition(" hashsize")[0] for line in saved.splitlines())
