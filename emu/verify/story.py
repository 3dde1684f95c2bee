# SPDX-License-Identifier: GPL-2.0-only
"""What happened to a question and to its answer, from the steps that were told.

A packet's steps are a tree: each names the one before it, and a flood or a
fragmentation makes several from one. Of the copies one matters, the one that
got through, or got furthest; the others are *aside*.

    request   who FROM sent first
    answer    the first packet whose addresses are the request's reversed, as
              they were anywhere on its way, or an ICMP error that quotes them;
              else what its host sends to the asker from another address
    onward    where a proxy takes the request: the story of the connection that
              it makes in the asker's place
    ARP       what was asked and answered meanwhile, since packets wait for it

Nothing is looked up here: it all is in the recording of one run.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kernel.drops import DropReason
from emu.observe.recording import Kind
from emu.verify import fivetuple
from emu.verify.exchange import STORM
from emu.wire.arp import REPLY, REQUEST
from emu.wire.ipv4 import TCP

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from emu.sim.time import Instant
    from emu.verify.endpoint import Source, Target
    from emu.verify.exchange import Exchange, Told
    from emu.verify.fivetuple import FiveTuple

_STORM_SHOWN: Final = 500  # steps; the others are like them
_PROTOCOL_AT: Final = 9  # in the header of IPv4
_FLAGS_AT: Final = 13  # in that of TCP
_SYN, _SYN_ACK = 0x02, 0x12
UNROUTED: Final = "unrouted"
"""The stage of an echo request whose reply has no way."""

_ACCEPTED: Final = frozenset(("socket", "echo", "icmp", UNROUTED))
"""Stages at which a packet has arrived, if nothing follows: somebody takes it."""


class Way(enum.Enum):
    """Which half of an exchange something belongs to."""

    REQUEST = "request"
    REPLY = "reply"


class Hop(NamedTuple):
    """A step, seen as part of a story.

    Attributes:
        told: the step, and who told it.
        way: on the way of the request or of the reply.
        aside: it happened to a copy that did not matter.
        device: the step's device, or the last one before it in this namespace.
        before: between whom the packet travelled before the step.
        after: the same behind it.
    """

    told: Told
    way: Way
    aside: bool
    device: str
    before: FiveTuple | None
    after: FiveTuple | None


class Packet:
    """All steps of one packet.

    Attributes:
        told: the steps in order, the first one its birth.
        line: the steps of the copy that matters, from its birth to its end.
        tuples: between whom it travelled, in the order of `line`, what wraps it left out.
    """

    def __init__(self, told: Sequence[Told]) -> None:
        self.told = tuple(told)
        self._by_number = {one.step.number: one for one in self.told}
        depth: dict[int, int] = {}
        for step, _ in self.told:
            depth[step.number] = depth.get(step.parent, 0) + 1
        inner = {step.parent for step, _ in self.told}
        self._ends = [one for one in self.told if one.step.number not in inner]
        self.line = self._line_to(max(self._ends, key=lambda end: (_importance(end), depth[end.step.number])))
        self.tuples = _tuples(self.line)

    @property
    def birth(self) -> Told:
        """Its first step."""
        return self.told[0]

    @property
    def end(self) -> Told:
        """The last step of the copy that matters."""
        return self.line[-1]

    @property
    def is_accepted(self) -> bool:
        """Whether somebody took it."""
        return _is_accepted(self.end)

    def prefer(self, places: Collection[str]) -> None:
        """Have the first copy that ended in one of these namespaces be the one that matters, if one did."""
        for end in self._ends:
            if end.step.net in places:
                self.line = self._line_to(end)
                return

    def end_at(self, number: int) -> None:
        """Have the copy be the one that matters whose last step has this number."""
        for end in self._ends:
            if end.step.number == number:
                self.line = self._line_to(end)
                self.tuples = _tuples(self.line)

    def _line_to(self, end: Told) -> tuple[Told, ...]:
        line = [end]
        while (parent := self._by_number.get(line[-1].step.parent)) is not None:
            line.append(parent)
        return tuple(reversed(line))


def _is_accepted(end: Told) -> bool:
    return end.step.kind is Kind.NOTE and end.step.stage in _ACCEPTED


def _importance(end: Told) -> int:
    """Rank the end of a copy: taken is more than lost, and lost more than delivered to the wrong host."""
    if _is_accepted(end):
        return 2
    return int(end.step.reason is not DropReason.OTHERHOST)


def _tuples(line: Iterable[Told]) -> tuple[FiveTuple, ...]:
    """Return the tuples that a packet had one after the other, without those of packets that carried it."""
    found: list[FiveTuple] = []
    for one in line:
        packet = fivetuple.packet_of(one.step)
        inside = fivetuple.carried(packet)
        if inside and fivetuple.read(inside) in found:
            packet = inside
        there = fivetuple.read(packet)
        if there is not None and there not in found[-1:]:
            found.append(there)
    return tuple(found)


@attrs.frozen
class Story:
    """A question and what came of it, as packets.

    Attributes:
        start: when it was asked.
        requests: the first packet of the question and, if only a later one was
            answered, that one.
        answer: what came back, or was to.
        arp: the ARP packets meanwhile.
        resent: how often the question was sent again, until there was an answer.
        lost: where both arrived and nothing came of it, the first packet behind them
            that was dropped, with its half of the way.
        onward: the same of the connection that a proxy made because of the request; None if
            none did.
    """

    start: Instant
    requests: tuple[Packet, ...]
    answer: Packet | None
    arp: tuple[Packet, ...]
    resent: int
    lost: tuple[Packet, Way] | None = None
    onward: Story | None = None

    @property
    def legs(self) -> tuple[Story, ...]:
        """The story, and those of the connections that proxies made one after the other."""
        return (self,) if self.onward is None else (self, *self.onward.legs)

    @property
    def last(self) -> Story:
        """The story of the connection that got furthest."""
        return self.legs[-1]

    @property
    def request(self) -> Packet | None:
        """The packet that decided: the one that was answered, else the first; None if none was sent."""
        return self.requests[-1] if self.requests else None

    def packets(self) -> list[tuple[Packet, Way]]:
        """Return the packets that decided: the request, the answer, and what was lost behind them."""
        legs = self.legs
        there = [(leg.request, Way.REQUEST) for leg in legs if leg.request is not None]
        back = [(leg.answer, Way.REPLY) for leg in reversed(legs) if leg.answer is not None]
        return [*there, *back, *(leg.lost for leg in legs if leg.lost is not None)]

    def hops(self) -> list[Hop]:
        """Return all steps in order, the request's half first."""
        there: list[tuple[Packet, Way]] = []
        back: list[tuple[Packet, Way]] = []
        known: set[Packet] = set()
        for leg in self.legs:
            there += [(packet, Way.REQUEST) for packet in leg.requests]
            back += [] if leg.answer is None else [(leg.answer, Way.REPLY)]
            if leg.lost is not None:
                (there if leg.lost[1] is Way.REQUEST else back).append(leg.lost)
            turn = None if leg.answer is None else leg.answer.birth.step.number
            for packet in leg.arp:
                if packet in known:
                    continue
                known.add(packet)
                is_late = turn is not None and packet.birth.step.number > turn
                (back if is_late else there).append((packet, Way.REPLY if is_late else Way.REQUEST))
        return [
            hop
            for half in (there, back)
            for hop in sorted(
                (hop for packet, way in half for hop in _hops(packet, way)),
                key=lambda hop: hop.told.step.number,
            )
        ]


def tell(exchange: Exchange, source: Source, target: Target) -> Story:
    """Return the story of `exchange`, which `source` had with `target`."""
    told = exchange.told[:_STORM_SHOWN] if exchange.outcome == STORM else exchange.told
    packets = [Packet(steps) for steps in _by_birth(told)]
    asked = [packet for packet in packets if _is_question(packet, source, target)]
    lost = [packet for packet in asked if packet.end.step.kind is Kind.DROP] if exchange.late else []
    if lost:  # the first of them made the answer late; what was answered were others
        return Story(exchange.start, (lost[0],), None, _arp(packets, lost[0].told[-1].step.number), 0)
    return _story(exchange.start, packets, asked, is_answered=exchange.is_answered)


def _story(start: Instant, packets: Sequence[Packet], asked: list[Packet], *, is_answered: bool) -> Story:
    """Return the story of a question, sent by the packets `asked`, and of what proxies made of it."""
    if not asked:
        return Story(start, (), None, _arp(packets, None), 0)
    first = asked[0]
    asked = [packet for packet in asked if packet.tuples[0] == first.tuples[0]]
    answers = [packet for packet in packets if _answers(packet, asked)] or [
        packet for packet in packets if any(_is_stray(packet, request) for request in asked)
    ]
    if is_answered:  # by none that complains
        answers = [packet for packet in answers if _complaint(packet) is None]
    answer = answers[0] if answers else None
    requests = [first]
    if answer is not None:
        asked = [packet for packet in asked if packet.birth.step.number < answer.birth.step.number]
        if not first.is_accepted:
            requests += [packet for packet in asked[-1:] if packet is not first and packet.is_accepted]
    end = None if answer is None else answer.told[-1].step.number
    arp = _arp(packets, end)
    lost = None if is_answered or answer is None else _lost(packets, requests[-1], answer)
    onward = _sent_onward(packets, requests[-1])
    then = _story(start, packets, onward, is_answered=False) if onward else None
    again = sum(fivetuple.repeats(first.birth.step, each.birth.step) for each in asked) - 1
    return Story(start, tuple(requests), answer, arp, again, lost, then)


def _sent_onward(packets: Iterable[Packet], request: Packet) -> list[Packet]:
    """Return the packets by which whoever took `request` opens a connection to somebody else."""
    end = request.end.step
    if not request.is_accepted or request.tuples[-1].protocol != TCP:
        return []
    return [
        packet
        for packet in packets
        if packet.birth.step.net == end.net
        and packet.birth.step.number > end.number
        and packet.tuples
        and packet.tuples[0].reverse not in request.tuples
        and is_opening(packet)
    ]


def is_opening(packet: Packet, *, answer: bool = False) -> bool:
    """Return whether a packet is a SYN that its namespace sends, by `answer` a SYN-ACK."""
    step, octets = packet.birth.step, fivetuple.packet_of(packet.birth.step)
    if step.kind is Kind.IN or not octets or octets[_PROTOCOL_AT] != TCP:
        return False
    flags = octets[(octets[0] & 15) * 4 :][_FLAGS_AT : _FLAGS_AT + 1]
    return bool(flags) and flags[0] & _SYN_ACK == (_SYN_ACK if answer else _SYN)


def _lost(packets: Iterable[Packet], request: Packet, answer: Packet) -> tuple[Packet, Way] | None:
    """Return the first packet behind question and answer that was dropped, and its half; None if none was."""
    if not (request.is_accepted and answer.is_accepted):
        return None
    there, back = set(request.tuples), {one.reverse for one in request.tuples}
    for packet in packets:
        if packet.birth.step.number <= answer.birth.step.number or not packet.tuples:
            continue
        end = packet.end.step
        if end.kind is not Kind.DROP or end.reason is DropReason.OTHERHOST:
            continue
        if packet.tuples[0] in there:
            return packet, Way.REQUEST
        if packet.tuples[0] in back:
            return packet, Way.REPLY
    return None


def _by_birth(told: Iterable[Told]) -> Iterator[list[Told]]:
    """Yield the steps of each packet that was born meanwhile, in order of birth."""
    packets: dict[int, list[Told]] = {}
    birth: dict[int, int] = {}
    for one in told:
        step = one.step
        first = step.number if not step.parent else birth.get(step.parent)
        if first is not None:
            birth[step.number] = first
            packets.setdefault(first, []).append(one)
    yield from packets.values()


def _is_question(packet: Packet, source: Source, target: Target) -> bool:
    step = packet.birth.step
    if step.net != source.namespace or step.kind is Kind.IN or not packet.tuples:
        return False
    first = packet.tuples[0]
    wanted = fivetuple.request_tuple(target.protocol.value, target.address, target.port)
    return (first.protocol, first.dst, first.dport) == wanted


def _answers(packet: Packet, asked: Sequence[Packet]) -> bool:
    """Return whether `packet` goes back to who sent one of `asked`, or complains about it."""
    step = packet.birth.step
    there = fivetuple.read(fivetuple.packet_of(step))
    about = _complaint(packet)
    reverse = None if there is None else there.reverse
    return any(
        request.birth.step.number < step.number and (about in request.tuples or reverse in request.tuples)
        for request in asked
    )


def _is_stray(packet: Packet, request: Packet) -> bool:
    """Return whether `packet` goes from where `request` arrived to who it came from."""
    if not packet.tuples or not request.is_accepted or packet.birth.step.number < request.birth.step.number:
        return False
    sent, asked = packet.tuples[0], request.tuples[-1]
    return packet.birth.step.net == request.end.step.net and (sent.protocol, sent.dst, sent.dport) == (
        asked.protocol,
        asked.src,
        asked.sport,
    )


def _complaint(packet: Packet) -> FiveTuple | None:
    return fivetuple.read_quoted(fivetuple.packet_of(packet.birth.step))


def _arp(packets: Sequence[Packet], end: int | None) -> tuple[Packet, ...]:
    """Return the ARP packets born before step `end`, for each the copy that found its host."""
    chosen: list[Packet] = []
    replies: list[tuple[str, bytes]] = []
    for packet in packets:
        arp = fivetuple.arp_of(packet.birth.step)
        if arp is None or (end is not None and packet.birth.step.number > end):
            continue
        chosen.append(packet)
        if arp.operation == REPLY:
            replies.append((packet.birth.step.net, arp.sender_ip))
    for packet in chosen:
        arp = fivetuple.arp_of(packet.birth.step)
        if arp is not None and arp.operation == REQUEST:
            packet.prefer([net for net, address in replies if address == arp.target_ip])
    return tuple(chosen)


def decisive_hops(packet: Packet, way: Way) -> list[Hop]:
    """Return the steps of the copy of a packet that matters."""
    return [hop for hop in _hops(packet, way) if not hop.aside]


def _hops(packet: Packet, way: Way) -> Iterator[Hop]:
    line = {one.step.number for one in packet.line}
    seen: dict[int, Hop] = {}
    for one in packet.told:
        step = one.step
        last = seen.get(step.parent)
        device = step.device
        if not device and last is not None and last.told.step.net == step.net:
            device = last.device
        before = None if last is None else last.after
        after = fivetuple.read(fivetuple.packet_of(step)) or before
        seen[step.number] = hop = Hop(one, way, step.number not in line, device, before or after, after)
        yield hop
