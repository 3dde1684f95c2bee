# SPDX-License-Identifier: GPL-2.0-only
"""Settings that each device has: the same names for all of them, and for `default`.

Most devices of most namespaces hold what they were born with, so equal tables are
one object: a table never changes, a write puts another one in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.sysctl_names import Entry, Value, View

Conf = Mapping[str, int]
"""What stands in one directory like `net.ipv4.conf.eth0`."""

ALL: Final = "all"
DEFAULT: Final = "default"

T = TypeVar("T")
V = TypeVar("V", int, "Value")

_MOST_SHARED: Final = 4096
_shared: Final[dict[object, object]] = {}
_NO_OWN: Final[dict[str, frozenset[str]]] = {}
_NONE: Final[frozenset[str]] = frozenset()


def share(table: Mapping[str, V]) -> Mapping[str, V]:
    """Return the table that stands for all that are equal to `table`; nobody may write to it."""
    key = (tuple(table), tuple(table.values()))
    found = _shared.get(key)
    if found is None:
        if len(_shared) >= _MOST_SHARED:
            _shared.clear()
        found = _shared[key] = table
    return found  # type: ignore[return-value]  # what is kept under a key is of the key's type


@attrs.frozen(eq=False)
class Kind:
    """What all namespaces have in common about a directory.

    Attributes:
        prefix: its path below `/proc/sys`.
        entries: what is known of each name.
        copied: names for which a write to `default` reaches devices.
        special: where `all` and `lo` start otherwise than a device.
        views: names that show another in other units.
        born: the values of a namespace without devices.
        every: all names.
    """

    prefix: str
    entries: dict[str, Entry]
    copied: frozenset[str]
    special: Mapping[str, Conf]
    views: dict[str, View] = attrs.field(factory=dict)
    born: dict[str, Conf] = attrs.field(init=False)
    every: frozenset[str] = attrs.field(init=False)

    @born.default
    def _born(self) -> dict[str, Conf]:
        plain = {name: entry.default for name, entry in self.entries.items()}
        numbers = share({name: value for name, value in plain.items() if isinstance(value, int)})
        if ALL in self.special:
            return {ALL: share({**numbers, **self.special[ALL]}), DEFAULT: numbers}
        return {DEFAULT: numbers}

    @every.default
    def _every(self) -> frozenset[str]:
        return frozenset(self.entries)


_FEW: Final = 4
"""Tables of so many devices, `all` and `default` too, are one object where they are equal."""

_grown: Final[dict[tuple[int, str, int], dict[str, Any]]] = {}


def _with(few: dict[str, T], device: str, value: T) -> dict[str, T]:
    """Return `few` with a value for a device; if it is more than a few, it is written to."""
    if len(few) > _FEW:
        few[device] = value
        return few
    key = id(few), device, id(value)
    found = _grown.get(key)
    if found is None:
        found = {**few, device: value}
        if len(found) <= _FEW and device in _USUAL:
            if len(_grown) >= _MOST_SHARED:
                _grown.clear()
                _kept.clear()
            _grown[key] = found
            _kept.append(few)  # so that nobody else gets its id; `found` has the value
    return found


_USUAL: Final = frozenset((ALL, DEFAULT, "lo", "eth0"))
_kept: Final[list[object]] = []


class Directory:
    """A directory like `net.ipv4.conf` in one namespace.

    Attributes:
        kind: what is the same in all namespaces.
        replaced: is told when a device's table is another one.
        tables: the values, by device and name; to read only.
    """

    __slots__ = ("_own", "kind", "replaced", "tables")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.replaced: Callable[[str, Conf], None] | None = None
        self.tables = kind.born
        self._own: dict[str, frozenset[str]] = _NO_OWN

    @property
    def prefix(self) -> str:
        """Its path below `/proc/sys`."""
        return self.kind.prefix

    @property
    def entries(self) -> dict[str, Entry]:
        """What is known of each name."""
        return self.kind.entries

    @property
    def views(self) -> dict[str, View]:
        """Names that show another in other units."""
        return self.kind.views

    def held(self, key: str) -> str:
        """Return the name that holds what `key` shows: mostly `key` itself."""
        view = self.views.get(key)
        return key if view is None else view.held

    def read(self, device: str, key: str) -> int:
        """Return what `key` of a device shows."""
        view = self.views.get(key)
        table = self.tables[device]
        return table[key] if view is None else table[view.held] // view.unit

    def add(self, device: str) -> Conf:
        """Make the names of a new device, as `default` has them now."""
        table = self.tables[DEFAULT]
        special = self.kind.special.get(device)
        if special is not None:
            table = share({**table, **special})
        self.tables = _with(self.tables, device, table)
        return table

    def remove(self, device: str) -> None:
        """Forget a device."""
        self.tables = {name: table for name, table in self.tables.items() if name != device}
        self._own = {name: own for name, own in self._own.items() if name != device}

    def rename(self, old: str, new: str) -> None:
        """Let the values of `old` stand under `new`."""
        table, own = self.tables[old], self._own.get(old, _NONE)
        self.remove(old)
        self.tables[new], self._own[new] = table, own

    def detach(self, device: str) -> None:
        """Keep what is written to `default` from reaching a device."""
        self._own = _with(self._own, device, self.kind.every)

    def starts_with(self, device: str, key: str) -> Value:
        """Return what `key` held when the device was new."""
        return self.kind.special.get(device, {}).get(key, self.entries[key].default)

    def write(self, device: str, key: str, value: int) -> None:
        """Store a number for a device, or for `default` and who follows it."""
        self.put(device, key, value)
        own = self._own.get(device, _NONE)
        if key not in own:
            self._own = _with(self._own, device, own | {key})
        if device == DEFAULT and key in self.kind.copied:
            for other in self.tables.keys() - {ALL, DEFAULT}:
                if key not in self._own.get(other, _NONE):
                    self.put(other, key, value)

    def write_through(self, key: str, value: int) -> None:
        """Store a number for `all`, `default` and every device."""
        for device in tuple(self.tables):
            self.put(device, key, value)

    def put(self, device: str, key: str, value: int) -> None:
        """Store a number for one device, whatever follows from it."""
        table = self.tables[device]
        if table[key] == value:
            return
        table = share({**table, key: value})
        self.tables = _with(self.tables, device, table)
        if self.replaced is not None:
            self.replaced(device, table)
