# SPDX-License-Identifier: GPL-2.0-only
"""Sources that the reverse path filter does not believe: by which device the way back is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.fib import Flow

if TYPE_CHECKING:
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause with the route that the answer would take, if there is one."""
    if scene.end.reason is not DropReason.IP_RPFILTER:
        return None
    source = scene.there.src
    found = scene.net.fib.lookup(Flow(source))
    if found is None or not found.route.nexthops:
        return None
    hop = found.route.nexthops[0]
    if hop.device == scene.device:
        return None
    way = hop.device if hop.gateway is None else f"{hop.device} via {hop.gateway}"
    return attrs.evolve(cause, words=f"{cause.words}; the best route to {source} is {way}")
