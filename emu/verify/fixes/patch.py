# SPDX-License-Identifier: GPL-2.0-only
"""What to change in a manifest, as the few lines that differ beneath the keys that lead to them.

      spec:
        ports:
          - port: 80
    -       targetPort: 80
    +       targetPort: 8080

Keys of a list's items that stay are shown where they are short, for they tell
which item is meant; everything else that stays is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Value: TypeAlias = "Mapping[str, Value] | Sequence[Value] | str | int | float | bool | None"
Line: TypeAlias = tuple[str, str]
"""A mark (`+`, `-` or a space) and a line of YAML."""

_INDENT: Final = "  "
_ENDLESS: Final = 10_000
_TOLD: Final = 30  # columns; what stays and is longer tells nothing
_SHORT: Final = 8  # keys of two items
_MOST: Final = 2  # containers within one another on a line behind a key; in an item one


def patch(old: Mapping[str, Value] | None, new: Mapping[str, Value], width: int) -> list[str]:
    """Return how `new` differs from `old`, each line with its mark in front.

    Args:
        old: what there is; None if there is nothing, and all of `new` is added.
        new: what there is to be.
        width: of a line, as far as YAML can be broken; four columns at least are taken by marks.
    """
    room = width - 2
    if old is None:
        return [f"+ {line}" for line in _block(new, "", room)]
    return [f"{mark} {line}".rstrip() for mark, line in _mapping(old, new, "", room)]


def _mapping(
    old: Mapping[str, Value], new: Mapping[str, Value], indent: str, room: int, *, is_item: bool = False
) -> Iterator[Line]:
    for key in [*old, *(key for key in new if key not in old)]:
        if key not in new:
            yield from _marked("-", {key: old[key]}, indent, room)
        elif key not in old:
            yield from _marked("+", {key: new[key]}, indent, room)
        elif old[key] == new[key]:
            if is_item and len(_flow({key: old[key]})) <= _TOLD:
                yield from _marked(" ", {key: old[key]}, indent, room)
        elif (inner := _inside(old[key], new[key], indent + _INDENT, room)) is not None:
            yield " ", f"{indent}{key}:"
            yield from inner
        else:
            yield from _marked("-", {key: old[key]}, indent, room)
            yield from _marked("+", {key: new[key]}, indent, room)


def _inside(old: Value, new: Value, indent: str, room: int) -> Iterator[Line] | None:
    """Return the lines for two containers of a kind with something in both; None for anything else."""
    if not old or not new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        return _mapping(old, new, indent, room)
    if isinstance(old, list) and isinstance(new, list):
        return _items(old, new, indent, room)
    return None


def _items(old: Sequence[Value], new: Sequence[Value], indent: str, room: int) -> Iterator[Line]:
    """Compare lists item by item: what is behind the end of the other was added, or removed."""
    if len(old) > len(new):
        gone = next((n for n, each in enumerate(new) if each != old[n]), len(new))
        if [*old[:gone], *old[gone + len(old) - len(new) :]] == [*new]:
            yield from _marked("-", [*old[gone : gone + len(old) - len(new)]], indent, room)
            return
    for before, after in zip(old, new, strict=False):
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict) and not _is_another(before, after):
            lines = list(_mapping(before, after, indent + _INDENT, room, is_item=True))
            yield from _with_dashes(lines, indent)
        else:
            yield from _marked("-", [before], indent, room)
            yield from _marked("+", [after], indent, room)
    yield from _marked("-", [*old[len(new) :]], indent, room)
    yield from _marked("+", [*new[len(old) :]], indent, room)


def _is_another(old: Mapping[str, Value], new: Mapping[str, Value]) -> bool:
    """Return whether two items are better shown whole: short ones that do not have the same keys."""
    return old.keys() != new.keys() and len(old) + len(new) <= _SHORT


def _with_dashes(lines: Sequence[Line], indent: str) -> Iterator[Line]:
    """Give the first line of an item its dash; if it changes, as it was and as it should be."""
    is_begun = False
    for number, (mark, line) in enumerate(lines):
        is_rival = number > 0 and mark == "+" and all(other == "-" for other, _ in lines[:number])
        if not is_begun or is_rival:
            line = f"{indent}- {line[len(indent) + 2 :]}"  # noqa: PLW2901 - the same line, begun
        is_begun = True
        yield mark, line


def _marked(mark: str, value: Value, indent: str, room: int) -> Iterator[Line]:
    for line in _block(value, indent, room):
        yield mark, line


def _block(value: Value, indent: str, room: int) -> list[str]:
    """Return a mapping or a list in block style, with what is short on a line of its own."""
    lines: list[str] = []
    if isinstance(value, dict):
        for key, each in value.items():
            lines += _entry(f"{indent}{_flow(key)}:", " ", each, indent + _INDENT, room)
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict | list) and each and not _fits(f"{indent}- ", each, room, _MOST - 1):
                inner = _block(each, indent + _INDENT, room)
                lines += [f"{indent}- {inner[0][len(indent) + 2 :]}", *inner[1:]]
            else:
                lines.append(f"{indent}- {_flow(each)}")
    return lines


def _entry(start: str, gap: str, value: Value, indent: str, room: int) -> list[str]:
    if isinstance(value, dict | list) and value and not _fits(start + gap, value, room):
        return [start, *_block(value, indent, room)]
    return [f"{start}{gap}{_flow(value)}"]


def _fits(start: str, value: Value, room: int, most: int = _MOST) -> bool:
    return _depth(value) <= most and len(start) + len(_flow(value)) <= room


def _depth(value: Value) -> int:
    """Return how many containers are within one another."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _flow(value: Value) -> str:
    """Return a value on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=_ENDLESS, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")
