# SPDX-License-Identifier: GPL-2.0-only
"""What Kubernetes and each network provider promise, said apart from the code that does it.

    source seen by           own node     other node's    remote pod    local pod     outside
    ---------------------------------------------------------------------------------------
    pod, kubenet             pod          pod or node     pod           pod           pod or node
    pod, kindnet             pod          node            pod           pod           node
    pod, flannel             pod          node            pod           pod           node
    node, kubenet, kindnet   node         node            node          gateway       node
    node, flannel vxlan      node         node            flannel.1     gateway       node
    node, flannel host-gw    node         node            node          gateway       node

*pod or node* of kubenet: the pod within `nonMasqueradeCIDR`, else the node. A node's
*gateway* is the address that its pods have for their default route: it is the node's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.objects import Node
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from emu.testing.clusters import ClusterLab, Party

_PRIVATE: Final = "10.0.0.0/8"


class Sight(NamedTuple):
    """What the asked sees of the asker.

    Attributes:
        address: the source address.
        is_untouched: nobody rewrites anything on the way, so the port is the asker's own, too.
    """

    address: IpAddress
    is_untouched: bool


def pod_cidr(lab: ClusterLab, node: str) -> Prefix:
    """Return the pod CIDR of a node."""
    return Prefix.parse(lab.store.get(Node, node).spec.pod_cidr)


def in_cidr(prefix: Prefix, number: int) -> IpAddress:
    """Return an address of a range by its number."""
    return IpAddress.from_int(int(prefix.address) + number)


def is_near(lab: ClusterLab, node: str, other: str) -> bool:
    """Return whether the first devices of two nodes are in one subnet."""
    own = lab.machines[node].net.devices["eth0"].addresses[0]
    return lab.internal_ip(other) in own.prefix


def is_tunnelled(lab: ClusterLab, node: str, other: str) -> bool:
    """Return whether packets between the pods of two nodes go by VXLAN."""
    options = lab.topology.cluster.network.options
    if lab.provider != "flannel" or options.get("backend", "vxlan") != "vxlan":
        return False
    return not (options.get("directRouting", False) and is_near(lab, node, other))


def has_segments(lab: ClusterLab) -> bool:
    """Return whether pods of one node are on one segment, behind a bridge."""
    return lab.provider != "kindnet"


# --- sources ---


def sight(lab: ClusterLab, source: Party, target: Party) -> Sight:
    """Return what `target` sees of `source`, which asks it by its own address."""
    if source.role == "ext":
        return Sight(source.address, is_untouched=True)
    if source.role == "pod":
        return _sight_of_pod(lab, source, target)
    if target.role == "pod" and target.node == source.node:
        return Sight(in_cidr(pod_cidr(lab, source.node), 1), is_untouched=True)
    if target.role == "pod" and is_tunnelled(lab, source.node, target.node):
        return Sight(in_cidr(pod_cidr(lab, source.node), 0), is_untouched=True)
    return Sight(source.address, is_untouched=not _masquerades_node(lab, target))


def _masquerades_node(lab: ClusterLab, target: Party) -> bool:
    """Return whether a node's own packets to another machine are rewritten, to the address that they have."""
    if lab.provider == "flannel":
        return target.role == "pod"
    return target.role != "pod"


def _sight_of_pod(lab: ClusterLab, source: Party, target: Party) -> Sight:
    own = Sight(source.address, is_untouched=True)
    if target.role == "pod" or target.node == source.node:
        return own
    if lab.provider == "kubenet":
        options = lab.topology.cluster.network.options
        if target.address in Prefix.parse(options.get("nonMasqueradeCIDR", _PRIVATE)):
            return own
    return Sight(lab.internal_ip(source.node), is_untouched=False)


# --- routers ---


def routers(lab: ClusterLab, source: Party, target: Party) -> int:
    """Return how many routers a packet passes, each of which takes one from its TTL; tunnels count none."""
    if source.net == target.net:
        return 0
    if "ext" in (source.role, target.role):
        pods = (source.role == "pod") + (target.role == "pod")
        return 1 + pods
    if source.node == target.node:
        both = source.role == target.role == "pod"
        return int(both and not has_segments(lab))
    pods = (source.role == "pod") + (target.role == "pod")
    tunnelled = bool(pods) and _by_tunnel(lab, source, target)
    return pods + (not tunnelled and not is_near(lab, source.node, target.node))


def _by_tunnel(lab: ClusterLab, source: Party, target: Party) -> bool:
    return target.role == "pod" and is_tunnelled(lab, source.node, target.node)


# --- answers ---


def is_answered_from_elsewhere(source: Party, target: Party) -> bool:
    """Return whether a program that answers datagrams without saying as whom answers with another address.

    A node has several addresses: one that is asked by a pod of its own answers
    with the pods' gateway, and the asker, who is connected, does not hear it.
    So it is with Linux (udp(7), IP_PKTINFO); programs that matter bind each address.
    """
    return target.role == "node" and source.role == "pod" and source.node == target.node
