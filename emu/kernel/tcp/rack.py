# SPDX-License-Identifier: GPL-2.0-only
"""RACK: a segment is lost if one sent after it has arrived, long enough ago (RFC 8985).

Source: net/ipv4/tcp_recovery.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.tcp.tcb import Phase
from emu.kernel.tcp.timers import LEAST_TIMEOUT, Purpose, round_up
from emu.sim.time import MICROSECOND

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Chunk
    from emu.kernel.tcp.tcb import Tcb
    from emu.sim.time import Duration


def advance(tcb: Tcb, chunk: Chunk) -> None:
    """Note that `chunk` has arrived. Source: `tcp_rack_advance`."""
    rack = tcb.rack
    took = tcb.now - chunk.sent_at
    least = (tcb.rtt.least or 0) * MICROSECOND
    if took < least and (chunk.retransmitted or chunk.ever_retransmitted):
        return  # rather the first transmission, come late
    rack.advanced = True
    rack.rtt = took
    rack.newest = max(rack.newest, chunk.order)


def reordering_window(tcb: Tcb) -> Duration:
    """Return how much later than the newest arrival a segment may come and still not be lost.

    It is a quarter of the least round-trip time, but at least a microsecond: on a
    path without any delay, which only an emulator has, the third duplicate
    ACK still decides, as it does on a real one. Source: `tcp_rack_reo_wnd`.
    """
    if not tcb.loss.reordering_seen:
        if tcb.loss.phase >= Phase.RECOVERY:
            return 0
        if tcb.snd.flight().sacked >= tcb.loss.reordering:
            return 0
    quarter = (tcb.rtt.least or 0) >> 2
    return max(min(quarter, tcb.rtt.srtt >> 3), 1) * MICROSECOND


def mark_lost(tcb: Tcb, chunk: Chunk) -> None:
    """Take `chunk`, or its retransmission, for lost. Source: `tcp_mark_skb_lost`."""
    if chunk.sacked:
        return
    if chunk.lost:
        if not chunk.retransmitted:
            return
        chunk.retransmitted = False
    else:
        chunk.lost = True
    tcb.loss.marked_lost += chunk.segments


def _detect(tcb: Tcb) -> Duration:
    """Mark what is lost and return how long to wait for the rest, 0 for not at all."""
    rack = tcb.rack
    window = reordering_window(tcb)
    wait = 0
    for chunk in sorted(tcb.snd.inflight, key=lambda chunk: chunk.order):
        if chunk.sacked or (chunk.lost and not chunk.retransmitted):
            continue
        if rack.newest <= chunk.order:
            break
        left = rack.rtt + window - (tcb.now - chunk.sent_at)
        if left <= 0:
            mark_lost(tcb, chunk)
        else:
            wait = max(wait, left)
    return wait


def search(tcb: Tcb) -> bool:
    """Mark what is lost if something new has arrived; return whether a timer was set for the rest.

    Source: `tcp_rack_mark_lost`.
    """
    if not tcb.rack.advanced:
        return False
    tcb.rack.advanced = False
    wait = _detect(tcb)
    if wait:
        timeout = min(round_up(wait + LEAST_TIMEOUT), tcb.rtt.rto)
        tcb.timers.set_send(Purpose.REORDERING, tcb.now, timeout)
    return bool(wait)


def search_again(tcb: Tcb) -> None:
    """Mark what is lost now that the reordering timer has fired."""
    _detect(tcb)


def is_recent(tcb: Tcb, chunk: Chunk) -> bool:
    """Return whether `chunk` was sent so lately that a timeout says nothing of it."""
    return tcb.rack.rtt - (tcb.now - chunk.sent_at) > 0
