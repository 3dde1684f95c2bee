# SPDX-License-Identifier: GPL-2.0-only
"""The `Fabric` document of `emu/v1` to a `FabricSpec`. Each key has a reader of its own in `fabric`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.topology.fabric.external import external
from emu.cluster.topology.fabric.filters import drop_filter
from emu.cluster.topology.fabric.links import link
from emu.cluster.topology.fabric.load_balancers import load_balancers
from emu.cluster.topology.fabric.routers import router
from emu.cluster.topology.fabric.spec import FabricSpec
from emu.cluster.topology.fabric.switches import switch
from emu.cluster.topology.fabric.vpc import vpc
from emu.document.fields import Fields

if TYPE_CHECKING:
    from emu.document.fields import Place


def read_fabric(place: Place) -> FabricSpec:
    """Return what a document says of the world around the nodes."""
    fields = Fields(place)
    for key in ("apiVersion", "kind", "metadata"):
        fields.ignore(key)
    return fields.done(fields.get("spec", _spec, FabricSpec()))


def _spec(place: Place) -> FabricSpec:
    fields = Fields(place)
    return fields.done(
        FabricSpec(
            fields.each("external", external),
            fields.each("links", link),
            fields.each("switches", switch),
            fields.each("routers", router),
            fields.each("filters", drop_filter),
            fields.get("vpc", vpc, None),
            fields.get("loadBalancers", load_balancers, ()),
        )
    )
