# SPDX-License-Identifier: GPL-2.0-only
"""The FIB finds what an obvious search through all routes finds.

A planted fault is found: with `_rank` of `emu.kernel.prefixmap` sorting by the
metric backwards, with `levels` in ascending order, or with a cache that is not
cleared on deletion, these tests fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.fib import (
    TABLE_DEFAULT,
    Fib,
    Flow,
    Insertion,
    Nexthop,
    Route,
    RouteError,
    RoutePattern,
    RouteType,
    RulePattern,
)
from emu.kernel.link.device import Device
from emu.kernel.link.dummy import Dummy
from emu.wire.addresses import ZERO_MAC, IpAddress, Prefix

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES: Final = ("lo", "eth0", "eth1", "eth2")
LEGACY_TOS: Final = 0x1C


def make_fib() -> Fib:
    """Return the empty FIB of a node whose devices are up."""
    return Fib({name: Device(name, index, ZERO_MAC, Dummy(), up=True) for index, name in enumerate(NAMES, 1)})


def addresses() -> st.SearchStrategy[IpAddress]:
    """Addresses that share many leading bits; shrinks to 10.0.0.0."""
    numbers = st.integers(0, 31) | st.integers(0, 2**24 - 1)
    return numbers.map(lambda number: IpAddress.from_int(10 << 24 | number))


def prefixes() -> st.SearchStrategy[Prefix]:
    """Prefixes that overlap often; shrinks to the default route."""
    return st.builds(Prefix.of, addresses(), st.integers(0, 32))


def routes() -> st.SearchStrategy[Route]:
    """Routes of the table main with devices, TOS and metrics, some of them a `throw` or a refusal."""
    kinds = st.sampled_from((RouteType.UNICAST,) * 4 + (RouteType.BLACKHOLE, RouteType.THROW))
    return st.builds(
        lambda dst, kind, device, **rest: Route(
            dst, kind, () if kind.is_error else (Nexthop(device),), table=254, **rest
        ),
        prefixes(),
        kinds,
        st.sampled_from(NAMES[1:]),
        metric=st.integers(0, 2),
        tos=st.sampled_from((0, 0, 0, 0x08, 0x10)),
    )


def flows() -> st.SearchStrategy[Flow]:
    """Flows of this host to such addresses, some bound to a device."""
    return st.builds(
        Flow,
        addresses(),
        oif=st.sampled_from(("", "", *NAMES[1:])),
        tos=st.sampled_from((0, 0x08, 0x10, 0x88, 0xFF)),
    )


@attrs.define
class Obvious:
    """A table as a list, in the order of insertion."""

    routes: list[Route] = attrs.field(factory=list)

    def add(self, route: Route, how: Insertion) -> bool:
        """Enter `route` and return whether that is allowed."""
        equals = [known for known in self.routes if _key(known) == _key(route)]
        if not equals:
            if how is Insertion.CHANGE:
                return False
            self.routes.append(route)
        elif how is Insertion.ADD:
            return False
        elif how in {Insertion.REPLACE, Insertion.CHANGE}:
            if route in equals[1:]:
                return False
            self.routes[self.routes.index(equals[0])] = route
        elif route in equals:
            return False
        else:
            behind = how is Insertion.APPEND
            place = self.routes.index(equals[-1]) + 1 if behind else self.routes.index(equals[0])
            self.routes.insert(place, route)
        return True

    def lookup(self, flow: Flow) -> Route | None:
        """Return the best route: longest prefix, then TOS, then lowest metric, then first in the list."""
        fitting = [
            route
            for route in self.routes
            if IpAddress(flow.dst) in route.dst
            and route.tos in {0, flow.tos & LEGACY_TOS}
            and (not flow.oif or not route.nexthops or route.nexthops[0].device == flow.oif)
        ]
        best = min(fitting, key=lambda route: (-route.dst.length, -route.tos, route.metric), default=None)
        return None if best is None or best.type is RouteType.THROW else best


def _key(route: Route) -> tuple[Prefix, int, int]:
    return route.dst, route.tos, route.metric


def check(fib: Fib, obvious: Obvious, asked: Sequence[Flow]) -> None:
    """Assert that both answer all flows alike, the first time and from memory."""
    for flow in (*asked, *asked):
        found = fib.lookup(flow)
        assert (found and found.route) == obvious.lookup(flow)


@given(
    entered=st.lists(st.tuples(routes(), st.sampled_from(Insertion)), max_size=30),
    asked=st.lists(flows(), min_size=1, max_size=10),
    deleted=st.lists(st.integers(0, 29), max_size=30),
)
def test_lookup_is_longest_prefix_match(
    entered: list[tuple[Route, Insertion]], asked: list[Flow], deleted: list[int]
) -> None:
    """Whatever was entered, replaced and deleted, the route found is the best of all that fit.

    The generation changes exactly when the tables do.
    """
    fib, obvious = make_fib(), Obvious()
    check(fib, obvious, asked)
    for route, how in entered:
        before, generation = list(fib.routes()), fib.generation
        try:
            fib.add(route, how)
        except RouteError:
            assert not obvious.add(route, how)
        else:
            assert obvious.add(route, how)
        assert (fib.generation != generation) == (list(fib.routes()) != before)
        check(fib, obvious, asked)
    for place in deleted[: len(obvious.routes)]:
        route = obvious.routes.pop(place % len(obvious.routes))
        assert fib.delete(RoutePattern.of(route)) == route
        check(fib, obvious, asked)
    for name in NAMES:
        fib.device_down(name)
        obvious.routes = [route for route in obvious.routes if Nexthop(name) not in route.nexthops]
        check(fib, obvious, asked)


@given(entered=st.lists(routes(), max_size=30), asked=st.lists(flows(), min_size=1, max_size=10))
def test_parting_the_tables_keeps_what_is_in_them(entered: list[Route], asked: list[Flow]) -> None:
    """After the first change of the rules main is found as before, and all is listed as before."""
    fib, obvious = make_fib(), Obvious()
    for route in entered:
        if obvious.add(route, Insertion.PREPEND):
            fib.add(route, Insertion.PREPEND)
    before = list(fib.routes())
    fib.delete_rule(RulePattern(table=TABLE_DEFAULT))
    assert list(fib.routes()) == before
    check(fib, obvious, asked)
