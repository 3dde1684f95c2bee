# SPDX-License-Identifier: GPL-2.0-only
"""A tap that follows the packets of clients: where each ended, and why one was dropped.

A packet keeps its number on its whole way, whatever NAT and tunnels make of
it. So it is enough to learn where a client sends which flow has which
packets, and to note for each where it came in last, and whether that was its
destination. One that waits for a neighbour may end long after its attempt.
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


@attrs.define(eq=False)
class Flow:
    """The packets of a flow.

    Attributes:
        syn: of TCP the sequence number that it began with; empty where its beginning was not seen.
        packets: their numbers, in order.
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
        self._codes: dict[str, Counter[str]] = {}

    def sent(self, net: Namespace, packet: Skb) -> None:
        """Begin to follow a packet, if it is of a client: as it leaves its socket, before any translation."""
        if net.name in self.clients:
            self._begin(net.name, packet)

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

    def dropped(self, net: Namespace, packet: Frame | Skb, drop: Drop) -> None:
        """Take note of the end of a packet of a client."""
        flow = self._by_packet.get(packet.packet_id)
        if flow is None:
            return
        if drop.reason is DropReason.OTHERHOST:
            flow.pass_by(packet.packet_id, net.name)
        else:
            flow.drops[packet.packet_id] = drop.reason.name, net.name
            self._codes.setdefault(flow.net, Counter())[code_of(drop)] += 1

    def disclosed(self, random: bytes, key_log: bytes) -> None:
        """Hand on what programs say in secret, for captures that come later."""
        self._confidant.disclosed(random, key_log)

    def _begin(self, net: str, skb: Skb) -> None:
        octets, at, protocol = skb.packet, skb.header.header_length, skb.header.protocol
        if protocol in {TCP, UDP}:
            port = octets[at] << 8 | octets[at + 1]
        elif protocol == ICMP:
            port = octets[at + 4] << 8 | octets[at + 5]
        else:
            return
        key = FlowKey(net, protocol, port)
        flow = self._flows.get(key)
        syn = b""
        if protocol == TCP and octets[at + 13] & _SYN_ACK == _SYN:
            syn = octets[at + 4 : at + 8]
        if flow is None or (syn and flow.syn != syn):  # packets of an old connection may come before
            if len(self._flows) > _MOST_FLOWS:
                self._flows.clear()
            flow = self._flows[key] = Flow(syn, net=net)
        flow.packets.append(skb.packet_id)
        flow.lengths[skb.packet_id] = len(octets)
        self._by_packet[skb.packet_id] = flow

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
