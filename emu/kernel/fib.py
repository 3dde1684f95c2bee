# SPDX-License-Identifier: GPL-2.0-only
"""Where packets go: routing tables and routing rules of one namespace, kept and asked.

The search is in `emu.kernel.tables`, what a route must be in
`emu.kernel.route_check`; here are the answers that are remembered, and what
`ip route`, `ip rule` and the devices' ups and downs change.

A gateway that does not answer is not avoided: of several default routes with
one metric Linux would take one whose gateway is known to answer
(`fib_select_default`); here the first is taken.

Source: net/ipv4/fib_trie.c, fib_semantics.c, fib_frontend.c, fib_rules.c.
"""

from __future__ import annotations

import errno
import operator
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.multipath import Multipath
from emu.kernel.route import (
    PROTOCOL_BOOT,
    PROTOCOL_KERNEL,
    PROTOCOL_STATIC,
    TABLE_DEFAULT,
    TABLE_LOCAL,
    TABLE_MAIN,
    Insertion,
    Nexthop,
    Route,
    RouteError,
    RoutePattern,
    RouteType,
    Scope,
)
from emu.kernel.route_check import RouteCheck
from emu.kernel.rules import ECN_MASK, RoutingRule, RuleAction, RulePattern
from emu.kernel.tables import Flow, Lookup, RoutingTables, found_by, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from emu.kernel.link.device import Device
    from emu.sim.choice import Choice

__all__ = [
    "PROTOCOL_BOOT",
    "PROTOCOL_KERNEL",
    "PROTOCOL_STATIC",
    "TABLE_DEFAULT",
    "TABLE_LOCAL",
    "TABLE_MAIN",
    "Fib",
    "Flow",
    "Insertion",
    "Lookup",
    "Nexthop",
    "Route",
    "RouteError",
    "RoutePattern",
    "RouteType",
    "RoutingRule",
    "RuleAction",
    "RulePattern",
    "Scope",
]

_CACHE_SIZE: Final = 65536


@attrs.define(eq=False)
class Fib:
    """Routing tables and routing rules of a namespace, for IPv4.

    Attributes:
        devices: the namespace's devices, by name; only looked at.
        ignores_linkdown: whether routes by a device without carrier are passed
            over (sysctl `ignore_routes_with_linkdown`).
        generation: changes whenever the answer to a look-up could; not for
            a sysctl.
        has_custom_local_routes: somebody entered a route of type `local`.
    """

    devices: Mapping[str, Device] = attrs.field(factory=dict)
    ignores_linkdown: Callable[[str], bool] = never
    generation: int = attrs.field(default=0, init=False)
    has_custom_local_routes: bool = attrs.field(default=False, init=False)
    _tables: RoutingTables = attrs.field(init=False)
    _check: RouteCheck = attrs.field(init=False)
    _cache: dict[Flow, Lookup | None] = attrs.field(factory=dict, init=False)
    _types: dict[tuple[bytes, str, int], RouteType] = attrs.field(factory=dict, init=False)
    _multipath: Multipath | None = attrs.field(default=None, init=False)
    _dead_by: frozenset[str] = attrs.field(default=frozenset(), init=False)  # may have dead nexthops

    def __attrs_post_init__(self) -> None:
        self._tables = RoutingTables(self.ignores_linkdown)
        self._check = RouteCheck(self._tables, self.devices)

    # --- looking up ---

    def lookup(self, flow: Flow, choice: Choice | None = None) -> Lookup | None:
        """Return what the tables say about `flow`; None where they say nothing (ENETUNREACH).

        Args:
            flow: the packet's addresses and what else decides.
            choice: picks the nexthop of a multipath route, the same one for
                all packets from one address to another. Without it the first
                usable one is returned.

        Source: net/ipv4/fib_rules.c `__fib_lookup`, fib_semantics.c `fib_select_path`.
        """
        try:
            return self._cache[flow]
        except KeyError:
            pass
        tables = self._tables
        tables.asked_sysctl = False
        found = tables.search(flow)
        if found is not None and len(found.route.nexthops) > 1:
            return found if choice is None or flow.oif else self._spread(found, flow, choice)
        if not tables.asked_sysctl:  # else the answer depends on what nobody tells us about
            if len(self._cache) >= _CACHE_SIZE:
                self._cache.clear()
            self._cache[flow] = found
        return found

    def lookup_local(self, address: bytes) -> Lookup | None:
        """Return what the table `local` says about `address`."""
        return self._tables.search_table(TABLE_LOCAL, Flow(address))

    def address_type(self, address: bytes, device: str = "", table: int = TABLE_LOCAL) -> RouteType:
        """Return whether `address` is ours (`LOCAL`), a broadcast or multicast address, or another's."""
        key = (address, device, table)
        found = self._types.get(key)
        if found is None:
            tables = self._tables
            tables.asked_sysctl = False
            found = tables.address_type(address, device, table)
            if not tables.asked_sysctl:
                if len(self._types) >= _CACHE_SIZE:
                    self._types.clear()
                self._types[key] = found
        return found

    def forget_choices(self) -> None:
        """Have the nexthops of multipath routes chosen anew, as after a restart of the machine."""
        self._multipath = None
        self._changed()

    def _spread(self, found: Lookup, flow: Flow, choice: Choice) -> Lookup:
        route = found.route
        if self._multipath is None:
            self._multipath = Multipath(self.devices)
        usable = tuple(self._tables.is_usable(hop) for hop in route.nexthops)
        return found_by(route, self._multipath.select(route, usable, flow, choice), found.table)

    # --- routes ---

    def routes(self, table: int | None = None) -> Iterator[Route]:
        """Yield the routes of `table`, or of all, in the order in which `ip route show` lists them."""
        return self._tables.routes(table)

    @property
    def tables(self) -> list[int]:
        """The numbers of the tables that there are, in the order of `ip route show table all`.

        A table comes into being with the first route that is entered, and stays.
        """
        return self._tables.numbers

    def add(self, route: Route, how: Insertion = Insertion.ADD) -> Route:
        """Enter `route` and return it with what was found out about its nexthops.

        Raises:
            RouteError: what was given makes no sense (EINVAL, ENODEV,
                ENETDOWN, ENETUNREACH, ...), contradicts `how` (EEXIST, ENOENT),
                or is of IPv6 (EAFNOSUPPORT).

        Source: net/ipv4/fib_trie.c `fib_table_insert`.
        """
        if route.dst.address.family != 4:
            raise RouteError(errno.EAFNOSUPPORT)
        if route.tos & ECN_MASK:
            raise RouteError(errno.EINVAL, "Invalid dsfield (tos): ECN bits must be 0")
        if route.dst.has_host_bits:
            raise RouteError(errno.EINVAL, "Invalid prefix for given prefix length")
        entered = self.insert(route, how)
        if route.type is RouteType.LOCAL:
            self.has_custom_local_routes = True
        return entered

    def insert(self, route: Route, how: Insertion) -> Route:
        """Do the same for a route that comes with an address, whose parts are known to be sound."""
        table = self._tables.make(route.table)
        route = self._check.complete(route)
        there = table.at(route.dst)
        replaces = how is Insertion.REPLACE or how is Insertion.CHANGE
        if not there and how is not Insertion.CHANGE:
            table.insert(route, behind_equals=False)
            self._changed()
            return route
        equals = _equals(there, route)
        if not equals and how is Insertion.CHANGE:
            raise RouteError(errno.ENOENT)
        if equals and replaces and equals[0] == route:
            return route
        if equals and (how is Insertion.ADD or _is_among(equals, route)):
            raise RouteError(errno.EEXIST)
        if equals and replaces:
            table.replace(equals[0], route)
        else:
            table.insert(route, behind_equals=how is Insertion.APPEND)
        self._changed()
        return route

    def holds(self, route: Route) -> bool:
        """Return whether `route` is entered just so."""
        table = self._tables.get(route.table)
        there = () if table is None else table.at(route.dst)
        return bool(there) and _is_among(_equals(there, route), route)

    def delete(self, pattern: RoutePattern) -> Route:
        """Delete the first route that `pattern` means, and return it.

        Raises:
            RouteError: ESRCH, there is none.

        Source: net/ipv4/fib_trie.c `fib_table_delete`.
        """
        table = self._tables.get(pattern.table)
        if table is None:
            raise RouteError(errno.ESRCH, "FIB table does not exist")
        for route in table.at(pattern.dst):
            if route.table == pattern.table and pattern.matches(route):
                table.remove(route)
                self._changed()
                return route
        raise RouteError(errno.ESRCH)

    def flush(self, unwanted: Callable[[Route], bool]) -> list[Route]:
        """Delete all routes that are `unwanted`, and return them."""
        removed: list[Route] = []
        for table in self._tables.maps():
            for route in tuple(table):
                if unwanted(route):
                    table.remove(route)
                    removed.append(route)
        if removed:
            self._changed()
        return removed

    # --- routing rules ---

    @property
    def rules(self) -> tuple[RoutingRule, ...]:
        """The routing rules, in the order in which they are asked."""
        return tuple(self._tables.rules)

    @property
    def next_rule_priority(self) -> int:
        """The priority that `ip rule add` gives where none is given."""
        return self._tables.rules.next_priority

    def add_rule(self, rule: RoutingRule) -> None:
        """Add a routing rule behind those of its priority.

        Raises:
            RouteError: EEXIST, there is such a rule; EINVAL, its TOS is impossible.
        """
        self._tables.rules.add(rule)
        self._tables.part()
        self._changed()

    def delete_rule(self, pattern: RulePattern) -> RoutingRule:
        """Delete the first routing rule that `pattern` means, and return it.

        Raises:
            RouteError: ENOENT, there is none.
        """
        rule = self._tables.rules.delete(pattern)
        self._tables.part()
        self._changed()
        return rule

    # --- what devices do ---

    def device_down(self, name: str, *, force: bool = False) -> None:
        """Delete the routes by device `name`, which has gone down.

        Those to our own addresses stay, unless by `force`: the device lost its
        last address. A multipath route that leads by other devices too stays,
        with dead nexthops. Source: net/ipv4/fib_semantics.c `fib_sync_down_dev`.
        """

        def died(hop: Nexthop) -> Nexthop:
            if hop.device != name or hop.dead or (hop.scope == Scope.NOWHERE and not force):
                return hop
            return attrs.evolve(hop, dead=True, linkdown=True)

        self._rewrite(name, died)
        if self._is_used(name):
            self._dead_by |= {name}

    def device_removed(self, name: str) -> None:
        """Delete every route that leads by device `name`, which is gone."""
        if self._is_used(name):
            self.flush(lambda route: any(hop.device == name for hop in route.nexthops))
        self._dead_by -= {name}

    def device_up(self, name: str) -> None:
        """Revive the dead nexthops by device `name`, which has come up or got an address.

        Source: net/ipv4/fib_semantics.c `fib_sync_up`.
        """
        if name not in self._dead_by:
            return
        self._dead_by -= {name}
        running = self.devices[name].carrier

        def revived(hop: Nexthop) -> Nexthop:
            if hop.device != name or not hop.dead:
                return hop
            return attrs.evolve(hop, dead=False, linkdown=not running)

        self._rewrite(name, revived)

    def carrier_changed(self, name: str) -> None:
        """Mark the routes by device `name`, which is up, as it has a carrier now or not."""
        linkdown = not self.devices[name].carrier

        def marked(hop: Nexthop) -> Nexthop:
            if hop.device != name or hop.scope == Scope.NOWHERE or hop.linkdown is linkdown:
                return hop
            return attrs.evolve(hop, linkdown=linkdown)

        self._rewrite(name, marked)

    def _rewrite(self, name: str, change: Callable[[Nexthop], Nexthop]) -> None:
        """Change the nexthops by device `name`, and delete the routes that are dead then."""
        changed = False
        for table in self._tables.maps():
            for route in tuple(table) if table.uses.get(name) else ():
                nexthops = tuple(map(change, route.nexthops))
                if all(map(operator.is_, nexthops, route.nexthops)):
                    continue
                changed = True
                successor = attrs.evolve(route, nexthops=nexthops)
                if successor.is_dead:
                    table.remove(route)
                else:
                    table.replace(route, successor)
        if changed:
            self._changed()

    def _is_used(self, name: str) -> bool:
        """Return whether a route leads by device `name`."""
        return any(table.uses.get(name) for table in self._tables.maps())

    def _changed(self) -> None:
        self.generation += 1
        if self._cache:
            self._cache = {}
        if self._types:
            self._types = {}


def _equals(routes: tuple[Route, ...], wanted: Route) -> list[Route]:
    """Return those of the table, TOS and metric of `wanted`."""
    table, tos, metric = wanted.table, wanted.tos, wanted.metric
    return [each for each in routes if each.table == table and each.tos == tos and each.metric == metric]


def _is_among(routes: list[Route], wanted: Route) -> bool:
    """Return whether `wanted` is one of `routes`: of a gateway's address there is one for each pod."""
    hops = wanted.nexthops
    if not hops:
        return wanted in routes
    device = hops[0].device
    same_way = [each for each in routes if each.nexthops and each.nexthops[0].device == device]
    return wanted in same_way
