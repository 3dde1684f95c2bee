# SPDX-License-Identifier: GPL-2.0-only
"""IPv4 options: read as a packet comes in, filled in as it goes on, sent back with answers.

    receive (after the routing decision) --+--> forward (as the packet leaves)
                                           +--> ip_options_echo (what an answer carries)

Record route, timestamp and source route are acted upon; everything else is
carried as it is. What `receive` writes into a packet leaves its header checksum
wrong until `forward` mends it, so an ICMP error in between quotes a wrong one.

Source: RFC 1122 §3.2.1.8, RFC 1812 §5.2.4, net/ipv4/ip_options.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel import icmp, own_address, routing
from emu.kernel.drops import DropReason
from emu.kernel.fib import RouteType
from emu.kernel.ip_options_reader import ADDRESS, LENGTH, POINTER, read
from emu.kernel.routing import Refusal, RouteDecision
from emu.kernel.skb import PacketType, Skb
from emu.wire.addresses import IpAddress
from emu.wire.icmp import PARAMETER_PROBLEM
from emu.wire.ipv4 import rechecksum

if TYPE_CHECKING:
    from emu.kernel.ip_options_reader import Options
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace

WITHOUT: Final = 0x45
"""The first octet of an IPv4 header that has no options."""

_DESTINATION: Final = 16  # its place in the header


# --- in ---


def receive(
    net: Namespace, skb: Skb, device: Device, decision: RouteDecision | Refusal
) -> RouteDecision | Refusal:
    """Read and fill in the options of `skb`; return where it goes then, which a source route may change.

    Args:
        net: the namespace.
        skb: a packet with options.
        device: where it came in.
        decision: where it goes by its destination.

    Source: net/ipv4/ip_input.c `ip_rcv_options`.
    """
    if isinstance(decision, RouteDecision):
        skb.route = decision
    elif not decision.is_error_route:
        return decision
    place = read(net, skb)
    if place:
        return _malformed(net, skb, place)
    options = skb.options
    if options is None or not options.source_route:
        return decision
    if not net.sysctl.conf_and(device.name, "accept_source_route"):
        return Refusal(DropReason.NOT_SPECIFIED, "a source route, and accept_source_route is 0")
    return _follow_source_route(net, skb, device, decision, options)


def _malformed(net: Namespace, skb: Skb, place: int) -> Refusal:
    icmp.send_error(net, skb, PARAMETER_PROBLEM, 0, place << 24)
    return Refusal(DropReason.IP_INHDR, f"bad IP option: octet {place} of the header")


def _follow_source_route(
    net: Namespace, skb: Skb, device: Device, decision: RouteDecision | Refusal, options: Options
) -> RouteDecision | Refusal:
    """Return where `skb` goes by its source route, if it has come to a stage of that.

    Source: `ip_options_rcv_srr`.
    """
    if skb.packet_type is not PacketType.HOST or isinstance(decision, Refusal):
        return Refusal(DropReason.NOT_SPECIFIED, "a source route, and the destination is no host")
    if decision.kind is RouteType.UNICAST:
        if options.is_strict:
            icmp.send_error(net, skb, PARAMETER_PROBLEM, 0, _DESTINATION << 24)
            return Refusal(DropReason.NOT_SPECIFIED, "off the way that a strict source route tells")
        return decision
    if decision.kind is not RouteType.LOCAL:
        return Refusal(DropReason.NOT_SPECIFIED, "a source route, and the destination is no host")
    at = options.source_route
    size, pointer = skb.packet[at + LENGTH], skb.packet[at + POINTER]
    for slot in range(at + pointer - 1, at + size, ADDRESS):
        if slot + ADDRESS > at + size:
            icmp.send_error(net, skb, PARAMETER_PROBLEM, 0, at + POINTER << 24)
            return Refusal(DropReason.NOT_SPECIFIED, "half an address in a source route")
        hop = IpAddress(skb.packet[slot : slot + ADDRESS])
        found = _route_to(net, skb, device, hop)
        if isinstance(found, Refusal) or found.kind not in (RouteType.UNICAST, RouteType.LOCAL):
            return Refusal(DropReason.NOT_SPECIFIED, f"{hop}, the next of a source route, is not reached")
        decision = found
        options.is_changed = True
        if found.kind is RouteType.UNICAST:
            options.next_hop = hop
            break
        _write(skb, _DESTINATION, hop)
    return decision


def _route_to(net: Namespace, skb: Skb, device: Device, dst: IpAddress) -> RouteDecision | Refusal:
    """Return where `skb` would go if it were for `dst`."""
    other = Skb(skb.packet, skb.packet_id, skb.trail)
    other.device, other.packet_type, other.mark = skb.device, skb.packet_type, skb.mark
    _write(other, _DESTINATION, dst)
    return routing.route_input(net, other, device)


def _write(skb: Skb, place: int, octets: bytes) -> None:
    """Put `octets` into the header and leave its checksum as it is."""
    skb.replace(skb.packet[:place] + octets + skb.packet[place + len(octets) :])


def read_again(net: Namespace, skb: Skb) -> bool:
    """Read the options of a packet whose neighbour does not answer; return False for malformed ones.

    Linux does not know them any more by then, so our address is recorded twice.

    Source: net/ipv4/route.c `ipv4_send_dest_unreach`.
    """
    return skb.header.version_ihl == WITHOUT or read(net, skb) == 0


# --- on ---


def forward(net: Namespace, skb: Skb, options: Options) -> None:
    """Fill in the address that `skb` leaves by, and mend its checksum. Source: `ip_forward_options`."""
    decision = skb.route
    assert decision is not None, "routed before"
    if options.wants_address:
        at = options.record_route
        _write(skb, at + skb.packet[at + POINTER] - 5, own_address.outgoing(net, skb, decision))
    if options.next_hop is not None:
        _leave_stage(net, skb, decision, options, options.next_hop)
        if (
            options.stamps_address
        ):  # only here: else the timestamp keeps the address that was written at input
            at = options.timestamp
            _write(skb, at + skb.packet[at + POINTER] - 9, own_address.outgoing(net, skb, decision))
    if options.is_changed:
        options.is_changed = False
        length = skb.header.header_length
        skb.replace(rechecksum(skb.packet[:length]) + skb.packet[length:])


def _leave_stage(
    net: Namespace, skb: Skb, decision: RouteDecision, options: Options, next_hop: IpAddress
) -> None:
    """Make the next hop of a source route the destination, and put our address in its place."""
    at = options.source_route
    pointer, size = skb.packet[at + POINTER], skb.packet[at + LENGTH]
    for slot in range(at + pointer - 1, at + size - ADDRESS + 1, ADDRESS):
        if skb.packet[slot : slot + ADDRESS] == next_hop:
            _write(skb, _DESTINATION, next_hop)
            _write(skb, slot, own_address.outgoing(net, skb, decision))
            _write(skb, at + POINTER, bytes((slot - at + 1 + ADDRESS,)))
            return
