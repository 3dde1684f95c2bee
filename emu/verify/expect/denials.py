# SPDX-License-Identifier: GPL-2.0-only
"""Whether NetworkPolicies are what denies a flow, found out on copies of the cluster.

    without    the same cluster, its NetworkPolicies deleted: what is denied there is
               denied by something else, and no test of the policies
    enforced   the same cluster with an agent that enforces policies: what is denied
               there and not here shows policies that nobody enforces

A copy is made when it is first needed, and asked with packets like the cluster itself.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.cluster import Cluster
from emu.kube.api.objects import NetworkPolicy
from emu.verify.asker import Asker
from emu.verify.causes.codes import NETPOL_EGRESS, NETPOL_INGRESS
from emu.verify.fetching import Fetcher

if TYPE_CHECKING:
    from emu.verify.expect.finding import Pair
    from emu.verify.fetching import Fetched
    from emu.verify.verdict import Verdict

POLICY_CODES: Final = frozenset((NETPOL_INGRESS, NETPOL_EGRESS))
"""The reasons by which a NetworkPolicy ends a packet."""


class Denials:
    """Answers on copies of a cluster.

    Args:
        cluster: it is left as it is.
        namespace: of names without one.
    """

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    @property
    def are_enforced(self) -> bool:
        """Whether somebody enforces policies, or there are none."""
        return self._cluster.control_plane.policies is not None or not self._cluster.store.count(
            NetworkPolicy
        )

    def without_policies(self, pair: Pair) -> Verdict:
        """Return the answer on the copy without policies."""
        return self._without.judge(pair.source, pair.target, namespace=self._namespace)

    def page_without_policies(self, pair: Pair) -> Fetched:
        """Return what comes of the URL on the copy without policies."""
        cluster = self._without.network
        assert isinstance(cluster, Cluster), "it is a copy of one"
        return Fetcher(cluster).fetch(pair.source, pair.target, namespace=self._namespace)

    def if_enforced(self, pair: Pair) -> Verdict:
        """Return the answer on the copy whose policies are enforced."""
        return self._enforced.judge(pair.source, pair.target, namespace=self._namespace)

    @cached_property
    def _without(self) -> Asker:
        made = self._cluster.again_as(self._cluster.topology)
        for each in made.store.list(NetworkPolicy):
            made.writer.delete(each)
        made.settle_down()
        return Asker(made)

    @cached_property
    def _enforced(self) -> Asker:
        topology = self._cluster.topology
        network = attrs.evolve(topology.cluster.network, policy="iptables")
        spec = attrs.evolve(topology.cluster, network=network)
        return Asker(self._cluster.again_as(attrs.evolve(topology, cluster=spec)))


def policy_code(verdict: Verdict) -> str:
    """Return the reason of an outcome that a NetworkPolicy ended; empty if none did."""
    codes = (one.cause.code for one in verdict.outcomes if one.cause is not None)
    return next((code for code in codes if code in POLICY_CODES), "")
