# SPDX-License-Identifier: GPL-2.0-only
"""What came in: octets for the program to read, pieces beyond a gap, and what SACK says of them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.tcp.sequence import wire
from emu.kernel.tcp.window import truesize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.tcp.window import ReceiveWindow

MAX_SACK_BLOCKS: Final = 4


class Piece(NamedTuple):
    """Octets with their place; `fin` if a FIN follows them."""

    seq: int
    payload: bytes
    fin: bool

    @property
    def end(self) -> int:
        """The number behind its last octet and its FIN."""
        return self.seq + len(self.payload) + self.fin


class ReadQueue:
    """Octets in order that the program has not read yet."""

    __slots__ = ("_parts", "_room", "size")

    def __init__(self, room: ReceiveWindow) -> None:
        self._parts: deque[tuple[bytes, int]] = deque()
        self._room = room
        self.size = 0

    def append(self, payload: bytes) -> None:
        """Queue `payload` at the end."""
        memory = truesize(len(payload))
        self._parts.append((payload, memory))
        self._room.used += memory
        self.size += len(payload)

    def take(self, size: int) -> bytes:
        """Remove and return up to `size` octets."""
        taken: list[bytes] = []
        while size > 0 and self._parts:
            payload, memory = self._parts.popleft()
            if len(payload) > size:
                self._parts.appendleft((payload[size:], memory))
                payload = payload[:size]
            else:
                self._room.used -= memory
            taken.append(payload)
            size -= len(payload)
            self.size -= len(payload)
        return b"".join(taken)

    def clear(self) -> None:
        """Drop everything."""
        self.take(self.size)


class OutOfOrderQueue:
    """Pieces beyond a gap, sorted, without overlap of one with all of another."""

    __slots__ = ("_room", "pieces")

    def __init__(self, room: ReceiveWindow) -> None:
        self.pieces: list[Piece] = []
        self._room = room

    def __bool__(self) -> bool:
        return bool(self.pieces)

    def insert(self, piece: Piece) -> tuple[bool, list[tuple[int, int]]]:
        """Queue `piece`.

        Returns:
            Whether it was queued (not if all of it is there), and the ranges
            that it brought a second time.

        Source: net/ipv4/tcp_input.c `tcp_data_queue_ofo`.
        """
        twice: list[tuple[int, int]] = []
        place = len(self.pieces)
        while place and self.pieces[place - 1].seq > piece.seq:
            place -= 1
        if place:
            before = self.pieces[place - 1]
            if piece.seq < before.end:
                if piece.end <= before.end:
                    return False, [(piece.seq, piece.end)]
                if piece.seq > before.seq:
                    twice.append((piece.seq, before.end))
                else:
                    twice.append((before.seq, before.end))
                    place -= 1
                    self._remove(place)
        while place < len(self.pieces) and piece.end > self.pieces[place].seq:
            covered = self.pieces[place]
            if piece.end < covered.end:
                twice.append((covered.seq, piece.end))
                break
            twice.append((covered.seq, covered.end))
            self._remove(place)
        self.pieces.insert(place, piece)
        self._room.used += truesize(len(piece.payload))
        return True, twice

    def _remove(self, place: int) -> Piece:
        piece = self.pieces.pop(place)
        self._room.used -= truesize(len(piece.payload))
        return piece

    def due(self, nxt: int) -> Iterator[Piece]:
        """Remove and yield the pieces that begin at or before `nxt`, which the caller moves on."""
        while self.pieces and self.pieces[0].seq <= nxt:
            piece = self._remove(0)
            nxt = max(nxt, piece.end)
            yield piece

    def shed(self) -> None:
        """Drop the pieces farthest away until the buffer has room. Source: `tcp_prune_ofo_queue`."""
        while self.pieces and not self._room.has_room:
            self._remove(len(self.pieces) - 1)

    def clear(self) -> None:
        """Drop everything."""
        while self.pieces:
            self._remove(len(self.pieces) - 1)


class SackBlocks:
    """What our ACKs say of data beyond a gap (RFC 2018) and of data that came twice (RFC 2883).

    Attributes:
        blocks: ranges that are there, the newest first.
        duplicate: the range that came twice, to be told once.
    """

    __slots__ = ("blocks", "duplicate")

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []
        self.duplicate: tuple[int, int] | None = None

    def add(self, seq: int, end: int) -> bool:
        """Note a range that came; return whether the block it belongs to was not among the newest two."""
        for place, (left, right) in enumerate(self.blocks):
            if seq <= right and left <= end:
                del self.blocks[place]
                self.blocks.insert(0, (min(seq, left), max(end, right)))
                self._coalesce()
                return place >= 2
        late = len(self.blocks) >= 2
        self.blocks.insert(0, (seq, end))
        del self.blocks[MAX_SACK_BLOCKS:]
        return late

    def _coalesce(self) -> None:
        """Merge into the first block what touches it."""
        place = 1
        while place < len(self.blocks):
            (left, right), (other_left, other_right) = self.blocks[0], self.blocks[place]
            if left <= other_right and other_left <= right:
                self.blocks[0] = (min(left, other_left), max(right, other_right))
                del self.blocks[place]
                place = 1
            else:
                place += 1

    def passed(self, nxt: int, *, gap: bool) -> None:
        """Forget blocks that are no longer beyond a gap."""
        self.blocks = [block for block in self.blocks if block[0] > nxt] if gap else []

    def twice(self, seq: int, end: int) -> None:
        """Have the next ACK tell that `seq` to `end` came twice, with what it tells already."""
        if self.duplicate is None:
            self.duplicate = (seq, end)
        else:
            left, right = self.duplicate
            if seq <= right and left <= end:
                self.duplicate = (min(seq, left), max(end, right))

    def option(self, room: int) -> tuple[tuple[int, int], ...]:
        """Return the blocks for one ACK, as many as `room` octets of options hold."""
        first = [self.duplicate] if self.duplicate is not None else []
        self.duplicate = None
        chosen = (first + self.blocks)[: max(room - 4, 0) // 8]
        return tuple((wire(left), wire(right)) for left, right in chosen)
