# SPDX-License-Identifier: GPL-2.0-only
"""Whatever rules say and whatever is sent: nothing is raised, and every packet is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.sim.time import MILLISECOND
from emu.testing.checks import unaccounted
from emu.testing.doings import actions
from emu.testing.lab import Lab
from emu.testing.netfilter_strategies import EXTENSIONS, tables
from emu.testing.networks import networks
from emu.wire.frame import Frame
from tests.properties.netfilter_rules import nat_rules
from tests.properties.test_netfilter_connections import raw_packets
from tests.unit.kernel.netfilter.nat_gateway import Gateway

if TYPE_CHECKING:
    from emu.cluster.network.model import NetworkDocument
    from emu.kernel.netfilter.ruleset import Table

NAMES: Final = frozenset(EXTENSIONS) - {"set", "SET"}
"""Rules that name ipsets are not loaded where there are none."""


def rulesets(document: NetworkDocument) -> st.SearchStrategy[dict[str, list[Table]]]:
    """Draw tables for some of the namespaces."""
    names = st.sampled_from([spec.name for spec in document.namespaces])
    return st.dictionaries(
        names, st.lists(tables(names=NAMES, most=2), min_size=1, max_size=2), min_size=1, max_size=2
    )


@settings(max_examples=max(settings().max_examples // 10, 5))
@given(st.data())
def test_every_packet_through_any_rules_is_accounted_for(data: st.DataObject) -> None:
    """Each that is sent arrives or is dropped; each that arrives goes on, is taken, or is dropped.

    Caught, planted: a packet that a chain drops and that nobody counts.
    """
    document = data.draw(networks(fewest=3, most=4), "network")
    lab = Lab(document, budget=100_000)
    for name, found in data.draw(rulesets(document), "rules").items():
        for table in found:
            lab.net(name).netfilter.replace(table, {})
    steps = data.draw(actions(document, fewest=2, most=6), "actions")
    for step in steps:
        process = lab.begin(step.action)
        if not step.background:
            lab.wait(3 * MILLISECOND)
            lab.finish(process)
    lab.rest()
    assert unaccounted(lab) == []


@settings(max_examples=max(settings().max_examples // 10, 5))
@given(
    tables(names=NAMES, most=2),
    nat_rules(),
    st.lists(raw_packets(), min_size=1, max_size=12),
    st.booleans(),
)
def test_damaged_packets_meet_any_rules(
    table: Table,
    nat: tuple[str, ...],
    packets: list[tuple[str, bytes]],
    is_legacy: bool,  # noqa: FBT001 - drawn
) -> None:
    """Nothing is raised by headers that are cut short, wrong lengths, nonsense in options."""
    gateway = Gateway(*nat)
    gateway.net.netfilter.is_legacy = is_legacy
    gateway.net.netfilter.replace(table, {})
    for place, packet in packets:
        gateway.send(place, packet)
        gateway.net.receive(place, Frame(bytes(12) + b"\x08\0" + packet, 1), gateway.now)
        gateway.wait(7 * MILLISECOND)
