# SPDX-License-Identifier: GPL-2.0-only
"""What a rule compares with: values, ranges, prefixes, and sets in braces.

Source: nftables, src/parser_bison.y (`rhs_expr`, `set_list_member_expr`), src/segtree.c, src/intervals.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables import expressions as ex
from emu.kernel.netfilter.nftables.ruleset import Element
from emu.kernel.netfilter.nftables.statements import Counter
from emu.tools.nft.constants import parse_time, take_atom
from emu.tools.nft.expressions import take_flags
from emu.tools.nft.faults import SyntaxFaultError
from emu.tools.nft.limits import take_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.tools.nft.faults import Fault, Place
    from emu.tools.nft.tokens import Tokens

_VERDICTS: Final = ("accept", "drop", "continue", "return", "jump", "goto")


@attrs.frozen
class Kind:
    """What the elements of a set look like.

    Attributes:
        key: the types of their keys.
        data: the types of what a map returns, empty for a set.
        verdicts: a map returns verdicts.
        objects: a map returns names of objects.
        interval: keys may be ranges; a set in braces finds that out by itself.
        data_interval: a map returns ranges.
    """

    key: tuple[DataType, ...]
    data: tuple[DataType, ...] = ()
    verdicts: bool = False
    objects: bool = False
    interval: bool = False
    data_interval: bool = False

    @property
    def is_map(self) -> bool:
        """Whether something stands behind a colon."""
        return bool(self.data) or self.verdicts or self.objects


@attrs.frozen
class Placed:
    """An element and where it stands."""

    element: Element
    place: Place
    whole: Place


# --- single values ---


def take_single(tokens: Tokens, datatype: DataType) -> ex.Single:
    """Take a value, a range, a prefix or a name with `*`.

    Raises:
        SyntaxFaultError: it is none of these.
    """
    start = tokens.next.place
    if datatype.flags:
        return take_flags(tokens, datatype)
    low = take_atom(tokens, datatype)
    if isinstance(low, str):
        return ex.Wildcard(low[:-1]) if low.endswith("*") and datatype.text else low
    if tokens.accept("/"):
        return _prefix(tokens, low, datatype)
    if tokens.accept("-"):
        high = take_atom(tokens, datatype)
        assert isinstance(high, int)
        if high < low:
            raise SyntaxFaultError(start.to(tokens.last.place), "Range has zero or negative size")
        return ex.Range(low, high)
    return low


def _prefix(tokens: Tokens, value: int, datatype: DataType) -> ex.Single:
    place = tokens.next.place
    length = tokens.take_number()
    if length > datatype.bits:
        raise SyntaxFaultError(
            place, f"Prefix length {length} is invalid for type of {datatype.bits} bits width"
        )
    if length == datatype.bits:
        return value
    return ex.Prefix(value & prefix_mask(length, datatype), length)


def prefix_mask(length: int, datatype: DataType) -> int:
    """Return the value of `datatype` whose first `length` bits are set."""
    return datatype.mask & ~((1 << (datatype.bits - length)) - 1)


def take_key(tokens: Tokens, types: Sequence[DataType]) -> ex.Key:
    """Take what an element is for: as many values as there are types, with dots between them."""
    if tokens.accept("*"):
        return ex.CATCH_ALL
    start = tokens.next.place
    parts = [take_single(tokens, types[0])]
    while tokens.accept("."):
        if len(parts) == len(types):
            raise _mismatch(start.to(tokens.last.place), types)
        parts.append(take_single(tokens, types[len(parts)]))
    if len(parts) < len(types):
        raise _mismatch(start.to(tokens.last.place), types)
    return parts[0] if len(parts) == 1 else tuple(parts)


def _mismatch(place: Place, types: Sequence[DataType]) -> SyntaxFaultError:
    names = ", ".join(known.name for known in types)
    wanted = names if len(types) == 1 else f"concatenation of ({names})"
    return SyntaxFaultError(place, f"datatype mismatch, expected {wanted}")


def take_verdict(tokens: Tokens) -> ex.Decision:
    """Take `accept`, `jump CHAIN` and the like."""
    code = tokens.expect(*_VERDICTS).text
    if code in ("jump", "goto"):
        return ex.Decision(code, tokens.take_name().text)
    return ex.Decision(code)


# --- elements ---


def take_elements(tokens: Tokens, kind: Kind, faults: list[Fault] | None = None) -> list[Placed]:
    """Take elements in braces, as they are written.

    Args:
        tokens: those that are left.
        kind: what the elements look like.
        faults: where to enter what is wrong with single ones; None to raise that.
    """
    tokens.expect("{")
    found: list[Placed] = []
    while True:
        tokens.skip_newlines()
        if found and tokens.accept("}"):
            return found
        if tokens.sees("{"):  # a variable inside a set
            found += take_elements(tokens, kind, faults)
        else:
            begin = tokens.at
            try:
                found.append(_take_element(tokens, kind))
            except SyntaxFaultError as error:
                if faults is None or not _pass_over(tokens, begin):
                    raise
                faults.append(error.fault)
        tokens.skip_newlines()
        if not tokens.accept(","):
            tokens.expect("}")
            return found


def _pass_over(tokens: Tokens, begin: int) -> bool:
    """Go to the end of an element; return whether it surely is there."""
    noticed, tokens.at = tokens.at, begin
    while tokens.next.kind not in ("end", "junk") and not tokens.sees(",", "{", "}", ";"):
        tokens.take()
    return tokens.are_balanced and tokens.at >= noticed and tokens.sees(",", "}")


def _take_element(tokens: Tokens, kind: Kind) -> Placed:
    start = tokens.next.place
    element = Element(take_key(tokens, kind.key))
    place = start.to(tokens.last.place)
    element = _take_options(tokens, element)
    if kind.is_map and tokens.accept(":"):
        tokens.skip_newlines()
        element = attrs.evolve(element, data=_take_data(tokens, kind))
    elif kind.is_map and element.key is not None:
        tokens.expect(":")
    return Placed(element, place, start.to(tokens.last.place))


def _take_options(tokens: Tokens, element: Element) -> Element:
    while True:
        if tokens.accept("timeout"):
            element = attrs.evolve(element, timeout=take_time(tokens))
        elif tokens.accept("expires"):
            element = attrs.evolve(element, expires=take_time(tokens))
        elif tokens.accept("comment"):
            element = attrs.evolve(element, comment=take_comment(tokens))
        elif tokens.accept("counter"):
            element = attrs.evolve(element, statements=(*element.statements, take_counts(tokens)))
        elif tokens.accept("limit"):
            element = attrs.evolve(element, statements=(*element.statements, take_limit(tokens)))
        else:
            return element


def take_counts(tokens: Tokens) -> Counter:
    """Take what stands behind `counter`: `packets N bytes N`, or nothing."""
    if not tokens.accept("packets"):
        return Counter()
    packets = tokens.take_number()
    tokens.expect("bytes")
    return Counter(packets, tokens.take_number())


def take_time(tokens: Tokens) -> int:
    """Take a span of time, in ns; a bare number is seconds."""
    token = tokens.take_kind("time", "number")
    return parse_time(token.text if token.kind == "time" else f"{token.text}s")


def take_comment(tokens: Tokens) -> str:
    """Take the text of a comment.

    Raises:
        SyntaxFaultError: it is too long.
    """
    token = tokens.take_kind("quoted", "word")
    if len(token.text.encode()) > 128:
        raise SyntaxFaultError(token.place, "comment too long, 128 characters maximum allowed")
    return token.text


def _take_data(tokens: Tokens, kind: Kind) -> ex.Data:
    if kind.verdicts:
        return take_verdict(tokens)
    if kind.objects:
        return tokens.take_kind("quoted", "word").text
    place = tokens.next.place
    data = take_key(tokens, kind.data)
    assert not isinstance(data, ex.CatchAll)
    data = as_ranges(data, kind.data)
    parts = data if isinstance(data, tuple) else (data,)
    if not kind.data_interval and any(isinstance(part, ex.Range) for part in parts):
        raise SyntaxFaultError(place, "Could not process rule: unexpected range in map data")
    return data  # type: ignore[return-value]


def as_ranges(key: ex.Key, types: Sequence[DataType]) -> ex.Key:
    """Return `key` with its prefixes as ranges, and ranges of one value as that value."""
    if isinstance(key, tuple):
        return tuple([_as_range(part, datatype) for part, datatype in zip(key, types, strict=True)])
    return key if isinstance(key, ex.CatchAll) else _as_range(key, types[0])


def _as_range(value: ex.Single, datatype: DataType) -> ex.Single:
    if isinstance(value, ex.Prefix):
        host = datatype.mask & ~prefix_mask(value.length, datatype)
        return ex.Range(value.value, value.value | host)
    if isinstance(value, ex.Range) and value.low == value.high:
        return value.low
    return value
