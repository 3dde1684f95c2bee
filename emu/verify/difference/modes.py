# SPDX-License-Identifier: GPL-2.0-only
"""What modes of kube-proxy answer otherwise though no Service serves it: asked where the mode differs.

Pods ping ClusterIPs, ask them for a port that no Service has, and ask an address
of the service range that no Service has. As each node's kube-proxy decides, one
pod of a workload asks for all of it that are on its node.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

import attrs

from emu.kube.api.objects import Pod, Service
from emu.verify.questions import Flow, Member, Party, Port, workloads
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.cluster import Cluster

_FIRST: Final = 81  # a port that no Service has is near one that many have
ALL: Final = "svc/*"
"""What all Services together are called: which of them is asked does not matter then."""

_PING: Final = Port(0, "ICMP")


def flows(cluster: Cluster, both: Sequence[Cluster]) -> Iterator[Flow]:
    """Yield the flows of a cluster that differ by the mode of kube-proxy alone.

    Args:
        cluster: who of them asks.
        both: the clusters that are compared: what is not served is so in both.
    """
    services = [each for one in both for each in one.store.each(Service)]
    taken = {port.port for each in services for port in each.spec.ports}
    closed = Port(next(number for number in count(_FIRST) if number not in taken), "TCP")
    asked = list(_cluster_ips(cluster))
    unused = _unused(cluster, {address for each in services for address in _addresses(each)})
    for workload in workloads(cluster.store):
        asking = _one_on_each_node(cluster, workload.party)
        if asked:
            everything = Party(ALL, ALL, tuple(asked))
            yield Flow(asking, everything, _PING)
            yield Flow(asking, everything, closed)
        if unused:
            yield Flow(asking, Party(unused, unused, (Member(unused, unused),)), closed)


def _one_on_each_node(cluster: Cluster, party: Party) -> Party:
    """Return the first pod of a workload on each node, called like all of them."""
    found: dict[str, Member] = {}
    for member in party.members:
        namespace, _, name = member.shown.partition("/")
        found.setdefault(cluster.store.get(Pod, name, namespace).spec.node_name, member)
    return attrs.evolve(party, members=tuple(found.values()))


def _cluster_ips(cluster: Cluster) -> Iterator[Member]:
    for each in sorted(
        cluster.store.each(Service), key=lambda one: (one.metadata.namespace, one.metadata.name)
    ):
        if each.spec.cluster_ip and not each.is_headless and ":" not in each.spec.cluster_ip:
            name = f"svc/{each.metadata.namespace}/{each.metadata.name}"
            yield Member(name, name)


def _addresses(service: Service) -> tuple[str, ...]:
    return (service.spec.cluster_ip, *service.spec.cluster_ips, *service.spec.external_ips)


def _unused(cluster: Cluster, taken: set[str]) -> str:
    """Return the last address of the service range that is nobody's, nothing if all are somebody's."""
    within = cluster.topology.cluster.service_cidr
    first, free_bits = int(within.address), within.address.bits - within.length
    for number in range(first + (1 << free_bits) - 2, first, -1):
        address = str(IpAddress(number.to_bytes(len(within.address), "big")))
        if address not in taken:
            return address
    return ""
