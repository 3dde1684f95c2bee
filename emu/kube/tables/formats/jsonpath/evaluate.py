# SPDX-License-Identifier: GPL-2.0-only
"""What a template finds in a value.

Each piece gives a group of values. How many values may be looked at is bounded
by the size of the value asked, so that `{..*..*..*}` ends soon, with a complaint.
Source: `k8s.io/client-go/util/jsonpath/jsonpath.go`; keys that are missing give
nothing, as `kubectl get` asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from emu.errors import CommandError
from emu.kube.tables.formats import value as go
from emu.kube.tables.formats.jsonpath.nodes import (
    Action,
    Constant,
    Field,
    Filter,
    Key,
    Range,
    Recursive,
    Slice,
    Text,
    Union,
    Wildcard,
    Word,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.kube.api.objects.field import Json
    from emu.kube.tables.formats.jsonpath.nodes import Piece, Step

LOOKS_PER_VALUE: Final = 64
FEWEST_LOOKS: Final = 100_000

_ORDERS: Final = {"<": {-1}, ">": {1}, "<=": {-1, 0}, ">=": {0, 1}, "==": {0}, "!=": {-1, 1}}


class Search:
    """One evaluation over `value`, with the looks that are left."""

    def __init__(self, value: Json) -> None:
        self._left = max(FEWEST_LOOKS, LOOKS_PER_VALUE * go.size(value))

    def spend(self, looks: int) -> None:
        """Take from what is left.

        Raises:
            CommandError: nothing is left.
        """
        self._left -= looks
        if self._left < 0:
            raise CommandError("the template looks at too many values", 1)

    def groups(self, pieces: Sequence[Piece], current: Json) -> Iterator[list[Json]]:
        """Yield what each piece finds, those in a range once for each of its values."""
        for piece in pieces:
            match piece:
                case Text(text):
                    yield [text]
                case Action(steps):
                    yield self.walk([current], steps)
                case Range(steps, body, closed):
                    for item in self.walk([current], steps):
                        self.spend(1)
                        yield from self.groups(body, item)
                    if not closed:  # what follows runs once more behind the loop
                        yield from self.groups(body, current)
                case _:
                    assert_never(piece)

    def walk(self, values: list[Json], steps: Iterable[Step]) -> list[Json]:
        """Return the values that `steps` lead to."""
        for step in steps:
            self.spend(len(values) + 1)
            values = self._step(values, step)
        return values

    def _step(self, values: list[Json], step: Step) -> list[Json]:
        match step:
            case Text(text):
                return [text]
            case Constant(value):
                return [value] * len(values)
            case Field(name):
                return [value[name] for value in values if isinstance(value, dict) and name in value]
            case Key(steps, whole):
                return self.walk(values, steps) or self.walk(values, (Field(whole),))
            case Slice():
                return [item for value in values for item in self._slice(value, step)]
            case Wildcard():
                return [item for value in values for item in self._children(value)]
            case Recursive():
                return [found for value in values for found in self._containers(value)]
            case Union(branches):
                return [found for branch in branches for found in self.walk(values, branch)]
            case Filter():
                return [item for value in values for item in self._filter(value, step)]
            case Word():
                return self._word(values, step.name)
            case _:
                assert_never(step)

    def _word(self, values: list[Json], word: str) -> list[Json]:
        """Return what `range` leaves as it is; any other word is out of place."""
        if word == "range":
            return values
        complaint = "not in range, nothing to end" if word == "end" else f"unrecognized identifier {word}"
        raise CommandError(complaint, 1)

    def _children(self, value: Json) -> list[Json]:
        found = go.children(value)
        self.spend(len(found))
        return found

    def _containers(self, value: Json) -> list[Json]:
        """Return `value` and the maps and lists in it, each before what it holds, empty ones left out."""
        found: list[Json] = []
        pending = [value]
        while pending:
            inner = pending.pop()
            below = self._children(inner)
            if below:
                found.append(inner)
                pending.extend(reversed(below))
        return found

    def _slice(self, value: Json, step: Slice) -> list[Json]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise CommandError(f"{go.kind(value)} is not array or slice", 1)
        length = len(value)
        start = step.start or 0
        stop = length if step.stop is None else step.stop
        start += length if start < 0 else 0
        stop += length if stop < 0 or (stop == 0 and step.one) else 0
        if start == stop:
            return []
        if not 0 <= start < length:
            raise CommandError(f"array index out of bounds: index {start}, length {length}", 1)
        if not 0 <= stop <= length:
            raise CommandError(f"array index out of bounds: index {stop - 1}, length {length}", 1)
        if start > stop:
            raise CommandError(f"starting index {start} is greater than ending index {stop}", 1)
        if step.step is not None and step.step <= 0:
            raise CommandError("step must be > 0", 1)
        self.spend(stop - start)
        return value[start : stop : step.step or 1]

    def _filter(self, value: Json, step: Filter) -> Iterator[Json]:
        if not isinstance(value, list):
            raise CommandError(f"{go.plain(value)} is not array or slice and cannot be filtered", 1)
        for item in value:
            left = self.walk([item], step.left)
            if not step.operator:
                if left:
                    yield item
                continue
            if left:
                right = self.walk([item], step.right)
                if len(left) > 1 or len(right) > 1:
                    raise CommandError("can only compare one element at a time", 1)
                if right and compare(left[0], step.operator, right[0]):
                    yield item


def compare(left: Json, sign: str, right: Json) -> bool:
    """Return whether a comparison holds.

    Raises:
        CommandError: the two are of different types, or of one that has no such order.
    """
    holds = _ORDERS.get(sign)
    if holds is None:
        raise CommandError(f"unrecognized filter operator {sign}", 1)
    if isinstance(left, str) and isinstance(right, str):
        return ((left > right) - (left < right)) in holds
    if isinstance(left, dict | list | None) or isinstance(right, dict | list | None):
        raise CommandError("invalid type for comparison", 1)
    if isinstance(left, str) or isinstance(right, str) or type(left) is not type(right):
        raise CommandError("incompatible types for comparison", 1)
    if isinstance(left, bool) and sign not in {"==", "!="}:
        raise CommandError("invalid type for comparison", 1)
    return ((left > right) - (left < right)) in holds
