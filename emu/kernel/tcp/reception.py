# SPDX-License-Identifier: GPL-2.0-only
"""The peer's data: queued in order, acknowledged in time, read by the program.

Source: RFC 9293 §3.10.7.4 (seventh and eighth step), net/ipv4/tcp_input.c
`tcp_data_queue`, `tcp_fin`, net/ipv4/tcp.c `tcp_recvmsg_locked`, `tcp_cleanup_rbuf`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.drops import DropReason
from emu.kernel.tcp.closing import leave_to_remainder
from emu.kernel.tcp.emission import send_ack
from emu.kernel.tcp.reassembly import Piece
from emu.kernel.tcp.states import Cause, State
from emu.sim.time import later
from emu.wire.tcp import FIN

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Arrival
    from emu.kernel.tcp.tcb import Tcb

_GROWING_SIZE: Final = 128  # smaller segments say nothing of the window that is wanted
_DUPLICATE_ACKS: Final = 3  # ACKs with SACK that are never held back


def queue(tcb: Tcb, arrival: Arrival) -> DropReason | None:
    """Take the data and FIN of `arrival`; return why it was dropped, None if it was not.

    Source: `tcp_data_queue`.
    """
    rcv = tcb.rcv
    if arrival.seq == arrival.end:
        return None
    rcv.sacks.duplicate = None
    if arrival.seq > rcv.nxt:
        if arrival.seq >= rcv.nxt + rcv.left:
            return _out_of_window(tcb, DropReason.TCP_OVERWINDOW)
        return _queue_beyond(tcb, arrival)
    if arrival.end <= rcv.nxt:
        _came_twice(tcb, arrival.seq, arrival.end)
        return _out_of_window(tcb, DropReason.TCP_OLD_DATA)
    if arrival.seq < rcv.nxt:
        _came_twice(tcb, arrival.seq, rcv.nxt)
    if not rcv.left:
        return _out_of_window(tcb, DropReason.TCP_ZEROWINDOW)
    if rcv.reading.size and not _make_room(tcb):
        tcb.acks.scheduled = tcb.acks.at_once = True
        rcv.window.is_exhausted = True
        tcb.stirred = True
        return DropReason.SOCKET_RCVBUFF
    _queue_next(tcb, arrival)
    return None


def _out_of_window(tcb: Tcb, reason: DropReason) -> DropReason:
    """Acknowledge at once what cannot be taken."""
    tcb.acks.enter_quick(tcb.rcv.window.size)
    tcb.acks.scheduled = True
    return reason


def _came_twice(tcb: Tcb, seq: int, end: int) -> None:
    if tcb.sack_ok and tcb.config.dsack:
        tcb.rcv.sacks.twice(seq, end)


def _make_room(tcb: Tcb) -> bool:
    """Return whether the receive buffer has room, pieces beyond gaps given up if need be."""
    window = tcb.rcv.window
    if window.has_room or window.make_room(tcb.acks):
        return True
    tcb.rcv.beyond.shed()
    if tcb.sack_ok:
        tcb.rcv.sacks.blocks.clear()
    return window.has_room


def _queue_next(tcb: Tcb, arrival: Arrival) -> None:
    """Queue what is next in order, and what it joins from beyond the gap."""
    rcv = tcb.rcv
    _append(tcb, arrival.payload[rcv.nxt - arrival.seq :])
    if arrival.payload:
        _data_came(tcb, arrival)
    if arrival.flags & FIN:
        rcv.nxt += 1
        fin(tcb)
    if rcv.beyond:
        _join(tcb)
        if not rcv.beyond:
            tcb.acks.at_once = True  # RFC 5681 §4.2: a gap is filled
    if rcv.sacks.blocks:
        rcv.sacks.passed(rcv.nxt, gap=bool(rcv.beyond))
    tcb.stirred = True


def _append(tcb: Tcb, payload: bytes) -> None:
    if payload:
        tcb.rcv.reading.append(payload)
        tcb.rcv.nxt += len(payload)


def _join(tcb: Tcb) -> None:
    """Move what is in order now from beyond the gap. Source: `tcp_ofo_queue`."""
    rcv = tcb.rcv
    before = rcv.nxt
    for piece in rcv.beyond.due(rcv.nxt):
        if piece.seq < before:
            _came_twice(tcb, piece.seq, min(before, piece.end))
        if piece.end <= rcv.nxt:
            continue
        _append(tcb, piece.payload[rcv.nxt - piece.seq :])
        if piece.fin:
            rcv.nxt += 1
            fin(tcb)
            return


def _data_came(tcb: Tcb, arrival: Arrival) -> None:
    """Adapt acknowledging and the window to data in order. Source: `tcp_event_data_recv`."""
    window, acks, size = tcb.rcv.window, tcb.acks, len(arrival.payload)
    acks.scheduled = True
    if acks.measure(size, arrival.header_length, arrival.flags, window.advertised_mss, tcb.header_length):
        window.peer_mss_grew(size)
    window.measure_rtt(tcb.rcv.nxt, tcb.now)
    acks.data_came(tcb.now, tcb.rtt.rto, window.size)
    if size >= _GROWING_SIZE:
        window.grow(size, acks)


def _queue_beyond(tcb: Tcb, arrival: Arrival) -> DropReason | None:
    """Queue a piece beyond a gap. Source: `tcp_data_queue_ofo`."""
    rcv = tcb.rcv
    if not _make_room(tcb):
        tcb.stirred = True
        return DropReason.SOCKET_RCVBUFF
    tcb.acks.scheduled = True
    piece = Piece(arrival.seq, arrival.payload, bool(arrival.flags & FIN))
    queued, twice = rcv.beyond.insert(piece)
    for left, right in twice:
        _came_twice(tcb, left, right)
    if tcb.sack_ok:
        if rcv.sacks.add(piece.seq, piece.end):
            _send_compressed(tcb)
        if queued:
            rcv.window.grow(len(piece.payload), tcb.acks)
    return None if queued else DropReason.TCP_OFOMERGE


def fin(tcb: Tcb) -> None:
    """Take the peer's FIN, RCV.NXT being behind it. Source: `tcp_fin`."""
    rcv = tcb.rcv
    tcb.acks.scheduled = True
    rcv.fin = True
    tcb.read_shut = True
    if tcb.state in (State.SYN_RECEIVED, State.ESTABLISHED):
        tcb.move(Cause.FIN)
        tcb.acks.enter_interactive()
    elif tcb.state is State.FIN_WAIT_1:
        send_ack(tcb)
        tcb.move(Cause.FIN)
    elif tcb.state is State.FIN_WAIT_2:
        send_ack(tcb)
        tcb.move(Cause.FIN)
        leave_to_remainder(tcb, tcb.config.fin_timeout)
    rcv.beyond.clear()
    rcv.sacks.blocks.clear()
    tcb.stirred = True


# --- acknowledging ---


def check_ack(tcb: Tcb) -> None:
    """Send an ACK now, or see that it is sent in time. Source: `__tcp_ack_snd_check`."""
    acks, rcv = tcb.acks, tcb.rcv
    if not acks.scheduled:
        return
    two_segments = rcv.nxt - rcv.wup > acks.peer_mss
    if (
        (two_segments and (rcv.nxt == rcv.copied or rcv.window.best(acks) >= rcv.window.size))
        or acks.is_quick
        or acks.at_once
    ):
        send_ack(tcb)
    elif rcv.beyond:
        _ack_beyond(tcb)
    else:
        delay_ack(tcb)


def _ack_beyond(tcb: Tcb) -> None:
    """Acknowledge a piece beyond a gap: the first three at once, then some together."""
    rcv, config = tcb.rcv, tcb.config
    if not tcb.sack_ok or tcb.compressed_acks >= config.compressed_acks:
        send_ack(tcb)
        return
    if tcb.compression_mark != rcv.nxt:
        tcb.compression_mark = rcv.nxt
        tcb.duplicate_acks = 0
    if tcb.duplicate_acks < _DUPLICATE_ACKS:
        tcb.duplicate_acks += 1
        send_ack(tcb)
        return
    tcb.compressed_acks += 1
    if tcb.timers.compressed_ack_at is None:
        rtt = rcv.window.round_trip
        if tcb.rtt.srtt:
            rtt = min(rtt, tcb.rtt.smoothed)
        delay = min(config.compressed_ack_delay, rtt // 20)
        tcb.timers.compressed_ack_at = later(tcb.now, delay)


def _send_compressed(tcb: Tcb) -> None:
    if tcb.compressed_acks:
        send_ack(tcb)


def delay_ack(tcb: Tcb) -> None:
    """Have an ACK sent within the delayed-ACK timeout. Source: `tcp_send_delayed_ack`."""
    timers, now = tcb.timers, tcb.now
    delay = tcb.acks.delay(tcb.rtt.smoothed if tcb.rtt.srtt else None)
    nominal = later(now, delay)
    if timers.ack_nominal is not None:
        if timers.ack_nominal <= now + (delay >> 2):
            send_ack(tcb)
            return
        nominal = min(nominal, timers.ack_nominal)
    tcb.acks.scheduled = True
    timers.set_ack(now, nominal)


# --- reading ---


def read(tcb: Tcb, size: int) -> bytes:
    """Remove and return up to `size` octets, and tell the peer of the room if that helps it."""
    data = tcb.rcv.reading.take(size)
    if data:
        tcb.rcv.window.read(tcb.rcv.copied, tcb.now)
    has_read(tcb, len(data))
    return data


def has_read(tcb: Tcb, amount: int) -> None:
    """Send an ACK if `amount` octets having been read calls for it. Source: `tcp_cleanup_rbuf`."""
    rcv, acks = tcb.rcv, tcb.acks
    if tcb.state not in _ACKING:
        return
    due = False
    if acks.scheduled:
        drained = amount > 0 and not rcv.window.used
        pushed = acks.pushed > 1 or (acks.pushed and not acks.is_interactive)
        due = rcv.nxt - rcv.wup > acks.peer_mss or bool(drained and pushed)
    if amount and not due and not tcb.read_shut:
        left = rcv.left
        if 2 * left <= rcv.window.clamp:
            window = rcv.window.best(acks)
            due = bool(window) and window >= 2 * left
    if due:
        send_ack(tcb)


_ACKING: Final = frozenset(
    (
        State.ESTABLISHED,
        State.FIN_WAIT_1,
        State.FIN_WAIT_2,
        State.CLOSE_WAIT,
        State.CLOSING,
        State.LAST_ACK,
    )
)
