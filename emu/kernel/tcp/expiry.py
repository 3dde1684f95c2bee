# SPDX-License-Identifier: GPL-2.0-only
"""A timer of the connection has expired.

Source: net/ipv4/tcp_timer.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from emu.kernel.tcp.acknowledgement import sync_mss
from emu.kernel.tcp.closing import finish, leave_to_remainder
from emu.kernel.tcp.config import INITIAL_RTO, TIME_WAIT_LENGTH
from emu.kernel.tcp.emission import send_ack, send_reset
from emu.kernel.tcp.recovery import enter_loss, reordering_is_over, retransmit_oversized
from emu.kernel.tcp.retransmission import probe_window, retransmit, send_loss_probe, wake_peer
from emu.kernel.tcp.states import Cause, State
from emu.kernel.tcp.timers import Purpose, expiry

if TYPE_CHECKING:
    from emu.kernel.tcp.tcb import Tcb
    from emu.sim.time import Duration, Instant

_HANDSHAKE = (State.SYN_SENT, State.SYN_RECEIVED)


def serve(tcb: Tcb) -> None:
    """Do all that is due at `tcb.now`."""
    timers, now = tcb.timers, tcb.now
    if _is_due(timers.compressed_ack_at, now):
        timers.compressed_ack_at = None
        if tcb.compressed_acks:
            send_ack(tcb)
    if _is_due(timers.narrow_at, now):
        timers.narrow_at = None
        path_is_narrow(tcb)
    if _is_due(timers.ack_at, now):
        _ack_is_due(tcb)
    if _is_due(timers.send_at, now):
        _send_is_due(tcb)
    if _is_due(timers.keepalive_at, now):
        timers.keepalive_at = None
        _keep_alive(tcb)


def _is_due(deadline: Instant | None, now: Instant) -> bool:
    return deadline is not None and deadline <= now


def _ack_is_due(tcb: Tcb) -> None:
    """Send a delayed ACK. Source: `tcp_delack_timer_handler`."""
    timers = tcb.timers
    timers.ack_at = timers.ack_nominal = None
    if tcb.acks.scheduled:
        tcb.acks.delay_missed(tcb.rtt.rto)
        send_ack(tcb)


def _send_is_due(tcb: Tcb) -> None:
    """Serve the timer for sending. Source: `tcp_write_timer_handler`."""
    timers = tcb.timers
    purpose = timers.purpose
    timers.send_at = None
    if purpose is Purpose.REORDERING:
        reordering_is_over(tcb)
    elif purpose is Purpose.LOSS_PROBE:
        send_loss_probe(tcb)
    else:
        timers.stop_send()
        if purpose is Purpose.RETRANSMIT:
            _retransmit(tcb)
        else:
            _probe(tcb)


def path_is_narrow(tcb: Tcb) -> None:
    """Adapt to the path MTU `tcb.narrow`. Source: `tcp_v4_mtu_reduced`."""
    if tcb.narrow < tcb.snd.mtu:
        sync_mss(tcb, tcb.narrow)
        retransmit_oversized(tcb)


# --- retransmission ---


def _retransmit(tcb: Tcb) -> None:
    """Send the first segment again and double the timeout, or give up. Source: `tcp_retransmit_timer`."""
    snd, loss = tcb.snd, tcb.loss
    if not snd.inflight:
        return
    if not snd.wnd and not tcb.orphan and tcb.state not in _HANDSHAKE:
        if _probing_is_vain(tcb):
            _give_up(tcb)
            return
        enter_loss(tcb)
        retransmit(tcb, 0, 1)
    else:
        if _is_hopeless(tcb):
            _give_up(tcb)
            return
        enter_loss(tcb)
        loss.timeouts += 1
        loss.total_timeouts += 1
        retransmit(tcb, 0, 1)
    if tcb.state is not State.SYN_SENT or loss.total_timeouts > tcb.config.syn_linear_timeouts:
        tcb.rtt.back_off()
    tcb.timers.set_send(Purpose.RETRANSMIT, tcb.now, tcb.rtt.rto)


def _give_up(tcb: Tcb) -> None:
    """Close for want of an answer. Source: `tcp_write_err`."""
    finish(tcb, Cause.ABORT, tcb.soft_error or errno.ETIMEDOUT)


def _is_hopeless(tcb: Tcb) -> bool:
    """Return whether it was tried often enough. Source: `tcp_write_timeout`."""
    config, loss = tcb.config, tcb.loss
    if tcb.state in _HANDSHAKE:
        tries = config.syn_retries
        most = tries + config.syn_linear_timeouts if tcb.state is State.SYN_SENT else tries
        return loss.timeouts >= most or _timed_out(tcb, tries, INITIAL_RTO)
    tries = config.retries2
    if tcb.orphan:
        tries = _orphan_retries(tcb, alive=tcb.rtt.rto < config.rto_max)
    return _timed_out(tcb, tries, config.rto_min)


def _timed_out(tcb: Tcb, tries: int, base: Duration) -> bool:
    """Return whether `tries` doubled timeouts, the first of them `base`, have passed.

    Source: `retransmits_timed_out`, `tcp_model_timeout`.
    """
    began = tcb.loss.first_retransmit_at
    if not tcb.loss.timeouts or began is None:
        return False
    longest = tcb.config.rto_max
    doublings = (longest // base).bit_length() - 1
    if tries <= doublings:
        limit = ((2 << tries) - 1) * base
    else:
        limit = ((2 << doublings) - 1) * base + (tries - doublings) * longest
    return tcb.now - began >= limit


def _orphan_retries(tcb: Tcb, *, alive: bool) -> int:
    """Return how often something is sent again for a program that is gone. Source: `tcp_orphan_retries`."""
    retries = tcb.config.orphan_retries
    if tcb.soft_error and not alive:
        retries = 0
    return 8 if not retries and alive else retries


def _probing_is_vain(tcb: Tcb) -> bool:
    """Return whether a peer that has shut its window has been silent too long.

    Source: `tcp_rtx_probe0_timed_out`.
    """
    limit = 2 * tcb.config.rto_max
    if tcb.now - tcb.loss.heard_at <= limit:
        return False
    began = tcb.loss.first_retransmit_at
    since = tcb.snd.inflight[0].sent_at if began is None else began
    return tcb.now - since > limit


def _probe(tcb: Tcb) -> None:
    """Probe the peer's closed window, or give up. Source: `tcp_probe_timer`."""
    loss, config = tcb.loss, tcb.config
    if tcb.snd.inflight or not tcb.snd.unsent:
        loss.probes = 0
        return
    most = config.retries2
    if tcb.orphan:
        alive = min(tcb.rtt.rto << tcb.rtt.backoff, config.rto_max) < config.rto_max
        most = _orphan_retries(tcb, alive=alive)
        if not alive and tcb.rtt.backoff >= most:
            _give_up(tcb)
            return
    if loss.probes >= most:
        _give_up(tcb)
    else:
        probe_window(tcb)


# --- keepalive and the end of FIN-WAIT-2 ---


def _keep_alive(tcb: Tcb) -> None:
    """Source: `tcp_keepalive_timer`."""
    config, loss = tcb.config, tcb.loss
    if tcb.state is State.FIN_WAIT_2 and tcb.orphan:
        left = config.fin_timeout - TIME_WAIT_LENGTH
        if left > 0:
            leave_to_remainder(tcb, left)
        else:
            send_reset(tcb)
            finish(tcb, Cause.ABORT)
        return
    if not tcb.keepalive or tcb.state in (State.CLOSED, State.SYN_SENT):
        return
    pause = config.keepalive_time
    if not tcb.snd.inflight and not tcb.snd.unsent:
        silence = tcb.now - max(loss.heard_at, tcb.acks.last_received)
        if silence >= config.keepalive_time:
            if loss.probes >= config.keepalive_probes:
                send_reset(tcb)
                _give_up(tcb)
                return
            wake_peer(tcb)
            loss.probes += 1
            pause = config.keepalive_interval
        else:
            pause = config.keepalive_time - silence
    tcb.timers.keepalive_at = expiry(tcb.now, pause)
