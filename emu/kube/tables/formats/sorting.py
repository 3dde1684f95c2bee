# SPDX-License-Identifier: GPL-2.0-only
"""`--sort-by`: objects in the order of a field, those without it first.

Text is compared as people read it, runs of digits as numbers, and as quantities
where both are (`512Mi` before `1Gi`). Source: `k8s.io/kubectl/pkg/cmd/get/sorter.go`.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cmp_to_key
from typing import TYPE_CHECKING, Final, TypeVar

from emu.errors import CommandError
from emu.kube.tables.formats import value as go
from emu.kube.tables.formats.columns import relaxed
from emu.kube.tables.formats.jsonpath import find

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kube.api.objects.field import Json

ItemT = TypeVar("ItemT")

_QUANTITY: Final = re.compile(
    r"([+-]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18}))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d{1,2})",
    re.ASCII,
)
_SUFFIXES: Final = {
    **{f"{sign}i": Fraction(1024**power) for power, sign in enumerate("KMGTPE", 1)},
    **{sign: Fraction(1000**power) for power, sign in enumerate("kMGTPE", 1)},
    **{sign: Fraction(1, 1000**power) for power, sign in enumerate("mun", 1)},
    "": Fraction(1),
}


def sort(items: Sequence[ItemT], path: str, value_of: Callable[[ItemT], Json]) -> list[ItemT]:
    """Return `items` in the order of what `path` finds in each; equal ones stay as they were.

    Raises:
        CommandError: the path is wrong, no item has it, or its values have no order.
    """
    expression = relaxed(path)
    found: list[tuple[list[Json], ItemT]] = []
    for item in items:
        groups = find(expression, value_of(item))
        found.append((groups[0][:1] if groups else [], item))
    if items and not any(values for values, _ in found):
        raise CommandError(
            f"couldn't find any field with path {go.quoted(expression)} in the list of objects", 1
        )
    by_value = cmp_to_key(_order)
    found.sort(key=lambda pair: by_value(pair[0]))
    return [item for _, item in found]


def _order(left: list[Json], right: list[Json]) -> int:
    if not left or not right:
        return len(left) - len(right)
    return _value_order(left[0], right[0])


def _value_order(left: Json, right: Json) -> int:
    if left is None or right is None:
        return (left is not None) - (right is not None)
    if isinstance(left, list) and isinstance(right, list):
        orders = (_value_order(one, other) for one, other in zip(left, right, strict=False))
        return next((order for order in orders if order), 0)
    if isinstance(left, str) and isinstance(right, str):
        return _text_order(left, right)
    if (
        isinstance(left, int | float)
        and isinstance(right, int | float)
        and bool not in {type(left), type(right)}
    ):
        return (left > right) - (left < right)
    raise CommandError(f"unsortable type: {go.kind(left)}", 1)


def _text_order(left: str, right: str) -> int:
    one, other = quantity(left), quantity(right)
    if one is not None and other is not None:
        return (one > other) - (one < other)
    return (natural(left) > natural(right)) - (natural(left) < natural(right))


def quantity(text: str) -> Fraction | None:
    """Return what a resource quantity such as `250m` or `1Gi` is worth, None for other text."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    digits, suffix = found.groups()
    factor = _SUFFIXES[suffix] if suffix in _SUFFIXES else Fraction(10) ** int(suffix[1:])
    return Fraction(digits) * factor


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a key by which `web-2` comes before `web-10`: runs of digits by their length, then by digits."""
    key = []
    for part in re.findall(r"[0-9]+|[^0-9]", text):
        digits = part.lstrip("0") if part.isascii() and part.isdecimal() else ""
        key.append((ord("0"), len(digits), digits) if part[0] in "0123456789" else (ord(part), 0, ""))
    return key
