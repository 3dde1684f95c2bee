# SPDX-License-Identifier: GPL-2.0-only
"""A JSON object looked at field by field: typed values come out, and all faults are told at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from emu.errors import AddressError
from emu.wire.addresses import Interface, IpAddress, MacAddress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""Whatever a JSON text can hold."""


@attrs.frozen
class Wrong:
    """A fault: where it is, like `$.plugins[0].mtu`, and what it is."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


@attrs.frozen
class Fields:
    """The fields of one object.

    A field that is missing, or null, is its default; one of another type is a
    fault and gives the default.

    Attributes:
        values: the object.
        path: where it is.
        faults: what was found wrong so far; shared with the objects inside.
    """

    values: Mapping[str, Json]
    path: str = "$"
    faults: list[Wrong] = attrs.field(factory=list)

    def wrong(self, key: str, message: str) -> None:
        """Note a fault of the field `key`."""
        self.faults.append(Wrong(f"{self.path}.{key}" if key else self.path, message))

    def text(self, key: str, default: str = "") -> str:
        """Return a string."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.wrong(key, f"must be a string, not {_kind(value)}")
            return default
        return value

    def number(self, key: str, default: int = 0) -> int:
        """Return a whole number."""
        value = self.values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.wrong(key, f"must be a whole number, not {_kind(value)}")
            return default
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a truth value."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(key, f"must be true or false, not {_kind(value)}")
            return default
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings."""
        found = []
        for index, value in enumerate(self.items(key)):
            if isinstance(value, str):
                found.append(value)
            else:
                self.wrong(f"{key}[{index}]", f"must be a string, not {_kind(value)}")
        return tuple(found)

    def items(self, key: str) -> list[Json]:
        """Return a list of anything."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, f"must be a list, not {_kind(value)}")
            return []
        return value

    def object(self, key: str) -> Fields:
        """Return the fields of an object; one that is missing has none."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, dict):
            self.wrong(key, f"must be an object, not {_kind(value)}")
        return Fields(value if isinstance(value, dict) else {}, f"{self.path}.{key}", self.faults)

    def objects(self, key: str) -> Iterator[Fields]:
        """Yield the fields of each object of a list."""
        for index, value in enumerate(self.items(key)):
            if isinstance(value, dict):
                yield Fields(value, f"{self.path}.{key}[{index}]", self.faults)
            else:
                self.wrong(f"{key}[{index}]", f"must be an object, not {_kind(value)}")

    def address(self, key: str) -> IpAddress | None:
        """Return an IP address, None if there is none."""
        text = self.text(key)
        try:
            return IpAddress.parse(text) if text else None
        except AddressError as error:
            self.wrong(key, str(error))
            return None

    def interface(self, key: str) -> Interface | None:
        """Return an address with prefix length, None if there is none."""
        text = self.text(key)
        if text and "/" not in text:
            self.wrong(key, f"{text!r} is no address with prefix length (like 10.244.1.0/24)")
            return None
        try:
            return Interface.parse(text) if text else None
        except AddressError as error:
            self.wrong(key, str(error))
            return None

    def mac(self, key: str) -> MacAddress | None:
        """Return a MAC address, None if there is none."""
        text = self.text(key)
        try:
            return MacAddress.parse(text) if text else None
        except AddressError as error:
            self.wrong(key, str(error))
            return None


def _kind(value: Json) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case None:
            return "null"
        case _:
            return "an object"
