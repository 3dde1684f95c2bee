# SPDX-License-Identifier: GPL-2.0-only
"""Routes: written, shown, and written again as they were shown."""

from __future__ import annotations

from typing import Final

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.errors import CommandError
from emu.kernel.route import Nexthop, Route, RouteType, Scope
from emu.sim.time import SECOND
from emu.tools.ip import route_get, route_show
from emu.tools.ip.options import Options
from emu.tools.ip.route import parse_spec
from emu.tools.ip.words import Words
from emu.wire.addresses import IpAddress, Prefix

ADDRESSES: Final = st.integers(0x0B000000, 0x0BFFFFFF).map(IpAddress.from_int)
DEVICES: Final = st.sampled_from(("lo", "eth0", "flannel.1", "via", "table"))
EVERYTHING: Final = route_show.Selection(table=0)


def hops(*, weights: bool) -> st.SearchStrategy[Nexthop]:
    """Any nexthop; only one of several has a weight."""
    return st.builds(
        Nexthop,
        DEVICES,
        st.none() | ADDRESSES,
        st.integers(1, 256) if weights else st.just(1),
        st.booleans(),
    )


def ways() -> st.SearchStrategy[tuple[Nexthop, ...]]:
    """One nexthop, or several."""
    several = st.lists(hops(weights=True), min_size=2, max_size=3).map(tuple)
    return st.tuples(hops(weights=False)) | several


@st.composite
def routes(draw: st.DrawFn) -> Route:
    """Any route that the tables could hold."""
    kind = draw(st.sampled_from(RouteType))
    length = draw(st.integers(0, 32))
    return Route(
        Prefix.of(draw(ADDRESSES), length),
        kind,
        () if kind.is_error else draw(ways()),
        table=draw(st.sampled_from((100, 253, 254, 255, 1000))),
        scope=draw(st.sampled_from(Scope)),
        prefsrc=draw(st.none() | ADDRESSES),
        metric=draw(st.integers(0, 2**32 - 1)),
        tos=draw(st.sampled_from((0, 4, 8, 0x10, 0x1C))),
        protocol=draw(st.sampled_from((0, 2, 3, 4, 12, 77))),
        mtu=draw(st.sampled_from((0, 68, 1400))),
        mtu_locked=False,
    )


def never(_device: str) -> bool:
    """Return that no route is dead for want of a carrier."""
    return False


@given(routes())
def test_a_route_can_be_given_as_it_is_shown(route: Route) -> None:
    """With `-d`, which leaves nothing to be assumed, it is the very same route."""
    text = route_show.render(route, EVERYTHING, Options(details=True), never).text
    assert parse_spec(Words(text.split())).route == route


@given(routes())
def test_what_is_left_out_is_what_would_be_assumed(route: Route) -> None:
    """Of routes as `ip route add` makes them, without `-d` too."""
    usual = attrs.evolve(
        parse_spec(Words([str(route.dst)])).route, nexthops=(Nexthop("eth0"),), mtu=route.mtu
    )
    usual = attrs.evolve(usual, scope=Scope.LINK, mtu_locked=bool(route.mtu))
    text = route_show.render(usual, EVERYTHING, Options(), never).text
    assert parse_spec(Words(text.split())).route == usual


@pytest.mark.parametrize(
    ("line", "route"),
    [
        (
            "10.0.0.0/8 via 192.168.0.1",
            Route(Prefix.parse("10.0.0.0/8"), nexthops=(Nexthop("", IpAddress.parse("192.168.0.1")),)),
        ),
        ("to 10.0.0.0/8 dev eth0", Route(Prefix.parse("10.0.0.0/8"), nexthops=(Nexthop("eth0"),))),
        ("blackhole 10.0.0.0/8", Route(Prefix.parse("10.0.0.0/8"), RouteType.BLACKHOLE)),
        ("local 10.0.0.0/8 dev lo", Route(Prefix.parse("10.0.0.0/8"), RouteType.LOCAL, (Nexthop("lo"),))),
        (
            "dev eth0 onlink default pri 5 ta 7",
            Route(Prefix.parse("0.0.0.0/0"), nexthops=(Nexthop("eth0", onlink=True),), metric=5, table=7),
        ),
        (
            "10/8 mtu lock 1400",
            Route(Prefix.parse("10.0.0.0/8"), scope=Scope.GLOBAL, mtu=1400, mtu_locked=True),
        ),
    ],
)
def test_what_is_not_said_is_assumed(line: str, route: Route) -> None:
    """Table, scope and type follow from the rest; keys come in any order."""
    assert parse_spec(Words(line.split())).route == route


@pytest.mark.parametrize(
    "line",
    [
        "default via 10.0.0.1 advmss 1300",
        "default encap mpls",
        "default via inet6 fe80::1",
        "default via fd00::1",
        "default scope 77 dev eth0",
        "default dev eth0 nexthop dev eth1",
        "default nexthop dev eth0 realms 1",
    ],
)
def test_what_is_not_modelled_is_refused(line: str) -> None:
    """Nothing that would change a packet's way is passed over."""
    with pytest.raises(CommandError, match="not modelled"):
        parse_spec(Words(line.split()))


def test_a_way_that_icmp_taught_is_shown_with_its_time() -> None:
    """As recorded of iproute2 6.1.0 after *fragmentation needed*: MTU and seconds to go."""
    question = route_get.Question(IpAddress.parse("10.0.1.1"))
    gateway, src = IpAddress.parse("10.0.0.254"), IpAddress.parse("10.0.0.1")
    answer = route_get.Answer(RouteType.UNICAST, "eth0", gateway, src, mtu=1400, expires=598_900_000_000)
    record = route_get.render(question, answer, Options())
    assert record.text == (
        "10.0.1.1 via 10.0.0.254 dev eth0 src 10.0.0.1 uid 0 \n    cache expires 598sec mtu 1400 \n"
    )
    assert record.fields == {
        "dst": "10.0.1.1",
        "gateway": "10.0.0.254",
        "dev": "eth0",
        "prefsrc": "10.0.0.1",
        "flags": [],
        "uid": 0,
        "cache": [],
        "expires": 598,
        "metrics": [{"mtu": 1400}],
    }
    listed = attrs.evolve(answer, prefsrc=None)
    assert route_get.render(question, listed, Options(), listed=True).text == (
        "10.0.1.1 via 10.0.0.254 dev eth0 \n    cache expires 598sec mtu 1400 \n"
    )


def test_a_redirected_way_is_marked() -> None:
    """`redirected` for a router that somebody told us of, `lock` for an MTU that is kept."""
    question = route_get.Question(IpAddress.parse("10.0.1.1"))
    answer = route_get.Answer(
        RouteType.UNICAST,
        "eth0",
        IpAddress.parse("10.0.0.7"),
        None,
        mtu=552,
        mtu_locked=True,
        expires=SECOND,
        redirected=True,
    )
    text = route_get.render(question, answer, Options()).text
    assert text.endswith("    cache <redirected> expires 1sec mtu lock 552 \n")
