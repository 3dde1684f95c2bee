# SPDX-License-Identifier: GPL-2.0-only
"""The routing tables of a VPC's router.

    100    lookup main    every machine's own addresses, whoever asks
    200    iif eniN       the route table of the interface's subnet
    300    lookup         what the router itself sends goes as from the first subnet

A subnet's table holds the routes of its route table, nodes' ranges for pods, and
behind them `blackhole`: what the VPC has no way for vanishes, nobody is told.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from emu.cluster.vpc.shape import routes_of
from emu.cluster.vpc.spec import EVERYWHERE, Gate
from emu.kernel.route import Insertion, Nexthop, Route, RouteError, RoutePattern, RouteType, Scope
from emu.kernel.rules import RoutingRule
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.cluster.underlay.wiring import Wiring
    from emu.cluster.vpc.layout import Eni
    from emu.cluster.vpc.spec import RouteSpec, SubnetSpec, VpcSpec
    from emu.kernel.namespace import Namespace

FIRST_TABLE: Final = 101
_OWN, _SUBNET, _REST = 100, 200, 300
_HOST: Final = 32


def table_of(spec: VpcSpec, subnet: SubnetSpec) -> int:
    """Return the number of a subnet's table."""
    return FIRST_TABLE + spec.subnets.index(subnet)


class Router:
    """Writes the routes.

    Attributes:
        internet: the way to the internet gateway, None if there is none.
        nat: the way to the NAT gateway, the same way.
        spec: the VPC.
    """

    def __init__(self, wiring: Wiring, net: Namespace, spec: VpcSpec) -> None:
        self.internet: Nexthop | None = None
        self.nat: Nexthop | None = None
        self._wiring = wiring
        self._net = net
        self.spec = spec
        self._nodes: dict[str, Nexthop] = {}
        self._add_rule(RoutingRule(_OWN))
        self._add_rule(RoutingRule(_REST, table=FIRST_TABLE))

    def enter(self) -> None:
        """Enter what does not depend on nodes."""
        for subnet in self.spec.subnets:
            table = table_of(self.spec, subnet)
            for cidr in self.spec.cidrs:
                self._replace(Route(cidr, RouteType.BLACKHOLE, table=table))
            self._replace(Route(EVERYWHERE, RouteType.BLACKHOLE, table=table))
            for route in routes_of(self.spec, subnet)[1]:
                self._enter(route, table)

    def _enter(self, route: RouteSpec, table: int) -> None:
        hop = self._hop(route.via)
        if hop is not None:
            self._replace(Route(route.to, nexthops=(hop,), table=table))
        elif route.via is Gate.NOWHERE:
            self._replace(Route(route.to, RouteType.BLACKHOLE, table=table))

    def _hop(self, via: Gate | str) -> Nexthop | None:
        match via:
            case Gate.INTERNET:
                return self.internet
            case Gate.NAT:
                return self.nat
            case Gate.NOWHERE:
                return None
            case name:
                return self._nodes.get(name)

    # --- machines ---

    def attach(self, eni: Eni) -> None:
        """Enter the addresses of an interface, and what leads to its machine."""
        near = Route(Prefix(eni.address, _HOST), nexthops=(Nexthop(eni.name),), scope=Scope.LINK)
        self._replace(near)
        for other in eni.others:
            self._replace(Route(Prefix(other, _HOST), nexthops=(self._by(eni),)))
        table = table_of(self.spec, eni.subnet)
        self._add_rule(RoutingRule(_SUBNET, table=table, iif=eni.name))
        name = eni.owner.removeprefix("node/")
        if eni.owner.startswith("node/") and eni.iface == "eth0":
            self._nodes[name] = self._by(eni)
            for subnet in self.spec.subnets:
                for route in routes_of(self.spec, subnet)[1]:
                    if route.via == name:
                        self._enter(route, table_of(self.spec, subnet))

    def exchange(self, eni: Eni, before: Iterable[Prefix], now: Sequence[Prefix]) -> None:
        """Lead `now` to an interface, and `before` no more."""
        own = set(self._local())
        for table in range(FIRST_TABLE, FIRST_TABLE + len(self.spec.subnets)):
            for prefix in before:
                if prefix not in now:
                    self._delete(Route(prefix, nexthops=(self._by(eni),), table=table))
            for prefix in now:
                if prefix not in own:
                    self._replace(Route(prefix, nexthops=(self._by(eni),), table=table))

    def _local(self) -> Iterator[Prefix]:
        yield from self.spec.cidrs
        yield from (each.cidr for each in self.spec.subnets)

    @staticmethod
    def _by(eni: Eni) -> Nexthop:
        return Nexthop(eni.name, eni.address, onlink=True)

    # --- the kernel ---

    def _add_rule(self, rule: RoutingRule) -> None:
        self._wiring.fabric.call(self._net, lambda net: net.fib.add_rule(rule))

    def _replace(self, route: Route) -> None:
        self._wiring.fabric.call(self._net, lambda net: net.fib.add(route, Insertion.REPLACE))

    def _delete(self, route: Route) -> None:
        pattern = RoutePattern(route.dst, table=route.table, nexthops=route.nexthops)
        with suppress(RouteError):  # another has taken its place
            self._wiring.fabric.call(self._net, lambda net: net.fib.delete(pattern))
