# SPDX-License-Identifier: GPL-2.0-only
"""One seed gives one run of any cluster, and whoever works on it may do so twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.testing.cluster_strategies import Traffic, plans, traffics
from emu.testing.clusters import ClusterLab, recorded
from emu.testing.kernel_state import check_idempotence
from emu.testing.talk import talk, talk_to_services
from tests.properties.held import holding

if TYPE_CHECKING:
    from emu.testing.invariants import Findings
    from emu.testing.plans import Plan

SOME = settings(max_examples=max(settings().max_examples // 4, 10))


def run(plan: Plan, questions: list[Traffic], found: Findings) -> bytes:
    """Build a cluster, have them talk, and return what all taps saw."""
    lab = ClusterLab(plan, seed=plan.cluster.seed)

    def everything() -> None:
        talk(found, lab, questions)
        talk_to_services(found, lab, questions)

    return recorded(lab, everything)


@SOME
@given(plans(most_services=2), st.lists(traffics(), min_size=1, max_size=3))
def test_two_runs_write_the_same_octets(plan: Plan, questions: list[Traffic]) -> None:
    """Names, ports, sequence numbers, endpoints, times: all that is drawn follows from the seed."""
    with holding() as found:
        one, other = run(plan, questions, found), run(plan, questions, found)
        found.expect("same seed, same bytes", "two files differ", holds=one == other)
    assert len(one) > 1000


@SOME
@given(plans(most_services=3), st.lists(traffics(), max_size=2))
def test_doing_all_of_it_again_changes_nothing(plan: Plan, questions: list[Traffic]) -> None:
    """Manifests, the provider's daemons, kubelets, kube-proxies: what is right already stays as it is."""
    lab = ClusterLab(plan)
    with holding() as found:
        talk(found, lab, questions)
        talk_to_services(found, lab, questions)
        check_idempotence(found, lab)
