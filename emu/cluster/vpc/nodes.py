# SPDX-License-Identifier: GPL-2.0-only
"""The nodes of a cluster in a VPC: which VPC that is, and which addresses they have there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.underlay.segments import common_segment
from emu.cluster.vpc.layout import Wish, node_addresses, public_addresses
from emu.cluster.vpc.shape import made
from emu.cluster.vpc.spec import Pool
from emu.kube.api.addresses import internal_address
from emu.kube.api.objects.node import NodeAddress
from emu.kube.providers import PROVIDERS
from emu.kube.providers.vpc import Vpc
from emu.wire.addresses import Interface, IpAddress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.cluster.topology.load import Topology
    from emu.cluster.topology.spec import NodeSpec
    from emu.cluster.vpc.layout import Devices
    from emu.cluster.vpc.spec import VpcSpec
    from emu.kube.api.objects import Node

Named = tuple["NodeSpec | None", "Node | None"]
"""What the document and an object say of one node."""

_ZONE: Final = "topology.kubernetes.io/zone"


def vpc_of(topology: Topology) -> VpcSpec | None:
    """Return the VPC that a cluster is in, as its network provider uses it; None if it is in none.

    The provider `vpc` makes one where no `Fabric` document describes any, around
    the addresses that nodes name.
    """
    network = topology.cluster.network
    provider = PROVIDERS[network.provider](network.options)
    spec = topology.fabric.vpc
    if not isinstance(provider, Vpc):
        return spec
    if spec is None:
        nodes = topology.cluster.nodes
        segments = [each.prefix for node in nodes for device in node.addresses for each in device]
        bare = [address for each in _objects(topology) if (address := internal_address(each)) is not None]
        if bare and not segments:
            segments = [common_segment(bare)]
        spec = made(segments)
    if provider.style == "gke":
        return attrs.evolve(spec, has_alias_ranges=True, has_host_masks=True)
    return attrs.evolve(spec, pool=Pool(provider.interfaces, provider.addresses))


def devices_of(spec: VpcSpec, found: Sequence[Named]) -> dict[str, Devices]:
    """Return the addresses of each node's devices.

    Raises:
        DocumentError: an address is in no subnet, there is no such subnet, or none has an address left.
    """
    return node_addresses(spec, [_wish(*each) for each in found])


def _wish(entry: NodeSpec | None, given: Node | None) -> Wish:
    name = entry.name if entry is not None else given.metadata.name if given is not None else ""
    devices = entry.addresses if entry is not None else ()
    internal = internal_address(given) if given is not None else None
    if not devices and internal is not None:
        devices = ((Interface(internal, internal.bits),),)
    labels = given.metadata.labels if given is not None else {}
    if entry is None:
        return Wish(name, devices, zone=labels.get(_ZONE, ""))
    return Wish(name, devices, entry.subnet, entry.zone or labels.get(_ZONE, ""))


def in_cloud(spec: VpcSpec, nodes: Sequence[Node], devices: Mapping[str, Devices]) -> list[Node]:
    """Return nodes as a cloud's controller labels them: their zone, and their ExternalIP."""
    given = {
        node.metadata.name: IpAddress.parse(text) for node in nodes for text in node.addresses("ExternalIP")
    }
    public = public_addresses(spec, devices, given)
    found = []
    for node in nodes:
        name = node.metadata.name
        subnet = spec.subnet_of(devices[name][0][0].address)
        labels = dict(node.metadata.labels)
        if subnet is not None and subnet.zone:
            labels.setdefault(_ZONE, subnet.zone)
        others = tuple(each for each in node.status.addresses if each.type != "ExternalIP")
        own = (NodeAddress("ExternalIP", str(public[name])),) if name in public else ()
        found.append(
            attrs.evolve(
                node,
                metadata=attrs.evolve(node.metadata, labels=labels),
                status=attrs.evolve(node.status, addresses=(*others[:1], *own, *others[1:])),
            )
        )
    return found


def _objects(topology: Topology) -> list[Node]:
    from emu.kube.api.objects import Node  # noqa: PLC0415 - most clusters do not ask

    return [each for each in topology.objects if isinstance(each, Node)]
