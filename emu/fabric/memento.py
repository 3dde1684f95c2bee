# SPDX-License-Identifier: GPL-2.0-only
"""What some objects were like, so that they can be so again: in place, whoever refers to them.

All that is reachable from a root is kept: lists, mappings, sets, and the
attributes of our own objects. Values (tuples, frozen classes) are looked into
and not kept. Where the way ends is said by the classes themselves:

    is_still    nothing of it, and nothing behind it, changes by what packets do
    begin_trial it works on a copy from now on, and can say how to undo that: for
                what is too large to be looked through after every packet
"""

from __future__ import annotations

import enum
import functools
import itertools
import random
import types
from collections import OrderedDict, deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_ATOMS: Final = (int, str, bytes, float, complex, type(None), type, enum.Enum, types.ModuleType)
_CONTAINERS: Final = (list, dict, set, deque, bytearray)
_VALUES: Final = (tuple, frozenset)
_MISSING: Final = object()
_CHUNK: Final = 16  # objects that are looked at together
_LIBRARY: Final = "emu."
_FROZEN: Final = "_frozen_setattrs"  # how attrs calls what refuses a change


T = TypeVar("T")


class OnTrial(Protocol):
    """Something that can work on a copy of itself for a while."""

    def begin_trial(self) -> Callable[[], None]:
        """Work on a copy from now on, and return how to go back."""


class Memento:
    """What is reachable from `roots`, as it is now.

    Args:
        roots: the objects.
        beyond: objects that somebody else keeps: the way ends there.
        barred: classes whose objects somebody else keeps.
    """

    __slots__ = ("_alike", "_aside", "_empty", "_kept", "_lists")

    def __init__(
        self, roots: Iterable[object], beyond: Iterable[object] = (), barred: tuple[type, ...] = ()
    ) -> None:
        self._kept: list[_Kept] = []
        self._empty: list[Any] = []  # containers: most of them stay so
        self._lists: list[tuple[Any, Any]] = []
        self._alike: dict[tuple[str, ...], _Alike] = {}
        self._aside: list[OnTrial] = []
        seen = {id(each) for each in beyond}
        todo = list(roots)
        while todo:
            found = todo.pop()
            if isinstance(found, (*_ATOMS, *barred)) or id(found) in seen:
                continue
            seen.add(id(found))
            if hasattr(type(found), "begin_trial"):
                self._aside.append(cast("OnTrial", found))
                continue
            self._keep(found)
            todo.extend(_inside(found))

    def __iter__(self) -> Iterator[object]:
        """Yield the objects that it keeps."""
        yield from self._empty
        yield from (of for of, _ in self._lists)
        yield from (kept.of for kept in self._kept)
        for alike in self._alike.values():
            yield from alike.of

    def begin(self) -> list[Callable[[], None]]:
        """Let what is set aside work on copies, and return how to undo that."""
        return [each.begin_trial() for each in self._aside]

    def restore(self) -> None:
        """Make everything what it was."""
        for filled in filter(None, self._empty):
            filled.clear()
        for of, was in self._lists:
            of[:] = was
        for kept in self._kept:
            kept.restore()
        for alike in self._alike.values():
            alike.restore()

    def _keep(self, found: object) -> None:
        """Keep the state of one object, if it has any."""
        if isinstance(found, _CONTAINERS) and not found:
            self._empty.append(found)
        elif isinstance(found, list | bytearray):
            self._lists.append((found, found[:]))
        elif isinstance(found, dict | set | deque):
            self._kept.append(_Collection(found))
        elif isinstance(found, random.Random):
            self._kept.append(_Random(found))
        elif (layout := _layout(type(found))).is_kept:
            names = tuple(names_of(found))
            was = {name: getattr(found, name) for name in names}
            if layout.has_dictionary or len(names) < len(layout.slots):
                self._kept.append(_Loose(found, was))
            else:
                self._alike.setdefault(names, _Alike(names)).add(found)


class _Kept(Protocol):
    @property
    def of(self) -> object:
        """The object."""

    def restore(self) -> None:
        """Make it what it was."""


class _Collection:
    """A mapping, a set or a deque that is not empty."""

    __slots__ = ("_fill", "_was", "of")

    def __init__(self, of: dict[Any, Any] | set[Any] | deque[Any]) -> None:
        self.of = of
        self._was: Any = list(of.items()) if isinstance(of, dict) else list(of)
        self._fill: Callable[[Any], None]
        if isinstance(of, dict):  # a Counter's own `update` adds
            self._fill = functools.partial(dict.update, of) if not isinstance(of, OrderedDict) else of.update
        else:
            self._fill = of.extend if isinstance(of, deque) else of.update

    def restore(self) -> None:
        self.of.clear()
        self._fill(self._was)


class _Random:
    __slots__ = ("_was", "of")

    def __init__(self, of: random.Random) -> None:
        self.of = of
        self._was = of.getstate()

    def restore(self) -> None:
        self.of.setstate(self._was)


class _Alike:
    """Objects of one class, all whose attributes are there: looked through many at a time."""

    __slots__ = ("_chunks", "_getter", "_names", "_objects")

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._getter = _getter(names)
        self._objects: list[tuple[object, tuple[Any, ...]]] = []
        self._chunks: list[tuple[list[object], list[int]]] | None = None

    def add(self, of: object) -> None:
        """Keep one more."""
        self._objects.append((of, self._getter(of)))

    @property
    def of(self) -> Iterator[object]:
        return (of for of, _ in self._objects)

    def restore(self) -> None:
        if self._chunks is None:
            self._chunks = [
                ([of for of, _ in chunk], [id(value) for _, was in chunk for value in was])
                for chunk in _batched(self._objects)
            ]
        for number, (objects, identities) in enumerate(self._chunks):
            if list(map(id, itertools.chain.from_iterable(map(self._getter, objects)))) != identities:
                for of, was in self._objects[number * _CHUNK : (number + 1) * _CHUNK]:
                    self._restore(of, was)

    def _restore(self, of: object, was: tuple[Any, ...]) -> None:
        for name, value, is_ in zip(self._names, was, self._getter(of), strict=True):
            if is_ is not value:
                object.__setattr__(of, name, value)


class _Loose:
    """An object some of whose attributes come and go."""

    __slots__ = ("_was", "of")

    def __init__(self, of: object, was: dict[str, object]) -> None:
        self.of = of
        self._was = was

    def restore(self) -> None:
        set_, was = object.__setattr__, self._was
        for name in names_of(self.of):
            is_ = getattr(self.of, name, _MISSING) if name in was else _MISSING
            if name not in was:
                object.__delattr__(self.of, name)
            elif is_ is not was[name]:
                set_(self.of, name, was[name])
        for name in was.keys() - set(names_of(self.of)):
            set_(self.of, name, was[name])


def _batched(objects: list[T]) -> Iterator[list[T]]:
    return (objects[start : start + _CHUNK] for start in range(0, len(objects), _CHUNK))


@functools.cache
def _getter(names: tuple[str, ...]) -> Callable[[object], tuple[Any, ...]]:
    if len(names) == 1:
        one = attrgetter(names[0])
        return lambda of: (one(of),)
    return attrgetter(*names) if names else lambda _: ()


class _Layout(NamedTuple):
    """How objects of a class are made.

    Attributes:
        slots: the attributes that have a place.
        has_dictionary: there may be others.
        is_ours: they are looked into.
        is_kept: they may change.
    """

    slots: tuple[str, ...]
    has_dictionary: bool
    is_ours: bool
    is_kept: bool


_LAYOUTS: Final[dict[type, _Layout]] = {}


def _layout(cls: type) -> _Layout:
    found = _LAYOUTS.get(cls)
    if found is None:
        slots: list[str] = []
        for each in cls.__mro__:
            names = each.__dict__.get("__slots__", ())
            slots += (names,) if isinstance(names, str) else names
        is_ours = cls.__module__.startswith(_LIBRARY) and not getattr(cls, "is_still", False)
        is_frozen = attrs.has(cls) and cls.__setattr__.__name__ == _FROZEN
        found = _LAYOUTS[cls] = _Layout(
            tuple(name for name in slots if name not in {"__weakref__", "__dict__"}),
            any("__dict__" in each.__dict__ for each in cls.__mro__),
            is_ours,
            is_ours and not is_frozen and not issubclass(cls, _VALUES),
        )
    return found


def names_of(of: object) -> list[str]:
    """Return the names of the attributes that an object has now."""
    layout = _layout(type(of))
    names = [name for name in layout.slots if getattr(of, name, _MISSING) is not _MISSING]
    return names + list(of.__dict__) if layout.has_dictionary else names


def _inside(found: object) -> Iterator[object]:
    """Yield what an object refers to, where state may be."""
    if isinstance(found, dict):
        yield from found.keys()
        yield from found.values()
    elif isinstance(found, (*_CONTAINERS, *_VALUES)):
        yield from found
    elif isinstance(found, functools.partial):
        yield from (found.func, *found.args, *found.keywords.values())
    elif isinstance(found, types.MethodType):
        yield found.__self__
    elif isinstance(found, types.FunctionType):
        for cell in found.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                continue  # not filled yet
    elif isinstance(found, types.GeneratorType):
        frame = found.gi_frame
        if frame is not None:
            yield from frame.f_locals.values()
        yield found.gi_yieldfrom
    elif _layout(type(found)).is_ours:
        yield from (getattr(found, name) for name in names_of(found))
