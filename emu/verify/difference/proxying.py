# SPDX-License-Identifier: GPL-2.0-only
"""What only kube-proxy's settings decide: asked where two clusters differ in them.

Nodes ask for node ports at loopback addresses, and at addresses of nodes that
are not the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kube.api.objects import Node, Service
from emu.verify.questions import Flow, Member, Party, Port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.cluster.cluster import Cluster

_LOOPBACK: Final = "127.0.0.1"


def flows(cluster: Cluster) -> Iterator[Flow]:
    """Yield the flows of a cluster that differ by the settings of its kube-proxy alone."""
    names = sorted(each.metadata.name for each in cluster.store.each(Node))
    nodes = Party("node/*", "node/*", tuple([Member(f"node/{name}", f"node/{name}") for name in names]))
    loopback = Party(_LOOPBACK, _LOOPBACK, (Member(_LOOPBACK, _LOOPBACK),))
    others = [Party(each, each, (Member(each, each),)) for each in _other_addresses(cluster, names)]
    for port in _node_ports(cluster):
        for target in (loopback, *others):
            yield Flow(nodes, target, port)


def _node_ports(cluster: Cluster) -> list[Port]:
    found = {
        Port(port.node_port, port.protocol)
        for service in cluster.store.each(Service)
        for port in service.spec.ports
        if port.node_port
    }
    return sorted(found)


def _other_addresses(cluster: Cluster, names: list[str]) -> Iterator[str]:
    """Yield the addresses of nodes' cards, but for the first of each node."""
    for name in names:
        first = cluster.store.get(Node, name).addresses("InternalIP")[:1]
        for device in cluster.machines[name].net.devices.values():
            for own in device.addresses if device.name.startswith("eth") else ():
                if str(own.address) not in first:
                    yield str(own.address)
