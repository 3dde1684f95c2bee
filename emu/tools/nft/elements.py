# SPDX-License-Identifier: GPL-2.0-only
"""Elements of sets in the order in which nft lists them, overlapping ones refused or made one.

Source: nftables, src/mergesort.c, src/intervals.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.nftables import expressions as ex
from emu.tools.nft.faults import SyntaxFaultError
from emu.tools.nft.values import as_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from emu.kernel.netfilter.nftables.datatypes import DataType
    from emu.kernel.netfilter.nftables.ruleset import Element
    from emu.tools.nft.values import Kind, Placed


_WIDE: Final = (ex.Range, ex.Prefix, ex.Wildcard)


def members(placed: Sequence[Placed], kind: Kind) -> ex.Members:
    """Return a set in braces.

    Raises:
        SyntaxFaultError: two elements are for one packet and differ.
    """
    interval = any(is_wide(one.element.key) for one in placed)
    arranged = arrange(placed, kind.key, interval=interval, merge=not kind.is_map)
    found = [ex.Member(one.key, one.data, one.comment) for one in arranged]
    return ex.Members(tuple(found), interval)


def is_wide(key: ex.Key) -> bool:
    """Return whether a key is for more than one value."""
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(part, _WIDE) for part in parts)


def arrange(
    placed: Iterable[Placed], types: Sequence[DataType], *, interval: bool, merge: bool
) -> list[Element]:
    """Return elements as they are kept and listed.

    Args:
        placed: elements and their places.
        types: those of their keys.
        interval: keys may be ranges.
        merge: ranges that overlap or touch are made one.

    Raises:
        SyntaxFaultError: two elements are for one packet and may not be made one.
    """
    if interval and len(types) == 1 and not types[0].text:
        return _intervals(list(placed), types, merge=merge)
    kept: dict[ex.Key, Element] = {}
    for one in placed:
        element = attrs.evolve(one.element, key=as_ranges(one.element.key, types))
        known = kept.setdefault(element.key, element)
        if known.data != element.data:
            raise SyntaxFaultError(one.whole, "Could not process rule: File exists")
    return in_order(kept.values(), types, interval=interval)


def in_order(elements: Iterable[Element], types: Sequence[DataType], *, interval: bool) -> list[Element]:
    """Return elements in the order in which they are listed: ranges of concatenations stay as they came."""
    if interval and len(types) > 1:
        return list(elements)
    return sorted(elements, key=lambda element: sort_number(element.key, types, interval=interval))


def sort_number(key: ex.Key, types: Sequence[DataType], *, interval: bool = False) -> tuple[int, int]:
    """Return what nft sorts a key by: of several parts their octets, the last one counting most."""
    if isinstance(key, ex.CatchAll):
        return 1, 0
    if not isinstance(key, tuple):
        return 0, _number(key, types[0], interval=interval)
    octets = b"".join(_octets(part, datatype) for part, datatype in zip(key, types, strict=True))
    return 0, int.from_bytes(octets, "little")


def _number(value: ex.Single, datatype: DataType, *, interval: bool) -> int:
    match value:
        case ex.Range(low) | ex.Prefix(low):
            return low
        case ex.Wildcard(start):
            return int.from_bytes(start.encode().ljust(16, b"\0"), "big" if interval else "little")
        case str():
            return int.from_bytes(value.encode().ljust(16, b"\0"), "big" if interval else "little")
        case _:
            return value & -value if datatype.flags else value  # of several flags, the first


def _octets(value: ex.Single, datatype: DataType) -> bytes:
    if isinstance(value, str):
        return value.encode().ljust(datatype.octets, b"\0")
    number = _number(value, datatype, interval=False)
    return number.to_bytes(datatype.octets, "little" if datatype.host else "big")


# --- ranges ---


def _intervals(placed: list[Placed], types: Sequence[DataType], *, merge: bool) -> list[Element]:
    rest = [one.element for one in placed if isinstance(one.element.key, ex.CatchAll)]
    ranged = [
        (*_bounds(as_ranges(one.element.key, types)), one)
        for one in placed
        if not isinstance(one.element.key, ex.CatchAll)
    ]
    ranged.sort(key=lambda entry: (entry[0], -entry[1]))
    kept: list[tuple[int, int, Element]] = []
    for low, high, one in ranged:
        if kept and low <= kept[-1][1] + merge:
            before = kept[-1]
            if not merge and (before[:2] != (low, high) or before[2].data != one.element.data):
                raise SyntaxFaultError(one.place, "conflicting intervals specified")
            kept[-1] = (before[0], max(before[1], high), before[2])
        else:
            kept.append((low, high, one.element))
    return [
        attrs.evolve(element, key=low if low == high else ex.Range(low, high)) for low, high, element in kept
    ] + rest[:1]


def _bounds(key: ex.Key) -> tuple[int, int]:
    if isinstance(key, ex.Range):
        return key.low, key.high
    assert isinstance(key, int)
    return key, key
