# SPDX-License-Identifier: GPL-2.0-only
"""What a rule reads from a packet, read from text. Source: nftables, src/parser_bison.y."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.payload import FIELDS, UNMODELLED_FIELDS, Base
from emu.kernel.netfilter.nftables.typing_of import (
    CT,
    CT_UNMODELLED,
    FIB,
    META,
    META_BARE,
    META_UNMODELLED,
    TCP_OPTIONS,
    type_of,
)
from emu.tools.nft.constants import take_atom
from emu.tools.nft.faults import SyntaxFaultError, UnmodelledError
from emu.tools.nft.tokens import KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.tools.nft.faults import Place
    from emu.tools.nft.scope import Scope
    from emu.tools.nft.tokens import Tokens

_FIB_KEYS: Final = ("saddr", "daddr", "mark", "iif", "oif")
_OPTION_NAMES: Final = {"mss": "maxseg", "sack-permitted": "sack-perm", "noop": "nop"}
_DIRECTIONS: Final = ("original", "reply")
_MOST_RAW_BITS: Final = 128

UNMODELLED_WORDS: Final = frozenset(
    """
    ether vlan arp ah esp comp igmp gre geneve vxlan socket osf rt ipsec exthdr frag hbh dst mh rt0 rt2 srh
    xt meter
    """.split()  # noqa: SIM905 - a list of twenty quoted words is harder to read
)
"""Words that begin an expression which Linux has and emu does not."""


def begins(tokens: Tokens) -> bool:
    """Return whether an expression comes next, and not a constant."""
    token = tokens.next
    if token.kind == "sign":
        return token.text in ("(", "@")
    if token.kind != "word":
        return False
    return (
        token.text in FIELDS
        or token.text in META_BARE
        or token.text in UNMODELLED_WORDS
        or token.text in _BY_WORD
    )


def take(tokens: Tokens, scope: Scope) -> ex.Expression:
    """Take an expression: fields, bit operations, concatenations.

    Raises:
        SyntaxFaultError: there is none.
        UnmodelledError: emu does not know it.
    """
    parts = [_take_bits(tokens, scope)]
    while tokens.accept("."):
        parts.append(_take_bits(tokens, scope))
    return parts[0] if len(parts) == 1 else ex.Concat(tuple(parts))


def _take_bits(tokens: Tokens, scope: Scope) -> ex.Expression:
    expression = _take_primary(tokens, scope)
    steps: list[tuple[str, int]] = []
    while tokens.sees("&", "|", "^", "<<", ">>"):
        operator = tokens.take()
        if operator.text in ("<<", ">>"):
            raise UnmodelledError("shift", operator.place)
        if begins(tokens) and tokens.next.text != "(":
            message = f"Right hand side of binary operation ({operator.text}) must be constant"
            raise SyntaxFaultError(tokens.next.place, message)
        steps.append((operator.text, _take_operand(tokens, type_of(expression), _TIGHTER[operator.text])))
    return fold(expression, steps)


_TIGHTER: Final = {"|": ("^", "&"), "^": ("&",), "&": ()}


def _take_operand(tokens: Tokens, datatype: DataType, tighter: tuple[str, ...]) -> int:
    value = _take_constant(tokens, datatype)
    while tokens.sees(*tighter):
        operator = tokens.take().text
        other = _take_operand(tokens, datatype, _TIGHTER[operator])
        value = value & other if operator == "&" else value ^ other
    return value


def _take_constant(tokens: Tokens, datatype: DataType) -> int:
    if tokens.accept("("):
        value = take_flags(tokens, datatype)
        tokens.expect(")")
        return value
    place = tokens.next.place
    atom = take_atom(tokens, datatype)
    if isinstance(atom, str):
        raise SyntaxFaultError(place, "syntax error, unexpected string")
    return atom


def take_flags(tokens: Tokens, datatype: DataType) -> int:
    """Take numbers or names of flags with `|` between them, in parentheses or not."""
    value = _take_constant(tokens, datatype)
    while tokens.accept("|"):
        value |= _take_constant(tokens, datatype)
    return value


def fold(expression: ex.Expression, steps: list[tuple[str, int]]) -> ex.Expression:
    """Return `expression` with bit operations as one AND and one XOR."""
    if not steps:
        return expression
    full = type_of(expression).mask
    mask, xor = full, 0
    for operator, value in steps:
        if operator == "&":
            mask, xor = mask & value, xor & value
        elif operator == "|":
            mask, xor = mask & ~value & full, xor & ~value | value
        else:
            xor ^= value
    return ex.Bitwise(expression, mask, xor)


# --- one thing each ---


def _take_primary(tokens: Tokens, scope: Scope) -> ex.Expression:
    token = tokens.next
    if tokens.accept("("):
        expression = take(tokens, scope)
        tokens.expect(")")
        return expression
    if token.kind == "sign" and token.text == "@":
        return _take_raw(tokens, scope)
    if token.kind != "word":
        raise tokens.unexpected()
    if token.text in UNMODELLED_WORDS:
        raise UnmodelledError(token.text, token.place)
    if token.text in FIELDS:
        return _take_field(tokens, scope)
    if token.text in META_BARE:
        return take_meta(tokens, scope)
    reader = _BY_WORD.get(token.text)
    if reader is not None:
        return reader(tokens, scope)
    if token.text not in KEYWORDS:
        raise SyntaxFaultError(token.place, "No symbol type information")
    raise tokens.unexpected()


def _take_field(tokens: Tokens, scope: Scope) -> ex.Expression:
    protocol = tokens.take()
    field = tokens.next
    if field.text in UNMODELLED_FIELDS.get(protocol.text, ()):
        raise UnmodelledError(f"{protocol.text} {field.text}", protocol.place)
    if protocol.text == "tcp" and field.text == "option":
        tokens.take()
        return take_option(tokens, scope)
    if field.text not in FIELDS[protocol.text]:
        raise tokens.unexpected()
    tokens.take()
    return scope.field(protocol.text, field.text, protocol.place.to(field.place))


def take_option(tokens: Tokens, scope: Scope) -> ex.Expression:
    """Take what stands behind `tcp option`."""
    token = tokens.take()
    name = _OPTION_NAMES.get(token.text, token.text)
    if name not in TCP_OPTIONS:
        raise UnmodelledError(f"tcp option {token.text}", token.place)
    if tokens.accept("size") and name == "maxseg":
        return ex.TcpOption(name, "size")
    if not tokens.sees("exists", "missing"):
        raise UnmodelledError(f"tcp option {token.text} {tokens.next.text}", token.place)
    _ = scope
    return ex.TcpOption(name)


def take_meta(tokens: Tokens, scope: Scope) -> ex.Expression:
    """Take a key of `meta`."""
    token = tokens.next
    if token.text in META_UNMODELLED:
        raise UnmodelledError(f"meta {token.text}", token.place)
    if token.text not in META:
        raise tokens.unexpected()
    tokens.take()
    if token.text == "nfproto" and scope.family in ("ip", "ip6"):
        start = tokens.last.place._replace(first=max(1, token.place.first - 5))
        raise SyntaxFaultError(start, "meta nfproto is only useful in the inet family")
    return ex.Meta(token.text)


def take_ct(tokens: Tokens, scope: Scope) -> ex.Expression:
    """Take a key of `ct`, with its direction."""
    direction = tokens.take().text if tokens.sees(*_DIRECTIONS) else ""
    token = tokens.next
    if token.text in CT_UNMODELLED:
        raise UnmodelledError(f"ct {token.text}", token.place)
    tokens.take()
    key = token.text
    if key in ("ip", "ip6") and direction:
        key = f"{key} {tokens.expect('saddr', 'daddr').text}"
    elif key in ("saddr", "daddr") and direction and scope.network:
        key = f"{scope.network} {key}"
    if key == "protocol":
        direction = ""
    if key not in CT or ((key.startswith(("ip", "proto-")) or key in ("saddr", "daddr")) and not direction):
        raise SyntaxFaultError(token.place, f"syntax error, unexpected {token.said}")
    return ex.Ct(key, direction)


def _take_fib(tokens: Tokens, _scope: Scope) -> ex.Expression:
    start = tokens.take().place
    keys = [tokens.expect(*_FIB_KEYS).text]
    while tokens.accept("."):
        keys.append(tokens.expect(*_FIB_KEYS).text)
    result = tokens.expect(*FIB).text
    ordered = tuple(key for key in _FIB_KEYS if key in keys)
    devices = [key for key in ordered if key in ("iif", "oif")]
    if (
        ("saddr" in keys) is ("daddr" in keys)
        or len(devices) > 1
        or (devices == ["oif"] and result != "type")
    ):
        raise SyntaxFaultError(start.to(tokens.last.place), "Could not process rule: Invalid argument")
    return ex.Fib(ordered, result)


def _take_numgen(tokens: Tokens, _scope: Scope) -> ex.Expression:
    tokens.take()
    mode = tokens.expect("random", "inc").text
    tokens.expect("mod")
    modulus, offset = _take_modulus(tokens)
    return ex.Numgen(mode, modulus, offset)


def _take_hash(tokens: Tokens, scope: Scope) -> ex.Expression:
    kind = tokens.take().text
    key = take(tokens, scope) if kind == "jhash" else None
    tokens.expect("mod")
    place = tokens.next.place
    modulus = tokens.take_number()
    seed = tokens.take_number() if kind == "jhash" and tokens.accept("seed") else None
    offset = tokens.take_number() if tokens.accept("offset") else 0
    _check_modulus(modulus, offset, place.to(tokens.last.place))
    return ex.Hash(key, modulus, seed, offset)


def _take_modulus(tokens: Tokens) -> tuple[int, int]:
    place = tokens.next.place
    modulus = tokens.take_number()
    offset = tokens.take_number() if tokens.accept("offset") else 0
    _check_modulus(modulus, offset, place.to(tokens.last.place))
    return modulus, offset


def _check_modulus(modulus: int, offset: int, place: Place) -> None:
    if not 0 < modulus < 1 << 32 or modulus + offset - 1 >= 1 << 32:
        raise SyntaxFaultError(place, "Could not process rule: Numerical result out of range")


def _take_raw(tokens: Tokens, scope: Scope) -> ex.Expression:
    tokens.take()
    token = tokens.expect(*(base.value for base in Base))
    numbers = []
    for _ in range(2):
        tokens.expect(",")
        numbers.append(tokens.take_number())
    offset, bits = numbers
    if not 0 < bits <= _MOST_RAW_BITS:
        raise UnmodelledError(f"@{token.text},{offset},{bits}", token.place)
    return scope.known(ex.RawPayload(Base(token.text), offset, bits))


def _take_meta_word(tokens: Tokens, scope: Scope) -> ex.Expression:
    tokens.take()
    return take_meta(tokens, scope)


def _take_ct_word(tokens: Tokens, scope: Scope) -> ex.Expression:
    tokens.take()
    return take_ct(tokens, scope)


_BY_WORD: Final[dict[str, Callable[[Tokens, Scope], ex.Expression]]] = {
    "meta": _take_meta_word,
    "ct": _take_ct_word,
    "fib": _take_fib,
    "numgen": _take_numgen,
    "jhash": _take_hash,
    "symhash": _take_hash,
}
