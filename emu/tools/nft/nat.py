# SPDX-License-Identifier: GPL-2.0-only
"""`dnat`, `snat`, `masquerade` and `redirect`, read from text.

Source: nftables, src/parser_bison.y (`nat_stmt`), src/evaluate.c (`stmt_evaluate_nat`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables import datatypes as of
from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.statements import Address, Nat
from emu.kernel.netfilter.nftables.typing_of import types_of
from emu.tools.nft import expressions
from emu.tools.nft.faults import SyntaxFaultError
from emu.tools.nft.matches import take_map
from emu.tools.nft.values import Kind, take_single

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.tools.nft.scope import Scope
    from emu.tools.nft.tokens import Token, Tokens

_ADDRESSES: Final = ("dnat", "snat")
_PORTS: Final = ("masquerade", "redirect")
_FLAGS: Final = ("random", "fully-random", "persistent")
_TYPES: Final = {4: of.IPV4_ADDR, 6: of.IPV6_ADDR}
_FAMILIES: Final = {"ip": 4, "ip6": 6}


def begins(tokens: Tokens) -> bool:
    """Return whether one of them comes next."""
    return tokens.sees(*_ADDRESSES, *_PORTS)


def take(tokens: Tokens, scope: Scope) -> Nat:
    """Take one of them.

    Raises:
        SyntaxFaultError: it makes no sense.
    """
    word = tokens.take()
    nat = _take_ports(tokens, scope, word) if word.text in _PORTS else _take_address(tokens, scope, word)
    return Nat(nat.kind, nat.to, _take_flags(tokens), nat.family, nat.form)


def _take_flags(tokens: Tokens) -> tuple[str, ...]:
    found: set[str] = set()
    if tokens.sees(*_FLAGS):
        found.add(tokens.take().text)
        while tokens.accept(","):
            found.add(tokens.expect(*_FLAGS).text)
    return tuple(flag for flag in _FLAGS if flag in found)


# --- masquerade and redirect ---


def _take_ports(tokens: Tokens, scope: Scope, word: Token) -> Nat:
    if not tokens.accept("to"):
        return Nat(word.text)
    if not tokens.accept(":") and word.text == "masquerade":
        raise tokens.unexpected()
    return Nat(word.text, _ports(tokens, scope, Address()))


def _ports(tokens: Tokens, scope: Scope, address: Address) -> Address:
    """Take ports, of a rule that has made sure that there are some."""
    place = tokens.next.place
    if expressions.begins(tokens):
        key = expressions.take(tokens, scope)
        tokens.expect("map")
        port = ex.Mapped(key, take_map(tokens, Kind(types_of(key), (of.INET_SERVICE,))))
        return Address(address.low, address.high, port)
    single = take_single(tokens, of.INET_SERVICE)
    if scope.transport is None:
        message = "transport protocol mapping is only valid after transport protocol match"
        raise SyntaxFaultError(place.to(tokens.last.place), message)
    if isinstance(single, ex.Range):
        return Address(address.low, address.high, single.low, single.high)
    assert isinstance(single, int)
    return Address(address.low, address.high, single)


# --- dnat and snat ---


def _take_address(tokens: Tokens, scope: Scope, word: Token) -> Nat:
    family = 0
    if tokens.sees(*_FAMILIES):
        family = _FAMILIES[tokens.take().text]
    form = ""
    if tokens.accept("prefix", "interval"):
        form = tokens.last.text
    elif tokens.accept("addr"):
        tokens.expect(".")
        tokens.expect("port")
        form = "concat"
    tokens.expect("to")
    family = family or _family(tokens, scope, word)
    if tokens.accept(":"):
        return Nat(word.text, _ports(tokens, scope, Address()), family=family)
    if expressions.begins(tokens):
        mapped = _take_mapped(tokens, scope, word, family, form)
        return attrs.evolve(mapped, to=_ports(tokens, scope, mapped.to)) if tokens.accept(":") else mapped
    tokens.accept("[")
    single = take_single(tokens, _TYPES[family])
    tokens.accept("]")
    address = Address(single) if isinstance(single, int) else Address(*_bounds(single, _TYPES[family]))
    if tokens.accept(":"):
        address = _ports(tokens, scope, address)
    return Nat(word.text, address, family=family)


def _family(tokens: Tokens, scope: Scope, word: Token) -> int:
    known = _FAMILIES.get(scope.network)
    if known:
        return known
    if tokens.next.kind == "ip4":
        return 4
    if tokens.next.kind == "ip6" or tokens.sees("["):
        return 6
    raise SyntaxFaultError(word.place, "specify `dnat ip' or 'dnat ip6' in inet table to disambiguate")


def _bounds(single: ex.Single, datatype: DataType) -> tuple[int, int]:
    if isinstance(single, ex.Range):
        return single.low, single.high
    assert isinstance(single, ex.Prefix)
    return single.value, single.value | (1 << (datatype.bits - single.length)) - 1


def _take_mapped(tokens: Tokens, scope: Scope, word: Token, family: int, form: str) -> Nat:
    """Take an address that a map returns, with a port behind it or not."""
    key = expressions.take(tokens, scope)
    if not tokens.accept("map"):
        return Nat(word.text, Address(key), family=family)
    one, types = (_TYPES[family],), types_of(key)
    with_port = (*one, of.INET_SERVICE)
    if tokens.sees("@"):
        mapped = ex.Mapped(key, take_map(tokens, Kind(types, one)))
        concat = form == "concat" or (not form and len(types) > 1)
        return Nat(word.text, Address(mapped), family=family, form="concat" if concat else form)
    begin = tokens.at
    try:
        mapped = ex.Mapped(key, take_map(tokens, Kind(types, one, data_interval=True)))
    except SyntaxFaultError:
        tokens.at = begin
        mapped = ex.Mapped(key, take_map(tokens, Kind(types, with_port, data_interval=True)))
        return Nat(word.text, Address(mapped), family=family, form="concat")
    return Nat(word.text, Address(mapped), family=family, form=form or _form(mapped))


def _form(mapped: ex.Mapped) -> str:
    assert isinstance(mapped.map, ex.Members)
    ranged = any(isinstance(member.data, ex.Range) for member in mapped.map.members)
    return "interval" if ranged else ""
