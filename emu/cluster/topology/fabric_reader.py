# SPDX-License-Identifier: GPL-2.0-only
"""The `Fabric` document of `emu/v1` to a `FabricSpec`: hosts outside the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.topology import values
from emu.cluster.topology.spec import ExternalSpec, FabricSpec
from emu.document.fields import Fields, elements

if TYPE_CHECKING:
    from emu.document.fields import Place

_NOT_YET: Final = ("links", "filters", "vpc", "loadBalancers")


def read_fabric(place: Place) -> FabricSpec:
    """Return what a document says of the world around the nodes."""
    fields = Fields(place)
    for key in ("apiVersion", "kind", "metadata"):
        fields.ignore(key)
    return fields.done(fields.get("spec", _spec, FabricSpec()))


def _spec(place: Place) -> FabricSpec:
    fields = Fields(place)
    for key in _NOT_YET:
        if fields.has(key):
            fields.place.at(key).fault("is not modelled yet: of a Fabric, external hosts are")
        fields.ignore(key)
    return fields.done(FabricSpec(fields.each("external", _external)))


def _external(place: Place) -> ExternalSpec:
    fields = Fields(place)
    return fields.done(
        ExternalSpec(
            fields.must("name", values.name),
            fields.must("ip", values.address),
            fields.get("serves", lambda each: elements(each, values.serves), ()),
        )
    )
