# SPDX-License-Identifier: GPL-2.0-only
"""The Node objects of a cluster: from the input's Nodes, the `Cluster` document, or the defaults."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.topology.spec import NodeSpec
from emu.cluster.underlay.segments import NODE_NETWORK, common_segment, hosts
from emu.cluster.vpc import nodes as cloud
from emu.errors import DocumentError, Fault
from emu.kube.api.addresses import internal_address
from emu.kube.api.objects import Node
from emu.kube.api.objects.meta import Condition, Meta
from emu.kube.api.objects.node import NodeAddress, NodeInfo
from emu.kube.api.objects.node import NodeSpec as NodeObjectSpec
from emu.kube.api.objects.scheduling import Taint
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.cluster.topology import Topology
    from emu.wire.addresses import Prefix

CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
_EXCLUDED: Final = "node.kubernetes.io/exclude-from-external-load-balancers"
_HOSTNAME: Final = "kubernetes.io/hostname"
_ZONE: Final = "topology.kubernetes.io/zone"
_DEFAULT: Final = (
    NodeSpec("control-plane", "control-plane"),
    NodeSpec("worker-1"),
    NodeSpec("worker-2"),
)
_WITHOUT_NETWORK: Final = (
    "KubeletNotReady",
    (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        "message:Network plugin returns error: cni plugin not initialized"
    ),
)
_CAPACITY: Final = {"cpu": "4", "memory": "8Gi", "pods": "110"}


@attrs.frozen
class PlannedNode:
    """A node that is to be built.

    Attributes:
        node: its object.
        devices: the addresses of `eth0`, `eth1`, ...
        sysctls: the last word.
        entry: what the document says of it; None if it names no such node.
    """

    node: Node
    devices: tuple[tuple[Interface, ...], ...]
    sysctls: Mapping[str, str]
    entry: NodeSpec | None = None

    @property
    def internal(self) -> Interface:
        """The InternalIP, with its subnet."""
        return _internal_of(self.entry, self.devices)

    @property
    def is_control_plane(self) -> bool:
        """Whether the API server is there."""
        return CONTROL_PLANE in self.node.metadata.labels


def plan(topology: Topology) -> tuple[PlannedNode, ...]:
    """Return the nodes of a topology, control planes first: so they register.

    A Node object and an entry of the document with one name are one node, and
    what the entry says wins. Without either there are a control plane and two
    workers.

    Raises:
        DocumentError: there are more nodes than addresses for them.
    """
    objects = {each.metadata.name: each for each in topology.objects if isinstance(each, Node)}
    entries = {each.name: each for each in topology.cluster.nodes}
    if not objects and not entries:
        entries = {each.name: each for each in _DEFAULT}
    names = list(dict.fromkeys((*entries, *objects)))
    found = [(entries.get(name), objects.get(name)) for name in names]
    vpc = cloud.vpc_of(topology)
    addresses = _addresses(found) if vpc is None else cloud.devices_of(vpc, found)
    is_alone = len(names) == 1
    nodes = [
        PlannedNode(
            _complete(name, entry, given, addresses[name], topology, is_alone=is_alone),
            addresses[name],
            entry.sysctls if entry is not None else {},
            entry,
        )
        for name, (entry, given) in zip(names, found, strict=True)
    ]
    if vpc is not None:
        nodes = [
            attrs.evolve(each, node=node)
            for each, node in zip(
                nodes, cloud.in_cloud(vpc, [each.node for each in nodes], addresses), strict=True
            )
        ]
    return tuple(sorted(nodes, key=lambda each: not each.is_control_plane))


def segments(nodes: Sequence[PlannedNode]) -> tuple[Prefix, ...]:
    """Return the subnets of the nodes' first devices, each once."""
    return tuple(dict.fromkeys(node.devices[0][0].prefix for node in nodes))


def _addresses(
    found: Sequence[tuple[NodeSpec | None, Node | None]],
) -> dict[str, tuple[tuple[Interface, ...], ...]]:
    """Return the addresses of each node's devices: its own, or free ones beside the others'."""
    own: dict[str, tuple[tuple[Interface, ...], ...]] = {}
    bare: dict[str, IpAddress] = {}
    names: list[str] = []
    for entry, given in found:
        name = entry.name if entry is not None else given.metadata.name if given is not None else ""
        names.append(name)
        internal = internal_address(given) if given is not None else None
        if entry is not None and entry.addresses:
            own[name] = entry.addresses
        elif internal is not None:
            bare[name] = internal
    segment = common_segment(bare.values()) if bare else NODE_NETWORK
    if own and not bare:
        segment = next(iter(own.values()))[0][0].prefix
    for name, address in bare.items():
        own[name] = ((Interface(address, segment.length),),)
    taken = {each.address for devices in own.values() for device in devices for each in device}
    missing = [name for name in names if name not in own]
    free = (address for address in hosts(segment) if address not in taken)
    chosen = list(islice(free, len(missing)))
    if len(chosen) < len(missing):
        words = f"{segment} has no address left for {len(missing) - len(chosen)} of {len(names)} nodes"
        raise DocumentError([Fault("<cluster>", 1, "$.spec.nodes", words)])
    for name, address in zip(missing, chosen, strict=True):
        own[name] = ((Interface(address, segment.length),),)
    return own


def _internal_of(entry: NodeSpec | None, devices: tuple[tuple[Interface, ...], ...]) -> Interface:
    """Return the address that a kubelet says is its node's: the one it is told, else the first."""
    every = [each for device in devices for each in device]
    told = None if entry is None else entry.node_ip
    return next((each for each in every if each.address == told), every[0])


def _complete(
    name: str,
    entry: NodeSpec | None,
    given: Node | None,
    devices: tuple[tuple[Interface, ...], ...],
    topology: Topology,
    *,
    is_alone: bool,
) -> Node:
    """Return the whole object of a node."""
    node = given if given is not None else Node(Meta(name))
    is_control_plane = (
        entry.role == "control-plane" if entry is not None else CONTROL_PLANE in node.metadata.labels
    )
    labels = {_HOSTNAME: name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    labels |= {"beta.kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64"}
    labels |= node.metadata.labels
    if entry is not None:
        if is_control_plane:
            labels |= {CONTROL_PLANE: "", _EXCLUDED: ""}
        if entry.zone:
            labels[_ZONE] = entry.zone
        labels |= entry.labels
    internal = (NodeAddress("InternalIP", str(_internal_of(entry, devices).address)),)
    others = tuple(each for each in node.status.addresses if each.type not in {"InternalIP", "Hostname"})
    status = attrs.evolve(
        node.status,
        addresses=(*internal, *others, NodeAddress("Hostname", name)),
        conditions=node.status.conditions or (_not_ready(),),
        node_info=_info(node.status.node_info, topology.cluster.kubernetes),
        capacity=node.status.capacity or _CAPACITY,
        allocatable=node.status.allocatable or _CAPACITY,
    )
    return attrs.evolve(
        node,
        metadata=attrs.evolve(node.metadata, labels=labels),
        spec=_spec(node.spec, entry, has_taint=is_control_plane and not is_alone and given is None),
        status=status,
    )


def _spec(spec: NodeObjectSpec, entry: NodeSpec | None, *, has_taint: bool) -> NodeObjectSpec:
    taints = spec.taints
    if entry is not None and entry.taints is not None:
        taints = entry.taints
    elif has_taint and not taints:
        taints = (Taint(CONTROL_PLANE, "NoSchedule"),)
    spec = attrs.evolve(spec, taints=taints)
    if entry is not None and entry.pod_cidr is not None:
        cidr = str(entry.pod_cidr)
        return attrs.evolve(spec, pod_cidr=cidr, pod_cidrs=(cidr,))
    return spec


def _not_ready() -> Condition:
    return Condition("Ready", "False", *_WITHOUT_NETWORK)


def _info(info: NodeInfo | None, version: str) -> NodeInfo:
    """Return what a node says of itself, filled in where the input does not tell."""
    found = info if info is not None else NodeInfo()
    return attrs.evolve(
        found,
        os_image=found.os_image or "Debian GNU/Linux 12 (bookworm)",
        kernel_version=found.kernel_version or "6.18.0",
        container_runtime_version=found.container_runtime_version or "containerd://2.2.0",
        kubelet_version=found.kubelet_version or f"v{version}.0",
        operating_system=found.operating_system or "linux",
        architecture=found.architecture or "amd64",
    )


def with_readiness(node: Node, now: str, *, is_ready: bool) -> Node:
    """Return `node` as its kubelet reports it: Ready, or not for want of a network."""
    reason, message = ("KubeletReady", "kubelet is posting ready status") if is_ready else _WITHOUT_NETWORK
    condition = Condition("Ready", "True" if is_ready else "False", reason, message, now)
    known = next((each for each in node.status.conditions if each.type == "Ready"), condition)
    if known.status == condition.status:  # the time is that of the last change
        condition = attrs.evolve(condition, last_transition_time=known.last_transition_time or now)
    others = tuple(each for each in node.status.conditions if each.type != "Ready")
    return attrs.evolve(node, status=attrs.evolve(node.status, conditions=(*others, condition)))
