# SPDX-License-Identifier: GPL-2.0-only
"""What holds on every cluster, whoever talks to whom: Kubernetes' model of a network, checked at the taps.

Each check adds to `Findings` what is wrong, a line each, and how often it looked,
so that a test can tell that it looked at all. Nothing here asks the code that it
checks: who sees which address stands in `expectations`, and where a packet went
and what it held is read from the frames at the taps.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.vpc.names import INTERNET_GATEWAY, ROUTER
from emu.observe.recording import Kind
from emu.testing.checks import lost, wrong_checksums
from emu.testing.expectations import routers, sight
from emu.verify.endpoint import Protocol
from emu.verify.journeys import datagrams, journeys
from emu.verify.untouched import looks
from emu.wire import icmp, ipv4, sctp, tcp, udp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.observe.recording import Step
    from emu.testing.clusters import ClusterLab, Exchange, Party
    from emu.verify.journeys import Flow, Journey, View

_TAPS: Final = frozenset((Kind.IN, Kind.OUT))
_NUMBERS: Final = {
    Protocol.TCP: ipv4.TCP,
    Protocol.UDP: ipv4.UDP,
    Protocol.SCTP: ipv4.SCTP,
    Protocol.ICMP: ipv4.ICMP,
}
_SENDER: Final = slice(6, 12)  # of a frame's addresses
_OTHER_WAY: Final = {Kind.IN: Kind.OUT, Kind.OUT: Kind.IN}


@attrs.define
class Findings:
    """What checks have found.

    Attributes:
        faults: what is wrong, a line each.
        checked: how often each invariant was looked at.
    """

    faults: list[str] = attrs.field(factory=list)
    checked: Counter[str] = attrs.field(factory=Counter)

    def expect(self, invariant: str, fault: str, *, holds: bool) -> None:
        """Count a look at `invariant`, and note `fault` unless it holds."""
        self.checked[invariant] += 1
        if not holds:
            self.faults.append(f"{invariant}: {fault}")


@attrs.frozen(eq=False)
class Conversation:
    """The packets of an exchange: what the asker sent, and what was sent to it as an answer."""

    exchange: Exchange
    requests: tuple[Journey, ...]
    replies: tuple[Journey, ...]

    @property
    def packets(self) -> tuple[Journey, ...]:
        """Both."""
        return (*self.requests, *self.replies)


def conversation(exchange: Exchange) -> Conversation:
    """Return the packets of an exchange, found by what the asker's own device saw."""
    everything = journeys(exchange.steps)
    net, number = exchange.source.net, _NUMBERS[exchange.protocol]
    requests = [
        each
        for each in everything
        if each.first.step.net == net
        and each.first.step.kind is Kind.OUT
        and _is_asked(each.first, exchange, number)
    ]
    flows = {each.first.flow.turned() for each in requests}
    sent = {id(each) for each in requests}
    replies = [
        each
        for each in everything
        if id(each) not in sent and (at_end := _flow_at_end(each, net)) is not None and at_end in flows
    ]
    return Conversation(exchange, tuple(requests), tuple(replies))


def _is_asked(seen: View, exchange: Exchange, number: int) -> bool:
    flow = seen.flow
    if (flow.protocol, flow.dst) != (number, bytes(exchange.address)):
        return False
    if number == ipv4.ICMP:
        return seen.inner.body[:1] == bytes((icmp.ECHO,))
    return flow.dport == exchange.port


def _flow_at_end(journey: Journey, net: str) -> Flow | None:
    """Return the flow of what came into `net`, None if it did not."""
    for each in journey.views:
        if each.step.net == net and each.step.kind is Kind.IN and not each.inner.header.offset:
            return each.flow
    return None


# --- who talks to whom, without a Service between ---


def check_direct(found: Findings, lab: ClusterLab, exchange: Exchange, target: Party) -> None:
    """Check an exchange with `target` by its own address: all that the model promises of it."""
    talk = conversation(exchange)
    source = exchange.source
    what = f"{source.name} asks {target.name} by {exchange.protocol.value}"
    found.expect("answered", f"{what}: {exchange.outcome}", holds=exchange.outcome == "ok")
    found.expect("sent", f"{what}: no packets", holds=bool(talk.requests))
    check_arrival(found, talk.requests, target.net)
    check_arrival(found, talk.replies, source.net)
    expected = sight(lab, source, target)
    invariant = f"no NAT, {source.role} to {target.role}"
    for each in talk.requests:
        seen = each.seen
        if seen is None:
            continue
        of = f"{each.name} to {target.name}"
        found.expect("asked by its own name", f"{of}: {seen}", holds=seen.dst == bytes(target.address))
        right = seen.src == bytes(expected.address)
        found.expect("source", f"{of}: seen as {Address(seen.src)}, not {expected.address}", holds=right)
        if source.role == target.role == "pod":
            own = lab.net_of(source).devices["eth0"].addresses[0].address
            found.expect("itself", f"{of}: {own} is seen as {Address(seen.src)}", holds=seen.src == own)
    for each in talk.packets:
        if expected.is_untouched:
            asked = each.first.flow if each in talk.requests else each.first.flow.turned()
            _check_untouched(found, lab, each, asked, invariant)
        check_payload(found, each)
        check_ttl(found, lab, each, routers(lab, source, target))
    _check_retraced(found, talk)


class Address(bytes):
    """An address of IPv4 to be shown."""

    __slots__ = ()

    def __str__(self) -> str:
        return ".".join(map(str, self))


def check_arrival(found: Findings, packets: Sequence[Journey], net: str) -> None:
    """Check that each packet was accepted, once, and where it should."""
    for each in packets:
        ends = [way[-1].step.net for way in each.ways]
        found.expect(
            "arrives once", f"{each.name} arrives at {ends or 'nobody'}, not {net}", holds=ends == [net]
        )


def _check_untouched(found: Findings, lab: ClusterLab, packet: Journey, asked: Flow, invariant: str) -> None:
    """Check that addresses, ports and payload are the same at every tap, and no connection says otherwise."""
    for each in looks(lab.fabric, packet, asked):
        found.expect("no NAT entry" if each.is_entry else invariant, each.words, holds=each.holds)


def check_payload(found: Findings, packet: Journey) -> None:
    """Check that what a packet carries for programs is at its end what it was at its start."""
    if not packet.way:
        return
    wholes = datagrams(packet)
    first, last = packet.way[0], packet.way[-1]
    number = first.inner.header.protocol
    same = _carried(number, wholes[first.point]) == _carried(number, wholes[last.point])
    found.expect("payload", f"{packet.name} carries something else in the end", holds=same)


def _carried(protocol: int, body: bytes) -> bytes:
    match protocol:
        case ipv4.TCP:
            return body[(body[12] >> 4) * 4 :] if len(body) >= tcp.MIN_HEADER else body
        case ipv4.UDP:
            return body[udp.HEADER_LENGTH :]
        case ipv4.SCTP:
            return body[sctp.HEADER_LENGTH :]
        case _:
            return body[icmp.HEADER_LENGTH :]


def check_ttl(found: Findings, lab: ClusterLab, packet: Journey, count: int | None = None) -> None:
    """Check that whoever sends it as from himself takes one from the TTL, nobody else, and `count` do.

    Whose MAC address a frame is from tells who routed it last: a bridge leaves it as it is.
    Only on a bridge device itself it has the bridge's for a moment where DNAT sent it
    to a neighbour that was not known yet (`br_nf_dev_xmit` gives it its own back).
    """
    way = [each for each in packet.way if not _is_sent_by_bridge(lab, each)]
    for before, after in pairwise(way):
        pairs = [(before.inner, after.inner)]
        if len(before.layers) == len(after.layers) == 2:
            pairs.append((before.layers[0], after.layers[0]))
        for one, other in pairs:
            fall = one.header.ttl - other.header.ttl
            expected = int(one.macs[_SENDER] != other.macs[_SENDER] and not _is_unseen(before, after))
            place = f"{packet.name} between {before.point} and {after.point}"
            found.expect("TTL", f"{place}: falls by {fall}, not {expected}", holds=fall == expected)
    if way and count is not None:
        fall = way[0].inner.header.ttl - way[-1].inner.header.ttl
        found.expect("TTL", f"{packet.name}: fell by {fall}, not {count}", holds=fall == count)


def _is_unseen(before: View, after: View) -> bool:
    """Return whether a packet passes a router between two taps that gives back what it takes: a VPC's."""
    return before.step.net == after.step.net and before.step.net in {ROUTER, INTERNET_GATEWAY}


def _is_sent_by_bridge(lab: ClusterLab, seen: View) -> bool:
    return seen.step.kind is Kind.OUT and lab.beyond[seen.step.number][0].kind == "bridge"


def _check_retraced(found: Findings, talk: Conversation) -> None:
    """Check that the answers come back by the devices that the question went by."""
    ways = {_points(each.way) for each in talk.requests if each.way}
    for each in talk.replies:
        if each.way:
            back = tuple((net, device, _OTHER_WAY[kind]) for net, device, kind in reversed(_points(each.way)))
            fault = f"{each.name} comes by {_places(back)}, asked by {[_places(way) for way in ways]}"
            found.expect("retraced", fault, holds=ways == {back})


def _points(way: Iterable[View]) -> tuple[tuple[str, str, Kind], ...]:
    return tuple(each.point for each in way)


def _places(points: Iterable[tuple[str, str, Kind]]) -> str:
    return " ".join(f"{net}/{device}" for net, device, _ in points)


# --- every tap, every packet ---


def check_checksums(found: Findings, steps: Sequence[Step]) -> None:
    """Check the checksums of every frame at every tap, outside and inside tunnels."""
    right: set[bytes] = set()  # a frame passes many taps as it is
    for step in steps:
        if step.kind in _TAPS and step.octets not in right:
            wrong = wrong_checksums(step.octets)
            fault = f"{step.net}/{step.device}, packet {step.packet_id}: {', '.join(wrong)}"
            found.expect("checksums", fault, holds=not wrong)
            if not wrong:
                right.add(step.octets)


def check_nothing_lost(found: Findings, lab: ClusterLab, steps: Sequence[Step]) -> None:
    """Check that every packet went on, was accepted, or was dropped with a reason."""
    faults = lost(steps, lambda step: lab.beyond[step.number])
    found.checked["nothing lost"] += len(steps)
    found.faults += [f"nothing lost: {fault}" for fault in faults]
