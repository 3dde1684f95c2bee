# SPDX-License-Identifier: GPL-2.0-only
"""Why a wish was refused, in the API server's words."""

from __future__ import annotations

from emu.errors import EmuError


class AllocationError(EmuError, ValueError):
    """A wish that cannot be granted, or nothing is left to give; `str()` says which."""


class RangeFullError(AllocationError):
    """Nothing is left to give."""

    def __init__(self) -> None:
        super().__init__("range is full")


class RefusedError(EmuError, ValueError):
    """The API server refuses an object; `str()` is what `kubectl` prints behind its prefix.

    Attributes:
        kind: of the object.
        namespace: of the object, empty for what belongs to none.
        name: of the object.
        path: the field that is wrong; empty if none is.
        message: what is wrong with it.
    """

    def __init__(self, kind: str, namespace: str, name: str, path: str, message: str) -> None:
        self.kind = kind
        self.namespace = namespace
        self.name = name
        self.path = path
        self.message = message
        super().__init__(
            f'{kind} "{name}" is invalid: {path}: {message}'
            if path
            else f"Internal error occurred: {message}"
        )


class RefusedObjectsError(EmuError, ValueError):
    """Several objects are refused; `str()` of it has one line for each."""

    def __init__(self, refusals: tuple[RefusedError, ...]) -> None:
        self.refusals = refusals
        super().__init__("\n".join(map(str, refusals)))
