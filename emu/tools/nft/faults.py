# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with rules, where it is, and how `nft` says so. Source: nftables, src/erec.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emu.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUS = 1


class Place(NamedTuple):
    """Where something stands: line and columns, counted from 1, the last column included."""

    line: int
    first: int
    last: int

    def to(self, end: Place) -> Place:
        """Return the place from here to `end`; what is behind this line is left out."""
        return Place(self.line, self.first, end.last if end.line == self.line else self.last)


class Fault(NamedTuple):
    """One thing wrong."""

    place: Place
    message: str

    def tell(self, source: str, lines: Sequence[str]) -> str:
        """Return it as `nft` prints it.

        Args:
            source: the name of the file, empty for a command's arguments.
            lines: of the text.
        """
        line, first, last = self.place
        where = f"{source}:{line}:{first}-{last}: " if source else ""
        text = lines[line - 1] if line <= len(lines) else ""
        blank = "".join("\t" if char == "\t" else " " for char in text[: first - 1])
        return f"{where}Error: {self.message}\n{text}\n{blank}{'^' * (last - first + 1)}\n"


class NftError(CommandError):
    """Rules are wrong; nothing of them was done. `str()` of it is what `nft` prints."""

    def __init__(self, faults: Sequence[Fault], text: str, source: str = "") -> None:
        self.faults = tuple(faults)
        lines = text.splitlines()
        super().__init__("".join(fault.tell(source, lines) for fault in self.faults).rstrip("\n"), _STATUS)


class SyntaxFaultError(CommandError):
    """Something wrong, on its way to whoever knows the text."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message, _STATUS)
        self.fault = Fault(place, message)


class MissingError(SyntaxFaultError):
    """What a command names is not there."""

    def __init__(self, place: Place, name: str) -> None:
        super().__init__(place, f"No such file or directory ('{name}')")
        self.name = name


class UnmodelledError(CommandError):
    """Something that Linux has and emu does not, by name, on its way to the rule it stands in."""

    def __init__(self, name: str, place: Place) -> None:
        super().__init__(f"{name} is not modelled", _STATUS)
        self.name = name
        self.place = place
