# SPDX-License-Identifier: GPL-2.0-only
"""The ranges of addresses that a cluster has, and which of them overlap.

Routes know one owner of an address: where ranges overlap, part of one cannot be reached.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING

import attrs

from emu.cluster.topology.places import Subject
from emu.cluster.vpc.nodes import vpc_of
from emu.errors import AddressError
from emu.kube.api.objects import Node
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.topology import Topology

_CLUSTER = Subject("Cluster")
_FABRIC = Subject("Fabric")


@attrs.frozen
class Range:
    """Addresses that somebody hands out or has.

    Attributes:
        words: what they are for.
        prefix: which they are.
        subject: who says so.
        path: where in it.
    """

    words: str
    prefix: Prefix
    subject: Subject
    path: str

    def __str__(self) -> str:
        return f"{self.words} {self.prefix.address if self.prefix.is_host else self.prefix}"


@attrs.frozen
class Overlap:
    """Two ranges that have addresses in common."""

    one: Range
    other: Range

    def __str__(self) -> str:
        return f"{self.one} and {self.other} overlap"


def overlaps(topology: Topology, nodes: Sequence[PlannedNode]) -> list[Overlap]:
    """Return the ranges of a topology that overlap, each pair once; two single addresses are no ranges.

    Args:
        topology: what the input says.
        nodes: those that are made of it.
    """
    found: dict[tuple[str, Prefix], Range] = {}
    for each in ranges(topology, nodes):
        found.setdefault((each.words, each.prefix), each)
    wide = [each for each in found.values() if not each.prefix.is_host]
    hosts = [each for each in found.values() if each.prefix.is_host]
    pairs = (*combinations(wide, 2), *product(wide, hosts))
    return [Overlap(*pair) for pair in pairs if _meet(pair[0].prefix, pair[1].prefix)]


def ranges(topology: Topology, nodes: Sequence[PlannedNode]) -> Iterator[Range]:
    """Yield the ranges of pods and Services, of nodes' networks and of hosts outside."""
    spec, vpc = topology.cluster, vpc_of(topology)
    if vpc is None or vpc.pool is None:  # else pods have addresses of its subnets
        yield Range("the pods' range", spec.pod_cidr, _CLUSTER, "$.spec.podCIDR")
    cidrs = () if vpc is None else vpc.cidrs
    for index, cidr in enumerate(cidrs):
        path = "$.spec.vpc.cidr" + (f"[{index}]" if len(cidrs) > 1 else "")
        yield Range("the VPC's range", cidr, _FABRIC if topology.fabric.vpc is not None else _CLUSTER, path)
    yield Range("the Services' range", spec.service_cidr, _CLUSTER, "$.spec.serviceCIDR")
    said = {
        each.metadata.name
        for each in topology.objects
        if isinstance(each, Node) and each.addresses("InternalIP")
    }
    entries = {each.name: (index, each) for index, each in enumerate(spec.nodes)}
    for node in nodes:
        name = node.node.metadata.name
        index, entry = entries.get(name, (0, None))
        if vpc is not None:
            pass  # its network is part of the VPC
        elif entry is not None and entry.addresses:
            path = f"$.spec.nodes[{index}].addresses"
            for device in entry.addresses:
                for each in device:
                    yield Range("the nodes' network", each.prefix, _CLUSTER, path)
        elif name in said:
            address = node.devices[0][0].address
            words, subject = f"node {name}'s address", Subject("Node", "", name)
            yield Range(words, Prefix.of(address, address.bits), subject, "$.status.addresses")
        else:
            yield Range("the nodes' network", node.devices[0][0].prefix, _CLUSTER, "$.spec.nodes")
        own = _pod_cidr(node) if vpc is None or vpc.pool is None else None
        if own is not None and own.address not in spec.pod_cidr:
            subject = _CLUSTER if entry is not None and entry.pod_cidr else Subject("Node", "", name)
            path = f"$.spec.nodes[{index}].podCIDR" if subject is _CLUSTER else "$.spec.podCIDR"
            yield Range(f"node {name}'s pod range", own, subject, path)
    for index, host in enumerate(topology.fabric.external):
        single = Prefix.of(host.address, host.address.bits)
        yield Range(f"outside host {host.name}", single, Subject("Fabric"), f"$.spec.external[{index}].ip")


def _pod_cidr(node: PlannedNode) -> Prefix | None:
    try:
        return Prefix.parse(node.node.spec.pod_cidr)
    except AddressError:
        return None


def _meet(one: Prefix, other: Prefix) -> bool:
    return one.address in other or other.address in one
