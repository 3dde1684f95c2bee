# SPDX-License-Identifier: GPL-2.0-only
"""Reducing the congestion window after a loss, and undoing that when there was none.

Source: RFC 6937 (proportional rate reduction), RFC 3522 and RFC 4015 (Eifel),
net/ipv4/tcp_input.c `tcp_cwnd_reduction`, `tcp_undo_cwnd_reduction` and their neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.tcp.congestion import INFINITE
from emu.kernel.tcp.sequence import wire
from emu.kernel.tcp.states import State
from emu.kernel.tcp.tcb import Phase
from emu.sim.time import MILLISECOND

if TYPE_CHECKING:
    from emu.kernel.tcp.tcb import Tcb


def current_ssthresh(tcb: Tcb) -> int:
    """Return where to begin after an interruption that was no congestion."""
    window = tcb.cwnd
    if tcb.loss.phase in (Phase.CWR, Phase.RECOVERY):
        return window.ssthresh
    return max(window.ssthresh, (window.cwnd >> 1) + (window.cwnd >> 2))


def begin(tcb: Tcb) -> None:
    """Begin a reduction that lasts until all that is in flight is acknowledged."""
    loss, window = tcb.loss, tcb.cwnd
    loss.high = tcb.snd.nxt
    loss.probe_end = None
    window.forget_credit()
    window.prior_cwnd = window.cwnd
    loss.prr_delivered = loss.prr_out = 0
    window.ssthresh = tcb.congestion.ssthresh(window)


def end(tcb: Tcb) -> None:
    """End a reduction, unless it was undone."""
    loss, window = tcb.loss, tcb.cwnd
    if window.ssthresh < INFINITE and (loss.phase is Phase.CWR or loss.undo_mark is not None):
        window.set(window.ssthresh, tcb.now)


def go_on(tcb: Tcb, delivered: int, lost: int, *, advanced: bool) -> None:
    """Let out as many segments as proportional rate reduction allows.

    Args:
        tcb: the connection.
        delivered: segments that this ACK delivered.
        lost: segments that were newly found lost.
        advanced: SND.UNA has moved.
    """
    loss, window = tcb.loss, tcb.cwnd
    if delivered <= 0 or not window.prior_cwnd:
        return
    flight = tcb.snd.flight().size
    spare = window.ssthresh - flight
    loss.prr_delivered += delivered
    if spare < 0:
        count = -(-window.ssthresh * loss.prr_delivered // window.prior_cwnd) - loss.prr_out
    else:
        count = max(loss.prr_delivered - loss.prr_out, delivered)
        if advanced and not lost:
            count += 1
        count = min(spare, count)
    window.set(flight + max(count, 0 if loss.prr_out else 1), tcb.now)


# --- undoing ---


def prepare_undo(tcb: Tcb) -> None:
    """Remember what has to come back as needless for the reduction to be undone."""
    loss = tcb.loss
    loss.undo_mark = tcb.snd.una
    again = tcb.snd.flight().retransmitted
    if loss.probe_end is not None and loss.probe_retransmitted:
        again += 1
    loss.undo_left = again or None


def was_delayed(tcb: Tcb) -> bool:
    """Return whether what moved SND.UNA was a first transmission, come late. Source: `tcp_packet_delayed`."""
    loss, stamps = tcb.loss, tcb.stamps
    if loss.first_retransmit_at is not None:
        if stamps.echoed is None:
            return False
        began = loss.first_retransmit_at // MILLISECOND + stamps.offset
        return wire(stamps.echoed - began) >= 1 << 31
    if not tcb.sack_ok and tcb.snd.una >= loss.high:
        return False
    return tcb.state is not State.SYN_SENT


def may_undo(tcb: Tcb) -> bool:
    """Return whether all that was sent again was needless."""
    return tcb.loss.undo_mark is not None and (tcb.loss.undo_left == 0 or was_delayed(tcb))


def undo(tcb: Tcb, *, unmark: bool) -> None:
    """Go back to the window from before; `unmark`: nothing counts as lost any more."""
    loss, window = tcb.loss, tcb.cwnd
    if unmark:
        for chunk in tcb.snd.inflight:
            chunk.lost = False
    if loss.prior_ssthresh:
        window.set(max(window.cwnd, window.prior_cwnd), tcb.now)
        window.ssthresh = max(window.ssthresh, loss.prior_ssthresh)
    loss.undo_mark = None
    tcb.rack.advanced = True


def undo_by_duplicates(tcb: Tcb) -> bool:
    """Undo if the peer reported all retransmissions as needless; return whether."""
    if tcb.loss.undo_mark is None or tcb.loss.undo_left != 0:
        return False
    undo(tcb, unmark=False)
    return True


def forget_first_retransmit(tcb: Tcb) -> None:
    """Begin to count the time of retransmissions anew, if none is under way."""
    if not any_sent_again(tcb):
        tcb.loss.first_retransmit_at = None


def any_sent_again(tcb: Tcb) -> bool:
    """Return whether something in flight was sent more than once. Source: `tcp_any_retrans_done`."""
    snd = tcb.snd
    if snd.flight().retransmitted:
        return True
    return bool(snd.inflight) and snd.inflight[0].ever_retransmitted


def holds_phase(tcb: Tcb) -> bool:
    """Return whether the phase lasts until something above its end is acknowledged (RFC 6582)."""
    if tcb.snd.una != tcb.loss.high or tcb.sack_ok:
        return False
    forget_first_retransmit(tcb)
    return True


def keep_open(tcb: Tcb) -> None:
    """Settle between OPEN and DISORDER. Source: `tcp_try_keep_open`."""
    flight, loss = tcb.snd.flight(), tcb.loss
    phase = Phase.DISORDER if flight.sacked or flight.lost or any_sent_again(tcb) else Phase.OPEN
    if loss.phase is not phase:
        loss.phase = phase
        loss.high = tcb.snd.nxt
