# SPDX-License-Identifier: GPL-2.0-only
"""Reading SACK blocks: which of our segments the peer has (RFC 2018, RFC 2883).

Source: net/ipv4/tcp_input.c `tcp_sacktag_write_queue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.tcp import rack
from emu.kernel.tcp.sequence import unwrap
from emu.kernel.tcp.tcb import Phase

if TYPE_CHECKING:
    from emu.kernel.tcp.acknowledgement import Ack
    from emu.kernel.tcp.segment import Arrival, Chunk
    from emu.kernel.tcp.tcb import Tcb


def tag(tcb: Tcb, ack: Ack, arrival: Arrival) -> None:
    """Mark the chunks that the SACK blocks of `arrival` name.

    Args:
        tcb: the connection.
        ack: takes what was found.
        arrival: the segment.
    """
    snd = tcb.snd
    blocks = [(unwrap(left, arrival.ack), unwrap(right, arrival.ack)) for left, right in arrival.options.sack]
    duplicate = _duplicate(tcb, ack, arrival, blocks)
    if arrival.ack < ack.prior_una - snd.max_wnd or not snd.inflight:
        return
    highest = snd.highest_sacked
    for place, block in enumerate(blocks):
        is_duplicate = duplicate and place == 0
        if _is_valid(tcb, block, is_duplicate=is_duplicate):
            _mark(tcb, ack, block, highest, is_duplicate=is_duplicate)
    if ack.lowest_late is not None and (tcb.loss.phase is not Phase.LOSS or tcb.loss.undo_mark is not None):
        note_reordering(tcb, ack.lowest_late)


def _duplicate(tcb: Tcb, ack: Ack, arrival: Arrival, blocks: list[tuple[int, int]]) -> bool:
    """Return whether the first block tells of data that came twice; if so count it.

    Source: `tcp_check_dsack`.
    """
    left, right = blocks[0]
    if left >= arrival.ack and not (len(blocks) > 1 and blocks[1][0] <= left and right <= blocks[1][1]):
        return False
    snd, loss = tcb.snd, tcb.loss
    length = right - left
    if not 0 < length <= snd.max_wnd:
        return False
    segments = 1
    if length > snd.mss:
        segments = -(-length // snd.mss)
    elif loss.probe_end == right:
        ack.probe_was_needless = True
    loss.duplicates_told += segments
    if loss.duplicates_told > loss.total_retransmitted:
        return False
    ack.duplicates = True
    loss.delivered += segments
    if loss.undo_mark is not None and loss.undo_left and loss.undo_mark < right <= ack.prior_una:
        loss.undo_left = max(0, loss.undo_left - segments)
    return True


def _is_valid(tcb: Tcb, block: tuple[int, int], *, is_duplicate: bool) -> bool:
    """Return whether the peer may say that of `block`. Source: `tcp_is_sackblock_valid`."""
    left, right = block
    snd = tcb.snd
    if right > snd.nxt or left >= right:
        return False
    if left > snd.una:
        return True
    if not is_duplicate or tcb.loss.undo_mark is None or right > snd.una:
        return False
    return left >= tcb.loss.undo_mark or right - left <= snd.max_wnd


def _mark(tcb: Tcb, ack: Ack, block: tuple[int, int], highest: int, *, is_duplicate: bool) -> None:
    left, right = block
    inflight = tcb.snd.inflight
    place = 0
    while place < len(inflight):
        chunk = inflight[place]
        if chunk.seq >= right:
            return
        if chunk.end > left:
            size = _split_size(chunk, left, right)
            if size:
                inflight.insert(place + 1, chunk.split(size))
            if left <= chunk.seq and chunk.end <= right:
                _mark_one(tcb, ack, chunk, highest, is_duplicate=is_duplicate)
        place += 1


def _split_size(chunk: Chunk, left: int, right: int) -> int:
    """Return where to split a chunk that a block covers in part, 0 for nowhere.

    Only whole segments count as SACKed. Source: `tcp_match_skb_to_sack`.
    """
    if (left <= chunk.seq and chunk.end <= right) or chunk.segments == 1:
        return 0
    mss = chunk.mss
    if left <= chunk.seq:
        return (right - chunk.seq) // mss * mss
    size = max(-(-(left - chunk.seq) // mss), 1) * mss
    return size if size < len(chunk.payload) else 0


def _mark_one(tcb: Tcb, ack: Ack, chunk: Chunk, highest: int, *, is_duplicate: bool) -> None:
    """Mark one chunk as arrived. Source: `tcp_sacktag_one`."""
    loss = tcb.loss
    again = chunk.retransmitted or chunk.ever_retransmitted
    if is_duplicate and again:
        if loss.undo_mark is not None and loss.undo_left and chunk.end > loss.undo_mark:
            loss.undo_left = max(0, loss.undo_left - chunk.segments)
        if chunk.sacked:
            ack.came_late(chunk.seq)
    if chunk.end <= tcb.snd.una:
        return
    if not chunk.sacked:
        rack.advance(tcb, chunk)
        _first_sacked(tcb, ack, chunk, highest)
    if is_duplicate:
        chunk.retransmitted = False


def _first_sacked(tcb: Tcb, ack: Ack, chunk: Chunk, highest: int) -> None:
    """Note that `chunk` is SACKed for the first time."""
    loss = tcb.loss
    if chunk.retransmitted:
        if chunk.lost:
            chunk.lost = chunk.retransmitted = False
    else:
        if not chunk.ever_retransmitted:
            if chunk.seq < highest:
                ack.came_late(chunk.seq)
            ack.original_arrived = ack.original_arrived or chunk.end <= loss.high
            if ack.first_sacked_at is None:
                ack.first_sacked_at = chunk.sent_at
            ack.last_sacked_at = chunk.sent_at
        chunk.lost = False
    chunk.sacked = True
    ack.sacked = True
    loss.delivered += chunk.segments


def note_reordering(tcb: Tcb, low: int) -> None:
    """Learn that the path reorders: `low` came after something higher.

    Source: `tcp_check_sack_reordering`.
    """
    snd, loss = tcb.snd, tcb.loss
    distance = snd.highest_sacked - low
    if distance <= 0:
        return
    if distance > loss.reordering * snd.mss:
        loss.reordering = min(-(-distance // snd.mss), tcb.config.max_reordering)
    loss.reordering_seen += 1
