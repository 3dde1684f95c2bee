# SPDX-License-Identifier: GPL-2.0-only
"""The filters of documents, at the devices where frames meet them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.guard import Guard
from emu.observe.filter import CaptureFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from emu.cluster.topology.fabric.filters import FilterSpec
    from emu.kernel.namespace import Namespace


def place_filters(filters: Iterable[FilterSpec], net: Namespace) -> None:
    """Set filters up at a machine: at all its ports, also those to come, or at the one that they name."""
    for each in filters:
        net.guards = (*net.guards, Guard(_refuses(each), words_of(each), each.at.device))


def words_of(spec: FilterSpec) -> str:
    """Return what a filter is, and where it stands."""
    place = f" ({spec.file}:{spec.line})" if spec.file else ""
    return f"the filter at {spec.at}: {spec}{place}"


def _refuses(spec: FilterSpec) -> Callable[[bytes], bool]:
    compiled = CaptureFilter.compile(spec.words)
    if spec.accepts:
        return lambda octets: not compiled.matches(octets)
    return compiled.matches
