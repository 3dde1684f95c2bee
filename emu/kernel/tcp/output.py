# SPDX-License-Identifier: GPL-2.0-only
"""Sending what was not sent before: how much, when, in which segments.

Source: net/ipv4/tcp_output.c `tcp_write_xmit` and what it asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.tcp.config import INITIAL_RTO
from emu.kernel.tcp.emission import segment_size, transmit
from emu.kernel.tcp.segment import Chunk
from emu.kernel.tcp.tcb import Phase
from emu.kernel.tcp.timers import LEAST_TIMEOUT, Purpose, round_up
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, FIN, PSH

if TYPE_CHECKING:
    from emu.kernel.tcp.tcb import Tcb
    from emu.sim.time import Duration

_LARGEST_BURST: Final = 65215  # GSO_LEGACY_MAX_SIZE less the largest headers


def push(tcb: Tcb, *, nagle: bool | None = None) -> None:
    """Send what may be sent now. `nagle` None: as the socket has it.

    Source: `__tcp_push_pending_frames`.
    """
    if not tcb.snd.unsent:
        return
    if write_out(tcb, nagle=not tcb.nodelay if nagle is None else nagle) and tcb.timers.purpose is None:
        tcb.timers.set_send(Purpose.ZERO_WINDOW, tcb.now, probe_base(tcb))


def write_out(tcb: Tcb, *, nagle: bool, only_one: bool = False, loss_probe: bool = False) -> bool:
    """Send as the windows and Nagle's algorithm allow.

    Args:
        tcb: the connection.
        nagle: hold small segments back while one is under way.
        only_one: send one burst.
        loss_probe: send one burst, the congestion window notwithstanding.

    Returns:
        Whether nothing is in flight, yet there is something that cannot go.
    """
    snd = tcb.snd
    mss = segment_size(tcb)
    sent = 0
    limited = False
    while snd.unsent:
        burst, limited_here = _next_burst(
            tcb, mss, nagle=nagle, alone=only_one or loss_probe, probe=loss_probe
        )
        limited = limited or limited_here
        if burst is None:
            break
        transmit(tcb, burst)
        _sent(tcb, burst)
        if len(burst.payload) < burst.segments * mss:
            snd.small = burst.end
        sent += burst.segments
        if only_one or loss_probe:
            break
    _use_window(tcb, sent, limited=limited)
    if sent:
        if not loss_probe:
            schedule_loss_probe(tcb, from_now=False)
        return False
    return not snd.inflight and bool(snd.unsent)


def _next_burst(tcb: Tcb, mss: int, *, nagle: bool, alone: bool, probe: bool) -> tuple[Chunk | None, bool]:
    """Cut from what is unsent the chunk to send next.

    Args:
        tcb: the connection.
        mss: octets in a segment.
        nagle: hold small segments back while one is under way.
        alone: no more than this one is to be sent.
        probe: the congestion window does not count.

    Returns:
        The chunk, still the first unsent one, None if nothing may go; and
        whether it is the congestion window that held it back.
    """
    snd = tcb.snd
    most = burst_segments(tcb, mss)
    quota = min(_quota(tcb) or probe, most)
    if not quota:
        return None, False
    _fill(tcb, quota * mss)
    chunk = snd.unsent[0]
    chunk.mss = mss
    segments = chunk.segments
    if min(chunk.end, chunk.seq + mss) > snd.window_end or chunk.end == chunk.seq:
        return None, False
    if segments == 1:
        waits = nagle and len(snd.unsent) == 1 and _must_wait(tcb, chunk, mss)
        return (None if waits else chunk), False
    if not alone:
        deferred, limited = _defers(tcb, chunk, most)
        if deferred:
            return None, limited
    limit = _split_point(tcb, chunk, mss, quota, nagle=nagle)
    if len(chunk.payload) > limit:
        snd.unsent.insert(1, chunk.split(limit))
    return chunk, False


def _use_window(tcb: Tcb, sent: int, *, limited: bool) -> None:
    """Note how far the congestion window was used by sending `sent` segments."""
    snd, window, loss = tcb.snd, tcb.cwnd, tcb.loss
    flight = snd.flight()
    limited = limited or flight.size >= window.cwnd
    if sent or limited:
        window.validate(
            limited=limited, una=snd.una, nxt=snd.nxt, out=flight.out, now=tcb.now, rto=tcb.rtt.rto
        )
    if sent and loss.phase in (Phase.CWR, Phase.RECOVERY):
        loss.prr_out += sent


def burst_segments(tcb: Tcb, mss: int) -> int:
    """Return how many segments one burst has at most. Source: `tcp_tso_autosize`."""
    srtt, least = tcb.rtt.srtt, tcb.rtt.least
    window = tcb.cwnd
    segments = max(window.cwnd, tcb.snd.flight().out)
    percent = 200 if window.cwnd < window.ssthresh // 2 else 120
    pace = tcb.snd.mss * segments * percent * 80_000 // (srtt or 1)  # octets a second; srtt counts eighths
    size = pace >> 10
    shift = (least or 0) >> 9
    if shift < 32:
        size += _LARGEST_BURST >> shift
    return max(min(size, _LARGEST_BURST) // mss, 2)


def _quota(tcb: Tcb) -> int:
    """Return how many segments the congestion window lets go in one burst. Source: `tcp_cwnd_test`."""
    cwnd, flight = tcb.cwnd.cwnd, tcb.snd.flight().size
    if flight >= cwnd:
        return 0
    return min(max(cwnd >> 1, 1), cwnd - flight)


def _fill(tcb: Tcb, size: int) -> None:
    """Fill the first chunk up to `size` octets from those behind it. Source: `tcp_grow_skb`."""
    unsent = tcb.snd.unsent
    head = unsent[0]
    while len(unsent) > 1 and len(head.payload) < size:
        follower = unsent[1]
        room = size - len(head.payload)
        if len(follower.payload) > room:
            head.payload += follower.payload[:room]
            follower.trim(room)
            return
        head.join(follower)
        del unsent[1]


def _must_wait(tcb: Tcb, chunk: Chunk, mss: int) -> bool:
    """Return whether Nagle's algorithm, in Minshall's form, holds the last chunk back."""
    return not chunk.flags & FIN and len(chunk.payload) < mss and _small_under_way(tcb)


def _small_under_way(tcb: Tcb) -> bool:
    snd = tcb.snd
    return bool(snd.inflight) and snd.una < snd.small <= snd.nxt


def _split_point(tcb: Tcb, chunk: Chunk, mss: int, quota: int, *, nagle: bool) -> int:
    """Return how many octets of `chunk` go now. Source: `tcp_mss_split_point`."""
    most = mss * quota
    window = tcb.snd.window_end - chunk.seq
    if most <= window and chunk is not tcb.snd.unsent[-1]:
        return most
    needed = min(len(chunk.payload), window)
    if most <= needed:
        return most
    partial = needed % mss
    if partial and nagle and _small_under_way(tcb):
        return needed - partial
    return needed


def _defers(tcb: Tcb, chunk: Chunk, most: int) -> tuple[bool, bool]:
    """Return whether to wait for a larger burst, and whether it is the congestion window that limits.

    Source: `tcp_tso_should_defer`.
    """
    snd, now = tcb.snd, tcb.now
    go = (False, False)
    if tcb.loss.phase >= Phase.RECOVERY or now - snd.last_sent > MILLISECOND:
        return go
    by_window = snd.window_end - chunk.seq
    by_cwnd = (tcb.cwnd.cwnd - snd.flight().size) * snd.mss
    limit = min(by_window, by_cwnd)
    if limit >= most * snd.mss or (len(snd.unsent) > 1 and limit >= len(chunk.payload)):
        return go
    divisor = tcb.config.tso_win_divisor
    if divisor and limit >= min(snd.wnd, tcb.cwnd.cwnd * snd.mss) // divisor:
        return go
    if not snd.inflight:
        return go
    smoothed = tcb.rtt.smoothed
    awaited = snd.inflight[0].sent_at + smoothed - now
    if awaited > min(smoothed >> 1, MILLISECOND):
        return go
    if by_cwnd < by_window:
        if by_cwnd <= len(chunk.payload):
            return True, True
    elif by_window <= len(chunk.payload):
        return True, False
    return not chunk.flags & FIN, False


def _sent(tcb: Tcb, chunk: Chunk) -> None:
    """Move the first unsent chunk to those in flight. Source: `tcp_event_new_data_sent`."""
    snd = tcb.snd
    first = not snd.inflight
    snd.unsent.popleft()
    snd.inflight.append(chunk)
    snd.nxt = chunk.end
    if first or tcb.timers.purpose is Purpose.LOSS_PROBE:
        rearm(tcb)


def send_fin(tcb: Tcb) -> None:
    """Queue FIN, on the last chunk if that was not sent yet, and send. Source: `tcp_send_fin`."""
    snd = tcb.snd
    if snd.unsent:
        snd.unsent[-1].flags |= FIN
    else:
        snd.unsent.append(Chunk(snd.end, b"", ACK | FIN, max(snd.mss, 1)))
    snd.end += 1
    push(tcb, nagle=False)


# --- timers ---


def rto_left(tcb: Tcb) -> Duration:
    """Return how far in the future the retransmission timeout of the oldest chunk is."""
    return tcb.snd.inflight[0].sent_at + tcb.rtt.rto - tcb.now


def rearm(tcb: Tcb) -> None:
    """Set the retransmission timer anew, or stop it. Source: `tcp_rearm_rto`."""
    timers = tcb.timers
    if not tcb.snd.inflight:
        if timers.purpose is not Purpose.ZERO_WINDOW:
            timers.stop_send()
        return
    rto = tcb.rtt.rto
    if timers.purpose in (Purpose.REORDERING, Purpose.LOSS_PROBE):
        rto = round_up(max(rto_left(tcb), 1))
    timers.set_send(Purpose.RETRANSMIT, tcb.now, rto)


def schedule_loss_probe(tcb: Tcb, *, from_now: bool) -> bool:
    """Set the timer for a loss probe, if the connection may send one; return whether.

    Args:
        tcb: the connection.
        from_now: the retransmission timeout is counted from now, not from the oldest segment.

    Source: RFC 8985 §7.2, `tcp_schedule_loss_probe`.
    """
    flight = tcb.snd.flight()
    if tcb.config.early_retrans not in (3, 4) or not flight.out or not tcb.sack_ok:
        return False
    if tcb.loss.phase not in (Phase.OPEN, Phase.CWR):
        return False
    if tcb.rtt.srtt:
        margin = tcb.config.rto_min if flight.out == 1 else LEAST_TIMEOUT
        timeout = round_up((tcb.rtt.srtt >> 2) * 1000 + margin)
    else:
        timeout = INITIAL_RTO
    left = tcb.rtt.rto if from_now else rto_left(tcb)
    if left > 0:
        timeout = min(timeout, round_up(left))
    tcb.timers.set_send(Purpose.LOSS_PROBE, tcb.now, timeout)
    return True


def probe_base(tcb: Tcb) -> Duration:
    """Return the first pause before a window is probed. Source: `tcp_probe0_base`."""
    return max(tcb.rtt.rto, tcb.config.rto_min)


def probe_pause(tcb: Tcb) -> Duration:
    """Return the pause before the next window probe. Source: `tcp_probe0_when`."""
    config = tcb.config
    steps = (config.rto_max // config.rto_min).bit_length()
    return min(probe_base(tcb) << min(tcb.rtt.backoff, steps), config.rto_max)


# --- what the program writes ---


def write(tcb: Tcb, data: bytes) -> int:
    """Queue `data`, send what may go, and return how many octets had room.

    Source: net/ipv4/tcp.c `tcp_sendmsg_locked`.
    """
    snd = tcb.snd
    mss = segment_size(tcb)
    goal = _chunk_size(tcb, mss)
    copied = 0
    while copied < len(data):
        tail = snd.unsent[-1] if snd.unsent else None
        if tail is None or len(tail.payload) >= goal:
            if snd.memory >= snd.buffer:
                snd.starved = True
                break
            tail = Chunk(snd.end, b"", ACK, mss)
            _restart_after_idle(tcb)
            snd.unsent.append(tail)
        if not copied:
            tail.flags &= ~PSH
        part = data[copied : copied + goal - len(tail.payload)]
        tail.payload += part
        snd.end += len(part)
        copied += len(part)
        if copied < len(data) and len(tail.payload) >= goal:
            if _forces_push(tcb):
                _mark_push(tcb, tail)
                push(tcb, nagle=False)
            elif tail is snd.unsent[0]:
                write_out(tcb, nagle=False, only_one=True)
    if copied:
        if snd.unsent:
            _mark_push(tcb, snd.unsent[-1])
        push(tcb, nagle=False if snd.starved else None)
    return copied


def _chunk_size(tcb: Tcb, mss: int) -> int:
    """Return how many octets are queued in one chunk. Source: `tcp_xmit_size_goal`."""
    goal = _LARGEST_BURST
    half = tcb.snd.max_wnd >> 1 if tcb.snd.max_wnd > 536 else tcb.snd.max_wnd
    if half:
        goal = min(goal, max(half, 68 - tcb.header_length))
    return max(goal // mss * mss, mss)


def _forces_push(tcb: Tcb) -> bool:
    return tcb.snd.end > tcb.snd.pushed + (tcb.snd.max_wnd >> 1)


def _mark_push(tcb: Tcb, chunk: Chunk) -> None:
    chunk.flags |= PSH
    tcb.snd.pushed = tcb.snd.end


def _restart_after_idle(tcb: Tcb) -> None:
    snd = tcb.snd
    if tcb.config.slow_start_after_idle and not snd.inflight:
        tcb.cwnd.restart_after_idle(tcb.now - snd.last_sent, tcb.rtt.rto, tcb.now)


def expand_buffer(tcb: Tcb) -> None:
    """Make the send buffer fit twice the congestion window. Source: `tcp_sndbuf_expand`."""
    segments = max(10, tcb.cwnd.cwnd, tcb.loss.reordering + 1)
    octets = max(tcb.snd.mss_clamp, tcb.snd.mss) + 320 + 320
    each = (1 << (octets - 1).bit_length()) + 256
    tcb.snd.buffer = max(tcb.snd.buffer, min(2 * segments * each, tcb.config.wmem[2]))


def has_room(tcb: Tcb) -> bool:
    """Return whether so much of the send buffer is free that a writer is worth waking."""
    memory = tcb.snd.memory
    return tcb.snd.buffer - memory >= memory >> 1
