# SPDX-License-Identifier: GPL-2.0-only
"""A part of a frame: what was captured of it, and how long it is."""

from __future__ import annotations

from typing import NamedTuple, Self


class Cut(Exception):  # noqa: N818 - it ends a line, and is no error
    """What was captured ends inside a field of `protocol`."""

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol = protocol


class Part(NamedTuple):
    """A header with all that follows it.

    Attributes:
        octets: what was captured.
        length: octets that it has by what encloses it, `len(octets)` or more.
        protocol: whose header it is, as `Cut` names it.
    """

    octets: bytes
    length: int
    protocol: str

    def take(self, at: int, count: int) -> bytes:
        """Return `count` octets from offset `at` on.

        Raises:
            Cut: they were not captured.
        """
        if at + count > len(self.octets):
            raise Cut(self.protocol)
        return self.octets[at : at + count]

    def number(self, at: int, count: int) -> int:
        """Return `count` octets from offset `at` on as a number."""
        return int.from_bytes(self.take(at, count), "big")

    def after(self, at: int, protocol: str) -> Part:
        """Return what follows from offset `at` on, which is of `protocol`."""
        return Part(self.octets[at:], max(self.length - at, 0), protocol)

    def within(self, length: int) -> Self:
        """Return this part without what is behind its first `length` octets."""
        return self._replace(octets=self.octets[:length], length=length)
