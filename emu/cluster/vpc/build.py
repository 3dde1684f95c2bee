# SPDX-License-Identifier: GPL-2.0-only
"""A VPC is built for the nodes of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.vpc.underlay import VpcUnderlay
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.vpc.spec import VpcSpec
    from emu.fabric.driver import Fabric


def build(fabric: Fabric, spec: VpcSpec, nodes: Sequence[PlannedNode]) -> VpcUnderlay:
    """Build a VPC, and say what of its documents leads to nothing.

    Args:
        fabric: where.
        spec: the VPC.
        nodes: who will be attached, in this order; their ExternalIP is their public address.
    """
    devices = {each.node.metadata.name: each.devices for each in nodes}
    public = {
        each.node.metadata.name: IpAddress.parse(text)
        for each in nodes
        for text in each.node.addresses("ExternalIP")
    }
    made = VpcUnderlay(fabric, spec, devices, public if spec.internet_gateway else {})
    made.warnings += _warnings(spec, list(devices))
    return made


def _warnings(spec: VpcSpec, nodes: Sequence[str]) -> list[str]:
    told: list[str] = []
    if spec.is_made:
        subnets = ", ".join(f"{each.name} {each.cidr}" for each in spec.subnets)
        told.append(
            f"no vpc in a Fabric document: one is made with the subnets {subnets} and the NAT gateway "
            f"{spec.nat_gateway.ip if spec.nat_gateway is not None else ''}"
        )
    told += [
        f"Fabric: $.spec.vpc.interfaces: there is no node {each.node}"
        for each in spec.interfaces
        if each.node not in nodes
    ]
    told += [
        f"Fabric: $.spec.vpc.routeTables: there is no node/{route.via}, where {table.name} leads {route.to}"
        for table in spec.route_tables
        for route in table.routes
        if isinstance(route.via, str) and route.via not in nodes
    ]
    return told
