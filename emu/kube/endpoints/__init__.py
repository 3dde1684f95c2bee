# SPDX-License-Identifier: GPL-2.0-only
"""Who stands behind a Service: EndpointSlices, Endpoints, and the mirror between them.

`start` sets all three controllers to work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kube.endpoints.controller import EndpointSliceController
from emu.kube.endpoints.index import Selection, SliceIndex
from emu.kube.endpoints.legacy import EndpointsController
from emu.kube.endpoints.mirroring import MirroringController
from emu.kube.endpoints.slices import MOST

if TYPE_CHECKING:
    from emu.kube.api.store import Store
    from emu.sim.rng import Streams

__all__ = ["Selection", "SliceIndex", "start"]


def start(store: Store, streams: Streams, *, minor: int = 35, most: int = MOST) -> SliceIndex:
    """Set the controllers of endpoints to work, and return where the slices of each Service are found.

    Args:
        store: the API server, empty or not.
        streams: where names are drawn from.
        minor: the release of Kubernetes is 1.`minor`.
        most: endpoints in a slice.
    """
    selection = Selection(store)
    index = SliceIndex(store)
    EndpointSliceController(store, streams, selection, index, minor=minor, most=most)
    EndpointsController(store, selection, minor=minor)
    MirroringController(store, streams, index)
    return index
