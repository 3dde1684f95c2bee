# SPDX-License-Identifier: GPL-2.0-only
"""All packets of an exchange, and the first of a connection that stands which is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.drops import DropReason
from emu.observe.recording import Kind
from emu.verify.story import Packet, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.verify.exchange import Exchange, Told
    from emu.verify.story import Story


def packets_of(exchange: Exchange) -> Iterator[Packet]:
    """Yield the packets of an exchange in order of their birth."""
    packets: dict[int, list[Told]] = {}
    birth: dict[int, int] = {}
    for one in exchange.told:
        step = one.step
        first = step.number if not step.parent else birth.get(step.parent)
        if first is not None:
            birth[step.number] = first
            packets.setdefault(first, []).append(one)
    yield from map(Packet, packets.values())


def lost_later(exchange: Exchange, story: Story) -> tuple[Packet, Way] | None:
    """Return the first packet behind question and answer that is lost, and its half; None if none is."""
    request, answer = story.request, story.answer
    if request is None or answer is None:
        return None
    there, back = set(request.tuples), {one.reverse for one in request.tuples}
    for packet in packets_of(exchange):
        if packet.birth.step.number <= answer.birth.step.number or not packet.tuples:
            continue
        way = Way.REQUEST if packet.tuples[0] in there else Way.REPLY
        if way is Way.REPLY and packet.tuples[0] not in back:
            continue
        end = packet.end.step
        if end.kind is Kind.DROP and end.reason is not DropReason.OTHERHOST:
            return packet, way
    return None
