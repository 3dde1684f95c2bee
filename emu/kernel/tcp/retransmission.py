# SPDX-License-Identifier: GPL-2.0-only
"""Sending again: one chunk, all that is lost, a probe for the tail.

Source: net/ipv4/tcp_output.c `tcp_retransmit_skb` and its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.tcp.emission import segment_size, send_probe, transmit
from emu.kernel.tcp.output import (
    burst_segments,
    probe_pause,
    rearm,
    write_out,
)
from emu.kernel.tcp.tcb import Phase
from emu.kernel.tcp.timers import Purpose
from emu.wire.tcp import PSH, SYN

if TYPE_CHECKING:
    from emu.kernel.tcp.tcb import Tcb


def _send_again(tcb: Tcb, place: int, segments: int) -> bool:
    """Send chunk number `place` of those in flight once more; return whether the window let it go."""
    snd = tcb.snd
    chunk = snd.inflight[place]
    mss = segment_size(tcb)
    if chunk.seq < snd.una and not chunk.flags & SYN:
        chunk.trim(snd.una - chunk.seq)
    room = snd.window_end - chunk.seq
    if room <= 0:
        if chunk.seq != snd.una:
            return False
        room = mss  # the retransmission of the first segment probes a closed window
    length = mss * segments
    if length > room:
        length = room // mss * mss or room
    if len(chunk.payload) > length:
        snd.inflight.insert(place + 1, chunk.split(length))
        chunk.mss = mss
    else:
        chunk.mss = mss
        room = min(room, mss)
        if len(chunk.payload) < room and not chunk.flags & SYN and tcb.config.retrans_collapse:
            _collapse(tcb, place, room)
    transmit(tcb, chunk)
    tcb.loss.total_retransmitted += chunk.segments
    chunk.ever_retransmitted = True
    return True


def _collapse(tcb: Tcb, place: int, room: int) -> None:
    """Join to the chunk the small ones behind it, as far as one segment holds them."""
    snd = tcb.snd
    chunk = snd.inflight[place]
    if chunk.sacked:
        return
    room -= len(chunk.payload)
    while place + 1 < len(snd.inflight):
        follower = snd.inflight[place + 1]
        room -= len(follower.payload)
        if follower.segments > 1 or follower.sacked or room < 0 or follower.end > snd.window_end:
            return
        chunk.join(follower)
        del snd.inflight[place + 1]


def retransmit(tcb: Tcb, place: int, segments: int) -> bool:
    """Send chunk number `place` in flight again, `segments` of it at most; return whether it went."""
    loss = tcb.loss
    went = _send_again(tcb, place, segments)
    count = tcb.snd.inflight[place].segments
    if went:
        tcb.snd.inflight[place].retransmitted = True
    if loss.first_retransmit_at is None:
        loss.first_retransmit_at = tcb.now
    loss.undo_left = (loss.undo_left or 0) + count
    return went


def retransmit_lost(tcb: Tcb) -> None:
    """Send again what is lost, as the congestion window allows. Source: `tcp_xmit_retransmit_queue`."""
    snd, loss = tcb.snd, tcb.loss
    most = burst_segments(tcb, segment_size(tcb))
    rearm_timer = False
    place = 0
    while place < len(snd.inflight):
        flight = snd.flight()
        segments = min(tcb.cwnd.cwnd - flight.size, most)
        if segments <= 0 or flight.retransmitted >= flight.lost:
            break
        chunk = snd.inflight[place]
        if chunk.lost and not chunk.sacked and not chunk.retransmitted:
            if not retransmit(tcb, place, segments):
                break
            if loss.phase in (Phase.CWR, Phase.RECOVERY):
                loss.prr_out += chunk.segments
            if place == 0 and tcb.timers.purpose is not Purpose.REORDERING:
                rearm_timer = True
        place += 1
    if rearm_timer:
        tcb.timers.set_send(Purpose.RETRANSMIT, tcb.now, tcb.rtt.rto)


def send_loss_probe(tcb: Tcb) -> None:
    """Send something new, or the last segment again, to provoke an ACK (RFC 8985 §7.3).

    Source: `tcp_send_loss_probe`.
    """
    snd, loss = tcb.snd, tcb.loss
    if loss.probe_end is None and snd.inflight and _probe(tcb):
        loss.probe_end = snd.nxt
        tcb.timers.purpose = None
    rearm(tcb)


def _probe(tcb: Tcb) -> bool:
    snd, loss = tcb.snd, tcb.loss
    mss = segment_size(tcb)
    loss.probe_retransmitted = False
    if snd.unsent and min(snd.unsent[0].end, snd.unsent[0].seq + mss) <= snd.window_end:
        before = snd.nxt
        write_out(tcb, nagle=False, loss_probe=True)
        return snd.nxt > before
    last = snd.inflight[-1]
    if last.segments > 1:
        snd.inflight.append(last.split((last.segments - 1) * last.mss))
    if not _send_again(tcb, len(snd.inflight) - 1, 1):
        return False
    loss.probe_retransmitted = True
    return True


def wake_peer(tcb: Tcb) -> None:
    """Send what fits the window, or else an old number, so that the peer answers.

    Source: `tcp_write_wakeup`.
    """
    snd = tcb.snd
    if not snd.unsent or snd.unsent[0].seq >= snd.window_end:
        send_probe(tcb)
        return
    chunk = snd.unsent[0]
    mss = segment_size(tcb)
    size = snd.window_end - chunk.seq
    snd.pushed = max(snd.pushed, chunk.end)
    chunk.mss = mss
    if size < chunk.end - chunk.seq or len(chunk.payload) > mss:
        size = min(size, mss)
        if len(chunk.payload) > size:
            snd.unsent.insert(1, chunk.split(size))
    chunk.flags |= PSH
    transmit(tcb, chunk)
    first = not snd.inflight
    snd.unsent.popleft()
    snd.inflight.append(chunk)
    snd.nxt = chunk.end
    if first:
        rearm(tcb)


def probe_window(tcb: Tcb) -> None:
    """Probe the peer's closed window and set the timer for the next time. Source: `tcp_send_probe0`."""
    wake_peer(tcb)
    loss = tcb.loss
    if tcb.snd.inflight or not tcb.snd.unsent:
        loss.probes = 0
        tcb.rtt.backoff = 0
        return
    loss.probes += 1
    tcb.rtt.backoff = min(tcb.rtt.backoff + 1, tcb.config.retries2)
    tcb.timers.set_send(Purpose.ZERO_WINDOW, tcb.now, probe_pause(tcb))
