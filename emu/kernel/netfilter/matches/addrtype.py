# SPDX-License-Identifier: GPL-2.0-only
"""`-m addrtype`: what the routing tables say an address is. Source: net/netfilter/xt_addrtype.c."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.route import RouteType

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


class AddressTypes(enum.IntFlag):
    """What `--src-type` may name; bit N is the kernel's route type N (`RTN_UNICAST`, ...)."""

    NONE = 0
    UNSPEC = 1 << 0
    UNICAST = 1 << 1
    LOCAL = 1 << 2
    BROADCAST = 1 << 3
    ANYCAST = 1 << 4
    MULTICAST = 1 << 5
    BLACKHOLE = 1 << 6
    UNREACHABLE = 1 << 7
    PROHIBIT = 1 << 8
    THROW = 1 << 9
    NAT = 1 << 10
    XRESOLVE = 1 << 11


_BIT_OF: Final = {kind: int(AddressTypes[kind.name]) for kind in RouteType}


class Limit(enum.Enum):
    """Which device's addresses count as local: the one it came in by, or the one it leaves by."""

    IN = "--limit-iface-in"
    OUT = "--limit-iface-out"


@attrs.frozen
class AddressType:
    """Types of the packet's addresses.

    Attributes:
        source: of the source, none for not asked.
        destination: of the destination, none for not asked.
        source_inverted: it is none of these.
        destination_inverted: it is none of these.
        limit: an address of another device is no local one.
    """

    source: AddressTypes = AddressTypes.NONE
    destination: AddressTypes = AddressTypes.NONE
    source_inverted: bool = False
    destination_inverted: bool = False
    limit: Limit | None = None
    _sources: int = attrs.field(init=False, eq=False, repr=False)  # flags of `enum` are slow
    _destinations: int = attrs.field(init=False, eq=False, repr=False)

    @_sources.default
    def _source_as_number(self) -> int:
        return int(self.source)

    @_destinations.default
    def _destination_as_number(self) -> int:
        return int(self.destination)

    def holds(self, packet: Packet) -> bool:
        """Return whether both addresses are of such types.

        Only the table `local` is asked: an address behind a blackhole route of
        `main` is a unicast one.
        """
        header, type_of, device = packet.skb.header, packet.net.fib.address_type, ""
        if self.limit is not None:
            device = packet.iif if self.limit is Limit.IN else packet.oif
        wanted = self._sources
        if wanted and (_BIT_OF[type_of(header.src, device)] & wanted != 0) is self.source_inverted:
            return False
        wanted = self._destinations
        return (
            not wanted
            or (_BIT_OF[type_of(header.dst, device)] & wanted != 0) is not self.destination_inverted
        )
