# SPDX-License-Identifier: GPL-2.0-only
"""What a rule of nftables asks of the packets of the questions: whether they can have it, or must.

Addresses are told by who has them, ports by where something changes, and the rest
as it is written. What is asked of a packet in one piece with its address
(concatenations) is understood as far as none of the packets has it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.kernel.netfilter.nftables.expressions import (
    Bitwise,
    CatchAll,
    Concat,
    Ct,
    Fib,
    Members,
    Meta,
    Payload,
    Prefix,
    Range,
    SetName,
    TcpOption,
    Wildcard,
)
from emu.kernel.netfilter.nftables.load_fib import address_type_number
from emu.verify.likeness.conditions import check_device
from emu.verify.likeness.doubt import Doubt
from emu.verify.likeness.packets import meet

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from emu.kernel.netfilter.nftables.expressions import Data, Expression, Key
    from emu.kernel.netfilter.nftables.live import LiveTable
    from emu.kernel.netfilter.nftables.statements import Match
    from emu.verify.likeness.conditions import Place
    from emu.verify.likeness.packets import Ports, Sort
    from emu.verify.likeness.universe import Extent

_BITS: Final = 32
_ALL_BITS: Final = 0xFFFFFFFF
_DEVICES: Final = frozenset(("iifname", "oifname", "iif", "oif"))
_PLAIN: Final = {
    Ct: frozenset(("state", "status", "mark", "direction")),
    Meta: frozenset(("nfproto", "protocol", "length", "pkttype", "priority", *_DEVICES)),
}
_PLAIN_FIELDS: Final = {
    "ip": frozenset(("dscp", "ttl", "length", "frag-off", "version", "hdrlength")),
    "icmp": frozenset(("type", "code")),
    "tcp": frozenset(("flags", "sequence", "ackseq", "window", "doff", "urgptr")),
}
_WITH_PORTS: Final = frozenset(("th", "tcp", "udp", "sctp"))
_PORTS: Final = frozenset(("sport", "dport"))


class Held(NamedTuple):
    """How packets may have what is asked.

    Attributes:
        sort: those that may.
        is_sure: all that were asked about have.
        text: what was asked, None for what makes no difference.
    """

    sort: Sort
    is_sure: bool
    text: Hashable = None


@attrs.frozen
class Asker:
    """Who asks: the rules of one table in one namespace.

    Attributes:
        table: where sets with names are.
        place: the namespace.
        marks: the bits of marks that may be set.
        edges: gets the ports at which something changes.
    """

    table: LiveTable
    place: Place
    marks: int
    edges: set[int]

    def match(self, match: Match, sort: Sort) -> Held | None:
        """Return how packets of a sort may fulfil a match, None if they cannot.

        Raises:
            Doubt: it is not understood.
        """
        left, keys = match.left, [key for key, _ in self.members(match.right)]
        if match.operator not in {"==", "!="}:
            return self._plain(left, match.operator, keys, sort)
        is_equal = match.operator == "=="
        match left:
            case Payload("ip", "saddr" | "daddr" as end):
                return self._address(end, self._extent(keys), sort, is_equal=is_equal)
            case Fib(("saddr" | "daddr" as end,), "type"):
                extent = self.place.universe.who(self._is_of_type(keys))
                return self._address(end, extent, sort, is_equal=is_equal)
            case Payload(protocol, "sport" | "dport" as end) if protocol in _WITH_PORTS:
                return self._ports(end, _ranges(keys), sort, is_equal=is_equal)
            case Meta("l4proto") | Payload("ip", "protocol"):
                has = any(low <= sort.protocol <= high for low, high in _ranges(keys))
                return Held(sort, is_sure=True) if has is is_equal else None
            case Meta("mark") | Bitwise(Meta("mark")):
                return self._mark(left, keys, sort, is_equal=is_equal)
            case Concat(parts):
                if not any(self._may_be(parts, key, sort) for key in keys):
                    return None if is_equal else Held(sort, is_sure=True)
                raise Doubt("a rule of nftables asks for addresses and more at once")
            case _:
                return self._plain(left, match.operator, keys, sort)

    def looked_up(self, key: Expression, found: Members | SetName, sort: Sort) -> Iterator[tuple[Key, Data]]:
        """Yield the elements of a verdict map that packets of a sort may come to.

        Raises:
            Doubt: which one that is depends on their addresses or ports, or is not understood.
        """
        parts = key.parts if isinstance(key, Concat) else (key,)
        for element, data in self.members(found):
            if not self._may_be(parts, element, sort):
                continue
            self._plain(key, "==", [element], sort)
            assert data is not None, "a verdict map"
            yield element, data

    def members(self, found: object) -> Iterator[tuple[Key, Data | None]]:
        """Yield what something is compared with: a constant, or the elements of a set or map.

        Raises:
            Doubt: packets or time change the set.
        """
        match found:
            case Members(members):
                yield from ((each.key, each.data) for each in members)
            case SetName(name):
                live = self.table.sets[name]
                if live.changes:
                    raise Doubt(f"packets or time change the set {name}")
                yield from ((each.element.key, each.element.data) for each in live.slots.values())
            case _:
                yield found, None  # type: ignore[misc]  # a constant

    # --- each kind ---

    def _address(self, end: str, extent: Extent, sort: Sort, *, is_equal: bool) -> Held | None:
        if not is_equal:
            extent = self.place.universe.others(extent)
        own = sort.sources if end == "saddr" else sort.targets
        left = own._replace(pods=own.pods & extent.pods, machines=own.machines & extent.machines)
        if not left:
            return None
        narrowed = sort._replace(sources=left) if end == "saddr" else sort._replace(targets=left)
        if left == own:
            return Held(narrowed, is_sure=True)
        seen = self.place.universe.seen_from(left, self.place.net.name)
        return Held(narrowed, is_sure=False, text=(end, seen))

    def _extent(self, keys: list[Key]) -> Extent:
        pods, machines = 0, frozenset[int]()
        for low, high in _ranges(keys):
            one = self.place.universe.between(low, high)
            pods, machines = pods | one.pods, machines | one.machines
        return self.place.universe.everybody._replace(pods=pods, machines=machines)

    def _is_of_type(self, keys: list[Key]) -> Callable[[int], bool]:
        asked = _ranges(keys)

        def holds(number: int) -> bool:
            kind = address_type_number(self.place.net.fib.address_type(number.to_bytes(4, "big")))
            return any(low <= kind <= high for low, high in asked)

        return holds

    def _ports(self, end: str, asked: Ports, sort: Sort, *, is_equal: bool) -> Held | None:
        self.edges.update(edge for low, high in asked for edge in (low, high + 1))
        if is_equal and not meet(sort.sports if end == "sport" else sort.dports, asked):
            return None
        return Held(sort, is_sure=False, text=(end, is_equal, asked))

    def _mark(self, left: Meta | Bitwise, keys: list[Key], sort: Sort, *, is_equal: bool) -> Held | None:
        """Return who may have a mark; of the bits that nobody sets all are 0."""
        mask, flipped = (left.mask, left.xor) if isinstance(left, Bitwise) else (_ALL_BITS, 0)
        free = self.marks & mask
        if not free:
            has = any(low <= flipped <= high for low, high in _ranges(keys))
            return Held(sort, is_sure=True) if has is is_equal else None
        fits = any(low != high or not (low ^ flipped) & ~free for low, high in _ranges(keys))
        if is_equal and not fits:
            return None
        return Held(sort, is_sure=False, text=(left, is_equal, *keys))

    def _plain(self, left: Expression, operator: str, keys: list[Key], sort: Sort) -> Held:
        """Return that it may be so, if what is read has nothing to do with who talks to whom."""
        match left:
            case Meta(key) if key in _DEVICES:
                for each in keys:
                    check_device(_pattern(each), self.place)
            case Meta(key) | Ct(key, "") if key in _PLAIN[type(left)]:
                pass
            case Payload(protocol, field) if field in _PLAIN_FIELDS.get(protocol, ()):
                pass
            case TcpOption():
                pass
            case _:
                what = f"{left.protocol} {left.field}" if isinstance(left, Payload) else type(left).__name__
                raise Doubt(f"a rule of nftables asks for {what}")
        return Held(sort, is_sure=False, text=(left, operator, *keys))

    def _may_be(self, parts: tuple[Expression, ...], key: Key, sort: Sort) -> bool:
        """Return whether packets of a sort may have the key of an element, a value for each part."""
        if isinstance(key, CatchAll):
            return True
        values = key if isinstance(key, tuple) else (key,)
        return all(map(partial(self._may_have, sort), parts, values))

    def _may_have(self, sort: Sort, part: Expression, value: Key) -> bool:
        match part:
            case Payload("ip", "saddr" | "daddr" as end):
                extent = self._extent([value])
                own = sort.sources if end == "saddr" else sort.targets
                return bool(own.pods & extent.pods or own.machines & extent.machines)
            case Payload(protocol, "sport" | "dport" as end) if protocol in _WITH_PORTS:
                return meet(sort.sports if end == "sport" else sort.dports, _ranges([value]))
            case Meta("l4proto") | Payload("ip", "protocol"):
                return any(low <= sort.protocol <= high for low, high in _ranges([value]))
            case _:
                return True


def _ranges(keys: list[Key]) -> Ports:
    """Return numbers as ranges, in ascending order.

    Raises:
        Doubt: they are none.
    """
    found: list[tuple[int, int]] = []
    for key in keys:
        match key:
            case int():
                found.append((key, key))
            case Range(low, high):
                found.append((low, high))
            case Prefix(value, length):
                found.append((value, value | _ALL_BITS >> length))
            case _:
                raise Doubt("a rule of nftables compares with something else than numbers")
    return tuple(sorted(found))


def _pattern(name: object) -> str:
    """Return a name of devices as iptables writes it."""
    if isinstance(name, Wildcard):
        return f"{name.start}+"
    if isinstance(name, str):
        return name
    raise Doubt("a rule of nftables asks for a device by its number")
