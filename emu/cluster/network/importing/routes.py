# SPDX-License-Identifier: GPL-2.0-only
"""`ip -j route show table all` and `ip -j rule`: which way packets go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.cluster.network import values
from emu.cluster.network.importing.dump import Hop, Route, RoutingRule
from emu.cluster.network.importing.records import (
    device_name,
    flags,
    hexadecimal,
    is_ipv6,
    number_of,
    records,
    word,
)
from emu.document import MappingNode
from emu.document.fields import Fields, Place, integer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.wire.addresses import IpAddress, Prefix

_UNLIKE: Final = ("encap", "realm", "from", "expires", "nhid")
_METRICS_KEPT: Final = frozenset({"mtu", "error"})
_weight: Final = integer(1, 256)


def read_routes(place: Place) -> tuple[tuple[Route, ...], int]:
    """Return the routes of IPv4, and how many there are of IPv6."""
    found: list[Route] = []
    passed_over = 0
    for fields in records(place):
        if _is_of_ipv6(fields.place):
            passed_over += 1
        else:
            found.append(_route(fields))
    return tuple(found), passed_over


def _is_of_ipv6(record: Place) -> bool:
    """Return whether a route is one of IPv6: `pref` is shown of those alone."""
    return record.at("pref").is_given or any(
        is_ipv6(record.at(key).value) for key in ("dst", "gateway", "prefsrc")
    )


def _route(fields: Fields) -> Route:
    record = fields.place
    unlike = [name for name in _UNLIKE if record.at(name).is_given]
    hops = fields.each("nexthops", _hop) or (_own_hop(fields),)
    unlike += sorted(
        {
            f"{name} of nexthops"
            for at in _places(record, "nexthops")
            for name in _UNLIKE
            if at.at(name).is_given
        }
    )
    if any(at.at("via").is_given for at in (record, *_places(record, "nexthops"))):
        unlike.append("gateway of another family")
    mtu = 0
    for metrics in _places(record, "metrics"):
        if isinstance(metrics.value, MappingNode):
            unlike += [name for name in metrics.value if name not in _METRICS_KEPT]
            mtu = Fields(metrics).get("mtu", number_of, mtu)
    return Route(
        dst=fields.must("dst", _destination),
        type=fields.get("type", word, "unicast"),
        hops=tuple(hop for hop in hops if hop.device or hop.gateway is not None),
        table=fields.get("table", word, "main"),
        protocol=fields.get("protocol", word, "boot"),
        scope=fields.get("scope", word, "global"),
        prefsrc=fields.get("prefsrc", values.ipv4, None),
        metric=fields.get("metric", number_of, 0),
        tos=fields.get("tos", word, ""),
        mtu=mtu,
        unlike=tuple(unlike),
    )


def _places(record: Place, key: str) -> Iterator[Place]:
    """Yield the places of a list's elements, none if it is left out."""
    value = record.at(key).value
    if isinstance(value, list):
        yield from (record.at(key).at(index) for index in range(len(value)))


def _destination(place: Place) -> Prefix:
    return values.prefix(place)


def _own_hop(fields: Fields) -> Hop:
    return Hop(
        fields.get("dev", device_name, ""),
        fields.get("gateway", _gateway, None),
        onlink="onlink" in flags(fields),
    )


def _hop(place: Place) -> Hop:
    fields = Fields(place)
    return _own_hop(fields)._replace(weight=fields.get("weight", _weight, 1))


def _gateway(place: Place) -> IpAddress | None:
    return None if is_ipv6(place.value) else values.ipv4(place)


# --- routing rules ---

_PLAIN_WORDS: Final = (("iif", "iif"), ("oif", "oif"))
_TEXT_KEYS: Final = ("tos", "ipproto", "sport", "dport", "tun_id", "goto", "realms")
_RULE_KEYS: Final = frozenset(
    {
        *("priority", "src", "srclen", "dst", "dstlen", "not", "tos", "fwmark", "fwmask", "iif", "oif"),
        *("table", "suppress_prefixlen", "action", "protocol", "nop", "iif_detached", "oif_detached"),
        *("ipproto", "sport", "dport", "tun_id", "goto", "realms"),
    }
)


def read_rules(place: Place) -> tuple[RoutingRule, ...]:
    """Return the routing rules, each as the words that add it."""
    return tuple([_rule(fields) for fields in records(place)])


def _rule(fields: Fields) -> RoutingRule:
    record = fields.place
    words: list[str] = ["not"] if record.at("not").is_given else []
    for key, option in (("src", "from"), ("dst", "to")):
        words += _selector(fields, key, option)
    if fields.has("fwmark"):
        mark = fields.must("fwmark", hexadecimal)
        mask = fields.get("fwmask", hexadecimal, None)
        words += ("fwmark", f"{mark:#x}" if mask is None else f"{mark:#x}/{mask:#x}")
    for key, option in _PLAIN_WORDS:
        if fields.has(key):
            words += (option, fields.must(key, device_name))
    for key in _TEXT_KEYS:
        if fields.has(key):
            words += (key, fields.must(key, word))
    if fields.has("suppress_prefixlen"):
        words += ("suppress_prefixlength", str(fields.must("suppress_prefixlen", number_of)))
    # What this does not know becomes a word that nobody takes, so the rule is left out by name.
    if isinstance(record.value, MappingNode):
        words += [key for key in record.value if key not in _RULE_KEYS and key.isprintable()]
    if fields.has("action"):
        words.append(fields.must("action", word))
    elif record.at("nop").is_given:
        words.append("nop")
    return RoutingRule(fields.get("priority", number_of, 0), tuple(words), fields.get("table", word, ""))


def _selector(fields: Fields, key: str, option: str) -> list[str]:
    if not fields.has(key) or fields.place.at(key).value == "all":
        return []
    address = fields.must(key, values.ipv4)
    length = fields.get(f"{key}len", number_of, 32)
    return [option, f"{address}/{length}"]
