# SPDX-License-Identifier: GPL-2.0-only
"""Filters between the nodes, and those that meet the packets of a tunnel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.cluster.underlay import is_underlay
from emu.kernel.drops import DropReason
from emu.verify import fivetuple
from emu.verify.causes.codes import FORWARD_POLICY_DROP, UNDERLAY_FILTER
from emu.verify.causes.scene import called
from emu.verify.causes.words import PROTOCOLS

if TYPE_CHECKING:
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if what was dropped is a tunnel's packet, or it was dropped between the nodes."""
    if scene.end.reason is not DropReason.NETFILTER_DROP:
        return None
    packet = fivetuple.packet_of(scene.end)
    inside = fivetuple.carried(packet)
    is_between = scene.network.is_cluster and is_underlay(scene.end.net)
    outer = fivetuple.read(packet)
    if outer is None or not (inside or is_between):
        return None
    if cause.code not in {DropReason.NETFILTER_DROP.name, FORWARD_POLICY_DROP}:
        return None
    what = f"{PROTOCOLS.get(outer.protocol, outer.protocol)} {outer}"
    if inside:
        what = f"the tunnel's packet {what}, which carries {scene.packet.tuples[-1]},"
    words = f"{what} is dropped by {called(scene.network, scene.end.net)}: {cause.words}"
    port = f"{PROTOCOLS.get(outer.protocol, '')} port {outer.dport}" if outer.has_ports else "the protocol"
    fix = f"let {port} pass between the nodes in {scene.end.net}"
    return attrs.evolve(cause, code=UNDERLAY_FILTER, words=words, fix=fix)
