# SPDX-License-Identifier: GPL-2.0-only
"""Bridges that send no frame back where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.facts import Switched
from emu.verify.causes.codes import BRIDGE_HAIRPIN_OFF
from emu.verify.causes.origin import provider_of

if TYPE_CHECKING:
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if the frame had to leave by the port it came in by, None if it had not."""
    if scene.end.reason is not DropReason.BRIDGE_NO_EGRESS_PORT:
        return None
    device = scene.net.devices.get(scene.end.device)
    port = None if device is None else device.port
    if device is None or port is None or port.hairpin:
        return None
    switched = scene.before.fact
    if not isinstance(switched, Switched) or switched.port != device.name:
        return None
    words = (
        f"the frame must leave {port.bridge.name} by {device.name}, the port it came in by, and "
        "hairpin mode is off there"
    )
    tuples = scene.packet.tuples
    if tuples[0].dst != scene.there.dst:
        words += f": {tuples[0].dst}:{tuples[0].dport} was translated to the asker itself, {scene.there.dst}"
    provider = provider_of(scene.network)
    return attrs.evolve(
        cause,
        code=BRIDGE_HAIRPIN_OFF,
        words=words,
        fix=f"bridge link set dev {device.name} hairpin on in {scene.end.net} (hairpinMode of the plugin)",
        object=f"provider {provider}" if provider else "",
        field="hairpinMode" if provider else "",
    )
