# SPDX-License-Identifier: GPL-2.0-only
"""Which underlay a cluster gets, by what `Fabric` documents say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.cluster.underlay.plain import PlainUnderlay
from emu.cluster.underlay.routed import RoutedUnderlay
from emu.errors import DocumentError, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.cluster.node_objects import PlannedNode
    from emu.cluster.topology.fabric.filters import FilterSpec
    from emu.cluster.topology.fabric.links import LinkSpec
    from emu.cluster.topology.fabric.routers import RouterSpec
    from emu.cluster.topology.fabric.spec import FabricSpec
    from emu.cluster.topology.fabric.switches import SwitchSpec
    from emu.cluster.underlay.base import Underlay
    from emu.cluster.vpc.spec import VpcSpec
    from emu.fabric.driver import Fabric


def lay(
    fabric: Fabric,
    spec: FabricSpec,
    nodes: Sequence[PlannedNode],
    vpc: VpcSpec | None = None,
) -> Underlay:
    """Build the underlay that documents describe; the default where they say nothing.

    One kind of underlay a cluster: a cloud's network (`spec.vpc`) is none of
    switches and routers that one names. A new kind is a subclass of `Underlay`
    and a line here.

    Args:
        fabric: where it is built, empty as yet.
        spec: what the documents say.
        nodes: who will be attached, in this order.
        vpc: the cloud's network that they are in, as a provider uses it; None for none.
    """
    if vpc is not None:
        _check_no_switches(spec)
        from emu.cluster.vpc.build import build  # noqa: PLC0415 - it is an underlay itself

        return build(fabric, vpc, nodes)
    if not spec.is_plain:
        return RoutedUnderlay(fabric, spec, nodes)
    segments = tuple(dict.fromkeys(node.devices[0][0].prefix for node in nodes))
    taken = frozenset(each.address for node in nodes for device in node.devices for each in device)
    return PlainUnderlay(fabric, segments, taken)


def _check_no_switches(spec: FabricSpec) -> None:
    """Check that nothing is said of switches and cables where a cloud has its own.

    Raises:
        DocumentError: something is.
    """
    lists: Mapping[str, Sequence[LinkSpec | SwitchSpec | RouterSpec | FilterSpec]] = {
        "links": spec.links,
        "switches": spec.switches,
        "routers": spec.routers,
        "filters": spec.filters,
    }
    faults = [
        Fault(found[0].file or "<fabric>", found[0].line or 1, "$", f"a vpc has no {key} that one can name")
        for key, found in lists.items()
        if found
    ]
    if faults:
        raise DocumentError(faults)
