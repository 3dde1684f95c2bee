# SPDX-License-Identifier: GPL-2.0-only
"""What a VPC and the nodes of a cluster say of each other and does not fit, with its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.topology.places import Places, Subject
from emu.cluster.vpc.nodes import devices_of, vpc_of
from emu.errors import DocumentError, Fault, did_you_mean
from emu.kube.api.objects import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from emu.cluster.topology.load import Topology
    from emu.cluster.vpc.spec import VpcSpec
    from emu.document import Document

_DEFAULTS = ("control-plane", "worker-1", "worker-2")
"""The nodes that there are where nobody names any."""


def faults_of(topology: Topology, documents: Sequence[Document]) -> list[Fault]:
    """Return what does not fit; none of a cluster in no VPC.

    Args:
        topology: the whole of it.
        documents: what it was read from.
    """
    spec = vpc_of(topology)
    if spec is None:
        return []
    places = Places(documents)
    return [*_misplaced(topology, spec, places), *_strangers(topology, spec)]


def _misplaced(topology: Topology, spec: VpcSpec, places: Places) -> Iterator[Fault]:
    """Yield the nodes that have no place in the VPC."""
    objects = {each.metadata.name: each for each in topology.objects if isinstance(each, Node)}
    entries = {each.name: each for each in topology.cluster.nodes}
    names = list(dict.fromkeys((*entries, *objects)))
    try:
        devices_of(spec, [(entries.get(name), objects.get(name)) for name in names])
    except DocumentError as error:
        for fault in error.faults:
            number = int(fault.path.partition("[")[2].partition("]")[0])
            name = names[number]
            if name in entries:
                subject, path = Subject("Cluster"), f"$.spec.nodes[{list(entries).index(name)}]"
            else:
                subject, path = Subject("Node", "", name), "$.status.addresses"
            spot = places.find(subject, path) if places.has(subject) else None
            yield fault if spot is None else Fault(spot.file, spot.line, spot.path, fault.message)


def _strangers(topology: Topology, spec: VpcSpec) -> Iterator[Fault]:
    """Yield the names of nodes that there are not."""
    objects = [each.metadata.name for each in topology.objects if isinstance(each, Node)]
    names = list(dict.fromkeys((*(each.name for each in topology.cluster.nodes), *objects))) or [*_DEFAULTS]
    named = [(f"interfaces[{index}].node", each.node) for index, each in enumerate(spec.interfaces)]
    named += [
        (f"routeTables[{number}].routes[{index}].via", route.via)
        for number, table in enumerate(spec.route_tables)
        for index, route in enumerate(table.routes)
        if isinstance(route.via, str)
    ]
    for way, name in named:
        if name not in names:
            file, _, line = spec.places.get(way, "<cluster>:1").rpartition(":")
            there = ", ".join(names)
            message = f"there is no node {name} (there are {there}){did_you_mean(name, names)}"
            yield Fault(file, int(line), f"$.spec.vpc.{way}", message)
