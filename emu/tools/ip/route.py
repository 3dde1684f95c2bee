# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip route add`, `del` and their like.

A line that `ip route show` prints is such arguments, too. Source: iproute2 6.1,
ip/iproute.c `iproute_modify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CommandError
from emu.kernel.route import (
    PROTOCOL_BOOT,
    Nexthop,
    Route,
    RoutePattern,
    RouteType,
    Scope,
    default_scope,
    default_table,
)
from emu.kernel.rules import EVERYWHERE
from emu.tools.ip.names import PROTOCOLS, SCOPES, TABLES
from emu.tools.ip.values import MAX_U32, address, count, next_address, number, prefix
from emu.tools.ip.words import USAGE, Grammar, Option, Words, garbage, not_modelled, text, wrong, yes

if TYPE_CHECKING:
    from emu.wire.addresses import IpAddress, Prefix

TYPES: Final = {kind.value: kind for kind in RouteType}
_FAMILIES: Final = frozenset({"inet", "inet6", "mpls", "bridge", "link"})


def scope(words: Words) -> Scope:
    """Take a scope; Linux has any number, emu those with a name."""
    value = count('invalid "scope" value\n', 255, SCOPES)(words)
    try:
        return Scope(value)
    except ValueError:
        raise not_modelled(f"scope {value} of a route") from None


table: Final = count('"table" value is invalid\n', MAX_U32, TABLES)
protocol: Final = count('"protocol" value is invalid\n', 255, PROTOCOLS)
tos: Final = count('"tos" value is invalid\n', 255)


# --- nexthops ---


@attrs.define
class _Hop:
    device: str = ""
    gateway: IpAddress | None = None
    weight: int = 1
    onlink: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.device and self.gateway is None and not self.onlink

    def nexthop(self) -> Nexthop:
        return Nexthop(self.device, self.gateway, self.weight, self.onlink)


def _gateway(words: Words) -> IpAddress:
    word = words.take()
    if word in _FAMILIES:
        if word != "inet":
            raise not_modelled(f"a gateway of family {word}")
        word = words.take()
    return address(word)


def _weight(words: Words) -> int:
    word = words.take()
    weight = number(word, 256)
    if not weight:
        raise wrong(word, '"weight" is invalid\n')
    return weight


def _refuse(_hop: _Hop, word: str, _words: Words) -> None:
    raise CommandError(f'Error: "nexthop" or end of line is expected instead of "{word}"', USAGE)


_WAY: Final = (
    Option(("via",), "gateway", _gateway),
    Option(("dev", "oif"), "device", text),
    Option(("onlink",), "onlink", yes),
)
_HOP: Final = Grammar[_Hop](
    "a nexthop", (*_WAY, Option(("weight",), "weight", _weight)), _refuse, ("encap", "realms", "pervasive")
)


def _nexthops(words: Words) -> tuple[Nexthop, ...]:
    """Take all that follows the first `nexthop`. Source: `parse_nexthops`."""
    parts: list[list[str]] = [[]]
    while words:
        word = words.take()
        if word == "nexthop":
            parts.append([])
        else:
            parts[-1].append(word)
    return tuple(_HOP.fill(_Hop(), Words(part)).nexthop() for part in parts)


# --- routes ---


@attrs.define
class RouteSpec(_Hop):
    """A route as it is written down; None where nothing is said."""

    dst: Prefix | None = None
    type: RouteType | None = None
    hops: tuple[Nexthop, ...] = ()
    table: int | None = None
    scope: Scope | None = None
    prefsrc: IpAddress | None = None
    protocol: int | None = None
    metric: int = 0
    tos: int = 0
    mtu: tuple[int, bool] = (0, False)  # octets, locked

    @property
    def nexthops(self) -> tuple[Nexthop, ...]:
        """All ways that it leads."""
        return self.hops if self.is_empty else (self.nexthop(),)

    @property
    def route(self) -> Route:
        """What `ip route add` enters."""
        kind = self.type or RouteType.UNICAST
        mtu, locked = self.mtu
        return Route(
            self.dst or EVERYWHERE,
            kind,
            self.nexthops,
            table=default_table(kind) if self.table is None else self.table,
            scope=default_scope(kind, self.nexthops) if self.scope is None else self.scope,
            prefsrc=self.prefsrc,
            metric=self.metric,
            tos=self.tos,
            protocol=PROTOCOL_BOOT if self.protocol is None else self.protocol,
            mtu=mtu,
            mtu_locked=locked,
        )

    @property
    def pattern(self) -> RoutePattern:
        """What `ip route del` deletes."""
        kind = self.type or RouteType.UNICAST
        scope = self.scope
        if scope is None and not kind.is_error and kind is not RouteType.UNICAST:
            scope = default_scope(kind, ())
        return RoutePattern(
            self.dst or EVERYWHERE,
            self.tos,
            default_table(kind) if self.table is None else self.table,
            self.type,
            scope,
            self.prefsrc,
            self.protocol,
            self.metric,
            self.nexthops,
            self.mtu[0] or None,
        )


def _mtu(words: Words) -> tuple[int, bool]:
    locked = words.peek() == "lock"
    if locked:
        words.take()
    return count('"mtu" value is invalid\n')(words), locked


def _destination(spec: RouteSpec, word: str, words: Words) -> None:
    if word == "to":
        word = words.take()
    if word in TYPES:
        spec.type = TYPES[word]
        word = words.take()
    if spec.dst is not None:
        raise garbage("to", word)
    spec.dst = prefix(word)


_METRIC: Final = count('"metric" value is invalid\n')
_ROUTE: Final = Grammar[RouteSpec](
    "a route",
    (
        *_WAY,
        Option(("nexthop",), "hops", _nexthops),
        Option(("src",), "prefsrc", next_address),
        Option(("mtu",), "mtu", _mtu),
        Option(("metric", "preference"), "metric", _METRIC),
        Option(("priority",), "metric", _METRIC, short=True),
        Option(("scope",), "scope", scope),
        Option(("tos",), "tos", tos),
        Option(("dsfield",), "tos", tos, short=True),
        Option(("protocol",), "protocol", protocol, short=True),
        Option(("table",), "table", table, short=True),
    ),
    _destination,
    (
        "advmss",
        "as",
        "congctl",
        "cwnd",
        "encap",
        "expires",
        "fastopen_no_cookie",
        "features",
        "from",
        "hoplimit",
        "initcwnd",
        "initrwnd",
        "nhid",
        "pervasive",
        "pref",
        "quickack",
        "realms",
        "reordering",
        "rto_min",
        "rtt",
        "rttvar",
        "ssthresh",
        "ttl-propagate",
        "vrf",
        "window",
    ),
)


def parse_spec(words: Words) -> RouteSpec:
    """Return the route that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    spec = _ROUTE.fill(RouteSpec(), words)
    if spec.dst is None:
        raise CommandError("Usage: ip route { add | del | change | append | replace } ROUTE", USAGE)
    if spec.hops and not spec.is_empty:
        raise not_modelled("a device or gateway beside nexthops")
    return spec
