# SPDX-License-Identifier: GPL-2.0-only
"""A stream of octets that knows how far it has been read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.errors import CaptureFileError

if TYPE_CHECKING:
    from typing import BinaryIO


class OctetSource:
    """A stream read from front to back, with faults that name their place.

    Pipes will do: nothing is sought, and short reads are put together.

    Attributes:
        offset: octets taken so far.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._ahead = b""
        self.offset = 0

    def peek(self, count: int) -> bytes:
        """Return the next `count` octets without taking them; fewer only at the end."""
        while len(self._ahead) < count and (more := self._stream.read(count - len(self._ahead))):
            self._ahead += more
        return self._ahead[:count]

    def at_end(self) -> bool:
        """Return whether there is nothing left."""
        return not self.peek(1)

    def take(self, count: int, what: str) -> bytes:
        """Return the next `count` octets, which are `what`.

        Raises:
            CaptureFileError: the stream ends before.
        """
        octets, self._ahead = self._ahead[:count], self._ahead[count:]
        if len(octets) < count:
            octets += self._read(count - len(octets))
        if len(octets) < count:
            found = f"only {len(octets)} before the end of the file"
            raise fault(self.offset, f"{count} octets of {what}", found)
        self.offset += count
        return octets

    def _read(self, count: int) -> bytes:
        pieces = []
        while count and (piece := self._stream.read(count)):
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)


def fault(offset: int, expected: str, found: str) -> CaptureFileError:
    """Return the error of a capture file that is wrong `offset` octets after its start."""
    return CaptureFileError(f"octet {offset}: expected {expected}, found {found}")
