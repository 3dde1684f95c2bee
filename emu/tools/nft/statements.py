# SPDX-License-Identifier: GPL-2.0-only
"""What a rule does, read from text. Source: nftables, src/parser_bison.y (`stmt`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables import statements as st
from emu.kernel.netfilter.nftables.payload import FIELDS
from emu.kernel.netfilter.nftables.typing_of import META_BARE, type_of, types_of
from emu.tools.nft import expressions, nat, rejects
from emu.tools.nft.constants import take_atom
from emu.tools.nft.faults import SyntaxFaultError, UnmodelledError
from emu.tools.nft.limits import take_limit
from emu.tools.nft.matches import take_condition, take_map
from emu.tools.nft.values import Kind, take_counts, take_time, take_verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.tools.nft.scope import Scope
    from emu.tools.nft.tokens import Tokens

_VERDICTS: Final = ("accept", "drop", "continue", "return", "jump", "goto")
_LEVELS: Final = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit")
LOG_FLAGS: Final = ("tcp sequence", "tcp options", "ip options", "skuid", "ether")
"""All flags of `log`, as they are listed."""
_UNMODELLED: Final = frozenset(["queue", "quota", "synproxy", "tproxy", "dup", "fwd", "flow", "secmark"])
_SETTABLE_META: Final = ("mark", "pkttype", "nftrace")
_SETTABLE_CT: Final = ("mark", "zone")
_PREFIX_MAX: Final = 127


def take_statement(tokens: Tokens, scope: Scope) -> st.Statement:
    """Take one statement of a rule.

    Raises:
        SyntaxFaultError: it makes no sense.
        UnmodelledError: emu does not know it.
    """
    token = tokens.next
    if token.kind == "word":
        if token.text in _UNMODELLED:
            raise UnmodelledError(token.text, token.place)
        if token.text in _VERDICTS:
            return take_verdict(tokens)
        reader = _READERS.get(token.text)
        if reader is not None:
            tokens.take()
            return reader(tokens, scope)
        if nat.begins(tokens):
            return nat.take(tokens, scope)
        found = _take_assignment(tokens, scope)
        if found is not None:
            return found
    return take_condition(tokens, scope)


# --- one word each ---


def _take_counter(tokens: Tokens, scope: Scope) -> st.Statement:
    if tokens.accept("name"):
        return st.NamedObject("counter", _take_object(tokens, scope))
    return take_counts(tokens)


def _take_object(tokens: Tokens, scope: Scope) -> str | ex.Mapped:
    if expressions.begins(tokens):
        key = expressions.take(tokens, scope)
        tokens.expect("map")
        return ex.Mapped(key, take_map(tokens, Kind(types_of(key), objects=True)))
    return tokens.take_kind("quoted", "word").text


def _take_limit(tokens: Tokens, scope: Scope) -> st.Statement:
    if tokens.accept("name"):
        return st.NamedObject("limit", _take_object(tokens, scope))
    return take_limit(tokens)


def _take_log(tokens: Tokens, _scope: Scope) -> st.Statement:
    prefix, level, group, snaplen, threshold = "", "warn", None, 0, 0
    flags: set[str] = set()
    while True:
        if tokens.accept("prefix"):
            token = tokens.take_kind("quoted", "word")
            if len(token.text) > _PREFIX_MAX:
                raise SyntaxFaultError(token.place, "log prefix is too long")
            prefix = token.text
        elif tokens.accept("level"):
            level = tokens.expect(*_LEVELS).text
        elif tokens.accept("group"):
            group = tokens.take_number()
        elif tokens.accept("snaplen"):
            snaplen = tokens.take_number()
        elif tokens.accept("queue-threshold"):
            threshold = tokens.take_number()
        elif tokens.accept("flags"):
            flags |= set(_take_log_flags(tokens))
        else:
            break
    listed = tuple(flag for flag in LOG_FLAGS if flag in flags)
    return st.Log(prefix, level, listed, group, snaplen, threshold)


def _take_log_flags(tokens: Tokens) -> list[str]:
    word = tokens.expect("tcp", "ip", "skuid", "ether", "all").text
    if word == "all":
        return list(LOG_FLAGS)
    if word == "ip":
        return [f"ip {tokens.expect('options').text}"]
    if word != "tcp":
        return [word]
    flags = [f"tcp {tokens.expect('sequence', 'options').text}"]
    while tokens.accept(","):
        flags.append(f"tcp {tokens.expect('sequence', 'options').text}")
    return flags


def _take_notrack(_tokens: Tokens, _scope: Scope) -> st.Statement:
    return st.Notrack()


def _take_update(tokens: Tokens, scope: Scope, verb: str) -> st.Statement:
    """Take `@set { key ... }`, behind its verb."""
    tokens.expect("@")
    name = tokens.take_name().text
    tokens.expect("{")
    key, timeout, statements = _take_set_key(tokens, scope)
    data: int | str | ex.Expression | None = None
    if tokens.accept(":"):
        if not expressions.begins(tokens):
            raise UnmodelledError(f"{verb} @{name} with a constant", tokens.next.place)
        data = expressions.take(tokens, scope)
    tokens.expect("}")
    return st.Update(verb, name, key, timeout, statements, data)


def _take_set_key(
    tokens: Tokens, scope: Scope
) -> tuple[ex.Expression, int, tuple[st.Counter | st.Limit, ...]]:
    key, timeout = expressions.take(tokens, scope), 0
    statements: list[st.Counter | st.Limit] = []
    while True:
        if tokens.accept("timeout"):
            timeout = take_time(tokens)
        elif tokens.accept("counter"):
            statements.append(take_counts(tokens))
        elif tokens.accept("limit"):
            statements.append(take_limit(tokens))
        else:
            return key, timeout, tuple(statements)


def _take_old_update(tokens: Tokens, scope: Scope) -> st.Statement:
    """Take `set update KEY @set`, as it was once written."""
    verb = tokens.expect("add", "update", "delete").text
    key, timeout, statements = _take_set_key(tokens, scope)
    tokens.expect("@")
    return st.Update(verb, tokens.take_name().text, key, timeout, statements)


_READERS: Final[dict[str, Callable[[Tokens, Scope], st.Statement]]] = {
    "counter": _take_counter,
    "limit": _take_limit,
    "log": _take_log,
    "notrack": _take_notrack,
    "reject": rejects.take,
    "set": _take_old_update,
    "add": lambda tokens, scope: _take_update(tokens, scope, "add"),
    "update": lambda tokens, scope: _take_update(tokens, scope, "update"),
    "delete": lambda tokens, scope: _take_update(tokens, scope, "delete"),
}


# --- assignments ---


def _take_assignment(tokens: Tokens, scope: Scope) -> st.Statement | None:
    """Take `meta mark set ...` and the like; None where it is no assignment."""
    begin, known = tokens.at, len(scope.statements)
    first = tokens.next
    if first.text not in ("meta", "ct") and first.text not in META_BARE and first.text not in FIELDS:
        return None
    if not _is_assignment(tokens):
        return None
    target = _take_target(tokens, scope)
    tokens.expect("set")
    datatype = type_of(target)
    match target:
        case ex.Meta(key) if key in _SETTABLE_META:
            return st.SetMeta(key, take_value(tokens, scope, datatype))
        case ex.Ct(key, direction) if key in _SETTABLE_CT:
            return st.SetCt(key, take_value(tokens, scope, datatype), direction)
        case ex.Payload():
            return st.SetPayload(target, take_value(tokens, scope, datatype))
        case ex.TcpOption("maxseg", "size"):
            if tokens.sees("rt"):
                raise UnmodelledError("tcp option maxseg size set rt mtu", first.place)
            return st.SetOption(target, take_value(tokens, scope, datatype))
        case _:
            tokens.at = begin
            del scope.statements[known:]
            raise UnmodelledError(f"{first.text} {tokens.second.text} set", first.place)


def _take_target(tokens: Tokens, scope: Scope) -> ex.Expression:
    """Take what is assigned to; `tcp option` needs no look at the protocol."""
    first = tokens.next
    if first.text in META_BARE:
        return expressions.take_meta(tokens, scope)
    tokens.take()
    if first.text == "meta":
        return expressions.take_meta(tokens, scope)
    if first.text == "ct":
        return expressions.take_ct(tokens, scope)
    if first.text == "tcp" and tokens.accept("option"):
        return expressions.take_option(tokens, scope)
    field = tokens.take()
    if field.text not in FIELDS[first.text]:
        raise UnmodelledError(f"{first.text} {field.text} set", first.place)
    return scope.field(first.text, field.text, first.place.to(field.place))


def _is_assignment(tokens: Tokens) -> bool:
    """Return whether `set` follows what could be assigned to."""
    words = 1 if tokens.next.text in META_BARE else 2
    if tokens.next.text == "ct" and tokens.second.text in ("original", "reply"):
        words = 3
    elif tokens.next.text == "tcp" and tokens.second.text == "option":
        words = 4
    behind = tokens.ahead(words)
    return behind.kind == "word" and behind.text == "set"


def take_value(tokens: Tokens, scope: Scope, datatype: DataType) -> int | str | ex.Expression:
    """Take what is assigned: a constant, an expression, or what a map makes of one.

    Raises:
        SyntaxFaultError: it has another type.
    """
    if not expressions.begins(tokens) or (tokens.next.text in ("icmp", "tcp", "udp") and datatype.bits == 8):
        return take_atom(tokens, datatype)
    place = tokens.next.place
    value = expressions.take(tokens, scope)
    if tokens.accept("map"):
        return ex.Mapped(value, take_map(tokens, Kind(types_of(value), (datatype,))))
    found = types_of(value)
    if len(found) != 1 or found[0].bits != datatype.bits:
        message = f"datatype mismatch: expected {datatype.name}, expression has another type"
        raise SyntaxFaultError(place.to(tokens.last.place), message)
    return value
