# SPDX-License-Identifier: GPL-2.0-only
"""What packets experience is what NetworkPolicies mean, on any cluster where somebody enforces them.

Each probe is asked with real packets, on every branch of chance; the oracle
(`emu.kube.policy.meaning`) knows the objects alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.cluster.cluster import Cluster
from emu.testing.policies import check_probes
from emu.testing.policy_strategies import situations
from tests.properties.held import holding
from tests.properties.policed import LASTING, check_lasting, check_names

if TYPE_CHECKING:
    from random import Random

    from emu.testing.policy_strategies import Situation

MANY = settings(max_examples=settings().max_examples * 3 // 4)
SOME = settings(max_examples=settings().max_examples // 5)
FEW = settings(max_examples=settings().max_examples // 6)


@MANY
@given(situations())
def test_packets_experience_what_policies_mean(situation: Situation) -> None:
    """A probe arrives where policies let it, nowhere else, and is answered: direct and by Services."""
    with holding() as found:
        check_probes(found, Cluster(situation.plan.topology), situation.probes)


@FEW
@given(situations(), st.randoms(use_true_random=False))
def test_neither_the_order_of_documents_nor_names_change_a_verdict(
    situation: Situation, random: Random
) -> None:
    """Policies, namespaces and Services come in any order; they and pods are called anything."""
    with holding(2) as found:
        check_names(found, situation, random)


@SOME
@given(st.sampled_from(LASTING).flatmap(lambda how: situations(settings=how)))
def test_a_connection_outlives_a_policy_that_comes_later_if_the_cluster_says_so(situation: Situation) -> None:
    """With `keep` it does, with `recheck` if the policy allows it; who comes later is judged by it."""
    with holding() as found:
        check_lasting(found, situation)
