# SPDX-License-Identifier: GPL-2.0-only
"""The `Fabric` document of what a test draws: cables and routers, to be printed where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.cluster.topology.fabric.links import LinkSpec
    from emu.cluster.topology.fabric.routers import RouterSpec
    from emu.cluster.topology.fabric.spec import FabricSpec


def fabric_document(spec: FabricSpec) -> Mapping[str, object]:
    """Return the document; what `emu.testing.fabric_strategies` does not draw is not in it."""
    found: dict[str, object] = {}
    if spec.routers:
        found["routers"] = [dict(_router(each)) for each in spec.routers]
    if spec.links:
        found["links"] = [dict(_link(each)) for each in spec.links]
    return {"apiVersion": "emu/v1", "kind": "Fabric", "spec": found}


def _router(spec: RouterSpec) -> Iterator[tuple[str, object]]:
    yield "name", spec.name
    yield (
        "interfaces",
        [
            {"name": each.name, "addresses": [str(own) for own in each.addresses]}
            | ({} if each.ports is None else {"ports": list(each.ports)})
            for each in spec.interfaces
        ],
    )
    if spec.multipath:
        yield "multipath", True


def _link(spec: LinkSpec) -> Iterator[tuple[str, object]]:
    yield "endpoints", [str(each) for each in spec.ends]
    for name, value in (("delay", spec.latency), ("jitter", spec.jitter)):
        if value:
            yield name, f"{value}ns"
    if spec.bandwidth:
        yield "bandwidth", f"{spec.bandwidth}bit"
