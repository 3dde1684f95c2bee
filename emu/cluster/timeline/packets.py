# SPDX-License-Identifier: GPL-2.0-only
"""A tap that follows the packets of clients: where each ended, and why one was dropped.

A packet keeps its number on its whole way, whatever NAT and tunnels make of
it. So it is enough to learn where a client sends which flow has which
packets, and to note for each where it came in last, and whether that was its
destination. One that waits for a neighbour may end long after its attempt.
Where a client's packet has arrived, what leaves for its sender is an answer.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.cluster.codes import BY_DETAIL
from emu.kernel.drops import DropReason
from emu.kernel.recorder import Direction
from emu.wire.ipv4 import ICMP, TCP, UDP

if TYPE_CHECKING:
    from emu.fabric.confidant import Confidant
    from emu.kernel.effects import Drop
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.wire.frame import Frame

_LEAST: Final = 8
_TCP_HEADER: Final = 20
_SYN: Final = 2
_SYN_ACK: Final = 18
_IN, _OUT = Direction
_MOST_FLOWS: Final = 50_000
_SWEPT: Final = 1_000
"""How many flows that are over may have packets under way, before it is looked which have ended since."""


class FlowKey(NamedTuple):
    """What a program knows of a flow: its namespace, the protocol, its own port (of ICMP the identifier)."""

    net: str
    protocol: int
    port: int


class Answer(NamedTuple):
    """What tells an answer: who sends it, the protocol, to whom, and the ports (of ICMP the identifier)."""

    net: str
    protocol: int
    dst: bytes
    sport: int
    dport: int


@attrs.define(eq=False)
class Flow:
    """The packets of a flow.

    Attributes:
        syn: of TCP the sequence number that it began with; empty where its beginning was not seen.
        packets: their numbers, in order, and those of the answers.
        answers: which of them are answers.
        asked: how answers to it are known.
        lengths: by number how long a packet is, its IP header included.
        places: by number the namespace that a packet came into last.
        before: by number the namespace before that.
        left: by number the namespace that a packet left last.
        arrived: by number the namespace where it was handed to its protocol.
        strayed: by number the namespace from which copies went to others, who did not take them.
        drops: by number the reason and the place.
        net: the namespace that it left from.
    """

    syn: bytes = b""
    packets: list[int] = attrs.field(factory=list)
    answers: set[int] = attrs.field(factory=set)
    asked: set[Answer] = attrs.field(factory=set)
    lengths: dict[int, int] = attrs.field(factory=dict)
    places: dict[int, str] = attrs.field(factory=dict)
    before: dict[int, str] = attrs.field(factory=dict)
    left: dict[int, str] = attrs.field(factory=dict)
    arrived: dict[int, str] = attrs.field(factory=dict)
    strayed: dict[int, str] = attrs.field(factory=dict)
    drops: dict[int, tuple[str, str]] = attrs.field(factory=dict)
    net: str = ""

    def come(self, packet: int, net: str) -> None:
        """Note that a packet came into a namespace."""
        last = self.places.get(packet, "")
        if last != net:
            self.before[packet], self.places[packet] = last, net

    def pass_by(self, packet: int, net: str) -> None:
        """Note that what came into a namespace was a copy for somebody else, as a flood makes them."""
        if self.places.get(packet) == net:
            self.places[packet] = before = self.before[packet]
            if self.left.get(packet) == before:
                self.strayed[packet] = before

    def end_of(self, packet: int) -> str:
        """Return where a packet ended, empty if that is not known."""
        return self.places.get(packet, "")

    def has_arrived(self, packet: int) -> bool:
        """Return whether a packet has come to the host, or pod, that it was for."""
        place = self.arrived.get(packet)
        return place is not None and self.places.get(packet, place) == place

    def fate_of(self, packet: int) -> tuple[str, str] | None:
        """Return why and where a packet ended on its way; None if it did not.

        The reason is empty as long as it is under way. Of a frame that went out
        of all ports of a bridge, and that nobody took, it is OTHERHOST, there.
        """
        if packet in self.drops:
            return self.drops[packet]
        if self.has_arrived(packet):
            return None
        place = self.end_of(packet) or self.net
        return (DropReason.OTHERHOST.name if self.strayed.get(packet) == place else ""), place

    def is_under_way(self, packet: int) -> bool:
        """Return whether a packet has neither arrived nor ended."""
        fate = self.fate_of(packet)
        return fate is not None and not fate[0]


class PacketWatch:
    """Follows what leaves the namespaces of clients.

    Args:
        confidant: who keeps the secrets of TLS connections.
    """

    def __init__(self, confidant: Confidant) -> None:
        self._confidant = confidant
        self.clients: set[str] = set()
        self._flows: dict[FlowKey, Flow] = {}
        self._by_packet: dict[int, Flow] = {}
        self._over: list[Flow] = []
        self._asked: dict[Answer, Flow] = {}
        self._codes: dict[str, Counter[str]] = {}

    def sent(self, net: Namespace, packet: Skb) -> None:
        """Begin to follow a packet of a client, or an answer: as it leaves its socket, not translated yet."""
        ports = _ports(packet) if self._asked or net.name in self.clients else None
        if ports is None:
            return
        sport, dport = ports
        header = packet.header
        flow = self._asked.get(Answer(net.name, header.protocol, header.dst, sport, dport))
        if flow is not None:
            flow.answers.add(packet.packet_id)
        elif net.name in self.clients:
            flow = self._flow_of(FlowKey(net.name, header.protocol, sport), packet)
        else:
            return
        flow.packets.append(packet.packet_id)
        flow.lengths[packet.packet_id] = len(packet.packet)
        self._by_packet[packet.packet_id] = flow

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        """Take note of where a packet of a client is."""
        flow = self._by_packet.get(frame.packet_id)
        if flow is None:
            return
        if direction is _OUT:
            flow.left[frame.packet_id] = net.name
        elif device.name != "lo":
            flow.come(frame.packet_id, net.name)

    def arrived(self, net: Namespace, packet: Skb) -> None:
        """Take note that a packet of a client is where it was to go; in a tunnel it is longer than it was."""
        flow = self._by_packet.get(packet.packet_id)
        if flow is not None and len(packet.packet) == flow.lengths[packet.packet_id]:
            flow.arrived[packet.packet_id] = net.name
            ports = _ports(packet)
            if ports is not None and packet.packet_id not in flow.answers:
                sport, dport = ports
                answer = Answer(net.name, packet.header.protocol, packet.header.src, dport, sport)
                flow.asked.add(answer)
                self._asked[answer] = flow

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """Take note of the end of a packet of a client."""
        flow = self._by_packet.get(packet.packet_id)
        if flow is None:
            return
        if drop.reason is DropReason.OTHERHOST:
            flow.pass_by(packet.packet_id, net.name)
        else:
            flow.drops[packet.packet_id] = drop.reason.name, net.name
            if packet.packet_id in flow.answers:
                return
            self._codes.setdefault(flow.net, Counter())[code_of(drop)] += 1

    def disclosed(self, random: bytes, key_log: bytes) -> None:
        """Hand on what programs say in secret, for captures that come later."""
        self._confidant.disclosed(random, key_log)

    def _flow_of(self, key: FlowKey, skb: Skb) -> Flow:
        """Return the flow that a packet belongs to; the SYN of another connection begins another one."""
        syn = b""
        at = skb.header.header_length
        if key.protocol == TCP and skb.packet[at + 13] & _SYN_ACK == _SYN:
            syn = skb.packet[at + 4 : at + 8]
        flow = self._flows.get(key)
        if flow is None or (syn and flow.syn != syn):  # packets of an old connection may come before
            if len(self._flows) > _MOST_FLOWS:
                self._flows.clear()
                self._asked.clear()
            flow = self._flows[key] = Flow(syn, net=key.net)
        return flow

    def flow(self, key: FlowKey) -> Flow:
        """Return what is known of a flow, which may be nothing."""
        return self._flows.get(key) or Flow()

    def codes_of(self, net: str) -> dict[str, int]:
        """Return how many packets that left a namespace ended, by the code of their end."""
        return dict(sorted(self._codes.get(net, {}).items()))

    def under_way(self) -> dict[int, str]:
        """Return where the packets of clients are that have neither arrived nor ended for a reason."""
        return {
            packet: flow.end_of(packet) or flow.net
            for packet, flow in self._by_packet.items()
            if flow.is_under_way(packet)
        }

    def forget(self, key: FlowKey) -> None:
        """Begin anew with a flow: what comes with its port from now on is another one.

        Those of its packets that are under way are still followed.
        """
        flow = self._flows.pop(key, None)
        for answer in () if flow is None else flow.asked:
            self._asked.pop(answer, None)
        if flow is not None and self._is_unfinished(flow):
            self._over.append(flow)
            if len(self._over) > _SWEPT:
                self._over = [each for each in self._over if self._is_unfinished(each)]

    def _is_unfinished(self, flow: Flow) -> bool:
        """Follow those packets of a flow no longer that have ended; return whether others have not."""
        is_unfinished = False
        for packet in flow.packets:
            if flow.is_under_way(packet):
                is_unfinished = True
            else:
                self._by_packet.pop(packet, None)
        return is_unfinished


def code_of(drop: Drop) -> str:
    """Return the code of an end: the kernel's reason, or what its details say better."""
    return next(
        (code for begin, code in BY_DETAIL.items() if drop.detail.startswith(begin)), drop.reason.name
    )


def _ports(skb: Skb) -> tuple[int, int] | None:
    """Return the ports of a packet, of ICMP the identifier twice; None where there is nothing like it."""
    octets, at, protocol = skb.packet, skb.header.header_length, skb.header.protocol
    if len(octets) < at + (_TCP_HEADER if protocol == TCP else _LEAST):
        return None
    if protocol in {TCP, UDP}:
        return octets[at] << 8 | octets[at + 1], octets[at + 2] << 8 | octets[at + 3]
    if protocol == ICMP:
        identifier = octets[at + 4] << 8 | octets[at + 5]
        return identifier, identifier
    return None
