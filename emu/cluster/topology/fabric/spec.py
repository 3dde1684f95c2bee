# SPDX-License-Identifier: GPL-2.0-only
"""What `Fabric` documents say together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.topology.fabric.external import ExternalSpec
    from emu.cluster.topology.fabric.filters import FilterSpec
    from emu.cluster.topology.fabric.links import LinkSpec
    from emu.cluster.topology.fabric.load_balancers import LoadBalancerSpec
    from emu.cluster.topology.fabric.routers import RouterSpec
    from emu.cluster.topology.fabric.switches import SwitchSpec
    from emu.cluster.topology.fabric.vpc import VpcSpec


@attrs.frozen
class FabricSpec:
    """What is around the nodes: a field for each key of the document, all in its order.

    Attributes:
        external: hosts outside.
        links: cables, between machines that they name.
        switches: those that are named; what links alone name is one, too.
        routers: what forwards between subnets.
        filters: what drops frames on their way.
        vpc: a cloud's network; None for switches and routers.
        load_balancers: what stands in front of Services.
    """

    external: tuple[ExternalSpec, ...] = ()
    links: tuple[LinkSpec, ...] = ()
    switches: tuple[SwitchSpec, ...] = ()
    routers: tuple[RouterSpec, ...] = ()
    filters: tuple[FilterSpec, ...] = ()
    vpc: VpcSpec | None = None
    load_balancers: tuple[LoadBalancerSpec, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether nothing is said of what is between the machines: they get one switch and one router."""
        return self.vpc is None and not (self.links or self.switches or self.routers or self.filters)


def joined(specs: Iterable[FabricSpec]) -> FabricSpec:
    """Return what several documents say together: lists one after the other, of the vpc the last one."""
    found = FabricSpec()
    for each in specs:
        found = FabricSpec(
            (*found.external, *each.external),
            (*found.links, *each.links),
            (*found.switches, *each.switches),
            (*found.routers, *each.routers),
            (*found.filters, *each.filters),
            each.vpc or found.vpc,
            (*found.load_balancers, *each.load_balancers),
        )
    return found
