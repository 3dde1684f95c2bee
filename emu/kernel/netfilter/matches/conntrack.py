# SPDX-License-Identifier: GPL-2.0-only
"""`-m conntrack` and `-m state`: what connection tracking knows about the packet.

Source: net/netfilter/xt_conntrack.c `conntrack_mt`, net/netfilter/xt_state.c.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.conntrack.entry import CtInfo, Direction, Status
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.packet import Packet
    from emu.sim.time import Instant


class CtState(enum.IntFlag):
    """The states of `--ctstate`; the values are the kernel's (`XT_CONNTRACK_STATE_BIT`)."""

    INVALID = 1 << 0
    ESTABLISHED = 1 << 1
    RELATED = 1 << 2
    NEW = 1 << 3
    SNAT = 1 << 6
    DNAT = 1 << 7
    UNTRACKED = 1 << 8


_OF_INFO: Final = {
    CtInfo.ESTABLISHED: int(CtState.ESTABLISHED),
    CtInfo.RELATED: int(CtState.RELATED),
    CtInfo.NEW: int(CtState.NEW),
    CtInfo.ESTABLISHED_REPLY: int(CtState.ESTABLISHED),
    CtInfo.RELATED_REPLY: int(CtState.RELATED),
}
_INVALID: Final = int(CtState.INVALID)
_UNTRACKED: Final = int(CtState.UNTRACKED)
_SNAT: Final = int(CtState.SNAT)
_DNAT: Final = int(CtState.DNAT)
_SRC_NAT: Final = int(Status.SRC_NAT)
_DST_NAT: Final = int(Status.DST_NAT)
_CHANGED: Final = _SRC_NAT | _DST_NAT


def state_of(packet: Packet) -> int:
    """Return the state of `packet` as a bit of `CtState`, without SNAT and DNAT."""
    skb = packet.skb
    if skb.connection is not None:
        return _OF_INFO[skb.ctinfo]
    return _UNTRACKED if skb.ctinfo is CtInfo.UNTRACKED else _INVALID


@attrs.frozen
class State:
    """`-m state --state`: the older spelling of `--ctstate`, without SNAT and DNAT."""

    states: CtState
    inverted: bool = False
    _bits: int = attrs.field(init=False, eq=False, repr=False)  # flags of `enum` are slow

    @_bits.default
    def _states_as_number(self) -> int:
        return int(self.states)

    def holds(self, packet: Packet) -> bool:
        """Return whether the packet's state is among them, or is not."""
        return (self._bits & state_of(packet) != 0) is not self.inverted


@attrs.frozen
class States:
    """`--ctstate`; a connection with changed addresses is in the states SNAT and DNAT as well."""

    states: CtState
    inverted: bool = False
    _bits: int = attrs.field(init=False, eq=False, repr=False)

    @_bits.default
    def _states_as_number(self) -> int:
        return int(self.states)

    def holds(self, packet: Packet) -> bool:
        """Return whether a state of the packet is among them, or none is."""
        bits = state_of(packet)
        connection = packet.skb.connection
        if connection is not None and connection.status & _CHANGED:
            if connection.status & _SRC_NAT:
                bits |= _SNAT
            if connection.status & _DST_NAT:
                bits |= _DNAT
        return (self._bits & bits != 0) is not self.inverted


class End(enum.Enum):
    """An end of one of the two tuples: its direction, and whether it is the destination."""

    ORIGINAL_SOURCE = (Direction.ORIGINAL, False)
    ORIGINAL_DESTINATION = (Direction.ORIGINAL, True)
    REPLY_SOURCE = (Direction.REPLY, False)
    REPLY_DESTINATION = (Direction.REPLY, True)


@attrs.frozen
class CtAddress:
    """`--ctorigsrc` and its like: an address of a tuple, under a mask."""

    end: End
    address: bytes
    mask: bytes
    inverted: bool = False

    def fits(self, connection: Connection) -> bool:
        """Return whether the address is that one, or is not."""
        direction, is_destination = self.end.value
        known = connection.tuples[direction]
        number = int.from_bytes(known.dst if is_destination else known.src, "big")
        differing = (number ^ int.from_bytes(self.address, "big")) & int.from_bytes(self.mask, "big")
        return (not differing) is not self.inverted


@attrs.frozen
class CtPort:
    """`--ctorigsrcport` and its like: a port of a tuple, from `first` to `last`.

    For ICMP the kernel compares the identifier, or type and code as one number.
    """

    end: End
    first: int
    last: int
    inverted: bool = False

    def fits(self, connection: Connection) -> bool:
        """Return whether the port is among them, or is not."""
        direction, is_destination = self.end.value
        known = connection.tuples[direction]
        port = known.dport if is_destination else known.sport
        return (self.first <= port <= self.last) is not self.inverted


@attrs.frozen
class CtProtocol:
    """`--ctproto`: the IP protocol of the connection."""

    number: int
    inverted: bool = False

    def fits(self, connection: Connection) -> bool:
        """Return whether it is that one, or is not."""
        return (connection.protocol == self.number) is not self.inverted


@attrs.frozen
class CtStatus:
    """`--ctstatus`: one of the bits is set; `NONE` asks for no bit, which is never found."""

    bits: int
    inverted: bool = False

    def fits(self, connection: Connection) -> bool:
        """Return whether one is, or none."""
        return bool(connection.status & self.bits) is not self.inverted


@attrs.frozen
class CtExpire:
    """`--ctexpire`: whole seconds until the connection is forgotten."""

    first: int
    last: int
    inverted: bool = False

    def fits(self, connection: Connection, now: Instant) -> bool:
        """Return whether they are from `first` to `last`; 0 as long as the connection is not confirmed."""
        left = max(0, connection.expires - now) // SECOND if connection.is_confirmed else 0
        return (self.first <= left <= self.last) is not self.inverted


@attrs.frozen
class Conntrack:
    """`-m conntrack`: all of what is given must fit.

    Attributes:
        states: None where they are not asked.
        direction: of the packet; there is no inverted one.
        addresses: at most one for each end.
        protocol: of the connection.
        ports: at most one for each end.
        status: bits of the connection's status.
        expire: how long it has to live.
    """

    states: States | None = None
    direction: Direction | None = None
    addresses: tuple[CtAddress, ...] = ()
    protocol: CtProtocol | None = None
    ports: tuple[CtPort, ...] = ()
    status: CtStatus | None = None
    expire: CtExpire | None = None
    _asks_more: bool = attrs.field(init=False, eq=False, repr=False)  # than the state

    @_asks_more.default
    def _is_asking_more(self) -> bool:
        others = (self.direction, self.protocol, self.status, self.expire)
        return bool(self.addresses or self.ports or any(other is not None for other in others))

    def holds(self, packet: Packet) -> bool:
        """Return whether all fits.

        A packet without a connection is asked for its state alone, and fails
        where that is not asked: so do all inversions.
        """
        if self.states is not None:
            if not self.states.holds(packet):
                return False
            if not self._asks_more:
                return True
        connection = packet.skb.connection
        if connection is None:
            return self.states is not None
        if self.direction is not None and packet.skb.ctinfo.direction is not self.direction:
            return False
        return (
            all(address.fits(connection) for address in self.addresses)
            and (self.protocol is None or self.protocol.fits(connection))
            and all(port.fits(connection) for port in self.ports)
            and (self.status is None or self.status.fits(connection))
            and (self.expire is None or self.expire.fits(connection, packet.net.now))
        )
