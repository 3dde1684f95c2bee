# SPDX-License-Identifier: GPL-2.0-only
"""Services hold what they promise on any cluster: disguise, exact shares, and who is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.testing.cluster_strategies import Traffic, plans, traffics
from emu.testing.clusters import ClusterLab
from emu.testing.service_invariants import check_shares
from emu.testing.talk import talk_to_services
from tests.properties.held import holding

if TYPE_CHECKING:
    from emu.testing.plans import Plan

MANY = settings(max_examples=max(settings().max_examples // 2, 10))


@MANY
@given(plans(most_services=3), st.lists(traffics(), min_size=2, max_size=4))
def test_a_client_sees_only_the_service(plan: Plan, questions: list[Traffic]) -> None:
    """Whoever answers, every frame at the client's device is between it and the address that it asked."""
    lab = ClusterLab(plan)
    with holding() as found:
        talk_to_services(found, lab, questions)
        found.checked["built"] += 1


@MANY
@given(plans(most_services=3), st.lists(st.integers(0, 9), max_size=2))
def test_every_ready_pod_is_chosen_with_one_nth(plan: Plan, unready: list[int]) -> None:
    """On all branches of chance, from pods and from outside, at every door of every Service on every node."""
    lab = ClusterLab(plan)
    for number in unready:
        gated = lab.gated
        if gated:
            lab.turn(gated[number % len(gated)], ready=False)
    with holding() as found:
        check_shares(found, lab)
        found.checked["built"] += 1
