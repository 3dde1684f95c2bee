# SPDX-License-Identifier: GPL-2.0-only
"""Settings that each device has: the same names for all of them, and for `default`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from emu.kernel.sysctl_names import Entry, Value, View

Conf = dict[str, int]
"""What stands in one directory like `net.ipv4.conf.eth0`."""

ALL: Final = "all"
DEFAULT: Final = "default"


@attrs.define(eq=False)
class Directory:
    """A directory like `net.ipv4.conf`.

    Attributes:
        prefix: its path below `/proc/sys`.
        entries: what is known of each name.
        copied: names for which a write to `default` reaches devices.
        special: where `all` and `lo` start otherwise than a device.
        views: names that show another in other units.
        tables: the values, by device and name.
    """

    prefix: str
    entries: dict[str, Entry]
    copied: frozenset[str]
    special: dict[str, Conf]
    views: dict[str, View] = attrs.field(factory=dict)
    tables: dict[str, Conf] = attrs.field(factory=dict)
    _own: dict[str, set[str]] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        plain = {name: entry.default for name, entry in self.entries.items()}
        numbers = {name: value for name, value in plain.items() if isinstance(value, int)}
        if ALL in self.special:
            self.tables[ALL] = numbers | self.special[ALL]
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
        table = self.tables[device] = self.tables[DEFAULT] | self.special.get(device, {})
        return table

    def remove(self, device: str) -> None:
        """Forget a device."""
        del self.tables[device]
        self._own.pop(device, None)

    def rename(self, old: str, new: str) -> None:
        """Let the values of `old` stand under `new`."""
        self.tables[new] = self.tables.pop(old)
        self._own[new] = self._own.pop(old, set())

    def detach(self, device: str) -> None:
        """Keep what is written to `default` from reaching a device."""
        self._own[device] = set(self.entries)

    def starts_with(self, device: str, key: str) -> Value:
        """Return what `key` held when the device was new."""
        return self.special.get(device, {}).get(key, self.entries[key].default)

    def write(self, device: str, key: str, value: int) -> None:
        """Store a number for a device, or for `default` and who follows it."""
        self.tables[device][key] = value
        self._own.setdefault(device, set()).add(key)
        if device == DEFAULT and key in self.copied:
            for other in self.tables.keys() - {ALL, DEFAULT}:
                if key not in self._own.get(other, ()):
                    self.tables[other][key] = value

    def write_through(self, key: str, value: int) -> None:
        """Store a number for `all`, `default` and every device."""
        for table in self.tables.values():
            table[key] = value
