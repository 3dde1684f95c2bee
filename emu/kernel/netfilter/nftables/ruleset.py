# SPDX-License-Identifier: GPL-2.0-only
"""A ruleset as a value: what `nft list ruleset` writes down.

Handles are no part of what makes two values equal.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables.needs import needs_conntrack, remembers
from emu.kernel.netfilter.nftables.references import of_rule
from emu.kernel.netfilter.nftables.statements import Nat, Reject
from emu.kernel.netfilter.nftables.unnamed import unnamed_sets

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.kernel.netfilter.nftables.expressions import Data, Expression, Key
    from emu.kernel.netfilter.nftables.references import Reference
    from emu.kernel.netfilter.nftables.statements import Counter, Limit, Statement

FAMILIES: Final = ("ip", "inet", "ip6", "arp", "bridge", "netdev")
WALKED: Final = ("ip", "inet")
"""The families whose tables IPv4 packets of a namespace come through."""

_handle = attrs.field(default=0, eq=False, kw_only=True)


@attrs.frozen
class Rule:
    """Statements, done until one ends the rule.

    Attributes:
        statements: in their order, with those that nft adds by itself.
        comment: empty for none.
        handle: its number in the table.
    """

    statements: tuple[Statement, ...] = ()
    comment: str = ""
    handle: int = attrs.field(default=0, eq=False, kw_only=True)

    @cached_property
    def names(self) -> tuple[Reference, ...]:
        """What it names, each as often as it does."""
        return of_rule(self)

    @cached_property
    def asks(self) -> bool:
        """Whether it asks for connections."""
        return needs_conntrack(self)

    @cached_property
    def bound(self) -> tuple[str, ...]:
        """The kinds of its statements that may not stand at every hook: of translation, and `reject`."""
        return tuple(
            [
                each.kind if isinstance(each, Nat) else "reject"
                for each in self.statements
                if isinstance(each, (Nat, Reject))
            ]
        )

    @cached_property
    def remembers(self) -> bool:
        """Whether packets change what it remembers: it counts, limits, or numbers in turn."""
        return remembers(self)

    @cached_property
    def unnamed_sets(self) -> int:
        """How many sets without a name it has."""
        return unnamed_sets(self)


@attrs.frozen
class Hooked:
    """What makes a chain a base chain.

    Attributes:
        type: `filter`, `nat` or `route`.
        hook: like `prerouting`.
        priority: the order at the hook, least first.
        policy: `accept` or `drop`.
        device: for the hooks of one device.
    """

    type: str
    hook: str
    priority: int
    policy: str = "accept"
    device: str = ""


@attrs.frozen
class Chain:
    """A list of rules; `hooked` is None for a chain that is only jumped to."""

    name: str
    rules: tuple[Rule, ...] = ()
    hooked: Hooked | None = None
    comment: str = ""
    handle: int = _handle


@attrs.frozen
class Element:
    """An element of a named set.

    Attributes:
        key: what it is for.
        data: what a map makes of it, the name of an object for a map to objects.
        timeout: ns, 0 for that of the set.
        expires: ns from now, None where it does not expire (or has just been added).
        statements: what it counts or limits by.
        comment: empty for none.
    """

    key: Key
    data: Data | None = None
    timeout: int = 0
    expires: int | None = None
    statements: tuple[Counter | Limit, ...] = ()
    comment: str = ""


@attrs.frozen
class Set:
    """A named set or map.

    Attributes:
        name: without the `@`.
        key: the types of what it is asked with, several for a concatenation.
        data: the types of what a map returns, empty for a set.
        key_of: what it is asked with, where that was given instead of types.
        data_of: what a map returns, likewise.
        flags: of `constant`, `interval`, `timeout` and `dynamic`.
        data_interval: a map returns ranges.
        object: what a map to objects returns: `counter`, ...
        timeout: ns, 0 for none.
        gc_interval: ns, 0 for the default.
        size: most elements, 0 for no limit.
        policy: `memory`, or empty.
        auto_merge: elements that touch are made one.
        statements: what each element gets.
        comment: empty for none.
        elements: sorted as nft lists them.
    """

    name: str
    key: tuple[DataType, ...]
    data: tuple[DataType, ...] = ()
    key_of: Expression | None = None
    data_of: Expression | None = None
    flags: tuple[str, ...] = ()
    data_interval: bool = False
    object: str = ""
    timeout: int = 0
    gc_interval: int = 0
    size: int = 0
    policy: str = ""
    auto_merge: bool = False
    statements: tuple[Counter | Limit, ...] = ()
    comment: str = ""
    elements: tuple[Element, ...] = ()
    handle: int = _handle

    @property
    def is_map(self) -> bool:
        """Whether it returns something."""
        return bool(self.data)

    @property
    def is_interval(self) -> bool:
        """Whether keys may be ranges."""
        return "interval" in self.flags


@attrs.frozen
class Object:
    """A named counter, limit or quota.

    Attributes:
        kind: `counter`, `limit`, `quota`, or what is not modelled.
        name: unique among its kind.
        state: what it is; the text between its braces where it is not modelled.
        comment: empty for none.
    """

    kind: str
    name: str
    state: Counter | Limit | str
    comment: str = ""
    handle: int = _handle


@attrs.frozen
class Table:
    """Chains, sets and objects.

    Attributes:
        family: one of `FAMILIES`.
        name: unique in its family.
        objects: counters, limits and what is not modelled.
        sets: sets and maps, in the order in which they were made.
        chains: likewise.
        dormant: its chains are not walked.
        comment: empty for none.
    """

    family: str
    name: str
    objects: tuple[Object, ...] = ()
    sets: tuple[Set, ...] = ()
    chains: tuple[Chain, ...] = ()
    dormant: bool = False
    comment: str = ""
    handle: int = _handle


@attrs.frozen
class Ruleset:
    """All tables, in the order in which they were made."""

    tables: tuple[Table, ...] = ()
