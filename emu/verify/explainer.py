# SPDX-License-Identifier: GPL-2.0-only
"""What captures say beside the kernel's words: whose doing a decision was, and why a packet really ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.drops import DropReason
from emu.verify import fivetuple
from emu.verify.causes import find, kernel
from emu.verify.causes.objects import object_of
from emu.verify.causes.scene import Scene
from emu.verify.endpoint import Protocol, Source, Target
from emu.verify.exchange import Exchange, Told
from emu.verify.story import Packet, Way, tell
from emu.wire.ipv4 import ICMP, SCTP, TCP, UDP

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from emu.cluster.emulation import Emulation
    from emu.observe.recording import Step
    from emu.verify.fivetuple import FiveTuple

_PACKETS: Final = 100  # that are remembered: a cause is in the packets of its exchange
_OBJECTS: Final = 10_000
_EXPLAINED: Final = 500  # ends; whoever drops more does it for one reason
_IDLE: Final = frozenset((DropReason.OTHERHOST,))  # ends of copies that nobody misses
_PROTOCOLS: Final = {TCP: Protocol.TCP, UDP: Protocol.UDP, SCTP: Protocol.SCTP, ICMP: Protocol.ICMP}


class Explainer:
    """Listens to what happens in a network, and explains it.

    Args:
        network: it is only looked at.
    """

    def __init__(self, network: Emulation) -> None:
        self._network = network
        self._packets: dict[int, list[Told]] = {}
        self._objects: dict[Hashable, str] = {}
        self._explained = 0

    def hear(self, step: Step) -> None:
        """Take note of `step`."""
        told = self._packets.get(step.packet_id)
        if told is None:
            if len(self._packets) >= _PACKETS:
                del self._packets[next(iter(self._packets))]
            told = self._packets[step.packet_id] = []
        told.append(Told(step, ""))

    def object(self, step: Step) -> str:
        """Return the object that a step is owed to, as `KIND NS/NAME`; empty if it is nobody's."""
        key = (step.net, step.kind, step.device, step.stage, step.rule or step.detail)
        found = self._objects.get(key)
        if found is None:
            if len(self._objects) >= _OBJECTS:
                self._objects.clear()
            found = self._objects[key] = object_of(self._network, step) or ""
        return found

    def code(self, step: Step) -> str:
        """Return the reason code for a packet that ended with `step`; empty if none is found."""
        if step.reason in _IDLE or self._explained >= _EXPLAINED:
            return ""
        self._explained += 1
        scene = self._scene(step)
        if scene is None:
            return ""
        if scene.story.request is None:
            return kernel.cause_of(scene).code
        return find.explained_end(scene).code

    def _scene(self, step: Step) -> Scene | None:
        """Return the packet that ended with what is known around it, None if it is none of IP."""
        ended = _packet(self._packets.get(step.packet_id, ()), step.number)
        if ended is None:
            return None
        others = [_packet(told) for number, told in self._packets.items() if number != step.packet_id]
        asked = _asked(ended, [other for other in others if other is not None])
        way = Way.REQUEST if asked is None else Way.REPLY
        first = (asked or ended).tuples[0]
        if first.protocol not in _PROTOCOLS:
            return None
        net = (asked or ended).birth.step.net
        source = Source(net, net, first.src)
        port = first.dport if first.has_ports else 0
        target = Target(str(first.dst), first.dst, _PROTOCOLS[first.protocol], port)
        told = sorted(
            (one for packet in self._packets.values() for one in packet), key=lambda one: one.step.number
        )
        exchange = Exchange("", told[0].step.time, tuple(told))
        story = tell(exchange, source, target)
        return Scene(self._network, exchange, story, source, target, ended, way)


def _packet(told: Iterable[Told], end: int | None = None) -> Packet | None:
    """Return a packet of IP from its steps, None if it is something else."""
    steps = list(told)
    if not steps:
        return None
    packet = Packet(steps)
    if end is not None:
        packet.end_at(end)
    return packet if packet.tuples else None


def _asked(ended: Packet, others: Iterable[Packet]) -> Packet | None:
    """Return the first packet that `ended` is an answer to, None if it answers none."""
    back = ended.tuples[0].reverse
    about: FiveTuple | None = fivetuple.read_quoted(fivetuple.packet_of(ended.birth.step))
    born = ended.birth.step.number
    found = [
        other
        for other in others
        if other.birth.step.number < born and (back in other.tuples or about in other.tuples)
    ]
    return found[0] if found else None
