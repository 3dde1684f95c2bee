# SPDX-License-Identifier: GPL-2.0-only
"""Which addresses load balancers cannot give away: those that are somebody's, and those that no host has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.underlay.segments import NODE_NETWORK
from emu.errors import Fault
from emu.kube.api.objects import Node
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from emu.cluster.topology.fabric.spec import FabricSpec
    from emu.cluster.topology.spec import ClusterSpec
    from emu.kube.api.objects import Object
    from emu.kube.loadbalancers.settings import AddressRange

_OF_NO_HOST: Final = {
    Prefix.parse("0.0.0.0/8"): "addresses of no host",
    Prefix.parse("127.0.0.0/8"): "loopback addresses",
    Prefix.parse("169.254.0.0/16"): "link-local addresses",
    Prefix.parse("224.0.0.0/4"): "multicast addresses",
    Prefix.parse("240.0.0.0/4"): "reserved addresses",
}
"""Source: RFC 6890, RFC 1112."""


def complaint(pool: AddressRange) -> str | None:
    """Return why nobody can give some addresses away, None if somebody could."""
    for prefix, words in _OF_NO_HOST.items():
        if pool.meets(prefix):
            return f"{pool} overlaps with {prefix}: {words}"
    return None


def faults_of(cluster: ClusterSpec, fabric: FabricSpec, objects: Iterable[Object]) -> list[Fault]:
    """Return the pools that have addresses of nodes, pods or Services; none in a cloud: it has no balancers.

    Addresses of the nodes' subnets are usual for balancers of kind `l2`.
    """
    if fabric.vpc is not None or cluster.network.provider == "vpc":
        return []
    ranges = [(cluster.pod_cidr, "the pods' range"), (cluster.service_cidr, "the Services' range")]
    nodes = [(each, "the nodes' network") for each in dict.fromkeys(_subnets(cluster, objects))]
    return [
        Fault(each.file or "<fabric>", each.line or 1, "$", f"{pool} overlaps with {words} {prefix}")
        for each in fabric.load_balancers
        for prefix, words in (*ranges, *(() if each.kind == "l2" else nodes))
        for pool in each.pool
        if pool.meets(prefix)
    ]


def _subnets(cluster: ClusterSpec, objects: Iterable[Object]) -> Iterator[Prefix]:
    """Yield the subnets of the nodes, as far as they are said; without any it is the usual one."""
    said = [each.prefix for node in cluster.nodes for device in node.addresses for each in device]
    if not said and not any(isinstance(each, Node) for each in objects):
        yield NODE_NETWORK
    yield from said
