# SPDX-License-Identifier: GPL-2.0-only
"""Two peers in a list that look like one: either of them is enough, where both may have been meant.

from:                                     from:
- namespaceSelector: {...}                - namespaceSelector: {...}
- podSelector: {...}        one OR other    podSelector: {...}          one AND other
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import attrs

from emu.verify.lint.facts import number, pods
from emu.verify.lint.finding import Complaint, subject_of
from emu.verify.lint.policies import rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.kube.api.objects.network import PolicyPeer
    from emu.verify.lint.facts import Facts


def or_and(facts: Facts) -> Iterator[Complaint]:
    """Find a namespaceSelector and a podSelector in two neighbouring peers of one list."""
    for policy in facts.policies:
        namespace = policy.metadata.namespace
        for rule in rules_of(policy):
            for index, pair in _pairs(rule.peers):
                of_namespaces, of_pods = (facts.of_peer(namespace, peer) for peer in sorted(pair, key=_kind))
                either = {id(body): body for body in (*of_namespaces, *of_pods)}
                together = facts.of_peer(namespace, _joined(*pair))
                if {*map(id, together)} == either.keys():
                    continue
                way = "from" if rule.is_ingress else "to"
                yield Complaint(
                    subject_of(policy),
                    f"{rule.peers_path}[{index}]",
                    f"allows traffic {way} {pods(number(either.values()))}: every pod of the namespaces "
                    f"({number(of_namespaces)}), or of {namespace} with the labels ({number(of_pods)}); "
                    f"as one peer the two selectors would mean {pods(number(together))}",
                    "if both are to hold, take away the dash before the second selector",
                )


def _pairs(peers: Sequence[PolicyPeer]) -> Iterator[tuple[int, tuple[PolicyPeer, PolicyPeer]]]:
    """Yield neighbours of which one has a namespaceSelector alone, and the other a podSelector alone."""
    for index, pair in enumerate(pairwise(peers)):
        if {_kind(peer) for peer in pair} == {"namespace", "pod"}:
            yield index, pair


def _kind(peer: PolicyPeer) -> str:
    if peer.ip_block is not None or (peer.namespace_selector is None) == (peer.pod_selector is None):
        return "other"
    return "pod" if peer.namespace_selector is None else "namespace"


def _joined(one: PolicyPeer, other: PolicyPeer) -> PolicyPeer:
    """Return one peer with the selectors of both."""
    return attrs.evolve(
        one,
        namespace_selector=one.namespace_selector or other.namespace_selector,
        pod_selector=one.pod_selector or other.pod_selector,
    )
