# SPDX-License-Identifier: GPL-2.0-only
"""Routing rules: which table is asked for which packets, in which order (`ip rule`).

Source: net/core/fib_rules.c, net/ipv4/fib_rules.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.route import TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN, RouteError, RouteType
from emu.wire.addresses import Prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emu.kernel.fib import Flow

EVERYWHERE: Final = Prefix.parse("0.0.0.0/0")
DSCP_MASK: Final = 0x1C  # of the TOS octet, the bits of the DSCP that routes and rules look at


@attrs.frozen
class RoutingRule:
    """One routing rule.

    Attributes:
        priority: rules are asked in this order; equal ones as they were added.
        action: `UNICAST` looks in `table`; `UNREACHABLE`, `BLACKHOLE` and
            `PROHIBIT` end the search.
        table: where to look.
        src: prefix that holds the source address.
        dst: prefix that holds the destination.
        iif: the packet came in on this device; `lo`: it is of this host.
        oif: the packet's program is bound to this device.
        mark: firewall mark, where `mask` is set.
        mask: the bits of the mark that count.
        tos: the packet's TOS; 0 for any.
        inverted: for the packets that do *not* match.
        suppress_length: a route found is passed over if its prefix is this
            long at most; -1 for none.
    """

    priority: int
    action: RouteType = RouteType.UNICAST
    table: int = TABLE_MAIN
    src: Prefix = EVERYWHERE
    dst: Prefix = EVERYWHERE
    iif: str = ""
    oif: str = ""
    mark: int = 0
    mask: int = 0
    tos: int = 0
    inverted: bool = False
    suppress_length: int = -1
    _is_for_all: bool = attrs.field(init=False, eq=False, repr=False)

    @_is_for_all.default
    def _default_is_for_all(self) -> bool:
        selectors = (self.iif, self.oif, self.mask, self.tos, self.src.length, self.dst.length)
        return not any(selectors) and not self.inverted

    def matches(self, flow: Flow) -> bool:
        """Return whether it is for the packets of `flow`."""
        return self._is_for_all or self._selects(flow) is not self.inverted

    def _selects(self, flow: Flow) -> bool:
        return not (
            (self.iif and self.iif != (flow.iif or "lo"))
            or (self.oif and self.oif != flow.oif)
            or (flow.mark ^ self.mark) & self.mask
            or (self.tos and self.tos != flow.tos & DSCP_MASK)
            or (int.from_bytes(flow.src, "big") ^ int(self.src.address)) & self.src.mask
            or (int.from_bytes(flow.dst, "big") ^ int(self.dst.address)) & self.dst.mask
        )


def _initial() -> list[RoutingRule]:
    return [
        RoutingRule(0, table=TABLE_LOCAL),
        RoutingRule(32766, table=TABLE_MAIN),
        RoutingRule(32767, table=TABLE_DEFAULT),
    ]


@attrs.define
class RoutingRules:
    """The routing rules of one namespace, in the order in which they are asked."""

    _rules: list[RoutingRule] = attrs.field(factory=_initial, init=False)

    def __iter__(self) -> Iterator[RoutingRule]:
        return iter(self._rules)

    @property
    def next_priority(self) -> int:
        """The priority that a rule gets where none is given: one before the second rule's."""
        return max(self._rules[1].priority - 1, 0) if len(self._rules) > 1 else 0

    def add(self, rule: RoutingRule) -> None:
        """Add `rule` behind those of its priority.

        Raises:
            RouteError: EEXIST, there is such a rule.
        """
        if any(_is_same(known, rule) for known in self._rules):
            raise RouteError(errno.EEXIST)
        place = sum(known.priority <= rule.priority for known in self._rules)
        self._rules.insert(place, rule)

    def delete(self, matches: Callable[[RoutingRule], bool]) -> RoutingRule:
        """Delete the first rule that `matches`, and return it.

        Raises:
            RouteError: ENOENT, there is none.
        """
        for place, rule in enumerate(self._rules):
            if matches(rule):
                return self._rules.pop(place)
        raise RouteError(errno.ENOENT)


def _is_same(known: RoutingRule, rule: RoutingRule) -> bool:
    return known == rule
