# SPDX-License-Identifier: GPL-2.0-only
"""Mementos: objects become what they were, in place."""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, ClassVar

import attrs
import pytest

from emu.fabric.memento import Memento

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.define(eq=False)
class Thing:
    """Something with state; tests pretend that it is one of emu's classes."""

    value: object = None
    other: object = None


class Slotted:
    """Something whose attributes may be missing."""

    __slots__ = ("late", "value")

    value: int
    late: int

    def __init__(self) -> None:
        self.value = 1


class Still:
    """Something that does not change."""

    is_still: ClassVar[bool] = True

    def __init__(self) -> None:
        self.value = 1


@attrs.frozen
class Frozen:
    """A value that holds something with state."""

    inside: list[int]


@pytest.fixture(autouse=True)
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the classes of this module be looked into."""
    monkeypatch.setattr("emu.fabric.memento._LIBRARY", __name__)
    monkeypatch.setattr("emu.fabric.memento._LAYOUTS", {})


CONTAINERS: dict[str, tuple[Callable[[], object], Callable[[object], object]]] = {
    "list": (lambda: [1, 2], lambda it: it.append(3)),  # type: ignore[attr-defined]
    "dict": (lambda: {1: 2}, lambda it: it.pop(1)),  # type: ignore[attr-defined]
    "set": (lambda: {1}, lambda it: it.add(2)),  # type: ignore[attr-defined]
    "deque": (lambda: deque([1], maxlen=5), lambda it: it.append(2)),  # type: ignore[attr-defined]
    "Counter": (lambda: Counter("aab"), lambda it: it.update("b")),  # type: ignore[attr-defined]
    "OrderedDict": (lambda: OrderedDict(a=1, b=2), lambda it: it.move_to_end("a")),  # type: ignore[attr-defined]
    "bytearray": (lambda: bytearray(b"ab"), lambda it: it.extend(b"c")),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_get_their_contents_back(name: str) -> None:
    """The same object, the same elements, the same order."""
    make, change = CONTAINERS[name]
    thing = Thing(make())
    held = thing.value
    memento = Memento((thing,))
    for _ in range(2):
        change(thing.value)
        assert thing.value != make()
        memento.restore()
        assert thing.value is held
        assert thing.value == make()
        assert list(held) == list(make())  # type: ignore[call-overload]  # all of them can be walked


def test_attributes_are_put_back_even_where_an_equal_one_took_their_place() -> None:
    """Who kept the old object must see what happens to it."""
    thing = Thing([], {})
    old = thing.value
    memento = Memento((thing,))
    thing.value = []
    memento.restore()
    assert thing.value is old


def test_attributes_that_came_go_and_those_that_went_come() -> None:
    """As with tables that are made when they are first asked for."""
    thing = Slotted()
    memento = Memento((thing,))
    thing.late = 2
    del thing.value
    memento.restore()
    assert thing.value == 1
    assert not hasattr(thing, "late")


def test_numbers_to_come_are_the_same() -> None:
    """What is drawn at random."""
    stream = random.Random(1)
    memento = Memento((Thing(stream),))
    drawn = [stream.random() for _ in range(3)]
    memento.restore()
    assert [stream.random() for _ in range(3)] == drawn


def test_values_are_looked_into() -> None:
    """A tuple or a frozen object cannot change, what it holds can; so can what a closure holds."""
    inside, enclosed = [1], [2]
    thing = Thing((Frozen(inside),), lambda: enclosed)
    memento = Memento((thing,))
    inside.append(9)
    enclosed.append(9)
    memento.restore()
    assert (inside, enclosed) == ([1], [2])


def test_the_way_ends_where_it_is_said_to() -> None:
    """At what is still, at what somebody else keeps, at barred classes."""
    still, theirs, barred = Still(), Thing([]), Slotted()
    thing = Thing(still, [theirs, barred])
    memento = Memento((thing,), beyond=(theirs,), barred=(Slotted,))
    still.value, theirs.value, barred.value = 2, 3, 4
    memento.restore()
    assert (still.value, theirs.value, barred.value) == (2, 3, 4)


def test_many_alike_are_each_put_back() -> None:
    """Also the one behind the first chunk."""
    things = [Thing(number) for number in range(50)]
    memento = Memento((things,))
    things[40].value = "other"
    memento.restore()
    assert [thing.value for thing in things] == list(range(50))
