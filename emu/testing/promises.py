# SPDX-License-Identifier: GPL-2.0-only
"""What each network provider promises, said apart from the code that does it.

    source seen by      own node    other node's    remote pod    local pod     outside
    --------------------------------------------------------------------------------------
    pod, kubenet        pod         pod or node     pod           pod           pod or node
    pod, all others     pod         node            pod           pod           node
    node                node        node            node          gateway       node
    node, flannel vxlan node        node            flannel.1     gateway       node
    node, calico        node        node            node, tunnel  node          node
    node, weave         node        node            gateway       gateway       node

*pod or node* of kubenet: the pod within `nonMasqueradeCIDR`, else the node. A node's
*gateway* is the address that its pods have for their default route: it is the node's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kube.api.objects import Node
from emu.testing.fabric_strategies import ROUTERS_BETWEEN_RACKS, ROUTERS_OUTSIDE
from emu.wire.addresses import IpAddress, Prefix

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.testing.clusters import Party

_PRIVATE: Final = "10.0.0.0/8"
_NAT_GATEWAY: Final = IpAddress.parse("203.0.113.9")


class Sight(NamedTuple):
    """What the asked sees of the asker.

    Attributes:
        address: the source address.
        is_untouched: nobody rewrites anything on the way, so the port is the asker's own, too.
    """

    address: IpAddress
    is_untouched: bool


def pod_cidr(lab: Cluster, node: str) -> Prefix:
    """Return the pod CIDR of a node."""
    return Prefix.parse(lab.store.get(Node, node).spec.pod_cidr)


def in_cidr(prefix: Prefix, number: int) -> IpAddress:
    """Return an address of a range by its number."""
    return IpAddress.from_int(int(prefix.address) + number)


def internal_ip(lab: Cluster, node: str) -> IpAddress:
    """Return the InternalIP of a node."""
    return IpAddress.parse(lab.store.get(Node, node).addresses("InternalIP")[0])


def is_near(lab: Cluster, node: str, other: str) -> bool:
    """Return whether the first devices of two nodes are in one subnet."""
    own = lab.machines[node].net.devices["eth0"].addresses[0]
    return internal_ip(lab, other) in own.prefix


def crossed(lab: Cluster, node: str, other: str) -> int:
    """Return how many routers of the underlay are between two nodes."""
    if is_near(lab, node, other):
        return 0
    return ROUTERS_BETWEEN_RACKS if lab.topology.fabric.routers else 1


class Promise:
    """What holds where nothing else is said: nodes route pods, and masquerade what leaves the pod network.

    Args:
        lab: the cluster.
    """

    has_segments = True
    """Pods of one node are on one segment, behind a bridge."""

    rewrites_own = True
    """Nodes rewrite their own packets to other machines, to the address that they have."""

    def __init__(self, lab: Cluster) -> None:
        self.lab = lab
        self.options = lab.topology.cluster.network.options

    def gateway(self, node: str) -> IpAddress:
        """Return the node's address among its pods."""
        return in_cidr(pod_cidr(self.lab, node), 1)

    def node_seen_by_pod(self, node: str, other: str) -> Sight:
        """Return what a pod on node `other` sees of `node`."""
        del other
        return Sight(internal_ip(self.lab, node), is_untouched=True)

    def pod_seen_by_machine(self, source: Party, target: Party) -> Sight:
        """Return what a node that is not its own, or a host outside, sees of a pod."""
        del target
        return Sight(internal_ip(self.lab, source.node), is_untouched=False)

    def routers_to_pod(self, node: str, other: str, *, is_pod: bool) -> int:
        """Return how many routers are between `node`, or a pod (`is_pod`) on it, and a pod on `other`."""
        return 1 + is_pod + crossed(self.lab, node, other)

    def is_hidden(self, target: Party) -> bool:
        """Return whether hosts outside have no way to it."""
        del target
        return False

    def node_seen_outside(self, source: Party) -> Sight:
        """Return what a host outside sees of a node."""
        return Sight(source.address, is_untouched=not self.rewrites_own)

    def routers_outside(self) -> int:
        """Return how many routers are between a node and a host outside."""
        return ROUTERS_OUTSIDE if self.lab.topology.fabric.routers else 1

    def routers_between(self, node: str, other: str) -> int:
        """Return how many routers are between two nodes."""
        return crossed(self.lab, node, other)


class Kindnet(Promise):
    """Each pod has a cable of its own to the node."""

    has_segments = False


class Kubenet(Promise):
    """What is private is not rewritten."""

    def pod_seen_by_machine(self, source: Party, target: Party) -> Sight:
        """Say that within `nonMasqueradeCIDR` the pod is seen."""
        if target.address in Prefix.parse(self.options.get("nonMasqueradeCIDR", _PRIVATE)):
            return Sight(source.address, is_untouched=True)
        return super().pod_seen_by_machine(source, target)


class Flannel(Promise):
    """A tunnel is no router, and nodes have an address in it."""

    rewrites_own = False

    def node_seen_by_pod(self, node: str, other: str) -> Sight:
        """Say that it is seen by its address in the tunnel."""
        if self._is_tunnelled(node, other):
            return Sight(in_cidr(pod_cidr(self.lab, node), 0), is_untouched=True)
        return Sight(internal_ip(self.lab, node), is_untouched=False)

    def routers_to_pod(self, node: str, other: str, *, is_pod: bool) -> int:
        """Say that what is between the nodes does not count in a tunnel."""
        if self._is_tunnelled(node, other):
            return 1 + is_pod
        return super().routers_to_pod(node, other, is_pod=is_pod)

    def _is_tunnelled(self, node: str, other: str) -> bool:
        if self.options.get("backend", "vxlan") != "vxlan":
            return False
        return not (self.options.get("directRouting", False) and is_near(self.lab, node, other))


class Calico(Promise):
    """Pods have cables of their own, nodes no address among them; a tunnel is no router, but has one."""

    has_segments = False
    rewrites_own = False

    def gateway(self, node: str) -> IpAddress:
        """Say that it is the node's own."""
        return internal_ip(self.lab, node)

    def node_seen_by_pod(self, node: str, other: str) -> Sight:
        """Say that it is seen by its address in the tunnel, if there is one between the two."""
        if not self._is_tunnelled(node, other):
            return super().node_seen_by_pod(node, other)
        devices = self.lab.machines[node].net.devices
        tunnel = devices.get("tunl0") or devices["vxlan.calico"]
        return Sight(tunnel.addresses[0].address, is_untouched=True)

    def routers_to_pod(self, node: str, other: str, *, is_pod: bool) -> int:
        """Say that what is between the nodes does not count in a tunnel."""
        if self._is_tunnelled(node, other):
            return 1 + is_pod
        return super().routers_to_pod(node, other, is_pod=is_pod)

    def _is_tunnelled(self, node: str, other: str) -> bool:
        vxlan = self.options.get("vxlanMode", "Never")
        mode = self.options.get("ipipMode", "Always" if vxlan == "Never" else "Never")
        used = vxlan if mode == "Never" else mode
        return used == "Always" or (used == "CrossSubnet" and not is_near(self.lab, node, other))


class Weave(Promise):
    """One segment for all: nobody routes between pods, and nodes are on it, too."""

    rewrites_own = False

    def gateway(self, node: str) -> IpAddress:
        """Say that it is the address of the bridge."""
        return self.lab.machines[node].net.devices["weave"].addresses[0].address

    def node_seen_by_pod(self, node: str, other: str) -> Sight:
        """Say that it is on the segment itself."""
        del other
        return Sight(self.gateway(node), is_untouched=True)

    def routers_to_pod(self, node: str, other: str, *, is_pod: bool) -> int:
        """Say that there are none."""
        del node, other, is_pod
        return 0


class Vpc(Promise):
    """The network knows pods' addresses, and nodes are private: a NAT gateway is seen in their place outside.

    The VPC's router and its internet gateway take nothing from the TTL.
    """

    has_segments = False
    rewrites_own = False

    def gateway(self, node: str) -> IpAddress:
        """Say that with aws the node has no address among its pods but its own."""
        if self.options.get("style") == "gke":
            return super().gateway(node)
        return internal_ip(self.lab, node)

    def pod_seen_by_machine(self, source: Party, target: Party) -> Sight:
        """Say that within the VPC it is the pod."""
        if target.role == "ext":
            return Sight(_NAT_GATEWAY, is_untouched=False)
        return Sight(source.address, is_untouched=True)

    def node_seen_outside(self, source: Party) -> Sight:
        """Say that it is the NAT gateway."""
        del source
        return Sight(_NAT_GATEWAY, is_untouched=False)

    def is_hidden(self, target: Party) -> bool:
        """Say that all is private."""
        return target.role != "ext"

    def routers_to_pod(self, node: str, other: str, *, is_pod: bool) -> int:
        """Say that only nodes count."""
        del node, other
        return 1 + is_pod

    def routers_outside(self) -> int:
        """Say that the NAT gateway counts."""
        return 2

    def routers_between(self, node: str, other: str) -> int:
        """Say that there is none to be seen."""
        del node, other
        return 0


_PROMISES: Final = {
    "kindnet": Kindnet,
    "kubenet": Kubenet,
    "flannel": Flannel,
    "calico": Calico,
    "weave": Weave,
    "vpc": Vpc,
}


def promise(lab: Cluster) -> Promise:
    """Return what the provider of a cluster promises."""
    return _PROMISES[lab.topology.cluster.network.provider](lab)
