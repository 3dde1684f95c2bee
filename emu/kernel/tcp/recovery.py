# SPDX-License-Identifier: GPL-2.0-only
"""Loss recovery: what to do when duplicate ACKs, SACK or silence tell of a loss.

    OPEN --dup ACK/SACK--> DISORDER --a loss is found--> RECOVERY (fast retransmit)
      any --retransmission timeout--> LOSS (slow start, F-RTO)
      OPEN --a loss probe was needed--> CWR (window reduced, nothing sent again)

Each phase ends when what had been sent at its begin is acknowledged.

Source: RFC 5681, RFC 6675, RFC 5682 (F-RTO), RFC 8985,
net/ipv4/tcp_input.c `tcp_fastretrans_alert` and what it calls.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.kernel.tcp import rack, reduction
from emu.kernel.tcp.output import push, rearm
from emu.kernel.tcp.retransmission import retransmit_lost
from emu.kernel.tcp.sack import note_reordering
from emu.kernel.tcp.states import State
from emu.kernel.tcp.tcb import Phase
from emu.kernel.tcp.timers import Purpose
from emu.sim.time import MILLISECOND

if TYPE_CHECKING:
    from emu.kernel.tcp.acknowledgement import Ack
    from emu.kernel.tcp.tcb import Tcb

_RENEGING_DELAY: Final = 10 * MILLISECOND


class Rexmit(enum.Enum):
    """What to send for the recovery once the congestion window is adapted."""

    NONE = "nothing"
    LOST = "what is lost"
    NEW = "new data, to see whether the timeout was spurious"


def alert(tcb: Tcb, ack: Ack, duplicates: int) -> Rexmit:
    """Take recovery one step on after a dubious `ack` and return what to send.

    Args:
        tcb: the connection.
        ack: what the acknowledgement brought.
        duplicates: 1 if it is a duplicate ACK.
    """
    snd, loss = tcb.snd, tcb.loss
    rexmit = Rexmit.NONE
    if not snd.inflight:
        snd.presumed = 0
    if ack.reneging and _reneged(tcb, ack):
        return rexmit
    if loss.phase is Phase.OPEN:
        loss.first_retransmit_at = None
    elif snd.una >= loss.high and _holds(tcb):
        return rexmit
    if loss.phase is Phase.RECOVERY:
        return _go_on(tcb, ack, duplicates)
    if loss.phase is Phase.LOSS:
        rexmit = _after_timeout(tcb, ack, duplicates)
        _find_losses(tcb, ack)
        if not (_is_open(tcb) or ack.retransmission_lost):
            return rexmit
    if not tcb.sack_ok:
        if ack.advanced:
            snd.presumed = 0
        _presume(tcb, duplicates)
    if loss.phase <= Phase.DISORDER:
        reduction.undo_by_duplicates(tcb)
    _find_losses(tcb, ack)
    if not snd.flight().lost:
        _try_to_open(tcb)
        return rexmit
    _enter_recovery(tcb)
    return Rexmit.LOST


def transmit(tcb: Tcb, rexmit: Rexmit) -> None:
    """Send what `alert` asked for. Source: `tcp_xmit_recovery`."""
    if rexmit is Rexmit.NONE or tcb.state is State.SYN_SENT:
        return
    if rexmit is Rexmit.NEW:
        push(tcb, nagle=False)
        if tcb.snd.nxt > tcb.loss.high:
            return
        tcb.loss.probing_timeout = False
    retransmit_lost(tcb)


def adapt_window(tcb: Tcb, ack: Ack, delivered: int, lost: int) -> None:
    """Adapt the congestion window to what was delivered and lost. Source: `tcp_cong_control`."""
    window = tcb.cwnd
    if tcb.loss.phase in (Phase.CWR, Phase.RECOVERY):
        reduction.go_on(tcb, delivered, lost, advanced=ack.advanced)
        return
    grows = ack.data_acked
    if tcb.loss.reordering > tcb.config.reordering:
        grows = grows or ack.syn_acked or ack.sacked
    if grows and window.may_grow:
        tcb.congestion.acked(window, delivered, tcb.now, tcb.rtt.smoothed)


def _is_open(tcb: Tcb) -> bool:
    return tcb.loss.phase is Phase.OPEN


def _holds(tcb: Tcb) -> bool:
    """Leave a phase whose data is all acknowledged; return whether it has to be kept all the same."""
    loss = tcb.loss
    if loss.phase is Phase.CWR:
        if tcb.snd.una != loss.high:
            reduction.end(tcb)
            loss.phase = Phase.OPEN
    elif loss.phase is Phase.RECOVERY:
        if not tcb.sack_ok:
            tcb.snd.presumed = 0
        if _end_recovery(tcb):
            return True
        reduction.end(tcb)
    return False


def _end_recovery(tcb: Tcb) -> bool:
    """End a recovery, undone if it was needless; return whether its phase is kept.

    Source: `tcp_try_undo_recovery`.
    """
    if reduction.may_undo(tcb):
        reduction.undo(tcb, unmark=False)
    if reduction.holds_phase(tcb):
        return True
    tcb.loss.phase = Phase.OPEN
    return False


def _go_on(tcb: Tcb, ack: Ack, duplicates: int) -> Rexmit:
    """Take fast recovery one step on."""
    if not ack.advanced:
        if not tcb.sack_ok:
            _presume(tcb, duplicates)
    elif _undo_partly(tcb, ack):
        return Rexmit.NONE
    if reduction.undo_by_duplicates(tcb):
        _try_to_open(tcb)
    _find_losses(tcb, ack)
    if tcb.loss.phase is not Phase.RECOVERY:
        if not tcb.snd.flight().lost:
            return Rexmit.NONE
        _enter_recovery(tcb)
    return Rexmit.LOST


def _undo_partly(tcb: Tcb, ack: Ack) -> bool:
    """Undo if a first transmission has arrived after all; return whether to wait for more.

    Source: `tcp_try_undo_partial`.
    """
    if tcb.loss.undo_mark is None or not reduction.was_delayed(tcb):
        return False
    note_reordering(tcb, ack.prior_una)
    if tcb.snd.flight().retransmitted:
        return True
    reduction.forget_first_retransmit(tcb)
    reduction.undo(tcb, unmark=True)
    reduction.keep_open(tcb)
    return False


def _try_to_open(tcb: Tcb) -> None:
    reduction.forget_first_retransmit(tcb)
    if tcb.loss.phase is not Phase.CWR:
        reduction.keep_open(tcb)


def _enter_recovery(tcb: Tcb) -> None:
    """Begin fast recovery. Source: `tcp_enter_recovery`."""
    loss = tcb.loss
    reduction.forget_first_retransmit(tcb)
    loss.prior_ssthresh = 0
    reduction.prepare_undo(tcb)
    if loss.phase not in (Phase.CWR, Phase.RECOVERY):
        loss.prior_ssthresh = reduction.current_ssthresh(tcb)
        reduction.begin(tcb)
    loss.phase = Phase.RECOVERY


def _reneged(tcb: Tcb, ack: Ack) -> bool:
    """Wait a little if the peer seems to have dropped what it SACKed. Source: `tcp_check_sack_reneging`."""
    if not ack.advanced:
        return False
    delay = max(tcb.rtt.smoothed // 2, _RENEGING_DELAY)
    tcb.timers.set_send(Purpose.RETRANSMIT, tcb.now, min(delay, tcb.rtt.rto))
    ack.set_timer = False
    return True


# --- finding losses ---


def _find_losses(tcb: Tcb, ack: Ack) -> None:
    """Mark what is lost. Source: `tcp_identify_packet_loss`."""
    if not tcb.snd.inflight:
        return
    if not tcb.sack_ok:
        _find_loss_without_sack(tcb, ack)
        return
    before = tcb.snd.flight().retransmitted
    if rack.search(tcb):
        ack.set_timer = False
    ack.retransmission_lost = ack.retransmission_lost or before > tcb.snd.flight().retransmitted


def _find_loss_without_sack(tcb: Tcb, ack: Ack) -> None:
    """Take the first segment for lost: NewReno (RFC 6582). Source: `tcp_newreno_mark_lost`."""
    snd, loss = tcb.snd, tcb.loss
    begins = loss.phase < Phase.RECOVERY and snd.presumed >= loss.reordering
    if not begins and not (loss.phase is Phase.RECOVERY and ack.advanced):
        return
    first = snd.inflight[0]
    if first.lost:
        return
    if first.segments > 1:
        snd.inflight.insert(1, first.split(first.mss))
    rack.mark_lost(tcb, first)


def _presume(tcb: Tcb, duplicates: int) -> None:
    """Count a duplicate ACK as a segment that has arrived. Source: `tcp_add_reno_sack`."""
    if duplicates:
        before = tcb.snd.presumed
        tcb.snd.presumed += duplicates
        _check_presumed(tcb, 0)
        tcb.loss.delivered += max(tcb.snd.presumed - before, 0)


def fewer_presumed(tcb: Tcb, acked: int) -> None:
    """Take `acked` segments, now acknowledged, off the presumed ones. Source: `tcp_remove_reno_sacks`."""
    snd = tcb.snd
    if acked:
        tcb.loss.delivered += max(acked - snd.presumed, 1)
        snd.presumed = max(snd.presumed - (acked - 1), 0)
    _check_presumed(tcb, acked)


def _check_presumed(tcb: Tcb, added: int) -> None:
    """Presume no more than there can be; more mean reordering. Source: `tcp_check_reno_reordering`."""
    snd, loss = tcb.snd, tcb.loss
    flight = snd.flight()
    holes = min(max(flight.lost, 1), flight.out)
    if snd.presumed + holes > flight.out:
        snd.presumed = flight.out - holes
        loss.reordering = min(flight.out + added, tcb.config.max_reordering)
        loss.reordering_seen += 1


def reordering_is_over(tcb: Tcb) -> None:
    """Take for lost what has not come within the reordering window. Source: `tcp_rack_reo_timeout`."""
    loss = tcb.loss
    before, lost = tcb.snd.flight().size, loss.marked_lost
    rack.search_again(tcb)
    if tcb.snd.flight().size != before:
        if loss.phase is not Phase.RECOVERY:
            _enter_recovery(tcb)
            reduction.go_on(tcb, 1, loss.marked_lost - lost, advanced=False)
        retransmit_lost(tcb)
    if tcb.timers.purpose is not Purpose.RETRANSMIT:
        rearm(tcb)


def end_probe(tcb: Tcb, ack: Ack, acked: int) -> None:
    """See what a loss probe has shown. Source: `tcp_process_tlp_ack`."""
    loss = tcb.loss
    if loss.probe_end is None or acked < loss.probe_end:
        return
    if not loss.probe_retransmitted or ack.probe_was_needless:
        loss.probe_end = None
    elif acked > loss.probe_end:  # no report of a duplicate: the probe repaired a loss
        reduction.begin(tcb)
        loss.phase = Phase.CWR
        reduction.end(tcb)
        reduction.keep_open(tcb)
    elif not (ack.advanced or ack.is_no_duplicate or ack.sacked):
        loss.probe_end = None


# --- timeouts and narrow paths ---


def enter_loss(tcb: Tcb) -> None:
    """Take everything for lost and begin slow start: the timer has expired. Source: `tcp_enter_loss`."""
    snd, loss, window = tcb.snd, tcb.loss, tcb.cwnd
    begins = loss.phase < Phase.RECOVERY
    _mark_all_lost(tcb)
    again = loss.phase is Phase.LOSS and not loss.timeouts
    if loss.phase <= Phase.DISORDER or loss.high <= snd.una or again:
        loss.prior_ssthresh = reduction.current_ssthresh(tcb)
        window.prior_cwnd = window.cwnd
        window.ssthresh = tcb.congestion.ssthresh(window)
        tcb.congestion.lost()
        reduction.prepare_undo(tcb)
    flight = snd.flight()
    window.set(flight.size + 1, tcb.now)
    window.forget_credit()
    if loss.phase <= Phase.DISORDER and flight.sacked >= tcb.config.reordering:
        loss.reordering = min(loss.reordering, tcb.config.reordering)
    loss.phase = Phase.LOSS
    loss.high = snd.nxt
    loss.probe_end = None
    loss.probing_timeout = tcb.config.frto and (begins or loss.timeouts > 0)


def _mark_all_lost(tcb: Tcb) -> None:
    """Mark all in flight as lost, but what was sent so lately that nothing is known.

    Source: `tcp_timeout_mark_lost`.
    """
    snd = tcb.snd
    reneged = bool(snd.inflight) and snd.inflight[0].sacked
    if not tcb.sack_ok:
        snd.presumed = 0
    for place, chunk in enumerate(snd.inflight):
        if reneged:
            chunk.sacked = False
        elif place and tcb.sack_ok and rack.is_recent(tcb, chunk):
            continue
        rack.mark_lost(tcb, chunk)


def _after_timeout(tcb: Tcb, ack: Ack, duplicates: int) -> Rexmit:
    """Take the recovery from a timeout one step on. Source: `tcp_process_loss`."""
    snd, loss = tcb.snd, tcb.loss
    recovered = snd.una >= loss.high
    if ack.advanced and _undo_loss(tcb, spurious=False):
        return Rexmit.NONE
    if loss.probing_timeout:
        if ack.original_arrived and _undo_loss(tcb, spurious=True):
            return Rexmit.NONE
        if snd.nxt > loss.high:
            if ack.sacked or duplicates:
                loss.probing_timeout = False
        elif ack.advanced and not recovered:
            loss.high = snd.nxt
            if snd.unsent and snd.window_end > snd.nxt:
                return Rexmit.NEW
            loss.probing_timeout = False
    if recovered:
        _end_recovery(tcb)
        return Rexmit.NONE
    if not tcb.sack_ok:
        if snd.nxt > loss.high and duplicates:
            _presume(tcb, duplicates)
        elif ack.advanced:
            snd.presumed = 0
    return Rexmit.LOST


def _undo_loss(tcb: Tcb, *, spurious: bool) -> bool:
    """Undo a timeout that was needless; return whether. Source: `tcp_try_undo_loss`."""
    if not spurious and not reduction.may_undo(tcb):
        return False
    reduction.undo(tcb, unmark=True)
    tcb.loss.timeouts = 0
    if not reduction.holds_phase(tcb) and (spurious or tcb.sack_ok):
        tcb.loss.phase = Phase.OPEN
    return True


def retransmit_oversized(tcb: Tcb) -> None:
    """Send again, in smaller segments, what the path is too narrow for now.

    The congestion window is left alone: no congestion was the cause. Source: `tcp_simple_retransmit`.
    """
    snd, loss, window = tcb.snd, tcb.loss, tcb.cwnd
    for chunk in snd.inflight:
        if chunk.segment_length > snd.mss:
            rack.mark_lost(tcb, chunk)
    if not snd.flight().lost:
        return
    if loss.phase is not Phase.LOSS:
        loss.high = snd.nxt
        window.ssthresh = reduction.current_ssthresh(tcb)
        loss.prior_ssthresh = 0
        loss.undo_mark = None
        loss.phase = Phase.LOSS
    retransmit_lost(tcb)
