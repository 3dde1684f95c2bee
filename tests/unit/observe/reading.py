# SPDX-License-Identifier: GPL-2.0-only
"""Reading capture files that may be spoilt."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from emu.errors import CaptureFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


def until_fault(records: Iterable[T]) -> tuple[list[T], CaptureFileError | None]:
    """Return what can be read of a file, and what was wrong then."""
    found = []
    try:
        for record in records:
            found.append(record)  # noqa: PERF402 - what was read before the fault counts
    except CaptureFileError as error:
        return found, error
    return found, None
