# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.reassembly import MAX_SACK_BLOCKS, OutOfOrderQueue, Piece, ReadQueue, SackBlocks
from emu.kernel.tcp.window import ReceiveWindow, truesize

STREAM = bytes(range(64))
RANGES = st.tuples(st.integers(0, 63), st.integers(1, 20)).map(lambda r: (r[0], min(r[0] + r[1], 64)))


def room() -> ReceiveWindow:
    """Return an empty receive buffer."""
    return ReceiveWindow(TcpConfig(), 1460, scaling=True)


def piece(seq: int, end: int) -> Piece:
    """Return octets `seq` to `end` of the stream."""
    return Piece(seq, STREAM[seq:end], fin=False)


# --- octets in order ---


def test_reading_takes_octets_in_order_and_frees_their_memory() -> None:
    """A segment read in part still occupies all of its memory, as a socket buffer does."""
    buffer = room()
    queue = ReadQueue(buffer)
    queue.append(b"hello ")
    queue.append(b"world")
    assert (queue.size, buffer.used) == (11, 2 * truesize(6))
    assert queue.take(8) == b"hello wo"
    assert (queue.size, buffer.used) == (3, truesize(5))
    assert queue.take(100) == b"rld"
    assert queue.take(1) == b""
    assert (queue.size, buffer.used) == (0, 0)


def test_what_is_left_can_be_dropped() -> None:
    """When the program closes."""
    buffer = room()
    queue = ReadQueue(buffer)
    queue.append(b"unread")
    queue.clear()
    assert (queue.size, buffer.used) == (0, 0)


# --- pieces beyond a gap ---


@given(st.lists(RANGES, max_size=20))
def test_pieces_put_together_give_the_stream(ranges: list[tuple[int, int]]) -> None:
    """Whatever their order and overlap; and no memory is lost."""
    buffer = room()
    queue = OutOfOrderQueue(buffer)
    for seq, end in ranges:
        queue.insert(piece(seq, end))
    pieces = queue.pieces
    assert [p.seq for p in pieces] == sorted(p.seq for p in pieces)
    assert {n for p in pieces for n in range(p.seq, p.end)} == {n for r in ranges for n in range(*r)}
    assert all(p.payload == STREAM[p.seq : p.end] for p in pieces)
    assert not any(a.end >= b.end for a, b in pairwise(pieces))
    assert buffer.used == sum(truesize(len(p.payload)) for p in pieces)
    queue.clear()
    assert (list(queue.pieces), buffer.used) == ([], 0)


@given(st.lists(RANGES, max_size=20), RANGES)
def test_what_came_twice_is_told(ranges: list[tuple[int, int]], last: tuple[int, int]) -> None:
    """Exactly the octets of the new piece that were there already."""
    queue = OutOfOrderQueue(room())
    for earlier in ranges:
        queue.insert(piece(*earlier))
    there = {n for p in queue.pieces for n in range(p.seq, p.end)}
    queued, twice = queue.insert(piece(*last))
    assert {n for r in twice for n in range(*r)} == there & set(range(*last))
    if not queued:
        assert set(range(*last)) <= there


def test_pieces_are_due_once_the_gap_is_filled() -> None:
    """One after the other, until the next gap."""
    queue = OutOfOrderQueue(room())
    for bounds in ((30, 40), (10, 20), (18, 25)):
        queue.insert(piece(*bounds))
    assert list(queue.due(5)) == []
    assert list(queue.due(12)) == [piece(10, 20), piece(18, 25)]
    assert queue
    assert list(queue.due(30)) == [piece(30, 40)]
    assert not queue


def test_without_memory_the_farthest_pieces_go() -> None:
    """They will be sent again."""
    buffer = room()
    queue = OutOfOrderQueue(buffer)
    for seq in (10, 20, 30):
        queue.insert(piece(seq, seq + 5))
    buffer.used += 131072 - 2 * truesize(5)
    queue.shed()
    assert [p.seq for p in queue.pieces] == [10, 20]


# --- what SACK says ---


def test_the_newest_block_is_told_first() -> None:
    """RFC 2018 §4."""
    blocks = SackBlocks()
    for seq in (10, 30, 50):
        blocks.add(seq, seq + 5)
    assert blocks.option(40) == ((50, 55), (30, 35), (10, 15))
    blocks.add(15, 20)
    assert blocks.option(40)[0] == (10, 20)


def test_blocks_that_meet_become_one() -> None:
    """With the range that joins them."""
    blocks = SackBlocks()
    for seq in (10, 30, 50):
        blocks.add(seq, seq + 10)
    blocks.add(20, 30)
    assert blocks.blocks == [(10, 40), (50, 60)]
    blocks.add(38, 52)
    assert blocks.blocks == [(10, 60)]


def test_four_blocks_are_remembered_and_as_many_told_as_have_room() -> None:
    """Three beside timestamps."""
    blocks = SackBlocks()
    for seq in range(0, 100, 10):
        blocks.add(seq, seq + 5)
    assert len(blocks.blocks) == MAX_SACK_BLOCKS
    assert len(blocks.option(40 - 12)) == 3
    assert blocks.option(8) == ()


def test_it_is_known_whether_a_range_belongs_to_a_block_told_lately() -> None:
    """ACKs that bring news may be held back only if the sender heard of the block before."""
    blocks = SackBlocks()
    assert [blocks.add(seq, seq + 5) for seq in (10, 30, 50)] == [False, False, True]
    assert not blocks.add(55, 60)
    assert blocks.add(15, 20)


def test_a_duplicate_is_told_once_and_first() -> None:
    """RFC 2883."""
    blocks = SackBlocks()
    blocks.add(50, 60)
    blocks.twice(10, 20)
    blocks.twice(15, 25)
    blocks.twice(40, 45)
    assert blocks.option(40) == ((10, 25), (50, 60))
    assert blocks.option(40) == ((50, 60),)


def test_blocks_are_forgotten_when_what_is_before_them_has_come() -> None:
    """All of them if no gap is left."""
    blocks = SackBlocks()
    blocks.add(10, 20)
    blocks.add(30, 40)
    blocks.passed(20, gap=True)
    assert blocks.blocks == [(30, 40)]
    blocks.passed(40, gap=False)
    assert blocks.blocks == []


def test_numbers_are_cut_to_what_the_wire_holds() -> None:
    """They count on inside."""
    blocks = SackBlocks()
    blocks.add((1 << 32) - 5, (1 << 32) + 5)
    assert blocks.option(40) == ((0xFFFFFFFB, 5),)
