# SPDX-License-Identifier: GPL-2.0-only
"""Causes are concluded from facts: how the kernel's decisions are worded has no part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

import pytest

from emu.kernel.facts import Fact
from emu.verify.asker import Asker
from emu.verify.causes.objects import object_of
from tests.unit.verify.causes.lab import WEB, cause, cluster, policy, service

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster

CASES: Final = {
    "ipvs": ("svc/misspelt:80", "SVC_NO_ENDPOINTS", "Service default/misspelt"),
    "iptables": ("svc/web:80", "NETPOL_INGRESS", "NetworkPolicy default/deny"),
}


def made(mode: str) -> Cluster:
    """Return a cluster with a Service that leads nowhere, or with pods that a policy isolates."""
    guard = () if mode == "ipvs" else (policy("deny", "web", policyTypes=["Ingress"]),)
    return cluster(
        *WEB, service("web", "web"), service("misspelt", "wbe"), *guard, provider="kindnet", mode=mode
    )


def objects(shop: Cluster, target: str) -> list[str | None]:
    """Return whose doing each decision about the packets of a question was."""
    verdict = Asker(shop).judge("client", target)
    packets = [packet for outcome in verdict.outcomes for packet, _ in outcome.story.packets()]
    return [object_of(shop, one.step) for packet in packets for one in packet.line]


@pytest.mark.parametrize("mode", CASES)
def test_no_cause_depends_on_the_wording(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every fact told by the same word, code, object and each decision's object are what they were."""
    target, code, whose = CASES[mode]
    shop = made(mode)
    before = objects(shop, target)
    for kind in get_args(Fact):
        monkeypatch.setattr(kind, "__str__", lambda _: "decided")
    found = cause(shop, "client", target)
    assert (found.code, found.object) == (code, whose)
    assert objects(shop, target) == before
