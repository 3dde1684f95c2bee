# SPDX-License-Identifier: GPL-2.0-only
"""Typed values out of a document, every fault told with its place.

A reader of a type is a function from a `Place` to that type:

    def port(place: Place) -> PortSpec:
        fields = Fields(place)
        return fields.done(PortSpec(fields.must("if", text), hairpin=fields.get("hairpin", boolean, False)))

Reading never stops at a fault. A wrong or missing value is reported and a
blank one of its type (`""`, 0, ...) takes its place, so that all that is wrong
in a document is found in one go; `Report.check` refuses the document then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from emu.document import MAX_FAULTS, MappingNode, SequenceNode, Value, path_step
from emu.errors import DocumentError, Fault, did_you_mean
from emu.sim.time import Duration, from_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")
D = TypeVar("D")
W = TypeVar("W", bound=str)

_SHOWN: Final = 40  # characters of a wrong value that a fault repeats


class Report:
    """Collects the faults of one document, beginning with those known, and what is only to be warned of."""

    def __init__(self, file: str, faults: Iterable[Fault] = ()) -> None:
        self.file = file
        self.warnings: list[Fault] = []
        self._faults = list(faults)

    def add(self, line: int, path: str, message: str, *, file: str | None = None) -> None:
        """Take one fault, of another `file` than the document where one is given.

        Raises:
            DocumentError: there are so many that it is no use to go on.
        """
        self._faults.append(Fault(file or self.file, line, path, message))
        if len(self._faults) >= MAX_FAULTS:
            self.check()

    def warn(self, line: int, path: str, message: str) -> None:
        """Take one warning; those beyond a thousand are lost, as whoever reads them is."""
        if len(self.warnings) < MAX_FAULTS:
            self.warnings.append(Fault(self.file, line, path, message))

    def check(self) -> None:
        """Return if there was no fault.

        Raises:
            DocumentError: with all faults.
        """
        if self._faults:
            raise DocumentError(self._faults)


class Place:
    """A value in a document, and where it stands.

    A place may have no value (`is_given` tells): a key that was left out.
    """

    __slots__ = ("_key", "_parent", "_report", "is_given", "value")

    def __init__(
        self, value: Value, report: Report | None, parent: Place | None = None, key: str | int = ""
    ) -> None:
        self.value = value
        self.is_given = True
        self._report = report
        self._parent = parent
        self._key = key

    def at(self, key: str | int) -> Place:
        """Return the place of an entry, which need not exist."""
        value = self.value
        place = Place(None, self._report, self, key)
        if isinstance(value, MappingNode) and key in value:
            place.value = value[str(key)]
        elif isinstance(value, SequenceNode) and isinstance(key, int) and key < len(value):
            place.value = value[key]
        else:
            place.is_given = False
        return place

    def blank(self) -> Place:
        """Return a place without value that reports nothing, to read a blank value from."""
        return Place(None, None)

    @property
    def line(self) -> int:
        """Line of the value's key, or of the value where it is in a list."""
        if self._parent is None:
            return self.value.line if isinstance(self.value, MappingNode | SequenceNode) else 1
        siblings = self._parent.value
        if self.is_given and isinstance(siblings, MappingNode):
            return siblings.line_of(str(self._key))
        if self.is_given and isinstance(siblings, SequenceNode):
            return siblings.lines[int(self._key)]
        return self._parent.line

    @property
    def file(self) -> str:
        """The file of the document; empty if nothing is reported."""
        return "" if self._report is None else self._report.file

    @property
    def path(self) -> str:
        """The way to it from the top, like `$.links[0].a.mac`."""
        if self._parent is None:
            return "$"
        return self._parent.path + path_step(self._key)

    def fault(self, message: str) -> None:
        """Report that something is wrong here."""
        if self._report is not None:
            self._report.add(self.line, self.path, message)

    def warn(self, message: str) -> None:
        """Report that something here is taken, but not as its author may think."""
        if self._report is not None:
            self._report.warn(self.line, self.path, message)

    def fault_in(self, file: str, line: int, message: str) -> None:
        """Report that something is wrong in another file, which is named here."""
        if self._report is not None:
            self._report.add(line, self.path, message, file=file)

    def take(self, faults: Iterable[Fault]) -> None:
        """Report what is wrong in another document, which is named here."""
        if self._report is not None:
            for each in faults:
                self._report.add(each.line, each.path, each.message, file=each.file)

    def wrong(self, wanted: str, hint: str = "") -> None:
        """Report that the value is not what is `wanted`, with a `hint` at the end."""
        self.fault(f"must be {wanted}, not {shown(self.value)}{hint}")


class Fields:
    """The keys of a mapping, asked for one by one.

    What was never asked for is unknown: `done` says so.
    """

    __slots__ = ("_known", "place")

    def __init__(self, place: Place) -> None:
        self._known: list[str] = []
        self.place = place
        if not isinstance(place.value, MappingNode):
            place.wrong("a mapping of keys to values")
            self.place = place.blank()

    def has(self, key: str) -> bool:
        """Return whether `key` is there."""
        return isinstance(self.place.value, MappingNode) and key in self.place.value

    def must(self, key: str, read: Callable[[Place], T]) -> T:
        """Return the value of a key that has to be there."""
        self._known.append(key)
        place = self.place.at(key)
        if place.is_given:
            return read(place)
        self.place.fault(f"lacks {key}")
        return read(place.blank())

    def get(self, key: str, read: Callable[[Place], T], default: D) -> T | D:
        """Return the value of a key, or `default` if it is left out."""
        self._known.append(key)
        place = self.place.at(key)
        return read(place) if place.is_given else default

    def each(self, key: str, read: Callable[[Place], T]) -> tuple[T, ...]:
        """Return the elements of the list at `key`, none if it is left out or empty."""
        self._known.append(key)
        return elements(self.place.at(key), read)

    def entries(self, key: str, read: Callable[[Place], T]) -> tuple[tuple[str, T], ...]:
        """Return the keys and values of the mapping at `key` in their order, none if it is left out."""
        self._known.append(key)
        return entries(self.place.at(key), read)

    def ignore(self, key: str) -> None:
        """Take `key` as known, whatever it holds."""
        self._known.append(key)

    def done(self, result: T) -> T:
        """Report the keys that nobody asked for, and return `result`."""
        value = self.place.value
        if isinstance(value, MappingNode) and len(value) > 0:
            for key in value.keys() - set(self._known):
                self.place.at(key).fault(f"unknown key{did_you_mean(key, self._known)}")
        return result


def elements(place: Place, read: Callable[[Place], T]) -> tuple[T, ...]:
    """Return the elements of a list, each read by `read`; nothing at all is an empty list."""
    value = place.value
    if isinstance(value, SequenceNode):
        return tuple([read(place.at(index)) for index in range(len(value))])
    if value is not None:
        place.wrong("a list")
    return ()


def entries(place: Place, read: Callable[[Place], T]) -> tuple[tuple[str, T], ...]:
    """Return the keys and values of a mapping in their order; nothing at all is an empty mapping."""
    value = place.value
    if isinstance(value, MappingNode):
        return tuple([(key, read(place.at(key))) for key in value])
    if value is not None:
        place.wrong("a mapping of keys to values")
    return ()


def text(place: Place) -> str:
    """Read text; a number or a truth value has to be quoted to be one."""
    if isinstance(place.value, str):
        return place.value
    place.wrong("text" if isinstance(place.value, MappingNode | SequenceNode) else "text (quote it)")
    return ""


def measured(place: Place, wanted: str) -> str:
    """Read a number with its unit, as text; 0 needs none. Who leaves it out is told what is `wanted`."""
    value = place.value
    if isinstance(value, str):
        return value
    if value == 0 and not isinstance(value, bool):
        return "0"
    place.wrong(wanted)
    return ""


def boolean(place: Place) -> bool:
    """Read `true` or `false`, as YAML 1.1 spells them."""
    if isinstance(place.value, bool):
        return place.value
    place.wrong("true or false")
    return False


def integer(low: int, high: int) -> Callable[[Place], int]:
    """Return a reader of whole numbers from `low` to `high`."""

    def read(place: Place) -> int:
        value = place.value
        if type(value) is int and low <= value <= high:
            return value
        place.wrong(f"a whole number from {low} to {high}")
        return low

    return read


def seconds(high: int) -> Callable[[Place], Duration]:
    """Return a reader of times from 0 to `high` seconds, whole or decimal."""

    def read(place: Place) -> Duration:
        value = place.value
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= high:
            return from_seconds(value)
        place.wrong(f"a number of seconds from 0 to {high}")
        return 0

    return read


def one_of(*words: W) -> Callable[[Place], W]:
    """Return a reader of one of some words."""

    def read(place: Place) -> W:
        for word in words:
            if place.value == word:
                return word
        hint = did_you_mean(place.value, words) if isinstance(place.value, str) else ""
        place.wrong(f"one of {', '.join(words)}", hint)
        return words[0]

    return read


def shown(value: Value) -> str:
    """Return a value as a fault repeats it."""
    match value:
        case MappingNode():
            return "a mapping"
        case SequenceNode():
            return "a list"
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str() if len(value) > _SHOWN:
            return f"{value[:_SHOWN]!r}..."
        case int() if abs(value) >= 10**_SHOWN:
            return "a number too big to show"
        case _:
            return repr(value)
