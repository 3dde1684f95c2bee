# SPDX-License-Identifier: GPL-2.0-only
"""Routes: those that the format's list can have, and commands for the others.

Which routes come with addresses is seen from a trial, and so is which of the
others the kernel takes in the order of a document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from emu.cluster.network.model import RouteScope, RouteSpec, RouteType
from emu.kernel.route import PROTOCOL_BOOT, RouteError, Scope
from emu.tools.ip.options import Options
from emu.tools.ip.route_show import Selection, render

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.cluster.network.exporting.trial import Trial
    from emu.kernel.route import Route

_TYPES: Final[tuple[RouteType, ...]] = get_args(RouteType)
_SCOPES: Final[tuple[RouteScope, ...]] = get_args(RouteScope)
_LEAST_MTU, _MOST_MTU = 68, 65535
_SHOWN_ONLY: Final = frozenset({"linkdown", "dead"})
_EVERY_TABLE: Final = Selection(table=0)


def write_plain(trial: Trial) -> None:
    """Write the routes that the list can have and that the kernel takes by now."""
    missing, _ = _differences(trial)
    for route in _nearest_first(missing):
        spec = _spec(trial.ns, route)
        if spec is None or not _is_taken(trial, route):
            continue
        trial.draft.routes.append(spec)


def write_others(trial: Trial) -> None:
    """Write the commands that take away and enter what makes the difference now."""
    missing, surplus = _differences(trial)
    for route in surplus:
        text = _words(route)
        trial.run(f"that there is no route {' '.join(text)}", "ip", "route", "del", *text)
    for route in _nearest_first(missing):
        text = _words(route)
        has_equal = any(
            (known.dst, known.metric, known.tos) == (route.dst, route.metric, route.tos)
            for known in trial.copy.fib.routes(route.table)
        )
        trial.run(f"route {' '.join(text)}", "ip", "route", "append" if has_equal else "add", *text)


def _differences(trial: Trial) -> tuple[list[Route], list[Route]]:
    """Return the routes that the document lacks, and those that it has too many."""
    wanted = dict.fromkeys(trial.original.fib.routes())
    alike = {copy.name for _, copy in trial.alike}
    present = [each for each in trial.copy.fib.routes() if all(hop.device in alike for hop in each.nexthops)]
    surplus = [each for each in present if each not in wanted]
    known = dict.fromkeys(present)
    return [each for each in wanted if each not in known], surplus


def _nearest_first(routes: Iterable[Route]) -> list[Route]:
    """Return routes in an order in which gateways are reached by routes before."""
    return sorted(routes, key=lambda route: (-route.scope, any(hop.gateway for hop in route.nexthops)))


def _is_taken(trial: Trial, route: Route) -> bool:
    try:
        trial.copy.fib.add(route)
    except RouteError:
        return False
    return True


def _spec(ns: str, route: Route) -> RouteSpec | None:
    """Return an entry of the list, None if it cannot have the route."""
    kind = next((name for name in _TYPES if name == route.type.value), None)
    scope = next((name for name in _SCOPES if name == route.scope.name.lower()), None)
    is_sayable = (
        len(route.nexthops) <= 1
        and not route.tos
        and not route.mtu_locked
        and route.protocol == PROTOCOL_BOOT
        and (not route.mtu or _LEAST_MTU <= route.mtu <= _MOST_MTU)
    )
    if kind is None or scope is None or not is_sayable:
        return None
    hop = route.nexthops[0] if route.nexthops else None
    return RouteSpec(
        ns,
        route.dst,
        kind,
        via=hop.gateway if hop else None,
        dev=hop.device if hop else None,
        src=route.prefsrc,
        scope=scope,
        metric=route.metric,
        mtu=route.mtu or None,
        table=route.table,
        onlink=hop is not None and hop.onlink,
    )


def _words(route: Route) -> tuple[str, ...]:
    """Return what names a route behind `ip route add` and `ip route del`."""
    text = render(route, _EVERY_TABLE, Options(), lambda _: False).text
    words = [word for word in text.split() if word not in _SHOWN_ONLY]
    if route.scope is Scope.GLOBAL and len(route.nexthops) == 1 and route.nexthops[0].gateway is None:
        place = words.index("dev") + 2
        words[place:place] = ["scope", "global"]
    return tuple(words)
