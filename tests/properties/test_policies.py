# SPDX-License-Identifier: GPL-2.0-only
"""What packets experience is what NetworkPolicies mean, on any cluster where somebody enforces them.

Each probe is asked with real packets, on every branch of chance; the oracle
(`emu.kube.policy.meaning`) knows the objects alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings

from emu.cluster.cluster import Cluster
from emu.testing.policies import check_probe
from emu.testing.policy_strategies import situations
from emu.verify.asker import Asker
from tests.properties.held import holding

if TYPE_CHECKING:
    from emu.testing.policy_strategies import Situation

MANY = settings(max_examples=settings().max_examples * 2)


@MANY
@given(situations())
def test_packets_experience_what_policies_mean(situation: Situation) -> None:
    """A probe arrives where policies let it, nowhere else, and is answered: direct and by Services."""
    cluster = Cluster(situation.plan.topology)
    asker = Asker(cluster)
    with holding() as found:
        for probe in situation.probes:
            check_probe(found, asker, cluster, probe)
