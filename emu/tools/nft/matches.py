# SPDX-License-Identifier: GPL-2.0-only
"""Conditions of a rule, read from text. Source: nftables, src/evaluate.c (`expr_evaluate_relational`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.datatypes import MARK
from emu.kernel.netfilter.nftables.statements import Match, Vmap
from emu.kernel.netfilter.nftables.typing_of import type_of, types_of
from emu.tools.nft import elements, expressions
from emu.tools.nft.expressions import take_flags
from emu.tools.nft.faults import SyntaxFaultError
from emu.tools.nft.values import Kind, prefix_mask, take_elements, take_single

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.tools.nft.faults import Place
    from emu.tools.nft.scope import Scope
    from emu.tools.nft.tokens import Tokens

_OPERATORS: Final = ("==", "!=", "<", ">", "<=", ">=")


def take_condition(tokens: Tokens, scope: Scope) -> Match | Vmap:
    """Take `ip saddr 10.0.0.1`, `tcp dport { 80, 443 }`, `ct state vmap @m` and the like.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    place = tokens.next.place
    left = expressions.take(tokens, scope)
    place = place.to(tokens.last.place)
    if tokens.accept("vmap"):
        return Vmap(left, take_map(tokens, Kind(types_of(left), verdicts=True)))
    match = _condition(tokens, scope, left, place)
    scope.learn(match)
    return match


def take_map(tokens: Tokens, kind: Kind) -> ex.SetRef:
    """Take `@name`, or a map or set in braces."""
    if tokens.accept("@"):
        return ex.SetName(tokens.take_name().text)
    if not tokens.sees("{"):
        raise tokens.unexpected()
    return elements.members(take_elements(tokens, kind), kind)


def _condition(tokens: Tokens, scope: Scope, left: ex.Expression, place: Place) -> Match:
    if isinstance(left, ex.Fib) and tokens.second_sees("exists", "missing"):
        left = ex.Fib(left.keys, left.result, present=True)
    types = types_of(left)
    operator = tokens.take().text if tokens.sees(*_OPERATORS) else ""
    if tokens.accept("!"):
        operator = "!"
    if tokens.sees("@", "{"):
        return _membership(tokens, left, operator)
    if len(types) > 1:
        raise SyntaxFaultError(place, "Use concatenations with sets and maps, not singleton values")
    datatype = types[0]
    if datatype.flags:
        return _flags(tokens, left, operator, datatype)
    if operator == "!":
        raise tokens.unexpected()
    start = tokens.next.place
    right = take_single(tokens, datatype)
    _check_interface(scope, datatype, right, start)
    if operator not in ("", "==", "!=") and not isinstance(right, int):
        raise SyntaxFaultError(start.to(tokens.last.place), "Invalid range operator")
    return simplify(left, operator or "==", right)


def _check_interface(scope: Scope, datatype: DataType, right: ex.Single, place: Place) -> None:
    if datatype.name != "iface_index" or scope.interfaces is None or not isinstance(right, str):
        return
    if right not in scope.interfaces:
        raise SyntaxFaultError(place, "Interface does not exist")


def _membership(tokens: Tokens, left: ex.Expression, operator: str) -> Match:
    types = types_of(left)
    if operator not in ("", "==", "!="):
        raise SyntaxFaultError(tokens.next.place, "syntax error, unexpected '{'")
    is_named = tokens.sees("@")
    if is_named:
        return Match(left, operator or "==", take_map(tokens, Kind(types)))
    kind = Kind(types)
    placed = take_elements(tokens, kind)
    if len(placed) == 1 and len(types) == 1 and not isinstance(placed[0].element.key, ex.CatchAll):
        only = placed[0].element.key
        assert not isinstance(only, tuple)
        if types[0].flags:
            assert isinstance(only, int)
            return Match(left, "any" if operator in ("", "==") else operator, only)
        return simplify(left, operator or "==", only)
    return Match(left, operator or "==", elements.members(placed, kind))


def simplify(left: ex.Expression, operator: str, right: ex.Single) -> Match:
    """Return the condition as nft lists it: masks of addresses and marks as prefixes, no XOR."""
    if operator not in ("==", "!=") or not isinstance(left, ex.Bitwise):
        return Match(left, operator, right)
    datatype = type_of(left)
    if isinstance(right, int) and left.xor & left.mask == left.xor and left.xor:
        left, right = ex.Bitwise(left.of, left.mask), right ^ left.xor
    if left.mask == datatype.mask and not left.xor:
        return Match(left.of, operator, right)
    if (datatype.is_address or datatype is MARK) and isinstance(right, int) and not left.xor:
        length = left.mask.bit_count()
        if left.mask == prefix_mask(length, datatype) and right & ~left.mask == 0:
            return Match(left.of, operator, ex.Prefix(right, length))
    return Match(left, operator, right)


def _flags(tokens: Tokens, left: ex.Expression, operator: str, datatype: DataType) -> Match:
    """Take flags: a list of them without an operator means any of them."""
    value = take_flags(tokens, datatype)
    while tokens.accept(","):
        value |= take_flags(tokens, datatype)
    if tokens.accept("/"):
        mask = take_flags(tokens, datatype)
        if not tokens.sees(","):
            raise tokens.unexpected()
        while tokens.accept(","):
            mask |= take_flags(tokens, datatype)
        return Match(ex.Bitwise(left, mask), operator or "==", value)
    if isinstance(left, ex.Bitwise) and not left.xor:
        if value == 0 and operator in ("==", "!="):
            return Match(left.of, "none" if operator == "==" else "any", left.mask)
        return Match(left, operator or "==", value)
    return Match(left, {"": "any", "!": "none"}.get(operator, operator), value)
