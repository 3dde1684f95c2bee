# SPDX-License-Identifier: GPL-2.0-only
"""A whole rule, read from text, and what nft makes of it before the kernel sees it.

Source: nftables, src/rule.c (`payload_try_merge`), src/evaluate.c (`stmt_reduce`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.joining import compared_field, extended
from emu.kernel.netfilter.nftables.payload import FIELDS
from emu.kernel.netfilter.nftables.ruleset import Rule
from emu.kernel.netfilter.nftables.statements import Match, Statement, Unmodelled
from emu.tools.nft.faults import SyntaxFaultError, UnmodelledError
from emu.tools.nft.scope import Scope
from emu.tools.nft.statements import take_statement
from emu.tools.nft.values import take_comment

if TYPE_CHECKING:
    from collections.abc import Collection

    from emu.kernel.netfilter.nftables.payload import Field
    from emu.tools.nft.tokens import Tokens

_ETHER_TYPE: Final = {"ip": 0x0800, "ip6": 0x86DD}


def take_rule(tokens: Tokens, family: str, interfaces: Collection[str] | None = None) -> Rule:
    """Take a rule of a table of `family`, up to the end of its line.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    scope = Scope(family, interfaces)
    comment = ""
    if _is_over(tokens):
        raise tokens.unexpected()
    while not _is_over(tokens):
        if tokens.sees("comment"):
            tokens.take()
            comment = take_comment(tokens)
            break
        _take_one(tokens, scope)
    return Rule(tuple(_merge(_reduce(scope.statements, family))), comment)


def _is_over(tokens: Tokens) -> bool:
    return tokens.next.kind in ("newline", "end") or tokens.sees(";", "}")


def _take_one(tokens: Tokens, scope: Scope) -> None:
    begin, known, place = tokens.at, len(scope.statements), tokens.next.place
    if scope.statements and isinstance(scope.statements[-1], ex.Decision):
        raise SyntaxFaultError(place, "Statement after terminal statement has no effect")
    try:
        scope.statements.append(take_statement(tokens, scope))
    except UnmodelledError as error:
        del scope.statements[known:]
        tokens.at = begin
        scope.statements.append(Unmodelled(error.name, _take_text(tokens)))


def _take_text(tokens: Tokens) -> str:
    """Take the rest of the rule, but its comment, as text."""
    start, depth = tokens.next.start, 0
    end = start
    while tokens.next.kind != "end":
        if depth == 0 and (_is_over(tokens) or (tokens.sees("comment") and tokens.second.kind == "quoted")):
            break
        token = tokens.take()
        end = token.end
        if token.kind == "sign":
            depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(token.text, 0)
    return re.sub(r"\s+", " ", tokens.text[start:end])


def _reduce(statements: list[Statement], family: str) -> list[Statement]:
    """Leave out what is true of every packet of the table, unless nothing else is left."""
    needless = Match(ex.Meta("protocol"), "==", _ETHER_TYPE.get(family, -1))
    kept: list[Statement] = []
    for at, statement in enumerate(statements):
        if statement == needless and at < len(statements) - 1:
            continue
        kept.append(statement)
    return kept


# --- neighbouring fields ---


def _merge(statements: list[Statement]) -> list[Statement]:
    """Move fields that stand side by side in a header together: they are read at once."""
    found = [(field, at) for at, one in enumerate(statements) if (field := compared_field(one)) is not None]
    found.sort(key=lambda pair: (pair[0].base.name != "NETWORK", pair[0].offset))
    groups: list[list[int]] = []
    end: Field | None = None
    for field, at in found:
        longer = None
        if end is not None and _operator(statements[groups[-1][-1]]) == _operator(statements[at]):
            longer = extended(end, field)
        if longer is None:
            groups.append([])
        groups[-1].append(at)
        end = longer or field
    return _moved(statements, [group for group in groups if len(group) > 1])


def _operator(statement: Statement) -> str:
    assert isinstance(statement, Match)
    return statement.operator


def _moved(statements: list[Statement], groups: list[list[int]]) -> list[Statement]:
    replaced: dict[int, list[Statement]] = {}
    for group in groups:
        names_protocol = any(_names_protocol(statements[at]) for at in group[1:])
        place = group[-1] if names_protocol else group[0]
        for at in group:
            replaced[at] = []
        replaced[place] = _joined([statements[at] for at in group])
    result: list[Statement] = []
    for at, statement in enumerate(statements):
        result += replaced.get(at, [statement])
    return result


def _names_protocol(statement: Statement) -> bool:
    return isinstance(statement, Match) and statement.left in (
        ex.Payload("ip", "protocol"),
        ex.Payload("ip6", "nexthdr"),
    )


def _joined(group: list[Statement]) -> list[Statement]:
    matches = [one for one in group if isinstance(one, Match) and isinstance(one.left, ex.Payload)]
    fields = [one.left for one in matches if isinstance(one.left, ex.Payload)]
    if fields[0].protocol == "th":
        value = 0
        for one in matches:
            assert isinstance(one.right, int)
            value = value << 16 | one.right
        first = FIELDS["th"][fields[0].field]
        return [Match(ex.RawPayload(first.base, first.offset, 32), matches[0].operator, value)]
    if matches[0].operator == "!=":
        values = tuple(one.right for one in matches if isinstance(one.right, int))
        return [Match(ex.Joined(tuple(fields)), "!=", values)]
    return list(group)
