# SPDX-License-Identifier: GPL-2.0-only
"""Packets too large for their way: whether their sender was told decides what becomes of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.drops import DropReason
from emu.observe.recording import Kind
from emu.verify import fivetuple
from emu.verify.causes.codes import PMTU_BLACKHOLE
from emu.verify.causes.objects import origin_of
from emu.verify.causes.packets import packets_of
from emu.verify.causes.rules import text_at

if TYPE_CHECKING:
    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.verify.story import Packet

_TOO_BIG: Final = frozenset((DropReason.PKT_TOO_BIG, DropReason.CABLE_MTU))


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if the packet was too large and its sender never heard of it, None if not."""
    if scene.end.reason not in _TOO_BIG:
        return None
    complaint = _complaint(scene)
    if complaint is not None and complaint.is_accepted:
        return None
    words, rule, whose, field = cause.words, "", _node(scene, scene.end.net), "mtu"
    if complaint is None:
        words += ", and nobody tells the sender: packets that are small enough pass"
    else:
        end = complaint.end.step
        words += f", and the ICMP error that tells the sender ends in {end.net}"
        if end.kind is Kind.DROP and end.reason is not None:
            words += f" ({end.reason.name}{': ' if end.detail else ''}{end.detail})"
        rule = text_at(scene.network.fabric.namespace(end.net), end.fact)[1]
        if rule:
            origin = origin_of(scene.network, end)
            whose, field = (_node(scene, end.net), "") if origin is None else (origin.object, origin.field)
    fix = f"lower the MTU of the sender's device to what passes {scene.end.net}, or raise the one there"
    found = attrs.evolve(cause, code=PMTU_BLACKHOLE, words=words, fix=fix, rule=rule)
    return attrs.evolve(found, object=whose, field=field if whose else "")


def _node(scene: Scene, net: str) -> str:
    pod, node = scene.network.owners(net)
    return "" if node is None or pod is not None else f"Node {node}"


def _complaint(scene: Scene) -> Packet | None:
    """Return the ICMP error about the packet, None if none was sent."""
    for packet in packets_of(scene.exchange):
        about = fivetuple.read_quoted(fivetuple.packet_of(packet.birth.step))
        if about is not None and about in scene.packet.tuples:
            return packet
    return None
