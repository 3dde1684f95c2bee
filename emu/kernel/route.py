# SPDX-License-Identifier: GPL-2.0-only
"""A route as `ip route` takes it, and the words in it.

Source: include/uapi/linux/rtnetlink.h for the numbers, iproute2's iproute.c for
what is assumed where nothing is said.
"""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, Final, Self

import attrs

from emu.errors import EmuError

if TYPE_CHECKING:
    from emu.wire.addresses import IpAddress, Prefix

TABLE_DEFAULT: Final = 253
TABLE_MAIN: Final = 254
TABLE_LOCAL: Final = 255

PROTOCOL_KERNEL: Final = 2  # entered by the kernel itself, with an address
PROTOCOL_BOOT: Final = 3  # what `ip route add` enters unless told otherwise
PROTOCOL_STATIC: Final = 4


class RouteError(EmuError):
    """A route, routing rule or address was refused, as rtnetlink refuses it.

    Attributes:
        errno: the kernel's error number.
        extack: the kernel's own words, empty where it only gives the number.
            `ip` prints `Error: EXTACK.`, or else `RTNETLINK answers: ` and
            what the number means.
    """

    def __init__(self, errno: int, extack: str = "") -> None:
        super().__init__(extack or os.strerror(errno))
        self.errno = errno
        self.extack = extack


class RouteType(enum.Enum):
    """What happens to a packet that a route is found for, as `ip route` spells it."""

    UNICAST = "unicast"
    LOCAL = "local"
    BROADCAST = "broadcast"
    ANYCAST = "anycast"
    MULTICAST = "multicast"
    BLACKHOLE = "blackhole"
    UNREACHABLE = "unreachable"
    PROHIBIT = "prohibit"
    THROW = "throw"

    @property
    def is_error(self) -> bool:
        """Whether such a route has no device and refuses, or sends back to the routing rules."""
        return self in _ERRORS


_ERRORS: Final = (RouteType.BLACKHOLE, RouteType.UNREACHABLE, RouteType.PROHIBIT, RouteType.THROW)


class Scope(enum.IntEnum):
    """How far away a destination is: the larger, the nearer."""

    GLOBAL = 0
    SITE = 200
    LINK = 253
    HOST = 254
    NOWHERE = 255


LEAST_SCOPE: Final = {
    RouteType.LOCAL: Scope.HOST,
    RouteType.BROADCAST: Scope.LINK,
    RouteType.ANYCAST: Scope.LINK,
}
"""The widest scope that a route of a type may have; global for the others."""


@attrs.frozen
class Nexthop:
    """One way that a route leads.

    Two nexthops are equal if they were entered the same; what the kernel finds
    out about them does not count.

    Attributes:
        device: name of the device; empty to have it found by `gateway`.
        gateway: the router, None if the destination is on the link itself.
        weight: its share of a multipath route's flows, 1 to 256.
        onlink: the gateway is on the link, whatever the tables say.
        scope: how far the gateway is; set by the FIB. A gateway that is not of
            scope `LINK` (one of our own addresses) is not asked for its MAC
            address: the packet goes to its destination directly.
        dead: the device went down; flows take other nexthops.
        linkdown: the device has no carrier. Where the sysctl says to ignore
            such routes, `ip route` calls them dead as well.
    """

    device: str = ""
    gateway: IpAddress | None = None
    weight: int = 1
    onlink: bool = False
    scope: Scope = attrs.field(default=Scope.NOWHERE, eq=False)
    dead: bool = attrs.field(default=False, eq=False)
    linkdown: bool = attrs.field(default=False, eq=False)

    def is_alike(self, other: Nexthop) -> bool:
        """Return whether `other` is equal, also in what was found out."""
        return self is other or (
            self.device == other.device
            and self.gateway == other.gateway
            and self.scope is other.scope
            and self.linkdown is other.linkdown
            and self.dead is other.dead
            and self.weight == other.weight
            and self.onlink is other.onlink
        )


def _are_alike(some: tuple[Nexthop, ...], others: tuple[Nexthop, ...]) -> bool:
    return len(some) == len(others) and all(map(Nexthop.is_alike, some, others))


def default_table(kind: RouteType) -> int:
    """Return the table that `ip route` means where none is given."""
    if kind in (RouteType.LOCAL, RouteType.BROADCAST, RouteType.ANYCAST):
        return TABLE_LOCAL
    return TABLE_MAIN


def default_scope(kind: RouteType, nexthops: tuple[Nexthop, ...]) -> Scope:
    """Return the scope that `ip route add` gives where none is given."""
    if kind is RouteType.LOCAL:
        return Scope.HOST
    if kind in (RouteType.BROADCAST, RouteType.MULTICAST, RouteType.ANYCAST):
        return Scope.LINK
    if kind is RouteType.UNICAST and len(nexthops) == 1 and nexthops[0].gateway is None:
        return Scope.LINK
    return Scope.GLOBAL


@attrs.frozen
class Route:
    """One entry of a routing table.

    Attributes:
        dst: the destinations it is for.
        type: what happens to their packets.
        nexthops: the ways out; none for the types that refuse.
        table: number of its table.
        scope: how far away the destinations are.
        prefsrc: the source address that packets of this host get.
        metric: among equal destinations the lowest wins.
        tos: only for packets with this DSCP (the lower three bits of it count); 0 for all.
        protocol: who entered it, a number of `rt_protos`.
        mtu: the largest packet for this way, 0 for the device's.
        mtu_locked: what ICMP reports about the MTU does not count.
    """

    dst: Prefix
    type: RouteType = RouteType.UNICAST
    nexthops: tuple[Nexthop, ...] = ()
    table: int = attrs.field(kw_only=True)
    scope: Scope = attrs.field(kw_only=True)
    prefsrc: IpAddress | None = attrs.field(default=None, kw_only=True)
    metric: int = attrs.field(default=0, kw_only=True)
    tos: int = attrs.field(default=0, kw_only=True)
    protocol: int = attrs.field(default=PROTOCOL_BOOT, kw_only=True)
    mtu: int = attrs.field(default=0, kw_only=True)
    mtu_locked: bool = attrs.field(default=False, kw_only=True)
    _entered: Route | None = attrs.field(default=None, init=False, eq=False, repr=False)

    @table.default
    def _table(self) -> int:
        return default_table(self.type)

    @scope.default
    def _scope(self) -> Scope:
        return default_scope(self.type, self.nexthops)

    def entered(self, nexthops: tuple[Nexthop, ...]) -> Route:
        """Return the route with these nexthops, equal to its own but for what was found out about them.

        The last answer is given again if it fits: many nodes have one route in
        common, and it is one object.
        """
        known = self._entered
        if known is not None and _are_alike(nexthops, known.nexthops):
            return known
        if _are_alike(nexthops, self.nexthops):
            known = self
        else:
            known = attrs.evolve(self, nexthops=nexthops)
            object.__setattr__(self, "_entered", known)  # a memory, no part of the value
        return known

    @property
    def is_dead(self) -> bool:
        """Whether all its nexthops are."""
        return bool(self.nexthops) and all(nexthop.dead for nexthop in self.nexthops)

    @property
    def is_linkdown(self) -> bool:
        """Whether no nexthop has a carrier; `ip route` says it of a multipath route as a whole, too."""
        return bool(self.nexthops) and all(nexthop.linkdown for nexthop in self.nexthops)


class Insertion(enum.Enum):
    """What `ip route` does with a new route where there is one to the same prefix, TOS and metric."""

    ADD = "add"  # refuse
    APPEND = "append"  # put it behind
    PREPEND = "prepend"  # put it in front
    REPLACE = "replace"  # put it in the place of the first
    CHANGE = "change"  # the same, and refuse if there is none


@attrs.frozen
class RoutePattern:
    """Which route to delete. What is None (or no nexthops) matches any.

    Source: net/ipv4/fib_trie.c `fib_table_delete`, fib_semantics.c `fib_nh_match`.

    Attributes:
        dst: must be the same prefix.
        tos: must be the same.
        table: the table to look in.
        type: type of the route.
        scope: its scope.
        prefsrc: its preferred source address.
        protocol: who entered it.
        metric: its metric; 0 matches any, as in the kernel.
        nexthops: one: its device and gateway, where given, are those of the
            route's first nexthop; several: the route has these, in order, or
            only the first of them, which Linux does not tell apart.
        mtu: its MTU.
    """

    dst: Prefix
    tos: int = 0
    table: int = TABLE_MAIN
    type: RouteType | None = None
    scope: Scope | None = None
    prefsrc: IpAddress | None = None
    protocol: int | None = None
    metric: int = 0
    nexthops: tuple[Nexthop, ...] = ()
    mtu: int | None = None

    @classmethod
    def of(cls, route: Route) -> Self:
        """Return the pattern that means `route`."""
        return cls(
            route.dst,
            tos=route.tos,
            table=route.table,
            type=route.type,
            scope=route.scope,
            prefsrc=route.prefsrc,
            protocol=route.protocol,
            metric=route.metric,
            nexthops=route.nexthops,
            mtu=route.mtu or None,
        )

    def matches(self, route: Route) -> bool:
        """Return whether `route`, found under the same prefix and table, is meant."""
        return (
            route.tos == self.tos
            and self.type in {None, route.type}
            and self.scope in {None, route.scope}
            and self.prefsrc in {None, route.prefsrc}
            and self.protocol in {None, route.protocol}
            and self.metric in {0, route.metric}
            and self.mtu in {None, route.mtu}
            and self._matches_nexthops(route.nexthops)
        )

    def _matches_nexthops(self, nexthops: tuple[Nexthop, ...]) -> bool:
        if not self.nexthops:
            return True
        if len(self.nexthops) == 1:
            return bool(nexthops) and _matches(self.nexthops[0], nexthops[0])
        return 0 < len(nexthops) <= len(self.nexthops) and all(map(_matches, self.nexthops, nexthops))


def _matches(wanted: Nexthop, nexthop: Nexthop) -> bool:
    return wanted.device in {"", nexthop.device} and wanted.gateway in {None, nexthop.gateway}
