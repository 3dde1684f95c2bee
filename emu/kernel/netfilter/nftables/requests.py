# SPDX-License-Identifier: GPL-2.0-only
"""What a program asks of nftables: the messages of one transaction.

Source: include/uapi/linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.ruleset import Chain, Element, Object, Rule, Set, Table


@attrs.frozen
class AddTable:
    """Make a table, without what is in it; `exclusive` where there must be none yet."""

    table: Table
    exclusive: bool = False


@attrs.frozen
class DeleteTable:
    """Delete a table with all in it.

    Attributes:
        family: of the table.
        name: of the table; empty where `handle` says it.
        handle: 0 where the name says it.
        if_there: it need not be there.
    """

    family: str
    name: str
    handle: int = 0
    if_there: bool = False


@attrs.frozen
class FlushRuleset:
    """Delete all tables, or those of one family."""

    family: str = ""


@attrs.frozen
class FlushTable:
    """Delete all rules of a table."""

    family: str
    table: str


@attrs.frozen
class AddChain:
    """Make a chain without rules; `exclusive` where there must be none yet."""

    family: str
    table: str
    chain: Chain
    exclusive: bool = False


@attrs.frozen
class DeleteChain:
    """Delete a chain and its rules."""

    family: str
    table: str
    name: str
    handle: int = 0
    if_there: bool = False


@attrs.frozen
class FlushChain:
    """Delete the rules of a chain."""

    family: str
    table: str
    chain: str


@attrs.frozen
class RenameChain:
    """Give a chain another name."""

    family: str
    table: str
    chain: str
    name: str


@attrs.frozen
class AddRule:
    """Enter a rule.

    Attributes:
        family: of the table.
        table: its name.
        chain: where.
        rule: what.
        first: at the beginning, or before the place given, not behind it.
        handle: of a rule that gives the place, 0 for none.
        index: of a rule that gives the place, None for none.
    """

    family: str
    table: str
    chain: str
    rule: Rule
    first: bool = False
    handle: int = 0
    index: int | None = None


@attrs.frozen
class ReplaceRule:
    """Put a rule in the place of the one with `handle`."""

    family: str
    table: str
    chain: str
    handle: int
    rule: Rule


@attrs.frozen
class DeleteRule:
    """Delete the rule with `handle`."""

    family: str
    table: str
    chain: str
    handle: int


@attrs.frozen
class AddSet:
    """Make a set or map without elements; `exclusive` where there must be none yet."""

    family: str
    table: str
    set: Set
    exclusive: bool = False


@attrs.frozen
class DeleteSet:
    """Delete a set or map."""

    family: str
    table: str
    name: str
    handle: int = 0
    if_there: bool = False


@attrs.frozen
class FlushSet:
    """Delete the elements of a set or map."""

    family: str
    table: str
    set: str


@attrs.frozen
class AddElements:
    """Enter elements; `exclusive` where there must be none of them yet."""

    family: str
    table: str
    set: str
    elements: tuple[Element, ...]
    exclusive: bool = False


@attrs.frozen
class DeleteElements:
    """Delete elements."""

    family: str
    table: str
    set: str
    elements: tuple[Element, ...]
    if_there: bool = False


@attrs.frozen
class AddObject:
    """Make a counter, limit or quota; `exclusive` where there must be none yet."""

    family: str
    table: str
    object: Object
    exclusive: bool = False


@attrs.frozen
class DeleteObject:
    """Delete an object."""

    family: str
    table: str
    kind: str
    name: str
    handle: int = 0
    if_there: bool = False


Request: TypeAlias = (
    AddTable
    | DeleteTable
    | FlushRuleset
    | FlushTable
    | AddChain
    | DeleteChain
    | FlushChain
    | RenameChain
    | AddRule
    | ReplaceRule
    | DeleteRule
    | AddSet
    | DeleteSet
    | FlushSet
    | AddElements
    | DeleteElements
    | AddObject
    | DeleteObject
)
