# SPDX-License-Identifier: GPL-2.0-only
"""Expressions, values and sets as `nft` lists them. Source: nftables, src/expression.c, src/datatype.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from emu.kernel.netfilter.nftables import datatypes as of
from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.typing_of import META_SHOWN_BARE, type_of, types_of
from emu.tools.nft.constants import render_atom, render_flags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.nftables.datatypes import DataType


# --- values ---


def single(value: ex.Single, datatype: DataType, *, in_set: bool = False, numeric: bool = False) -> str:
    """Return a value; in a set a range of addresses is a prefix where it can be."""
    match value:
        case ex.Range(low, high):
            prefix = _prefix(low, high, datatype) if in_set else ""
            bounds = [_bound(bound, datatype, numeric=numeric) for bound in (low, high)]
            return prefix or "-".join(bounds)
        case ex.Prefix(start, length):
            return f"{render_atom(start, datatype)}/{length}"
        case ex.Wildcard(start):
            return f'"{start}*"'
        case int() if datatype.flags:
            return render_flags(value, datatype, " | ")
        case _:
            return render_atom(value, datatype, numeric=numeric)


def _bound(value: int, datatype: DataType, *, numeric: bool) -> str:
    if datatype.name == "time":  # in seconds alone
        return f"{value // 1000}s"
    return render_atom(value, datatype, numeric=numeric)


def _prefix(low: int, high: int, datatype: DataType) -> str:
    """Return a range of addresses as a prefix; empty where it is none."""
    size = high - low + 1
    if not datatype.is_address or size & (size - 1) or low % size:
        return ""
    return f"{render_atom(low, datatype)}/{datatype.bits - size.bit_length() + 1}"


def key(value: ex.Key, types: Sequence[DataType], *, numeric: bool = False) -> str:
    """Return what an element is for."""
    if isinstance(value, ex.CatchAll):
        return "*"
    parts = value if isinstance(value, tuple) else (value,)
    texts = [
        single(one, known, in_set=True, numeric=numeric) for one, known in zip(parts, types, strict=True)
    ]
    return " . ".join(texts)


def decision(verdict: ex.Decision) -> str:
    """Return a verdict."""
    return f"{verdict.code} {verdict.chain}" if verdict.chain else verdict.code


def data(value: ex.Data, types: Sequence[DataType]) -> str:
    """Return what a map makes of an element."""
    if isinstance(value, ex.Decision):
        return decision(value)
    if isinstance(value, str) and types == (of.OBJECT,):
        return f'"{value}"'
    return key(value, types)


def members(
    found: ex.SetRef, types: Sequence[DataType], of_data: Sequence[DataType] = (), *, numeric: bool = False
) -> str:
    """Return a set or map: its name, or its elements in braces."""
    if isinstance(found, ex.SetName):
        return f"@{found.name}"
    texts = []
    for member in found.members:
        text = key(member.key, types, numeric=numeric)
        text += f' comment "{member.comment}"' if member.comment else ""
        texts.append(text if member.data is None else f"{text} : {data(member.data, of_data)}")
    return f"{{ {', '.join(texts)} }}"


# --- expressions ---


def expression(found: ex.Expression) -> str:
    """Return what is read; of a map, its elements are values of no type but their own."""
    match found:
        case ex.Payload(protocol, field):
            return f"{protocol} {field}"
        case ex.RawPayload(base, offset, bits):
            return f"@{base.value},{offset},{bits}"
        case ex.Meta(name):
            return name if name in META_SHOWN_BARE else f"meta {name}"
        case ex.Ct(name, direction):
            return f"ct {direction} {name}" if direction else f"ct {name}"
        case ex.Fib(keys, result):
            return f"fib {' . '.join(keys)} {result}"
        case ex.Numgen(mode, modulus, offset):
            return f"numgen {mode} mod {modulus}{_offset(offset)}"
        case ex.Hash():
            return _hash(found)
        case ex.TcpOption(name, field):
            return f"tcp option {name} {field}".rstrip()
        case ex.Bitwise():
            return _bitwise(found)
        case ex.Concat(parts) | ex.Joined(parts):
            return " . ".join(map(expression, parts))
        case ex.Mapped():
            raise AssertionError(found)
        case _:
            assert_never(found)


def _offset(offset: int) -> str:
    return f" offset {offset}" if offset else ""


def _hash(found: ex.Hash) -> str:
    start = "symhash" if found.key is None else f"jhash {expression(found.key)}"
    seed = "" if found.seed is None else f" seed 0x{found.seed:x}"
    return f"{start} mod {found.modulus}{seed}{_offset(found.offset)}"


def _bitwise(found: ex.Bitwise) -> str:
    """Return AND and XOR as the operations that were meant. Source: `netlink_parse_bitwise_bool`."""
    datatype = type_of(found.of)
    set_bits = found.xor & ~found.mask
    mask, xor = found.mask | set_bits, found.xor & found.mask
    text = expression(found.of)
    if mask != datatype.mask:
        text += f" & {_operand(mask, datatype)}"
    if xor:
        text += f" ^ {_operand(xor, datatype)}"
    if set_bits:
        text += f" | {_operand(set_bits, datatype)}"
    return text


def _operand(value: int, datatype: DataType) -> str:
    if not datatype.flags:
        return render_atom(value, datatype)
    text = render_flags(value, datatype, " | ")
    return f"({text})" if "|" in text else text


def mapped(found: ex.Mapped, of_data: Sequence[DataType]) -> str:
    """Return what a map makes of an expression."""
    return f"{expression(found.key)} map {members(found.map, types_of(found.key), of_data)}"


def value(found: int | str | ex.Expression, datatype: DataType) -> str:
    """Return what is assigned: a constant, an expression, or what a map makes of one."""
    if isinstance(found, ex.Mapped):
        return mapped(found, (datatype,))
    if isinstance(found, int | str):
        return single(found, datatype)
    return expression(found)
