# SPDX-License-Identifier: GPL-2.0-only
"""IPv4 options as Linux reads them: checked, and our address and time written in on the way.

Known difference from Linux: no CIPSO domain can be configured, so every CIPSO
option is refused.

Source: RFC 791 §3.1, net/ipv4/ip_options.c `__ip_options_compile`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import own_address
from emu.kernel.fib import RouteType
from emu.sim.time import EPOCH, MILLISECOND, SECOND, Instant
from emu.wire.ipv4 import MIN_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb
    from emu.wire.addresses import IpAddress

END: Final = 0
NO_OPERATION: Final = 1
RECORD_ROUTE: Final = 7
TIMESTAMP: Final = 68
LOOSE_SOURCE_ROUTE: Final = 131
CIPSO: Final = 134
STRICT_SOURCE_ROUTE: Final = 137
ROUTER_ALERT: Final = 148

# The octets of an option by their place in it.
LENGTH: Final = 1
POINTER: Final = 2  # counts from 1, and from the type's octet
FLAGS: Final = 3  # of a timestamp: how many were missed (four bits), what is wanted (four bits)

_TIME_ONLY, _TIME_AND_ADDRESS, TIME_OF_THESE = 0, 1, 3
_FIRST_SLOT, _FIRST_STAMP = 4, 5  # the least that a pointer may be
_MOST_MISSED: Final = 15
_ROUTER_ALERT_LENGTH: Final = 4
_CIPSO_LENGTH: Final = 8  # at least
ADDRESS: Final = 4
_DAY: Final = 86400 * SECOND


@attrs.define
class Options:
    """Where the options of a packet stand in its header, and what is to be done about them.

    Places count from the start of the IP header; 0 is none.

    Attributes:
        record_route: place of the record route.
        wants_address: we are in the record route, and the next to fill in a better address.
        timestamp: place of the timestamp.
        stamps_address: the same as `wants_address` for the timestamp.
        stamps_time: our time is in the timestamp.
        source_route: place of the source route.
        is_strict: every hop of the source route must be a neighbour.
        next_hop: where the source route leads from here, if this host is a stage of it.
        cipso: place of the security label.
        is_changed: something was written, and the checksum is wrong by now.
    """

    record_route: int = 0
    wants_address: bool = False
    timestamp: int = 0
    stamps_address: bool = False
    stamps_time: bool = False
    source_route: int = 0
    is_strict: bool = False
    next_hop: IpAddress | None = None
    cipso: int = 0
    is_changed: bool = False


class _FaultError(Exception):
    """The octet at `place` of the header is wrong."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


def read(net: Namespace, skb: Skb) -> int:
    """Fill `skb.options`, write our addresses and time into the packet; return the place of a fault, else 0.

    With a fault the options before it are filled in nevertheless.

    Source: `__ip_options_compile`.
    """
    options = skb.options = Options()
    length = skb.header.header_length
    head = bytearray(skb.packet[:length])
    reading = _Reading(net, skb, options, head)
    try:
        reading.read()
    except _FaultError as fault:
        return fault.place
    finally:
        if head != skb.packet[:length]:
            skb.replace(bytes(head) + skb.packet[length:])
    return 0


@attrs.define
class _Reading:
    """One pass over the options of a header, which writes into it."""

    net: Namespace
    skb: Skb
    options: Options
    head: bytearray
    _own: IpAddress | None = None

    def read(self) -> None:
        """Go through the options in their order.

        Raises:
            _FaultError: one of them is malformed.
        """
        head = self.head
        at, end = MIN_HEADER, len(head)
        while at < end:
            kind = head[at]
            if kind == END:
                self._blank(at + 1)
                return
            if kind == NO_OPERATION:
                at += 1
                continue
            if at + 2 > end or not 2 <= head[at + LENGTH] <= end - at:
                raise _FaultError(at)
            size = head[at + LENGTH]
            step = _STEPS.get(kind)
            if step is not None:
                step(self, at, size)
            at += size

    def _blank(self, start: int) -> None:
        """Make sure that nothing but zeros follows the end of the options."""
        rest = bytes(len(self.head) - start)
        if self.head[start:] != rest:
            self.head[start:] = rest
            self.options.is_changed = True

    def _write(self, place: int, octets: bytes) -> None:
        self.head[place : place + len(octets)] = bytes(
            octets
        )  # an address is a number, too: bytearray refuses
        self.options.is_changed = True

    @property
    def own(self) -> IpAddress:
        """The address under which the sender knows us."""
        if self._own is None:
            self._own = own_address.specific_destination(self.net, self.skb)
        return self._own

    def _pointer(self, at: int, size: int, least: int) -> int:
        """Return an option's pointer, which is `least` or more.

        Raises:
            _FaultError: it is less, or the option is too short for it.
        """
        if size < least - 1:
            raise _FaultError(at + LENGTH)
        pointer = self.head[at + POINTER]
        if pointer < least:
            raise _FaultError(at + POINTER)
        return pointer

    def source_route(self, at: int, size: int) -> None:
        """Note where it is."""
        options = self.options
        self._pointer(at, size, _FIRST_SLOT)
        if options.source_route:
            raise _FaultError(at)
        options.source_route = at
        options.is_strict = self.head[at] == STRICT_SOURCE_ROUTE

    def record_route(self, at: int, size: int) -> None:
        """Write our address into the next free slot, if there is one."""
        options = self.options
        if options.record_route:
            raise _FaultError(at)
        pointer = self._pointer(at, size, _FIRST_SLOT)
        if pointer <= size:
            self._fits(at, pointer, size, ADDRESS)
            self._write(at + pointer - 1, self.own)
            self.head[at + POINTER] = pointer + ADDRESS
            options.wants_address = True
        options.record_route = at

    def _fits(self, at: int, pointer: int, size: int, needed: int) -> None:
        if pointer - 1 + needed > size:
            raise _FaultError(at + POINTER)

    def timestamp(self, at: int, size: int) -> None:
        """Write our time, and our address if wanted, into the next free slot; else count us as missed."""
        if self.options.timestamp:
            raise _FaultError(at)
        pointer = self._pointer(at, size, _FIRST_STAMP)
        flags = self.head[at + FLAGS]
        wanted = flags & 15
        if pointer <= size:
            self._fits(at, pointer, size, ADDRESS)
            self._stamp(at, pointer, size, wanted)
        elif wanted != TIME_OF_THESE:
            missed = flags >> 4
            if missed == _MOST_MISSED:
                raise _FaultError(at + FLAGS)
            self._write(at + FLAGS, bytes((wanted | missed + 1 << 4,)))
        self.options.timestamp = at

    def _stamp(self, at: int, pointer: int, size: int, wanted: int) -> None:
        options, slot = self.options, at + pointer - 1
        if wanted == _TIME_ONLY:
            time = slot
        elif wanted in (_TIME_AND_ADDRESS, TIME_OF_THESE):
            self._fits(at, pointer, size, 2 * ADDRESS)
            time = slot + ADDRESS
            if wanted == _TIME_AND_ADDRESS:
                self._write(slot, self.own)
                options.stamps_address = True
            elif self.net.fib.address_type(bytes(self.head[slot:time])) is RouteType.UNICAST:
                return
        else:
            return
        self._write(time, time_of_day(self.net.now))
        self.head[at + POINTER] = time + ADDRESS - at + 1
        options.stamps_time = True

    def router_alert(self, at: int, size: int) -> None:
        """Check its length; nobody here listens for it."""
        if size < _ROUTER_ALERT_LENGTH:
            raise _FaultError(at + LENGTH)

    def cipso(self, at: int, size: int) -> None:
        """Refuse a label of a domain that this host does not know. Source: `cipso_v4_validate`."""
        if self.options.cipso:
            raise _FaultError(at)
        self.options.cipso = at
        raise _FaultError(at + (LENGTH if size < _CIPSO_LENGTH else 2))


_STEPS: Final[Mapping[int, Callable[[_Reading, int, int], None]]] = {
    RECORD_ROUTE: _Reading.record_route,
    TIMESTAMP: _Reading.timestamp,
    LOOSE_SOURCE_ROUTE: _Reading.source_route,
    STRICT_SOURCE_ROUTE: _Reading.source_route,
    ROUTER_ALERT: _Reading.router_alert,
    CIPSO: _Reading.cipso,
}


def time_of_day(now: Instant) -> bytes:
    """Return the milliseconds since midnight, as a timestamp shows them. Source: `inet_current_timestamp`."""
    return ((EPOCH + now) % _DAY // MILLISECOND).to_bytes(4, "big")
