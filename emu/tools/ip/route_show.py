# SPDX-License-Identifier: GPL-2.0-only
"""Which routes `ip route show` and `flush` mean, and what is printed of a route.

Source: iproute2 6.1, ip/iproute.c `iproute_list_flush_or_save`, `filter_nlmsg`, `print_route`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.route import PROTOCOL_BOOT, TABLE_MAIN, RouteType, Scope
from emu.tools.ip.names import PROTOCOLS, SCOPES, TABLES, name_of
from emu.tools.ip.record import Record
from emu.tools.ip.route import TYPES, protocol, scope, tos
from emu.tools.ip.values import MAX_U32, contains, count, next_address, next_prefix, prefix, short
from emu.tools.ip.words import Grammar, Option, Words, is_short_for, text, wrong, yes
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.route import Nexthop, Route
    from emu.tools.ip.options import Options
    from emu.wire.addresses import IpAddress

_EVERY_TABLE: Final = 0
_CACHE: Final = -1


@attrs.define
class Selection:
    """Which routes are meant.

    What all of them have in common is not said again of each.

    Attributes:
        table: number of their table, 0 for all.
        cached: the remembered ways instead (`table cache`).
        device: they have one nexthop, by this device.
        gateway: they have one nexthop, by this router.
        prefsrc: their preferred source address.
        protocol: who entered them.
        scope: their scope.
        type: their type.
        metric: their metric.
        tos: their TOS.
        root: they are within this prefix.
        match: they hold this prefix.
    """

    table: int = TABLE_MAIN
    cached: bool = False
    device: str = ""
    gateway: IpAddress | None = None
    prefsrc: IpAddress | None = None
    protocol: int | None = None
    scope: Scope | None = None
    type: RouteType | None = None
    metric: int | None = None
    tos: int | None = None
    root: Prefix | None = None
    match: Prefix | None = None

    def has(self, route: Route) -> bool:
        """Return whether `route` is meant."""
        only = route.nexthops[0] if len(route.nexthops) == 1 else None
        return (
            self.table in {_EVERY_TABLE, route.table}
            and (not self.device or (only is not None and only.device == self.device))
            and (self.gateway is None or (only is not None and only.gateway == self.gateway))
            and self.prefsrc in {None, route.prefsrc}
            and self.protocol in {None, route.protocol}
            and self.scope in {None, route.scope}
            and self.type in {None, route.type}
            and self.metric in {None, route.metric}
            and self.tos in {None, route.tos}
            and (self.root is None or contains(self.root, route.dst))
            and (self.match is None or contains(route.dst, self.match))
        )

    def holds(self, dst: IpAddress) -> bool:
        """Return whether the remembered way to `dst` is meant."""
        host = Prefix(dst, dst.bits)
        return (self.root is None or contains(self.root, host)) and self.match in {None, host}


def _type(words: Words) -> RouteType:
    word = words.take()
    if word not in TYPES:
        raise wrong(word, "node type value is invalid\n")
    return TYPES[word]


def _to(selection: Selection, word: str, words: Words) -> None:
    if word == "to":
        word = words.take()
    if word in {"root", "match"}:
        setattr(selection, word, next_prefix(words))
        return
    selection.root = selection.match = prefix(words.take() if word == "exact" else word)


_TABLE: Final = count("table id value is invalid\n", MAX_U32, {**TABLES, "all": _EVERY_TABLE})


def _table(words: Words) -> int:
    if is_short_for(words.peek(), "cache"):
        words.take()
        return _CACHE
    return _TABLE(words)


_SHOW: Final = Grammar[Selection](
    "ip route show",
    (
        Option(("table",), "table", _table, short=True),
        Option(("cached", "cloned"), "cached", yes, short=True),
        Option(("dev", "oif"), "device", text),
        Option(("via",), "gateway", next_address),
        Option(("src",), "prefsrc", next_address),
        Option(("protocol",), "protocol", protocol, short=True),
        Option(("scope",), "scope", scope, short=True),
        Option(("type",), "type", _type, short=True),
        Option(("metric", "preference"), "metric", count('"metric" value is invalid\n')),
        Option(("priority",), "metric", count('"metric" value is invalid\n'), short=True),
        Option(("tos", "dsfield"), "tos", tos),
    ),
    _to,
    ("from", "iif", "realms", "vrf"),
)


def parse_selection(words: Words) -> Selection:
    """Return the routes that `words` mean.

    Raises:
        CommandError: they make no sense.
    """
    selection = _SHOW.fill(Selection(), words)
    if selection.table == _CACHE:
        selection.cached, selection.table = True, TABLE_MAIN
    return selection


# --- what is printed ---


def render(
    route: Route, selection: Selection, options: Options, ignores_linkdown: Callable[[str], bool]
) -> Record:
    """Return what is printed of one route.

    Args:
        route: the route.
        selection: what was asked for.
        options: how it is to look.
        ignores_linkdown: whether routes by a device without carrier are dead.
    """
    record = Record()
    if route.type is not RouteType.UNICAST or options.details:
        record.put("type", route.type.value, f"{route.type.value} ")
    dst = short(route.dst) if route.dst.length else "default"
    record.put("dst", dst, f"{dst} ")
    if route.tos and selection.tos is None:
        record.put("tos", f"{route.tos:#04x}", f"tos {route.tos:#04x} ")
    only = route.nexthops[0] if len(route.nexthops) == 1 else None
    if only is not None:
        _put_way(record, only, selection)
    _put_origin(record, route, selection, options)
    if route.prefsrc is not None and selection.prefsrc is None:
        record.put("prefsrc", str(route.prefsrc), f"src {route.prefsrc} ")
    if route.metric and selection.metric is None:
        record.put_number("metric", route.metric)
    if only is not None:
        put_flags(record, _flags(only, ignores_linkdown))
    else:
        put_flags(record, ["linkdown"] if route.is_linkdown else [])
    put_metrics(record, route)
    if len(route.nexthops) > 1:
        hops = [_hop(hop, ignores_linkdown) for hop in route.nexthops]
        record.put("nexthops", [hop.fields for hop in hops], "".join(hop.text for hop in hops))
    record.show("\n")
    return record


def _put_way(record: Record, hop: Nexthop, selection: Selection) -> None:
    if hop.gateway is not None and selection.gateway is None:
        record.put("gateway", str(hop.gateway), f"via {hop.gateway} ")
    if not selection.device:
        record.put("dev", hop.device, f"dev {hop.device} ")


def _put_origin(record: Record, route: Route, selection: Selection, options: Options) -> None:
    if (route.table != TABLE_MAIN or options.details) and selection.table == _EVERY_TABLE:
        name = name_of(route.table, TABLES)
        record.put("table", name, f"table {name} ")
    if (route.protocol != PROTOCOL_BOOT or options.details) and selection.protocol is None:
        name = name_of(route.protocol, PROTOCOLS)
        record.put("protocol", name, f"proto {name} ")
    if (route.scope != Scope.GLOBAL or options.details) and selection.scope is None:
        name = name_of(route.scope, SCOPES)
        record.put("scope", name, f"scope {name} ")


def _flags(hop: Nexthop, ignores_linkdown: Callable[[str], bool]) -> list[str]:
    is_dead = hop.dead or (hop.linkdown and ignores_linkdown(hop.device))
    wanted = ((is_dead, "dead"), (hop.onlink, "onlink"), (hop.linkdown, "linkdown"))
    return [word for is_set, word in wanted if is_set]


def put_flags(record: Record, words: list[str]) -> None:
    """Add the flags of a route."""
    record.put("flags", words, "".join(f"{word} " for word in words))


def put_metrics(record: Record, route: Route) -> None:
    """Add the MTU of a route, the one metric that is modelled."""
    if route.mtu:
        lock = "lock " if route.mtu_locked else ""
        record.put("metrics", [{"mtu": route.mtu}], f"mtu {lock}{route.mtu} ")


def _hop(hop: Nexthop, ignores_linkdown: Callable[[str], bool]) -> Record:
    record = Record()
    record.show("\n\tnexthop ")
    if hop.gateway is not None:
        record.put("gateway", str(hop.gateway), f"via {hop.gateway} ")
    record.put("dev", hop.device, f"dev {hop.device} ")
    record.put_number("weight", hop.weight)
    put_flags(record, _flags(hop, ignores_linkdown))
    return record
