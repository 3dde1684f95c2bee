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
    """Build a VPC, and say so if nobody has described it.

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
    made.warnings += _warnings(spec)
    return made


def _warnings(spec: VpcSpec) -> list[str]:
    told: list[str] = []
    if spec.is_made:
        subnets = ", ".join(f"{each.name} {each.cidr}" for each in spec.subnets)
        told.append(
            f"no vpc in a Fabric document: one is made with the subnets {subnets} and the NAT gateway "
            f"{spec.nat_gateway.ip if spec.nat_gateway is not None else ''}"
        )
    return told
