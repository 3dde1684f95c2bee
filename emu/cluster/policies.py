# SPDX-License-Identifier: GPL-2.0-only
"""Who enforces the NetworkPolicies of a cluster, or the warning that nobody does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.api.objects import NetworkPolicy
from emu.kube.policy.agents import Agents
from emu.kube.policy.enforcer import absence, enforcer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cluster.topology.spec import ClusterSpec, NetworkSpec
    from emu.kube.api.store import Change, Store
    from emu.kube.policy.enforcer import Enforcer


def enforcer(network: NetworkSpec) -> Enforcer | None:
    """Return who enforces NetworkPolicies; None if nobody does."""
    return enforcer_of(network.provider, network.policy)


def why_not_enforced(network: NetworkSpec) -> str:
    """Return in words why nobody enforces NetworkPolicies."""
    return absence(network.provider, network.policy)


def start(store: Store, spec: ClusterSpec, warn: Callable[[str], None]) -> Agents | None:
    """Return the agents that enforce policies; None where nobody does, and the first policy is warned of.

    Args:
        store: where policies come in.
        spec: of the cluster.
        warn: is told what is not enforced.
    """
    found = enforcer(spec.network)
    words = f"NETPOL_NOT_ENFORCED: NetworkPolicies have no effect: {why_not_enforced(spec.network)}"
    if found is not None:
        words = _of_ipvs(found) if spec.proxy.mode == "ipvs" else ""

    def hear(change: Change) -> None:
        if change.new is not None:
            warn(words)

    if words:
        store.watch(NetworkPolicy, hear)
    return None if found is None else Agents(store, found, spec.policies)


def _of_ipvs(found: Enforcer) -> str:
    """Return what policies do not see of packets that IPVS takes: they come by INPUT and OUTPUT."""
    inside = "" if found.routed == "POSTROUTING" else ", and not at all for a pod of the same node"
    return (
        "NetworkPolicies and mode ipvs: what a pod sends to a Service is judged on its node by the Service's "
        f"address{inside}; how agents get around that is not modelled"
    )
