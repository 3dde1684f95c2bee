# SPDX-License-Identifier: GPL-2.0-only
"""Policies that nobody enforces: somebody who does. Here what is wanted is that the packets do not pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from emu.cluster.cluster import Cluster
from emu.cluster.policies import enforcer, why_not_enforced
from emu.kube.api.objects import NetworkPolicy
from emu.verify.fixes.documents import document
from emu.verify.fixes.fix import Proposal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.emulation import Emulation
    from emu.cluster.topology import ClusterSpec
    from emu.verify.fixes.case import Case


def are_ignored(network: Emulation) -> bool:
    """Return whether there are NetworkPolicies, and nobody enforces them."""
    if not isinstance(network, Cluster):
        return False
    return bool(network.store.count(NetworkPolicy)) and enforcer(network.topology.cluster.network) is None


def enforce_policies(case: Case) -> Iterator[Proposal]:
    """Have an agent on each node enforce policies."""
    cluster = case.cluster
    if cluster is None:
        return
    network = cluster.topology.cluster.network
    old: dict[str, Any] = {"provider": network.provider}
    if network.policy != "provider":
        old["policy"] = network.policy
    new = {**old, "policy": "iptables"}
    words = (
        f"a NetworkPolicy denies this, but {why_not_enforced(network)}: have an agent enforce them, "
        "or take a network provider that does"
    )
    yield Proposal(words, (document(cluster, {"network": old}, {"network": new}, _with_agent),))


def _with_agent(spec: ClusterSpec) -> ClusterSpec:
    return attrs.evolve(spec, network=attrs.evolve(spec.network, policy="iptables"))
