# SPDX-License-Identifier: GPL-2.0-only
"""The rules and sets of policies, given to the real tools: Linux then holds what emu's nodes hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from emu.apps.commands.iptables_tables import take
from emu.fabric.driver import Fabric
from emu.kube.policy.enforcer import AGENT, KINDNET, Enforcer
from emu.kube.policy.iptables import decide
from emu.kube.policy.load import load
from emu.kube.policy.settings import Settings
from emu.kube.policy.wanted import Wanted, render_rules, render_sets
from emu.tools.ipset import listing
from emu.tools.iptables.save import render as save
from tests.kernel.linux import drawn, namespace, run
from tests.unit.kube.policy.rules import NODE, snapshots

if TYPE_CHECKING:
    from emu.kube.policy.snapshot import Snapshot


@pytest.mark.kernel
@pytest.mark.parametrize("enforcer", [AGENT, KINDNET])
def test_linux_holds_what_our_nodes_hold(enforcer: Enforcer) -> None:
    """Sets as `ipset save` prints them, rules as iptables-save does, for any policies."""

    @drawn(20)
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
