# SPDX-License-Identifier: GPL-2.0-only
"""What the peer acknowledges: it ends transmissions, opens windows, tells of losses.

Source: RFC 9293 §3.10.7.4 (fifth step), net/ipv4/tcp_input.c `tcp_ack`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from emu.kernel.drops import DropReason
from emu.kernel.tcp import rack, recovery, sack
from emu.kernel.tcp.config import HEADERS, TIMESTAMPS_LENGTH
from emu.kernel.tcp.emission import clock, send_ack
from emu.kernel.tcp.output import probe_pause, rearm, schedule_loss_probe
from emu.kernel.tcp.sequence import wire
from emu.kernel.tcp.tcb import Phase
from emu.kernel.tcp.timers import Purpose
from emu.sim.time import MILLISECOND
from emu.wire.tcp import SYN

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Arrival, Chunk
    from emu.kernel.tcp.tcb import Tcb
    from emu.sim.time import Duration, Instant


class Ack:
    """What one acknowledgement brought.

    Attributes:
        prior_una: SND.UNA before it.
        advanced: SND.UNA has moved.
        data: the segment carries data.
        opened: it updates the window.
        data_acked: data was acknowledged.
        syn_acked: our SYN was acknowledged.
        again_acked: so was data that had been sent again.
        sacked: SACK told something new.
        original_arrived: data arrived that was never sent again.
        duplicates: it tells of data that came twice.
        probe_was_needless: that was our loss probe.
        retransmission_lost: a retransmission was found lost.
        set_timer: the timer for sending is to be set anew.
        reneging: the first segment that is not acknowledged had been SACKed.
        lowest_late: lowest number that came after higher ones, None if none did.
        first_sent_at: when the first of what was acknowledged was sent, if only once.
        last_sent_at: when the last was.
        lowest_acked: where the first begins.
        first_sacked_at: when the first of what was SACKed was sent.
        last_sacked_at: when the last was.
    """

    __slots__ = (
        "advanced",
        "again_acked",
        "data",
        "data_acked",
        "duplicates",
        "first_sacked_at",
        "first_sent_at",
        "last_sacked_at",
        "last_sent_at",
        "lowest_acked",
        "lowest_late",
        "opened",
        "original_arrived",
        "prior_una",
        "probe_was_needless",
        "reneging",
        "retransmission_lost",
        "sacked",
        "set_timer",
        "syn_acked",
    )

    def __init__(self, prior_una: int) -> None:
        self.prior_una = prior_una
        self.advanced = False
        self.data = False
        self.opened = False
        self.data_acked = False
        self.syn_acked = False
        self.again_acked = False
        self.sacked = False
        self.original_arrived = False
        self.duplicates = False
        self.probe_was_needless = False
        self.reneging = False
        self.retransmission_lost = False
        self.set_timer = False
        self.lowest_late: int | None = None
        self.first_sent_at: Instant | None = None
        self.last_sent_at: Instant | None = None
        self.lowest_acked: int | None = None
        self.first_sacked_at: Instant | None = None
        self.last_sacked_at: Instant | None = None

    @property
    def acked(self) -> bool:
        """Whether anything was acknowledged for good."""
        return self.data_acked or self.syn_acked

    @property
    def is_no_duplicate(self) -> bool:
        """Whether this is something else than a duplicate ACK."""
        return self.data or self.opened or self.acked

    @property
    def duplicate_count(self) -> int:
        """1 for a duplicate ACK (RFC 5681 §2), else 0."""
        return int(not (self.advanced or self.is_no_duplicate or self.duplicates))

    def came_late(self, seq: int) -> None:
        """Note that what begins at `seq` arrived after something higher."""
        if self.lowest_late is None or seq < self.lowest_late:
            self.lowest_late = seq


class Verdict(enum.Enum):
    """What became of an acknowledgement number."""

    GOOD = "acceptable"
    OLD = "older than what was acknowledged before"
    TOO_OLD = "from before the window"
    UNSENT = "beyond what was sent"

    @property
    def reason(self) -> DropReason | None:
        """Why the whole segment is refused, None if it is not."""
        if self is Verdict.TOO_OLD:
            return DropReason.TCP_TOO_OLD_ACK
        if self is Verdict.UNSENT:
            return DropReason.TCP_ACK_UNSENT_DATA
        return None


def acknowledge(tcb: Tcb, arrival: Arrival, *, challenge: bool) -> Verdict:
    """Take the acknowledgement in `arrival`, send again what it shows to be lost.

    Args:
        tcb: the connection.
        arrival: an acceptable segment with ACK.
        challenge: answer a number from long ago, or beyond what was sent (RFC 5961 §5.2).
    """
    snd, loss = tcb.snd, tcb.loss
    ack = Ack(snd.una)
    delivered, lost = loss.delivered, loss.marked_lost
    if arrival.ack < snd.una:
        if arrival.ack < snd.una - min(snd.max_wnd, snd.acked_octets):
            if challenge:
                send_challenge(tcb)
            return Verdict.TOO_OLD
        if arrival.options.sack and tcb.sack_ok:
            sack.tag(tcb, ack, arrival)
            rexmit = recovery.alert(tcb, ack, 0)
            recovery.transmit(tcb, rexmit)
        return Verdict.OLD
    if arrival.ack > snd.nxt:
        if challenge:
            send_challenge(tcb)
        return Verdict.UNSENT
    if arrival.ack > snd.una:
        ack.advanced = True
        loss.timeouts = 0
    highest = snd.highest_sacked if tcb.sack_ok else snd.una
    stamps = arrival.options.timestamps
    tcb.stamps.echoed = stamps[1] if stamps is not None and tcb.stamps.on and stamps[1] else None
    store_timestamp(tcb, arrival)
    ack.data = arrival.seq != arrival.end
    _update_window(tcb, ack, arrival)
    snd.acked_octets += arrival.ack - snd.una
    snd.una = arrival.ack
    if arrival.options.sack and tcb.sack_ok:
        sack.tag(tcb, ack, arrival)
    tcb.soft_error = 0
    loss.probes = 0
    loss.heard_at = tcb.now
    if not snd.inflight:
        if ack.duplicates:
            recovery.alert(tcb, ack, 0)
        _window_opened(tcb)
        recovery.end_probe(tcb, ack, arrival.ack)
        return Verdict.GOOD
    _clean(tcb, ack, arrival, highest)
    recovery.end_probe(tcb, ack, arrival.ack)
    rexmit = recovery.Rexmit.NONE
    if not ack.is_no_duplicate or ack.sacked or ack.duplicates or loss.phase is not Phase.OPEN:
        rexmit = recovery.alert(tcb, ack, ack.duplicate_count)
    if ack.set_timer and not schedule_loss_probe(tcb, from_now=True):
        rearm(tcb)
    recovery.adapt_window(tcb, ack, loss.delivered - delivered, loss.marked_lost - lost)
    recovery.transmit(tcb, rexmit)
    return Verdict.GOOD


def is_rate_limited(tcb: Tcb) -> bool:
    """Return whether an ACK for a segment that does not fit has to be withheld now, else count it.

    Source: `__tcp_oow_rate_limited`.
    """
    last = tcb.invalid_ack_at
    if last is not None and tcb.now - last < tcb.config.invalid_ratelimit:
        return True
    tcb.invalid_ack_at = tcb.now
    return False


def send_challenge(tcb: Tcb) -> None:
    """Send the ACK that asks a peer whether it meant it (RFC 5961), unless one went lately."""
    if not is_rate_limited(tcb):
        send_ack(tcb)


def store_timestamp(tcb: Tcb, arrival: Arrival) -> None:
    """Keep the peer's timestamp to echo, if the segment is not beyond our last ACK.

    Source: RFC 7323 §4.3, `tcp_replace_ts_recent`.
    """
    stamps = tcb.stamps
    if arrival.options.timestamps is None or not stamps.on or arrival.seq > tcb.rcv.wup:
        return
    value = arrival.options.timestamps[0]
    if not is_old_timestamp(tcb, value, slack=0):
        stamps.recent = value
        stamps.recent_at = tcb.now


def is_old_timestamp(tcb: Tcb, value: int, *, slack: int) -> bool:
    """Return whether `value` is older than what the peer has sent (PAWS, RFC 7323 §5.3)."""
    stamps = tcb.stamps
    if stamps.recent_at is None or not stamps.recent:
        return False
    behind = wire(stamps.recent - value)
    if behind >= 1 << 31:
        return False
    return behind > slack and tcb.now - stamps.recent_at < 24 * 86_400_000 * MILLISECOND


def _update_window(tcb: Tcb, ack: Ack, arrival: Arrival) -> None:
    """Take the peer's window from the newest segment. Source: `tcp_ack_update_window`."""
    snd = tcb.snd
    window = arrival.window if arrival.flags & SYN else arrival.window << snd.scale
    newer = arrival.ack > snd.una or arrival.seq > snd.wl1
    if not newer and not (arrival.seq == snd.wl1 and (window > snd.wnd or not window)):
        return
    ack.opened = True
    snd.wl1 = arrival.seq
    snd.wnd = window
    if window > snd.max_wnd:
        snd.max_wnd = window
        sync_mss(tcb, snd.mtu)


def sync_mss(tcb: Tcb, mtu: int) -> None:
    """Compute the segment size anew for a path of `mtu`. Source: `tcp_sync_mss`, `__tcp_mtu_to_mss`."""
    snd = tcb.snd
    mss = max(min(mtu - HEADERS, snd.mss_clamp), tcb.config.min_snd_mss)
    mss -= TIMESTAMPS_LENGTH * tcb.stamps.on
    half = snd.max_wnd >> 1 if snd.max_wnd > 536 else snd.max_wnd
    if half and mss > half:
        mss = max(half, 68 - tcb.header_length)
    snd.mtu = mtu
    snd.mss = max(mss, 1)


def _window_opened(tcb: Tcb) -> None:
    """Stop probing the peer's window if what waits fits into it, else probe on. Source: `tcp_ack_probe`."""
    snd = tcb.snd
    if not snd.unsent:
        return
    if snd.unsent[0].end <= snd.window_end:
        tcb.rtt.backoff = 0
        if tcb.timers.purpose is Purpose.ZERO_WINDOW:
            tcb.timers.stop_send()
    else:
        tcb.timers.set_send(Purpose.ZERO_WINDOW, tcb.now, probe_pause(tcb))


def _clean(tcb: Tcb, ack: Ack, arrival: Arrival, highest: int) -> None:
    """Take off the queue what is acknowledged, and measure how long it took.

    Source: `tcp_clean_rtx_queue`.
    """
    snd = tcb.snd
    acked_segments = 0
    while snd.inflight:
        chunk = snd.inflight[0]
        begin, before = chunk.seq, chunk.segments
        whole = chunk.end <= snd.una
        if whole:
            snd.inflight.pop(0)
            segments = before
        elif before > 1 and snd.una > chunk.seq:
            chunk.trim(snd.una - chunk.seq)
            segments = before - chunk.segments
        else:
            break
        if not segments:
            break
        acked_segments += segments
        _has_arrived(tcb, ack, chunk, begin, segments)
        if not whole:
            break
    ack.reneging = bool(snd.inflight) and snd.inflight[0].sacked
    measured = _measure(tcb, ack, arrival)
    if ack.acked:
        ack.set_timer = True
        if not tcb.sack_ok:
            recovery.fewer_presumed(tcb, acked_segments)
            if ack.again_acked:
                ack.original_arrived = False
        elif ack.lowest_acked is not None and ack.lowest_acked < highest:
            sack.note_reordering(tcb, ack.lowest_acked)
    elif snd.inflight and measured and ack.first_sacked_at is not None:
        ack.set_timer = ack.first_sacked_at < snd.inflight[0].sent_at


def _has_arrived(tcb: Tcb, ack: Ack, chunk: Chunk, begin: int, segments: int) -> None:
    """Note that `segments` segments of `chunk`, from number `begin` on, are acknowledged for good."""
    loss = tcb.loss
    if chunk.retransmitted or chunk.ever_retransmitted:
        ack.again_acked = True
    elif not chunk.sacked:
        ack.last_sent_at = chunk.sent_at
        if ack.first_sent_at is None:
            ack.first_sent_at = chunk.sent_at
            ack.lowest_acked = begin
        ack.original_arrived = ack.original_arrived or chunk.end <= loss.high
    if tcb.sack_ok and not chunk.sacked:
        loss.delivered += segments
        rack.advance(tcb, chunk)
    if chunk.flags & SYN:
        ack.syn_acked = True
        loss.first_retransmit_at = None
    else:
        ack.data_acked = True


def _measure(tcb: Tcb, ack: Ack, arrival: Arrival) -> bool:
    """Measure the round-trip time, never by what was sent twice (Karn); return whether it could be.

    Source: `tcp_ack_update_rtt`.
    """
    first, last = ack.first_sent_at, ack.last_sent_at
    if first is None or ack.again_acked:
        first, last = ack.first_sacked_at, ack.last_sacked_at
    sample: Duration
    if first is not None and last is not None:
        sample, newest = tcb.now - first, tcb.now - last
    elif ack.acked and tcb.stamps.on and arrival.options.timestamps and arrival.options.timestamps[1]:
        ticks = wire(clock(tcb) - arrival.options.timestamps[1])
        if ticks >= 1 << 31:
            return False
        sample = newest = max(ticks, 1) * MILLISECOND
    else:
        return False
    tcb.rtt.sample(sample, newest, ack.prior_una, tcb.snd.nxt)
    return True
