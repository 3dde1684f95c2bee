# SPDX-License-Identifier: GPL-2.0-only
"""What Kubernetes promises of who talks to whom, with what each provider adds (`promises`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.testing.promises import Sight, promise

if TYPE_CHECKING:
    from emu.testing.clusters import ClusterLab, Party


def sight(lab: ClusterLab, source: Party, target: Party) -> Sight:
    """Return what `target` sees of `source`, which asks it by its own address."""
    own = Sight(source.address, is_untouched=True)
    promised = promise(lab)
    if source.role == "ext":
        return own
    if source.role == "pod":
        is_own = target.role == "pod" or target.node == source.node
        return own if is_own else promised.pod_seen_by_machine(source, target)
    if target.role == "ext":
        return promised.node_seen_outside(source)
    if target.role != "pod":
        return Sight(source.address, is_untouched=not promised.rewrites_own)
    if target.node == source.node:
        return Sight(promised.gateway(source.node), is_untouched=True)
    return promised.node_seen_by_pod(source.node, target.node)


def routers(lab: ClusterLab, source: Party, target: Party) -> int:
    """Return how many routers a packet passes, each of which takes one from its TTL; tunnels count none."""
    if source.net == target.net:
        return 0
    is_pod = source.role == "pod"
    if "ext" in (source.role, target.role):
        return promise(lab).routers_outside() + is_pod + (target.role == "pod")
    if source.node == target.node:
        return int(is_pod and target.role == "pod" and not promise(lab).has_segments)
    if target.role == "pod":
        return promise(lab).routers_to_pod(source.node, target.node, is_pod=is_pod)
    return is_pod + promise(lab).routers_between(source.node, target.node)


def is_hidden(lab: ClusterLab, source: Party, target: Party) -> bool:
    """Return whether `target` is where `source`, a host outside, has no way to."""
    return source.role == "ext" and promise(lab).is_hidden(target)


def is_answered_from_elsewhere(source: Party, target: Party) -> bool:
    """Return whether a program that answers datagrams without saying as whom answers with another address.

    A node has several addresses: one that is asked by a pod of its own answers
    with the pods' gateway, and the asker, who is connected, does not hear it.
    So it is with Linux (udp(7), IP_PKTINFO); programs that matter bind each address.
    """
    return target.role == "node" and source.role == "pod" and source.node == target.node
