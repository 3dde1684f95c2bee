# SPDX-License-Identifier: GPL-2.0-only
"""Settings that each device has: the same names for all of them, and for `default`.

Most devices of most namespaces hold what they were born with, so equal tables are
one object: a table never changes, a write puts another one in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.kernel.sysctl_names import Entry, Value, View

Conf = Mapping[str, int]
"""What stands in one directory like `net.ipv4.conf.eth0`."""

ALL: Final = "all"
DEFAULT: Final = "default"

V = TypeVar("V", int, "Value")

_MOST_SHARED: Final = 4096
_shared: Final[dict[object, object]] = {}
_born: Final[dict[str, Conf]] = {}
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


@attrs.define(eq=False)
class Directory:
    """A directory like `net.ipv4.conf`.

    Attributes:
        prefix: its path below `/proc/sys`.
        entries: what is known of each name.
        copied: names for which a write to `default` reaches devices.
        special: where `all` and `lo` start otherwise than a device.
        views: names that show another in other units.
        replaced: is told when a device's table is another one.
        tables: the values, by device and name.
    """

    prefix: str
    entries: dict[str, Entry]
    copied: frozenset[str]
    special: Mapping[str, Conf]
    views: dict[str, View] = attrs.field(factory=dict)
    replaced: Callable[[str, Conf], None] | None = None
    tables: dict[str, Conf] = attrs.field(factory=dict)
    _own: dict[str, frozenset[str]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        numbers = _born.get(self.prefix)
        if numbers is None:
            plain = {name: entry.default for name, entry in self.entries.items()}
            numbers = share({name: value for name, value in plain.items() if isinstance(value, int)})
            _born[self.prefix] = numbers
        if ALL in self.special:
            self.tables[ALL] = share({**numbers, **self.special[ALL]})
        self.tables[DEFAULT] = numbers

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
        if device in self.special:
            table = share({**table, **self.special[device]})
        self.tables[device] = table
        return table

    def remove(self, device: str) -> None:
        """Forget a device."""
        del self.tables[device]
        self._own.pop(device, None)

    def rename(self, old: str, new: str) -> None:
        """Let the values of `old` stand under `new`."""
        self.tables[new] = self.tables.pop(old)
        self._own[new] = self._own.pop(old, _NONE)

    def detach(self, device: str) -> None:
        """Keep what is written to `default` from reaching a device."""
        self._own[device] = _every(self.prefix, self.entries)

    def starts_with(self, device: str, key: str) -> Value:
        """Return what `key` held when the device was new."""
        return self.special.get(device, {}).get(key, self.entries[key].default)

    def write(self, device: str, key: str, value: int) -> None:
        """Store a number for a device, or for `default` and who follows it."""
        self.put(device, key, value)
        own = self._own.get(device, _NONE)
        if key not in own:
            self._own[device] = own | {key}
        if device == DEFAULT and key in self.copied:
            for other in self.tables.keys() - {ALL, DEFAULT}:
                if key not in self._own.get(other, _NONE):
                    self.put(other, key, value)

    def write_through(self, key: str, value: int) -> None:
        """Store a number for `all`, `default` and every device."""
        for device in self.tables:
            self.put(device, key, value)

    def put(self, device: str, key: str, value: int) -> None:
        """Store a number for one device, whatever follows from it."""
        table = self.tables[device]
        if table[key] == value:
            return
        table = self.tables[device] = share({**table, key: value})
        if self.replaced is not None:
            self.replaced(device, table)


_all_names: Final[dict[str, frozenset[str]]] = {}


def _every(prefix: str, entries: dict[str, Entry]) -> frozenset[str]:
    """Return all names of a directory, the same set each time."""
    found = _all_names.get(prefix)
    if found is None:
        found = _all_names[prefix] = frozenset(entries)
    return found
