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
from emu.verify.causes.scene import called

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.causes.cause import Cause
    from emu.verify.causes.scene import Scene
    from emu.verify.story import Packet

_REASSEMBLY: Final = "reassembly"
_ID: Final = slice(4, 6)
_TOO_BIG: Final = frozenset((DropReason.PKT_TOO_BIG, DropReason.CABLE_MTU))


def refine(scene: Scene, cause: Cause) -> Cause | None:
    """Return the cause if the packet was too large and its sender never heard of it, None if not."""
    if scene.end.stage == _REASSEMBLY:
        return _without_a_fragment(scene, cause)
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


def _without_a_fragment(scene: Scene, cause: Cause) -> Cause | None:
    """Explain a packet whose fragments wait for one that was lost."""
    waiting = fivetuple.packet_of(scene.end)[_ID]
    drops = [step for step, _ in scene.exchange.told if step.kind is Kind.DROP]
    lost = [step for step in drops if waiting in _identifications(fivetuple.packet_of(step))]
    if not lost:
        return None
    end = lost[-1]
    assert end.reason is not None, "a drop has a reason"
    code = PMTU_BLACKHOLE if end.reason in _TOO_BIG else end.reason.name
    words = f"a fragment of it is lost at {called(scene.network, end.net)}: {end.detail or end.reason.value}"
    whose = _node(scene, end.net) if code == PMTU_BLACKHOLE else ""
    found = attrs.evolve(cause, code=code, words=words, net=end.net, device=end.device)
    return attrs.evolve(found, object=whose, field="mtu" if whose else "")


def _identifications(packet: bytes) -> Iterator[bytes]:
    """Yield the identification of a packet, and of the one that it carries."""
    while packet:
        yield packet[_ID]
        packet = fivetuple.carried(packet)


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
