# SPDX-License-Identifier: GPL-2.0-only
"""What new EndpointSlices are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kube.api.objects import EndpointSlice
from emu.kube.workloads.names import generated

if TYPE_CHECKING:
    from emu.kube.api.store import Store
    from emu.sim.rng import Streams


def named(new: EndpointSlice, store: Store, streams: Streams) -> EndpointSlice:
    """Return a new slice with a name that is free."""
    metadata = new.metadata
    stream = streams.stream(f"endpointslice {metadata.namespace}/{metadata.generate_name}")
    name = generated(metadata.generate_name, stream)
    while store.find(EndpointSlice, name, metadata.namespace) is not None:
        name = generated(metadata.generate_name, stream)
    return attrs.evolve(new, metadata=attrs.evolve(metadata, name=name))
