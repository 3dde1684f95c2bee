# SPDX-License-Identifier: GPL-2.0-only
"""What taps saw of each packet, as someone reads it who knows headers and nothing of the kernel.

A *view* is one frame at one tap, its tunnels opened. A *journey* is all that was
seen of one packet: its copies, its fragments, and the way of the copy that was
accepted in the end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.observe.recording import Kind
from emu.wire import ethernet, icmp, ipv4, udp, vxlan
from emu.wire.ipv4 import Ipv4

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.observe.recording import Step

_TAPS: Final = frozenset((Kind.IN, Kind.OUT))
_IPV4: Final = ethernet.IPV4.to_bytes(2, "big")
_MACS: Final = 12  # octets
_TUNNEL: Final = udp.HEADER_LENGTH + vxlan.HEADER_LENGTH
TUNNEL_PORTS: Final = frozenset((4789, 6784, 8472))
TAKEN: Final = frozenset(("socket", "echo", "icmp"))
"""Stages at which a program, or the kernel itself, accepts a packet."""


class Layer(NamedTuple):
    """One IPv4 packet in a frame: the MAC addresses before it, its header, and what it carries."""

    macs: bytes
    header: Ipv4
    body: bytes


class View(NamedTuple):
    """One frame with IPv4 at one tap; `layers` are its packets, those in tunnels last."""

    step: Step
    layers: tuple[Layer, ...]

    @property
    def point(self) -> tuple[str, str, Kind]:
        """Where it was seen: namespace, device, and whether it came in or went out."""
        return self.step.net, self.step.device, self.step.kind

    @property
    def inner(self) -> Layer:
        """The packet inside all tunnels."""
        return self.layers[-1]

    @property
    def flow(self) -> Flow:
        """Who talks to whom, inside all tunnels."""
        return flow_of(self.inner)


class Flow(NamedTuple):
    """Source and destination of one direction; an ICMP echo has its identifier for both ports."""

    protocol: int
    src: bytes
    dst: bytes
    sport: int
    dport: int

    def __str__(self) -> str:
        src, dst = (".".join(map(str, address)) for address in (self.src, self.dst))
        if self.protocol == ipv4.ICMP or self.sport < 0:
            return f"{src} > {dst}"
        return f"{src}:{self.sport} > {dst}:{self.dport}"

    def turned(self) -> Flow:
        """Return the flow of the answers."""
        return Flow(self.protocol, self.dst, self.src, self.dport, self.sport)


def flow_of(layer: Layer) -> Flow:
    """Return the flow of a packet; of a fragment without its first octets the ports are -1."""
    header, body = layer.header, layer.body
    if header.offset or len(body) < 4:
        return Flow(header.protocol, header.src, header.dst, -1, -1)
    if header.protocol == ipv4.ICMP:
        is_echo = body[0] in {icmp.ECHO, icmp.ECHO_REPLY} and len(body) >= 6
        identifier = int.from_bytes(body[4:6], "big") if is_echo else -1
        return Flow(header.protocol, header.src, header.dst, identifier, identifier)
    ports = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
    return Flow(header.protocol, header.src, header.dst, *ports)


def view(step: Step) -> View | None:
    """Return what a tap saw, None if it was no IPv4."""
    layers = tuple(_layers(step.octets if step.framed else ethernet.NO_HEADER + step.octets))
    return View(step, layers) if layers else None


def _layers(frame: bytes) -> Iterable[Layer]:
    while frame[_MACS : ethernet.HEADER_LENGTH] == _IPV4:
        layer = _packet(frame[ethernet.HEADER_LENGTH :], frame[:_MACS])
        yield layer
        _, header, body = layer
        if header.protocol == ipv4.IPIP and not header.is_fragment and len(body) >= ipv4.MIN_HEADER:
            frame = ethernet.NO_HEADER + body
            continue
        is_tunnel = header.protocol == ipv4.UDP and not header.is_fragment and len(body) >= _TUNNEL
        if not is_tunnel or int.from_bytes(body[2:4], "big") not in TUNNEL_PORTS:
            return
        frame = body[_TUNNEL:]


def _packet(octets: bytes, macs: bytes = b"") -> Layer:
    header = Ipv4.parse(octets)
    return Layer(macs, header, octets[header.header_length : header.total_length])


@attrs.frozen(eq=False)
class Journey:
    """One packet.

    Attributes:
        views: every tap that it passed, copies and fragments together, in order.
        ways: for each copy that was accepted, the taps on its way, in order.
        ends: each of these copies as it was when it was accepted, behind all NAT.
        drops: where copies of it ended.
    """

    views: tuple[View, ...]
    ways: tuple[tuple[View, ...], ...]
    ends: tuple[Layer, ...]
    drops: tuple[Step, ...]

    @property
    def first(self) -> View:
        """Where it set out."""
        return self.views[0]

    @property
    def way(self) -> tuple[View, ...]:
        """The way of the copy that was accepted; empty if none was."""
        return self.ways[0] if self.ways else ()

    @property
    def seen(self) -> Flow | None:
        """Who talks to whom, as the one sees it who accepted it; None if nobody did."""
        return flow_of(self.ends[0]) if self.ends else None

    @property
    def name(self) -> str:
        """What it is called in a fault."""
        step = self.first.step
        return f"packet {step.packet_id} from {step.net}"


def journeys(steps: Sequence[Step]) -> list[Journey]:
    """Return the journeys of all IPv4 packets that `steps` tell of, in the order in which they set out."""
    numbered = {step.number: step for step in steps}
    views: defaultdict[int, list[View]] = defaultdict(list)
    seen: dict[int, View] = {}
    drops: defaultdict[int, list[Step]] = defaultdict(list)
    taken: defaultdict[int, dict[int, tuple[tuple[View, ...], Layer]]] = defaultdict(dict)
    for step in steps:
        if step.kind in _TAPS:
            found = view(step)
            if found is not None:
                seen[step.number] = found
                views[step.packet_id].append(found)
        elif step.kind is Kind.DROP:
            drops[step.packet_id].append(step)
        elif step.stage in TAKEN:
            way = _way(step, numbered, seen)
            if way:
                taken[step.packet_id].setdefault(way[-1].step.number, (way, _packet(step.octets)))
    return [
        Journey(
            tuple(found),
            tuple(way for way, _ in taken[number].values()),
            tuple(end for _, end in taken[number].values()),
            tuple(drops[number]),
        )
        for number, found in views.items()
    ]


def _way(step: Step, numbered: dict[int, Step], seen: dict[int, View]) -> tuple[View, ...]:
    """Return the taps that lead to `step`, the first one first."""
    found: list[View] = []
    at: Step | None = step
    while at is not None:
        if at.number in seen:
            found.append(seen[at.number])
        at = numbered.get(at.parent)
    return tuple(reversed(found))


def datagrams(journey: Journey) -> dict[tuple[str, str, Kind], bytes]:
    """Return what the packet inside all tunnels carried at each tap, its fragments put together."""
    parts: defaultdict[tuple[str, str, Kind], dict[int, bytes]] = defaultdict(dict)
    for each in journey.views:
        parts[each.point][each.inner.header.offset] = each.inner.body
    return {point: b"".join(found[at] for at in sorted(found)) for point, found in parts.items()}
