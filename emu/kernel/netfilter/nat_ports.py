# SPDX-License-Identifier: GPL-2.0-only
"""Which addresses and ports a connection gets: no two may look the same to those who answer.

Source: net/netfilter/nf_nat_core.c `get_unique_tuple`, `nf_nat_l4proto_unique_tuple`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Direction, Status
from emu.kernel.netfilter.conntrack.tcp_segment import after
from emu.kernel.netfilter.conntrack.tcp_table import State
from emu.kernel.netfilter.conntrack.tcp_window import TcpState
from emu.kernel.netfilter.conntrack.tuples import ICMP, Tuple
from emu.kernel.netfilter.jhash import jhash, scale
from emu.kernel.netfilter.packet import PORT_PROTOCOLS

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.nat_range import NatRange

_MOST_ATTEMPTS: Final = 128
_FEWEST_ATTEMPTS: Final = 16
_LAST_ATTEMPTS: Final = 32
"""So many before the end a port is taken from a connection that is over."""

_RESERVED: Final = 512
_LEAST_UNRESERVED: Final = 600
_PRIVILEGED: Final = 1024
_PORTS: Final = 65536
_ROOM: Final = 16
"""Octets that an address takes where it is hashed: those of an IPv6 address."""


def unique_tuple(
    net: Namespace, connection: Connection, present: Tuple, range_: NatRange, *, is_source: bool
) -> Tuple:
    """Return what the packets of a connection shall look like.

    Args:
        net: the namespace.
        connection: the connection.
        present: how they look now.
        range_: where the new end has to be.
        is_source: whether the source is to be changed, or the destination.

    Returns:
        A tuple in the range that no other connection has, or, where none was
        found, one that another has too: its packet ends when it is confirmed.
    """
    is_random = range_.random or range_.random_fully
    if is_source and not is_random:
        if _in_range(present, range_):
            if not _is_used(net, connection, present):
                return present
        else:
            for other in net.netfilter.conntrack.of_source(present, connection.zones[0]):
                mapped = other.reply.invert()
                candidate = Tuple(mapped.src, present.dst, present.protocol, mapped.sport, present.dport)
                if _in_range(candidate, range_):
                    if not _is_used(net, connection, candidate):
                        return candidate
                    break
    chosen = _with_address(connection, present, range_, is_source=is_source)
    if not is_random:
        if range_.has_ports:
            if (
                range_.base_port is None
                and _port_in_range(chosen, range_, is_source=is_source)
                and (range_.min_port == range_.max_port or not _is_used(net, connection, chosen))
            ):
                return chosen
        elif not _is_used(net, connection, chosen):
            return chosen
    return _with_port(net, connection, chosen, range_, is_source=is_source)


def _is_used(net: Namespace, connection: Connection, tuple_: Tuple) -> bool:
    """Return whether answers to `tuple_` would belong to another connection. Source: `nf_nat_used_tuple`."""
    return net.netfilter.conntrack.is_taken(tuple_.invert(), net.now, connection.zones[1], but=connection)


def _can_have(net: Namespace, connection: Connection, tuple_: Tuple, *, is_late: bool) -> bool:
    """Return whether `connection` can have `tuple_`; with `is_late`, one that is over gives way to it.

    That is a TCP connection that was translated and is closed: one that begins
    behind its last sequence number takes its place. Source: `nf_nat_used_tuple_harder`.
    """
    table = net.netfilter.conntrack
    if not table.is_taken(tuple_.invert(), net.now, connection.zones[1], but=connection):
        return True
    found = table.find(tuple_.invert(), net.now, connection.zones[1])
    if not is_late or found is None or found.direction is Direction.ORIGINAL:
        return False
    old, new, status = found.connection.tracker, connection.tracker, found.connection.status
    if not isinstance(old, TcpState) or not isinstance(new, TcpState) or new.state is not State.SYN_SENT:
        return False
    is_over = old.state >= State.TIME_WAIT and not status & Status.FIXED_TIMEOUT
    if not is_over or not status & Status.SRC_NAT or not after(new.sides[0].end, old.sides[0].end):
        return False
    table.delete(found.connection, net.now)
    return True


def _in_range(tuple_: Tuple, range_: NatRange) -> bool:
    """Return whether the source of `tuple_` is in `range_`. Source: `nf_in_range`."""
    if (
        range_.min_address is not None
        and range_.max_address is not None
        and not (range_.min_address <= tuple_.src <= range_.max_address)
    ):
        return False
    return not range_.has_ports or _port_in_range(tuple_, range_, is_source=True)


def _port_in_range(tuple_: Tuple, range_: NatRange, *, is_source: bool) -> bool:
    """Return whether the port, or the ICMP identifier, is in `range_`. Source: `l4proto_in_range`."""
    if range_.min_port is None or range_.max_port is None:
        return True
    if tuple_.protocol == ICMP:
        return range_.min_port <= tuple_.sport <= range_.max_port
    if tuple_.protocol not in PORT_PROTOCOLS:
        return True
    port = tuple_.sport if is_source else tuple_.dport
    return range_.min_port <= port <= range_.max_port


def _with_address(connection: Connection, tuple_: Tuple, range_: NatRange, *, is_source: bool) -> Tuple:
    """Return `tuple_` with an address of the range: the same for the same two ends.

    Linux hashes the two addresses without a secret, so which one it picks can be
    known beforehand. Source: `find_best_ips_proto`.
    """
    if range_.min_address is None or range_.max_address is None:
        return tuple_
    address = range_.min_address
    if range_.min_address != range_.max_address:
        first, last = (int.from_bytes(end, "big") for end in (range_.min_address, range_.max_address))
        seed = 0 if range_.persistent else _word(tuple_.dst) ^ connection.zones[0]
        hashed = jhash(bytes(tuple_.src).ljust(_ROOM, b"\0"), seed)
        address = type(address)((first + scale(hashed, last - first + 1)).to_bytes(4, "big"))
    return tuple_._replace(src=address) if is_source else tuple_._replace(dst=address)


def _word(address: bytes) -> int:
    """Return an address as a little-endian machine reads it from memory."""
    return int.from_bytes(address, "little")


def _with_port(
    net: Namespace, connection: Connection, tuple_: Tuple, range_: NatRange, *, is_source: bool
) -> Tuple:
    """Return `tuple_` with a port of the range that makes it unique, if one is found in time."""
    protocol = tuple_.protocol
    at_source = is_source or protocol == ICMP
    present = tuple_.sport if at_source else tuple_.dport
    if protocol == ICMP:
        least, size = range_.min_port or 0, _PORTS
        if range_.has_ports:
            size = (range_.max_port or 0) - least + 1
    elif protocol in PORT_PROTOCOLS:
        span = _span(present, range_, is_source=is_source)
        if span is None:
            return tuple_
        least, size = span
    else:
        return tuple_
    offset = _first_offset(net, present, range_, is_source=is_source)
    attempts = min(size, _MOST_ATTEMPTS)
    candidate = tuple_
    while True:
        for attempt in range(attempts):
            port = least + offset % size
            candidate = tuple_._replace(sport=port) if at_source else tuple_._replace(dport=port)
            if _can_have(net, connection, candidate, is_late=attempts - attempt <= _LAST_ATTEMPTS):
                return candidate
            offset = (offset + 1) % _PORTS
        if attempts >= size or attempts < _FEWEST_ATTEMPTS:
            return candidate
        attempts //= 2
        offset = net.random.getrandbits(16)


def _first_offset(net: Namespace, port: int, range_: NatRange, *, is_source: bool) -> int:
    """Return where in the range the search begins."""
    if range_.base_port is not None:
        return (port - range_.base_port) % _PORTS
    if range_.random or range_.random_fully or is_source:
        return net.random.getrandbits(16)
    return 0


def _span(port: int, range_: NatRange, *, is_source: bool) -> tuple[int, int] | None:
    """Return the least port that may be taken and how many follow; None if it has to stay."""
    if range_.min_port is not None and range_.max_port is not None:
        least, most = sorted((range_.min_port, range_.max_port))
        return least, most - least + 1
    if not is_source:
        return None
    if port < _RESERVED:
        return 1, _RESERVED - 1
    if port < _PRIVILEGED:
        return _LEAST_UNRESERVED, _PRIVILEGED - _LEAST_UNRESERVED
    return _PRIVILEGED, _PORTS - _PRIVILEGED
