# SPDX-License-Identifier: GPL-2.0-only
"""Tunnels that lead back to the node which they begin at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.drops import DropReason
from emu.kernel.facts import Encapsulated
from emu.kernel.link.vxlan import Vxlan
from emu.verify.causes.codes import TUNNEL_TO_ITSELF
from emu.verify.causes.scene import called

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.wire.addresses import IpAddress


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if a VXLAN device got back what it had sent: the remote is its own address."""
    if scene.end.reason is not DropReason.LOCAL_MAC:
        return None
    device = scene.net.devices.get(scene.device)
    if device is None or not isinstance(device.link, Vxlan):
        return None
    own = _addresses(scene.net)
    remotes = [
        (entry.mac, remote.dst)
        for entry in device.link.fdb.entries(scene.net.now)
        for remote in entry.remotes
        if remote.dst in own
    ]
    if not remotes:
        return None
    sent = (step.fact.dst for step in reversed(scene.steps) if isinstance(step.fact, Encapsulated))
    wanted = next(sent, None)
    mac, address = next((each for each in remotes if each[0] == wanted), remotes[0])
    others = [name for name in scene.owners(address) if name != scene.end.net]
    whose = f", and so is {', '.join(called(scene.network, each) for each in others)}" if others else ""
    node = called(scene.network, scene.end.net)
    words = (
        f"{device.name} of {node} sends what is for {mac} to {address}, which is {node} itself{whose}: "
        "the packet comes back to where it was sent"
    )
    fix = "have the network's daemon go by a device whose address no other node has"
    return attrs.evolve(cause, code=TUNNEL_TO_ITSELF, words=words, fix=fix)


def _addresses(net: Namespace) -> set[IpAddress]:
    return {own.address for device in net.devices.values() for own in device.addresses}
