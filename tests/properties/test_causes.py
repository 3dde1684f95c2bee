# SPDX-License-Identifier: GPL-2.0-only
"""Whatever fails on any cluster, its cause is a code with an object that there is and a packet that ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from emu.kube.api.objects import KINDS
from emu.testing.clusters import ClusterLab
from emu.testing.policy_strategies import policed_plans, probes
from emu.verify.asker import Asker
from emu.verify.causes.codes import CODES, NETPOL_EGRESS, NETPOL_INGRESS

if TYPE_CHECKING:
    from emu.testing.plans import Plan
    from emu.verify.causes.cause import Cause

_REFUSALS: Final = {NETPOL_INGRESS: "spec.ingress", NETPOL_EGRESS: "spec.egress"}
MANY = settings(max_examples=max(settings().max_examples // 4, 10))


@MANY
@given(policed_plans(), st.data())
def test_a_cause_names_what_there_is(plan: Plan, data: st.DataObject) -> None:
    """Object, node and rule are found in the cluster, and a refusal is a field of a policy."""
    lab = ClusterLab(plan)
    asker = Asker(lab)
    for _ in range(4):
        probe = data.draw(probes(plan))
        verdict = asker.judge(probe.source, probe.question)
        for outcome in verdict.outcomes:
            if outcome.cause is not None:
                _check(lab, outcome.cause)


def _check(lab: ClusterLab, cause: Cause) -> None:
    assert cause.code in CODES
    assert cause.words
    assert cause.net in lab.fabric.namespaces
    kind, _, name = cause.object.partition(" ")
    if kind in KINDS:
        namespace, _, own = name.rpartition("/")
        assert lab.store.find(KINDS[kind], own, namespace) is not None
    if cause.code in _REFUSALS:
        assert kind == "NetworkPolicy"
        assert cause.field.startswith(_REFUSALS[cause.code])
        assert "isolated for" in cause.rule
