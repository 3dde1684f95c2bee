# SPDX-License-Identifier: GPL-2.0-only
"""A tap that follows the packets of clients: where each ended, and why one was dropped.

A packet keeps its number on its whole way, whatever NAT and tunnels make of
it. So it is enough to learn at the client's device which flow has which
packets, and to note for each where it came in last.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.cluster.codes import BY_DETAIL
from emu.cluster.underlay.names import is_underlay
from emu.cluster.vpc.names import RESOLVER
from emu.kernel.drops import DropReason
from emu.kernel.recorder import Direction
from emu.wire import ethernet
from emu.wire.ipv4 import ICMP, TCP, UDP

if TYPE_CHECKING:
    from emu.fabric.confidant import Confidant
    from emu.kernel.effects import Drop
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.wire.frame import Frame

_HEAD: Final = ethernet.HEADER_LENGTH
_LEAST: Final = _HEAD + 28
_SYN: Final = 2
_SYN_ACK: Final = 18
_IP4: Final = b"\x08\x00"
_IN, _OUT = Direction
BETWEEN: Final = "router"
"""A namespace that packets pass through."""

_NODE: Final = "node/"
_MOST_FLOWS: Final = 50_000


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
        places: by number the namespace that a packet came into last.
        before: by number the namespace before that.
        drops: by number the reason and the place.
        net: the namespace that it left from.
    """

    syn: bytes = b""
    packets: list[int] = attrs.field(factory=list)
    places: dict[int, str] = attrs.field(factory=dict)
    before: dict[int, str] = attrs.field(factory=dict)
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
            self.places[packet] = self.before[packet]

    def end_of(self, packet: int) -> str:
        """Return where a packet ended, empty if that is not known."""
        return self.places.get(packet, "")


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
        self._codes: dict[str, Counter[str]] = {}

    def seen(self, net: Namespace, device: Device, direction: Direction, frame: Frame) -> None:
        """Take note of where a packet of a client is, or of the beginning of one."""
        flow = self._by_packet.get(frame.packet_id)
        if flow is None:
            if direction is _OUT and net.name in self.clients:
                self._begin(net.name, frame)
        elif direction is _IN and device.name != "lo":
            flow.come(frame.packet_id, net.name)

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

    def _begin(self, net: str, frame: Frame) -> None:
        octets = frame.octets
        if len(octets) < _LEAST or octets[12:14] != _IP4:
            return
        protocol = octets[_HEAD + 9]
        at = _HEAD + (octets[_HEAD] & 15) * 4
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
        if flow is None or (
            syn and flow.syn != syn
        ):  # late packets of an old connection may have come before
            if len(self._flows) > _MOST_FLOWS:
                self._flows.clear()
            flow = self._flows[key] = Flow(syn, net=net)
        flow.packets.append(frame.packet_id)
        self._by_packet[frame.packet_id] = flow

    def flow(self, key: FlowKey) -> Flow:
        """Return what is known of a flow, which may be nothing."""
        return self._flows.get(key) or Flow()

    def codes_of(self, net: str) -> dict[str, int]:
        """Return how many packets that left a namespace ended, by the code of their end."""
        return dict(sorted(self._codes.get(net, {}).items()))

    def unaccounted(self) -> list[int]:
        """Return the packets of clients that have left and have not come anywhere, nor ended for a reason."""
        return [
            packet
            for packet, flow in self._by_packet.items()
            if packet not in flow.places and packet not in flow.drops
        ]

    def forget(self, key: FlowKey) -> None:
        """Begin anew with a flow: what comes with its port from now on is another one."""
        flow = self._flows.pop(key, None)
        if flow is not None:
            for packet in flow.packets:
                self._by_packet.pop(packet, None)


def code_of(drop: Drop) -> str:
    """Return the code of an end: the kernel's reason, or what its details say better."""
    return next(
        (code for begin, code in BY_DETAIL.items() if drop.detail.startswith(begin)), drop.reason.name
    )


def is_between(net: str) -> bool:
    """Return whether a namespace is one on the way, and no pod, host outside or name server."""
    return net != RESOLVER and (is_underlay(net) or net.startswith(_NODE))
