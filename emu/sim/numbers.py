# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that many draw from, no two the same."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Numbers:
    """Gives 1, 2, 3, ... to whoever asks."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def __iter__(self) -> Numbers:
        return self

    def __next__(self) -> int:
        self._last += 1
        return self._last

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Forget afterwards which numbers were given inside the block: they are given again."""
        last = self._last
        try:
            yield
        finally:
            self._last = last
