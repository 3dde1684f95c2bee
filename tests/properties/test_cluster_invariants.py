# SPDX-License-Identifier: GPL-2.0-only
"""Kubernetes' model of a network holds on any cluster, with every provider.

Every pod reaches every pod without NAT; nodes reach pods, and pods nodes, as
each provider promises; TTL, checksums and ways are what they should be at every
tap; and nothing is lost without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.testing.cluster_strategies import Traffic, plans, traffics
from emu.testing.clusters import ClusterLab
from emu.testing.talk import talk
from emu.verify.endpoint import Protocol
from tests.properties.held import holding

if TYPE_CHECKING:
    from emu.testing.plans import Plan

MANY = settings(max_examples=settings().max_examples)
FEW = settings(max_examples=max(settings().max_examples // 10, 4))


@MANY
@given(plans(), st.lists(traffics(), min_size=2, max_size=5))
def test_whoever_talks_to_whom(plan: Plan, questions: list[Traffic]) -> None:
    """Addresses, ports, payload, TTL, way back: as the model and the provider promise, at every tap."""
    lab = ClusterLab(plan)
    with holding() as found:
        talk(found, lab, questions)


@FEW
@given(plans(most_nodes=3, most_workloads=2), st.sampled_from(list(Protocol)))
def test_everybody_talks_to_everybody(plan: Plan, protocol: Protocol) -> None:
    """No pair of pods, nodes and hosts outside is left out."""
    lab = ClusterLab(plan)
    count = len(lab.parties)
    everybody = [Traffic(one, other, protocol, 64) for one in range(count) for other in range(count)]
    with holding() as found:
        talk(found, lab, everybody)
    assert found.checked["answered"] == count * count
