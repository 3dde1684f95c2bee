# SPDX-License-Identifier: GPL-2.0-only
"""Routing rules: which table is asked for which packets, in which order (`ip rule`).

Source: net/core/fib_rules.c, net/ipv4/fib_rules.c. `goto`, and selectors by
port, protocol, user or tunnel, are not modelled.
"""

from __future__ import annotations

import enum
import errno
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.route import TABLE_DEFAULT, TABLE_LOCAL, TABLE_MAIN, RouteError
from emu.wire.addresses import ANY_IP4, Prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.tables import Flow

EVERYWHERE: Final = Prefix(ANY_IP4, 0)
DSCP_MASK: Final = 0x1C  # of the TOS octet, the bits of the DSCP that routes and rules look at
ECN_MASK: Final = 0x03


class RuleAction(enum.Enum):
    """What is done with the packets a rule is for, as `ip rule` spells it."""

    LOOKUP = "lookup"
    NOP = "nop"
    BLACKHOLE = "blackhole"  # EINVAL
    UNREACHABLE = "unreachable"  # ENETUNREACH, where a route of that name says EHOSTUNREACH
    PROHIBIT = "prohibit"  # EACCES


@attrs.frozen
class RoutingRule:
    """One routing rule.

    Attributes:
        priority: rules are asked in this order; equal ones as they were added.
        action: what is done with the packets it is for.
        table: where to look; 0 where nothing is looked up.
        src: prefix that holds the source address. Like `dst` it may have bits
            set behind its length, which do not count but are shown.
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
    action: RuleAction = RuleAction.LOOKUP
    table: int = attrs.field()
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
    _src_bits: tuple[int, int] = attrs.field(init=False, eq=False, repr=False)  # number, mask
    _dst_bits: tuple[int, int] = attrs.field(init=False, eq=False, repr=False)

    @table.default
    def _default_table(self) -> int:
        return TABLE_MAIN if self.action is RuleAction.LOOKUP else 0

    @_is_for_all.default
    def _default_is_for_all(self) -> bool:
        selectors = (self.iif, self.oif, self.mask, self.tos, self.src.length, self.dst.length)
        return not any(selectors) and not self.inverted

    @_src_bits.default
    def _default_src_bits(self) -> tuple[int, int]:
        return int(self.src.address), self.src.mask

    @_dst_bits.default
    def _default_dst_bits(self) -> tuple[int, int]:
        return int(self.dst.address), self.dst.mask

    def matches(self, flow: Flow) -> bool:
        """Return whether it is for the packets of `flow`."""
        return self._is_for_all or self._selects(flow) is not self.inverted

    def _selects(self, flow: Flow) -> bool:
        src, src_mask = self._src_bits
        dst, dst_mask = self._dst_bits
        return not (
            (self.iif and self.iif != (flow.iif or "lo"))
            or (self.oif and self.oif != flow.oif)
            or (flow.mark ^ self.mark) & self.mask
            or (self.tos and self.tos != flow.tos & DSCP_MASK)
            or (int.from_bytes(flow.src, "big") ^ src) & src_mask
            or (int.from_bytes(flow.dst, "big") ^ dst) & dst_mask
        )


@attrs.frozen
class RulePattern:
    """Which rule to delete. What is None, empty or 0 (`src`, `dst`: length 0) matches any.

    Source: net/core/fib_rules.c `rule_find`.
    """

    priority: int | None = None
    action: RuleAction | None = None
    table: int = 0
    src: Prefix = EVERYWHERE
    dst: Prefix = EVERYWHERE
    iif: str = ""
    oif: str = ""
    mark: int = 0
    mask: int = 0
    tos: int = 0
    suppress_length: int = -1

    def matches(self, rule: RoutingRule) -> bool:
        """Return whether `rule` is meant."""
        return (
            self.priority in {None, rule.priority}
            and self.action in {None, rule.action}
            and self.table in {0, rule.table}
            and self.iif in {"", rule.iif}
            and self.oif in {"", rule.oif}
            and self.mark in {0, rule.mark}
            and self.mask in {0, rule.mask}
            and self.suppress_length in {-1, rule.suppress_length}
            and _is_like(rule, self)
        )


_INITIAL: Final = (
    RoutingRule(0, table=TABLE_LOCAL),
    RoutingRule(32766, table=TABLE_MAIN),
    RoutingRule(32767, table=TABLE_DEFAULT),
)


@attrs.define
class RoutingRules:
    """The routing rules of one namespace, in the order in which they are asked."""

    _rules: tuple[RoutingRule, ...] = attrs.field(default=_INITIAL, init=False)

    def __iter__(self) -> Iterator[RoutingRule]:
        return iter(self._rules)

    @property
    def next_priority(self) -> int:
        """The priority that a rule gets where none is given: one before the second rule's."""
        return max(self._rules[1].priority - 1, 0) if len(self._rules) > 1 else 0

    def add(self, rule: RoutingRule) -> None:
        """Add `rule` behind those of its priority.

        Raises:
            RouteError: EINVAL for a TOS that no packet can have in the bits
                that count; EEXIST, there is such a rule. As Linux asks that,
                a new rule without `src`, `dst` or `tos` is "such" as one that
                has them, and `inverted` makes no difference.
        """
        if rule.tos & ECN_MASK:
            raise RouteError(errno.EINVAL, "Invalid dsfield (tos): ECN bits must be 0")
        if rule.tos & ~DSCP_MASK:
            raise RouteError(errno.EINVAL, "Invalid tos")
        if any(_key(known) == _key(rule) and _is_like(known, rule) for known in self._rules):
            raise RouteError(errno.EEXIST)
        place = sum(known.priority <= rule.priority for known in self._rules)
        self._rules = (*self._rules[:place], rule, *self._rules[place:])

    def delete(self, pattern: RulePattern) -> RoutingRule:
        """Delete the first rule that `pattern` means, and return it.

        Raises:
            RouteError: ENOENT, there is none.
        """
        for place, rule in enumerate(self._rules):
            if pattern.matches(rule):
                self._rules = self._rules[:place] + self._rules[place + 1 :]
                return rule
        raise RouteError(errno.ENOENT)


def _key(rule: RoutingRule) -> tuple[object, ...]:
    return (
        rule.priority,
        rule.action,
        rule.table,
        rule.iif,
        rule.oif,
        rule.mark,
        rule.mask,
        rule.suppress_length,
    )


def _is_like(rule: RoutingRule, wanted: RoutingRule | RulePattern) -> bool:
    """Return whether `rule` has the prefixes and TOS that `wanted` gives. Source: `fib4_rule_compare`."""
    return (
        (not wanted.src.length or wanted.src == rule.src)
        and (not wanted.dst.length or wanted.dst == rule.dst)
        and wanted.tos in {0, rule.tos}
    )
