# SPDX-License-Identifier: GPL-2.0-only
"""What an answer carries of the options of the packet that it answers.

Record route and timestamp go on in the answer, a source route is turned round;
all else is left out.

ICMP answers like that, and TCP with a reset. Known difference from Linux: there a
connection keeps the options of the SYN that opened it.

Source: RFC 1122 §3.2.1.8, §3.2.2.6, net/ipv4/ip_options.c `__ip_options_echo`, `ip_options_build`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.fib import RouteType
from emu.kernel.ip_options_reader import (
    ADDRESS,
    END,
    FLAGS,
    LENGTH,
    POINTER,
    TIME_OF_THESE,
    Options,
    time_of_day,
)
from emu.wire.ipv4 import MIN_HEADER

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.sim.time import Instant

_FIRST_SLOT: Final = 3  # of a source route: its first address


class Echo(NamedTuple):
    """The options of an answer, with room for what only routing knows.

    Attributes:
        dst: where the answer goes first: the first stage of a source route, or its receiver.
        receiver: who it is for in the end.
        octets: a multiple of 4, none for a packet without options.
        options: where they are, and what is to be filled in.
    """

    dst: bytes
    receiver: bytes
    octets: bytes
    options: Options

    def fill(self, src: bytes, now: Instant) -> bytes:
        """Return the options of an answer that is sent from `src` at `now`."""
        options = self.options
        if not self.octets:
            return b""
        head = bytearray(MIN_HEADER) + self.octets
        own = bytes(src)
        if options.source_route:
            end = options.source_route + head[options.source_route + LENGTH]
            head[end - ADDRESS : end] = bytes(self.receiver)
        if options.wants_address:
            at = options.record_route + head[options.record_route + POINTER] - 5
            head[at : at + ADDRESS] = own
        stamp = options.timestamp + head[options.timestamp + POINTER]
        if options.stamps_address:
            head[stamp - 9 : stamp - 5] = own
        if options.stamps_time:
            head[stamp - 5 : stamp - 1] = time_of_day(now)
        return bytes(head[MIN_HEADER:])


_NOTHING: Final = Options()


def echo(net: Namespace, skb: Skb) -> Echo | None:
    """Return what an answer to `skb` carries; None if half a slot is left there: then nothing is answered."""
    src, received = skb.header.src, skb.options
    if received is None:
        return Echo(src, src, b"", _NOTHING)
    packet, options = skb.packet, Options()
    octets = bytearray()
    if received.record_route:
        options.record_route = MIN_HEADER
        octets += _option(packet, received.record_route)
        if received.wants_address and octets[POINTER] <= octets[LENGTH]:
            if not _take(octets, ADDRESS):
                return None
            options.wants_address = True
    if received.timestamp:
        stamps = bytearray(_option(packet, received.timestamp))
        options.timestamp = MIN_HEADER + len(octets)
        if not _reserve(net, stamps, received, options):
            return None
        octets += stamps
    dst = src
    if received.source_route:
        dst, way_back = _turn(_option(packet, received.source_route), src)
        if way_back:
            options.source_route = MIN_HEADER + len(octets)
            octets += way_back
    if received.cipso:
        octets += _option(packet, received.cipso)
    octets += bytes((END,)) * (-len(octets) % 4)
    return Echo(dst, src, bytes(octets), options)


def _option(packet: bytes, at: int) -> bytes:
    return packet[at : at + packet[at + LENGTH]]


def _take(option: bytearray, octets: int) -> bool:
    """Move the pointer of `option` over `octets`; return whether they are free."""
    pointer = option[POINTER]
    if pointer - 1 + octets > option[LENGTH]:
        return False
    option[POINTER] = pointer + octets
    return True


def _reserve(net: Namespace, stamps: bytearray, received: Options, options: Options) -> bool:
    """Keep room in `stamps` for what is wanted of our time and address; return False if half is left."""
    if stamps[POINTER] > stamps[LENGTH]:
        return True
    if received.stamps_address:
        options.stamps_address = True
        if not _take(stamps, ADDRESS):
            return False
    if not received.stamps_time:
        return True
    if stamps[FLAGS] & 15 != TIME_OF_THESE:
        options.stamps_time = True
        return _take(stamps, ADDRESS)
    slot = stamps[POINTER] - 1
    if slot + ADDRESS > stamps[LENGTH]:
        return False
    if net.fib.address_type(bytes(stamps[slot : slot + ADDRESS])) is not RouteType.UNICAST:
        options.stamps_time = _take(stamps, 2 * ADDRESS)
    return True


def _turn(route: bytes, sender: bytes) -> tuple[bytes, bytes]:
    """Return the first stage of the way back along `route`, a source route, and the option for the rest.

    Without a stage between here and `sender` the option is empty. The last
    slot is left for the sender; it replaces the first stage of those who name
    themselves there (RFC 1812 §5.2.4.1).
    """
    passed = min(route[POINTER], route[LENGTH] + 1)
    stages = [route[at - 1 : at - 1 + ADDRESS] for at in range(passed - ADDRESS, _FIRST_SLOT, -ADDRESS)]
    if stages and stages[-1] == sender:
        del stages[-1]
    if not stages:
        return sender, b""
    slots = b"".join((*stages[1:], bytes(ADDRESS)))
    return stages[0], bytes((route[0], len(slots) + 3, 4)) + slots
