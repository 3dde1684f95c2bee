# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of `ip route add`, `del` and their like.

Source: iproute2 6.1, ip/iproute.c `iproute_modify`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.route import (
    PROTOCOL_BOOT,
    Insertion,
    Nexthop,
    Route,
    RoutePattern,
    RouteType,
    Scope,
    default_scope,
    default_table,
)
from emu.tools.ip.names import PROTOCOLS, SCOPES, TABLES
from emu.tools.ip.words import (
    Words,
    address,
    garbage,
    incomplete,
    is_short_for,
    named,
    not_modelled,
    number,
    prefix,
    wrong,
)

if TYPE_CHECKING:
    from emu.wire.addresses import IpAddress, Prefix

TYPES: Final = {kind.value: kind for kind in RouteType}
_FAMILIES: Final = frozenset({"inet", "inet6", "mpls", "bridge", "link"})
_UNMODELLED: Final = (
    "as",
    "from",
    "expires",
    "hoplimit",
    "advmss",
    "reordering",
    "rtt",
    "rto_min",
    "window",
    "cwnd",
    "initcwnd",
    "initrwnd",
    "features",
    "quickack",
    "congctl",
    "rttvar",
    "ssthresh",
    "realms",
    "nhid",
    "vrf",
    "pref",
    "encap",
    "ttl-propagate",
    "fastopen_no_cookie",
    "pervasive",
)


@attrs.frozen
class RouteSpec:
    """A route as it is written down; None where nothing is said."""

    dst: Prefix
    type: RouteType | None = None
    nexthops: tuple[Nexthop, ...] = ()
    table: int | None = None
    scope: Scope | None = None
    prefsrc: IpAddress | None = None
    protocol: int | None = None
    metric: int = 0
    tos: int = 0
    mtu: int = 0
    mtu_locked: bool = False

    @property
    def route(self) -> Route:
        """The route that `ip route add` enters."""
        kind = self.type or RouteType.UNICAST
        return Route(
            self.dst,
            kind,
            self.nexthops,
            table=default_table(kind) if self.table is None else self.table,
            scope=default_scope(kind, self.nexthops) if self.scope is None else self.scope,
            prefsrc=self.prefsrc,
            metric=self.metric,
            tos=self.tos,
            protocol=PROTOCOL_BOOT if self.protocol is None else self.protocol,
            mtu=self.mtu,
            mtu_locked=self.mtu_locked,
        )

    @property
    def pattern(self) -> RoutePattern:
        """What `ip route del` deletes."""
        scope = self.scope
        if scope is None and self.type in {RouteType.LOCAL, RouteType.BROADCAST, RouteType.MULTICAST}:
            scope = default_scope(self.type, ())
        return RoutePattern(
            self.dst,
            self.tos,
            default_table(self.type or RouteType.UNICAST) if self.table is None else self.table,
            self.type,
            scope,
            self.prefsrc,
            self.protocol,
            self.metric,
            self.nexthops,
            self.mtu or None,
        )


@attrs.frozen
class Enter:
    """`ip route add` and its like."""

    spec: RouteSpec
    how: Insertion


@attrs.frozen
class Delete:
    """`ip route del`."""

    spec: RouteSpec


def parse_spec(words: Words) -> RouteSpec:
    """Return the route that `words` describe.

    Raises:
        CommandError: they describe none.
    """
    reader = _SpecReader(words)
    return reader.read()


class _SpecReader:
    def __init__(self, words: Words) -> None:
        self.words = words
        self.spec = RouteSpec(prefix("default"))
        self.has_dst = False
        self.device = ""
        self.gateway: IpAddress | None = None
        self.onlink = False
        self.hops: tuple[Nexthop, ...] = ()

    def read(self) -> RouteSpec:
        while self.words:
            self._option(self.words.take())
        if not self.has_dst and not (self.device or self.gateway or self.hops):
            raise incomplete()
        hops = self.hops
        if self.device or self.gateway is not None or self.onlink:
            if hops:
                raise not_modelled("a device or gateway beside nexthops")
            hops = (Nexthop(self.device, self.gateway, onlink=self.onlink),)
        return attrs.evolve(self.spec, nexthops=hops)

    def _option(self, word: str) -> None:  # noqa: PLR0912 - one line for each word of the language
        take = self.words.take
        if word == "src":
            self._set(prefsrc=address(take()))
        elif word == "via":
            self.gateway = _gateway(self.words)
        elif word in {"dev", "oif"}:
            self.device = take()
        elif word == "onlink":
            self.onlink = True
        elif word == "nexthop":
            self.hops = _nexthops(self.words)
        elif word == "mtu":
            self._mtu()
        elif word == "metric" or is_short_for(word, "priority") or word == "preference":
            self._set(metric=_value(take(), "metric"))
        elif word == "scope":
            self._set(scope=scope(take()))
        elif is_short_for(word, "table"):
            self._set(table=table(take()))
        elif word == "tos" or is_short_for(word, "dsfield"):
            self._set(tos=_tos(take()))
        elif is_short_for(word, "protocol"):
            self._set(protocol=protocol(take()))
        elif word in _UNMODELLED:
            raise not_modelled(f"{word} of a route")
        else:
            self._destination(word)

    def _set(self, **values: object) -> None:
        self.spec = attrs.evolve(self.spec, **values)

    def _mtu(self) -> None:
        text = self.words.take()
        locked = text == "lock"
        if locked:
            text = self.words.take()
        self._set(mtu=_value(text, "mtu"), mtu_locked=locked)

    def _destination(self, word: str) -> None:
        if word == "to":
            word = self.words.take()
        if not word[:1].isdigit() and word in TYPES:
            self._set(type=TYPES[word])
            word = self.words.take()
        if self.has_dst:
            raise garbage("to", word)
        self._set(dst=prefix(word))
        self.has_dst = True


def _gateway(words: Words) -> IpAddress:
    text = words.take()
    if text in _FAMILIES:
        if text != "inet":
            raise not_modelled(f"a gateway of family {text}")
        text = words.take()
    return address(text)


def _nexthops(words: Words) -> tuple[Nexthop, ...]:
    """Return the nexthops of which the first `nexthop` was taken. Source: `parse_nexthops`."""
    hops = []
    while True:
        hop = Nexthop()
        while words and words.peek() != "nexthop":
            word = words.take()
            if word == "via":
                hop = attrs.evolve(hop, gateway=_gateway(words))
            elif word == "dev":
                hop = attrs.evolve(hop, device=words.take())
            elif word == "weight":
                hop = attrs.evolve(hop, weight=_weight(words.take()))
            elif word == "onlink":
                hop = attrs.evolve(hop, onlink=True)
            else:
                raise (
                    garbage("nexthop", word)
                    if word not in _UNMODELLED
                    else not_modelled(f"{word} of a route")
                )
        hops.append(hop)
        if not words:
            return tuple(hops)
        words.take()


def _weight(text: str) -> int:
    weight = number(text, 256)
    if not weight:
        raise wrong(text, '"weight" is invalid\n')
    return weight


def _value(text: str, what: str) -> int:
    value = number(text)
    if value is None:
        raise wrong(text, f'"{what}" value is invalid\n')
    return value


def _tos(text: str) -> int:
    tos = named(text, {"default": 0}, 255)
    if tos is None:
        raise wrong(text, '"tos" value is invalid\n')
    return tos


def scope(text: str) -> Scope:
    """Return the scope `text`; Linux has any number, emu those with a name."""
    value = named(text, SCOPES, 255)
    if value is None:
        raise wrong(text, 'invalid "scope" value\n')
    try:
        return Scope(value)
    except ValueError:
        raise not_modelled(f"scope {text}") from None


def table(text: str, message: str = '"table" value is invalid\n') -> int:
    """Return the number of table `text`."""
    value = named(text, TABLES)
    if value is None:
        raise wrong(text, message)
    return value


def protocol(text: str) -> int:
    """Return the number of the routing protocol `text`."""
    value = named(text, PROTOCOLS, 255)
    if value is None:
        raise wrong(text, '"protocol" value is invalid\n')
    return value
