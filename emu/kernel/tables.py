# SPDX-License-Identifier: GPL-2.0-only
"""The routing tables of one namespace and the search in them, by routing rules.

Until the first change of the routing rules Linux keeps the tables `local` and
`main` in one structure and searches both at once: a longer prefix in `main`
beats a shorter one in `local`, and what is found in either counts as found in
`main`. From that change on rule after rule is asked, and there is no way back.

Source: net/ipv4/fib_trie.c `fib_table_lookup`, fib_rules.c `__fib_lookup`,
fib_frontend.c `fib_new_table`, `fib_unmerge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kernel.prefixmap import PrefixMap
from emu.kernel.route import TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN, Nexthop, Route, RouteType, Scope
from emu.kernel.rules import DSCP_MASK, EVERYWHERE, RoutingRules, RuleAction
from emu.wire.addresses import ANY_IP4, LIMITED_BROADCAST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.wire.addresses import IpAddress


class Flow(NamedTuple):
    """What a route is looked up for.

    Attributes:
        dst: destination address, 4 octets.
        src: source address, 0.0.0.0 where it is still to be chosen.
        iif: the device the packet came in by; `lo` for a packet of this host.
        oif: the device it must leave by, empty for any.
        mark: firewall mark.
        tos: the TOS octet.
    """

    dst: bytes
    src: bytes = ANY_IP4
    iif: str = "lo"
    oif: str = ""
    mark: int = 0
    tos: int = 0


class Lookup(NamedTuple):
    """What the tables say about a flow.

    Attributes:
        type: what happens to it. `BLACKHOLE`, `UNREACHABLE` and `PROHIBIT` refuse.
        route: the route found.
        device: name of the device it leaves by, or whose address it is for;
            empty where it is refused.
        gateway: the router it goes to, None if the destination is on the link.
        prefsrc: the route's preferred source address, if it has one.
        table: number of the table it was found in, as Linux counts it.
        mtu: the route's MTU, 0 if it has none.
        nexthop: the one of the route's that was taken; None where it is refused.
    """

    type: RouteType
    route: Route
    device: str
    gateway: IpAddress | None
    prefsrc: IpAddress | None
    table: int
    mtu: int
    nexthop: Nexthop | None


def never(_device: str) -> bool:
    """Return that routes by no device are passed over for its lack of a carrier."""
    return False


@attrs.define(eq=False)
class RoutingTables:
    """Tables by number, and the rules that say which of them to ask.

    Attributes:
        ignores_linkdown: whether routes by a device without carrier are passed over.
        rules: the routing rules.
        asked_sysctl: `ignores_linkdown` has been asked; set it to False yourself.
    """

    ignores_linkdown: Callable[[str], bool] = never
    rules: RoutingRules = attrs.field(factory=RoutingRules, init=False)
    asked_sysctl: bool = attrs.field(default=False, init=False)
    _has_custom_rules: bool = attrs.field(default=False, init=False)
    _tables: dict[int, PrefixMap] = attrs.field(factory=dict, init=False)

    def routes(self, table: int | None = None) -> Iterator[Route]:
        """Yield the routes of `table`, or of all, in the order in which `ip route show` lists them."""
        for number in self.numbers if table is None else (table,):
            for route in tuple(self._tables.get(number, ())):
                if route.table == number:
                    yield route

    def get(self, number: int) -> PrefixMap | None:
        """Return the table, None if there is none; it may hold routes of another table, too."""
        return self._tables.get(number)

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of the tables that there are, in the order of `ip route show table all`.

        A table comes into being with the first route that is entered, and stays.
        """
        numbers = list(reversed(self._tables))
        numbers.sort(key=lambda number: number & 0xFF)
        return numbers

    def make(self, number: int) -> PrefixMap:
        """Return the table, made if need be. Source: net/ipv4/fib_frontend.c `fib_new_table`."""
        if number not in self._tables:
            if number == TABLE_LOCAL and not self._has_custom_rules:
                self._tables[number] = self.make(TABLE_MAIN)
            else:
                self._tables[number] = PrefixMap()
        return self._tables[number]

    def part(self) -> None:
        """Give `local` and `main` a structure each, as any change of the rules does."""
        if self._has_custom_rules:
            return
        self._has_custom_rules = True
        merged = self._tables.get(TABLE_MAIN, PrefixMap())
        for number in (TABLE_LOCAL, TABLE_MAIN):
            if number in self._tables:
                self._tables[number] = PrefixMap()
        for route in merged:
            self._tables[route.table].insert(route, behind_equals=True)

    def maps(self) -> list[PrefixMap]:
        """Return each structure once."""
        return list({id(table): table for table in self._tables.values()}.values())

    def address_type(self, address: bytes, device: str = "", table: int = TABLE_LOCAL) -> RouteType:
        """Return whether `address` is ours (`LOCAL`), a broadcast or multicast address, or another's.

        Args:
            address: 4 octets.
            device: count only what belongs to this device; empty for all.
            table: where to look.

        Source: net/ipv4/fib_frontend.c `inet_addr_type`.
        """
        if address in (ANY_IP4, LIMITED_BROADCAST):
            return RouteType.BROADCAST
        if address[0] >> 4 == 14:
            return RouteType.MULTICAST
        found = self.search_table(table, Flow(address))
        if found is None or found.type.is_error or device not in {"", found.route.nexthops[0].device}:
            return RouteType.UNICAST
        return found.type

    def search(
        self, flow: Flow, scope: Scope = Scope.GLOBAL, *, ignore_linkstate: bool = False
    ) -> Lookup | None:
        """Return what the tables say, asked in the order of the rules.

        Args:
            flow: what to look for.
            scope: only routes that are at least so near.
            ignore_linkstate: take routes by devices without carrier, whatever the sysctl says.
        """
        if not self._has_custom_rules:
            return self.search_table(
                TABLE_MAIN, flow, scope, ignore_linkstate=ignore_linkstate
            ) or self.search_table(TABLE_DEFAULT, flow, scope, ignore_linkstate=ignore_linkstate)
        for rule in self.rules:
            if not rule.matches(flow):
                continue
            if rule.action is RuleAction.NOP:
                continue
            if rule.action is RuleAction.UNREACHABLE:
                return None
            if rule.action is not RuleAction.LOOKUP:
                return _refusal(Route(EVERYWHERE, RouteType(rule.action.value)), 0)
            found = self.search_table(rule.table, flow, scope, ignore_linkstate=ignore_linkstate)
            if found is not None and (found.type.is_error or found.route.dst.length > rule.suppress_length):
                return found
        return None

    def search_table(
        self, table: int, flow: Flow, scope: Scope = Scope.GLOBAL, *, ignore_linkstate: bool = False
    ) -> Lookup | None:
        """Return what one table says. Source: net/ipv4/fib_trie.c `fib_table_lookup`."""
        routes = self._tables.get(table)
        if routes is None:
            return None
        number = int.from_bytes(flow.dst, "big")
        oif = flow.oif
        leaves = routes.leaves
        for shift, mark in routes.levels:
            there = leaves.get(number >> shift | mark)
            if there is None:
                continue
            for route in there if isinstance(there, tuple) else (there,):
                if (route.tos and route.tos != flow.tos & DSCP_MASK) or route.scope < scope:
                    continue
                for nexthop in route.nexthops:
                    if oif and oif != nexthop.device:
                        continue
                    if (nexthop.dead or nexthop.linkdown) and not self.is_usable(
                        nexthop, ignore_linkstate=ignore_linkstate
                    ):
                        continue
                    return found_by(route, nexthop, table)
                if not route.nexthops:
                    return None if route.type is RouteType.THROW else _refusal(route, table)
        return None

    def is_usable(self, nexthop: Nexthop, *, ignore_linkstate: bool = False) -> bool:
        """Return whether packets may take `nexthop`. Source: `fib_lookup_good_nhc`."""
        if nexthop.dead:
            return False
        if not nexthop.linkdown or ignore_linkstate:
            return True
        self.asked_sysctl = True
        return not self.ignores_linkdown(nexthop.device)


def found_by(route: Route, nexthop: Nexthop, table: int) -> Lookup:
    """Return the answer that `route`, found in `table`, gives with `nexthop`."""
    gateway = nexthop.gateway if nexthop.scope == Scope.LINK else None
    return Lookup(route.type, route, nexthop.device, gateway, route.prefsrc, table, route.mtu, nexthop)


def _refusal(route: Route, table: int) -> Lookup:
    return Lookup(route.type, route, "", None, None, table, 0, None)
