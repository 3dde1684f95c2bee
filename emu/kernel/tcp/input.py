# SPDX-License-Identifier: GPL-2.0-only
"""A segment arrives: the checks and steps of RFC 9293 §3.10.7, as Linux takes them.

Source: RFC 9293 §3.10.7, RFC 5961, RFC 7323 §5, net/ipv4/tcp_input.c
`tcp_rcv_established`, `tcp_rcv_state_process`, `tcp_validate_incoming`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.drops import DropReason
from emu.kernel.tcp.acknowledgement import (
    Verdict,
    acknowledge,
    is_old_timestamp,
    is_rate_limited,
    send_challenge,
    sync_mss,
)
from emu.kernel.tcp.config import DEFAULT_MSS, INITIAL_CWND, TIME_WAIT_LENGTH, TIMESTAMPS_LENGTH
from emu.kernel.tcp.emission import clock, send_ack, transmit
from emu.kernel.tcp.output import expand_buffer, has_room, push, send_fin
from emu.kernel.tcp.reception import begin_time_wait, check_ack, queue
from emu.kernel.tcp.segment import Arrival
from emu.kernel.tcp.sequence import unwrap, wire
from emu.kernel.tcp.states import Cause, State
from emu.kernel.tcp.timers import JIFFY, Purpose, expiry
from emu.kernel.tcp.timewait import TimeWait
from emu.kernel.tcp.window import MAX_SCALE
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, FIN, MIN_HEADER, RST, SYN

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Segment
    from emu.kernel.tcp.tcb import Tcb

_PAWS_SLACK: Final = 1
_CLOSING: Final = (State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK)


class Outcome(NamedTuple):
    """What became of a segment: why it was dropped (None: it was not), and whether to answer with RST."""

    reason: DropReason | None = None
    reset: bool = False


_TAKEN: Final = Outcome()


def receive(tcb: Tcb, segment: Segment) -> Outcome:
    """Take `segment` in any state from SYN-SENT on."""
    if tcb.state is State.CLOSED:
        return Outcome(DropReason.TCP_CLOSE)
    arrival = _place(tcb, segment)
    if tcb.state is State.SYN_SENT:
        return _in_syn_sent(tcb, arrival)
    if not arrival.flags & (ACK | RST | SYN):
        return Outcome(DropReason.TCP_FLAGS)
    refused = _validate(tcb, arrival)
    if refused is not None:
        return Outcome(refused)
    if tcb.state is State.ESTABLISHED:
        return _in_established(tcb, arrival)
    return _in_other_states(tcb, arrival)


def _place(tcb: Tcb, segment: Segment) -> Arrival:
    """Place the segment's numbers among those of the connection."""
    seq = segment.seq if tcb.state is State.SYN_SENT else unwrap(segment.seq, tcb.rcv.nxt)
    ack = unwrap(segment.ack, tcb.snd.una) if segment.flags & ACK else 0
    return Arrival(
        segment.flags,
        seq,
        seq + segment.length,
        ack,
        segment.window,
        segment.options,
        segment.payload,
        MIN_HEADER + len(segment.options.build()),
    )


# --- the connection's end ---


def finish(tcb: Tcb, cause: Cause, error: int = 0) -> None:
    """Close the connection; `error` is what the program gets to know. Source: `tcp_done_with_error`."""
    tcb.move(cause)
    tcb.error = error
    tcb.snd.unsent.clear()
    tcb.snd.inflight.clear()
    tcb.timers.stop_all()
    tcb.read_shut = tcb.write_shut = True
    tcb.stirred = True


def _reset(tcb: Tcb) -> None:
    """End the connection because of a RST. Source: `tcp_reset`."""
    errors = {State.SYN_SENT: errno.ECONNREFUSED, State.CLOSE_WAIT: errno.EPIPE}
    finish(tcb, Cause.ABORT, errors.get(tcb.state, errno.ECONNRESET))


# --- is it acceptable? ---


def _validate(tcb: Tcb, arrival: Arrival) -> DropReason | None:
    """Return why the segment is not acceptable, None if it is. Source: `tcp_validate_incoming`."""
    flags = arrival.flags
    if _is_outdated(tcb, arrival) and not flags & RST:
        if flags & SYN:
            send_challenge(tcb)
            return DropReason.TCP_INVALID_SYN
        _answer_unfit(tcb, arrival)
        return DropReason.TCP_RFC7323_PAWS
    unfit = _check_sequence(tcb, arrival)
    if unfit is not None:
        if flags & RST:
            if _follows_fin(tcb, arrival):
                _reset(tcb)
                return DropReason.TCP_RESET
        elif flags & SYN:
            send_challenge(tcb)
            return DropReason.TCP_INVALID_SYN
        else:
            _answer_unfit(tcb, arrival)
        return unfit
    if flags & RST:
        if _resets(tcb, arrival):
            _reset(tcb)
        else:
            send_challenge(tcb)
        return DropReason.TCP_RESET
    if flags & SYN and not _is_crossed_syn(tcb, arrival):
        send_challenge(tcb)
        return DropReason.TCP_INVALID_SYN
    return None


def _is_outdated(tcb: Tcb, arrival: Arrival) -> bool:
    """Return whether the timestamp says that the segment is an old duplicate (PAWS)."""
    stamps = arrival.options.timestamps
    if stamps is None or not tcb.stamps.on or not is_old_timestamp(tcb, stamps[0], slack=_PAWS_SLACK):
        return False
    snd = tcb.snd
    harmless = (
        bool(arrival.flags & ACK)
        and arrival.seq == arrival.end == tcb.rcv.nxt
        and arrival.ack == snd.una
        and arrival.seq == snd.wl1
        and arrival.window << snd.scale <= snd.wnd
        and bool(arrival.window)
        and wire(tcb.stamps.recent - stamps[0]) <= tcb.rtt.rto // MILLISECOND
    )
    return not harmless


def _check_sequence(tcb: Tcb, arrival: Arrival) -> DropReason | None:
    """Return why the sequence numbers do not fit the window. Source: `tcp_sequence`."""
    rcv = tcb.rcv
    if arrival.end < rcv.wup:
        return DropReason.TCP_OLD_SEQUENCE
    limit = rcv.nxt + rcv.left
    if arrival.end - bool(arrival.flags & FIN) > limit and (arrival.seq > limit or rcv.reading.size):
        return DropReason.TCP_INVALID_SEQUENCE
    return None


def _answer_unfit(tcb: Tcb, arrival: Arrival) -> None:
    """Acknowledge what does not fit, pure ACKs not too often. Source: `tcp_send_dupack`."""
    has_data = arrival.seq != arrival.end
    if not (has_data and not arrival.flags & SYN) and is_rate_limited(tcb):
        return
    if has_data and arrival.seq < tcb.rcv.nxt:
        tcb.acks.enter_quick(tcb.rcv.window.size)
        if tcb.sack_ok and tcb.config.dsack:
            tcb.rcv.sacks.duplicate = (arrival.seq, min(arrival.end, tcb.rcv.nxt))
    send_ack(tcb)


def _follows_fin(tcb: Tcb, arrival: Arrival) -> bool:
    """Return whether a RST has the number of the FIN before it, as some stacks send it."""
    return arrival.seq == tcb.rcv.nxt - 1 and tcb.state in _CLOSING


def _resets(tcb: Tcb, arrival: Arrival) -> bool:
    """Return whether a RST in the window is exact enough to be believed (RFC 5961 §3.2)."""
    if arrival.seq == tcb.rcv.nxt or _follows_fin(tcb, arrival):
        return True
    blocks = tcb.rcv.sacks.blocks if tcb.sack_ok else []
    return bool(blocks) and arrival.seq == max(right for _, right in blocks)


def _is_crossed_syn(tcb: Tcb, arrival: Arrival) -> bool:
    """Return whether this is the SYN-ACK of a simultaneous open."""
    return (
        tcb.state is State.SYN_RECEIVED
        and bool(arrival.flags & ACK)
        and arrival.seq + 1 == arrival.end == tcb.rcv.nxt
        and arrival.ack == tcb.snd.nxt
    )


# --- SYN-SENT ---


def _in_syn_sent(tcb: Tcb, arrival: Arrival) -> Outcome:
    """Source: `tcp_rcv_synsent_state_process`."""
    flags, snd = arrival.flags, tcb.snd
    if flags & ACK:
        if not snd.una < arrival.ack <= snd.nxt:
            if not tcb.loss.timeouts:
                tcb.timers.set_send(Purpose.RETRANSMIT, tcb.now, 2 * JIFFY)
            return Outcome(DropReason.TCP_INVALID_ACK_SEQUENCE, reset=True)
        if _echoes_nonsense(tcb, arrival):
            return Outcome(DropReason.TCP_RFC7323_PAWS, reset=True)
        if flags & RST:
            _reset(tcb)
            return Outcome(DropReason.TCP_RESET)
        if not flags & SYN:
            return Outcome(DropReason.TCP_FLAGS)
        _connect(tcb, arrival)
        return _TAKEN
    if flags & RST:
        return Outcome(DropReason.TCP_RESET)
    if flags & SYN:
        _cross(tcb, arrival)
        return _TAKEN
    return Outcome(DropReason.TCP_FLAGS)


def _echoes_nonsense(tcb: Tcb, arrival: Arrival) -> bool:
    """Return whether the echoed timestamp is none that our SYN can have had."""
    stamps, began = arrival.options.timestamps, tcb.loss.first_retransmit_at
    if not tcb.config.timestamps or stamps is None or not stamps[1] or began is None:
        return False
    first = wire(began // MILLISECOND + tcb.stamps.offset)
    return wire(stamps[1] - first) > wire(clock(tcb) - first)


def negotiate(tcb: Tcb, options_mss: int | None, scale: int | None, stamps: tuple[int, int] | None) -> None:
    """Settle what both sides can do, from the options of the peer's SYN."""
    config, snd, window = tcb.config, tcb.snd, tcb.rcv.window
    snd.mss_clamp = options_mss or DEFAULT_MSS
    if config.window_scaling and scale is not None:
        snd.scale = min(scale, MAX_SCALE)
    else:
        snd.scale = 0
        window.without_scaling()
    if config.timestamps and stamps is not None:
        tcb.stamps.on = True
        tcb.stamps.recent, tcb.stamps.recent_at = stamps[0], tcb.now


def _connect(tcb: Tcb, arrival: Arrival) -> None:
    """Take the SYN-ACK: the connection stands."""
    snd, options = tcb.snd, arrival.options
    tcb.sack_ok = tcb.config.sack and options.sack_permitted
    snd.wl1 = arrival.seq
    tcb.rcv.begin(arrival.seq)
    acknowledge(tcb, arrival, challenge=True)
    snd.wnd = arrival.window
    negotiate(tcb, options.mss, options.window_scale, options.timestamps)
    if tcb.stamps.on:
        tcb.rcv.window.advertised_mss -= TIMESTAMPS_LENGTH
    sync_mss(tcb, snd.mtu)
    tcb.move(Cause.SYN_ACK)
    tcb.acks.guess_peer_mss(tcb.rcv.window.advertised_mss, snd.mss, tcb.rcv.window.size)
    tcb.acks.last_received = tcb.now
    begin_transfer(tcb)
    tcb.stirred = True
    send_ack(tcb)
    push(tcb)


def _cross(tcb: Tcb, arrival: Arrival) -> None:
    """Answer the SYN of a peer that connects to us as we connect to it."""
    snd, options = tcb.snd, arrival.options
    tcb.move(Cause.SYN)
    tcb.sack_ok = tcb.config.sack and options.sack_permitted
    negotiate(tcb, options.mss, options.window_scale, options.timestamps)
    tcb.rcv.begin(arrival.seq)
    snd.wnd = snd.max_wnd = arrival.window
    snd.wl1 = arrival.seq
    sync_mss(tcb, snd.mtu)
    tcb.acks.guess_peer_mss(tcb.rcv.window.advertised_mss, snd.mss, tcb.rcv.window.size)
    chunk = snd.inflight[0]
    chunk.flags |= ACK
    transmit(tcb, chunk)


def begin_transfer(tcb: Tcb) -> None:
    """Set the windows for the transfer to begin. Source: `tcp_init_transfer`."""
    loss, window = tcb.loss, tcb.cwnd
    if not tcb.rtt.srtt:
        tcb.rtt.handshake_gave_nothing()
    window.set(1 if loss.total_retransmitted > 1 and loss.undo_mark is not None else INITIAL_CWND, tcb.now)
    tcb.rcv.window.established(tcb.rcv.nxt, tcb.now, app_window=tcb.config.app_window)
    expand_buffer(tcb)
    tcb.snd.last_sent = tcb.now
    if tcb.keepalive:
        tcb.timers.keepalive_at = expiry(tcb.now, tcb.config.keepalive_time)


# --- ESTABLISHED and later ---


def _in_established(tcb: Tcb, arrival: Arrival) -> Outcome:
    """Source: `tcp_rcv_established`."""
    verdict = acknowledge(tcb, arrival, challenge=True)
    if verdict.reason is not None:
        return Outcome(verdict.reason)
    _measure_echo(tcb, arrival)
    reason = queue(tcb, arrival)
    after_input(tcb)
    return Outcome(reason)


def _measure_echo(tcb: Tcb, arrival: Arrival) -> None:
    """Estimate the round-trip time of the peer's data by the timestamp it echoes."""
    echoed = tcb.stamps.echoed
    if echoed is not None and len(arrival.payload) >= tcb.acks.peer_mss:
        ticks = wire(clock(tcb) - echoed)
        if ticks < 1 << 31:
            tcb.rcv.window.echoed_rtt(ticks * MILLISECOND)


def after_input(tcb: Tcb) -> None:
    """Send what the segment made possible, data first, and acknowledge it."""
    push(tcb)
    if tcb.snd.starved and has_room(tcb):
        tcb.snd.starved = False
        expand_buffer(tcb)
        tcb.stirred = True
    check_ack(tcb)


def _in_other_states(tcb: Tcb, arrival: Arrival) -> Outcome:
    """Source: `tcp_rcv_state_process`."""
    verdict = acknowledge(tcb, arrival, challenge=False)
    if verdict is not Verdict.GOOD:
        if tcb.state is State.SYN_RECEIVED:
            return Outcome(verdict.reason or DropReason.TCP_OLD_ACK, reset=True)
        if verdict.reason is not None:
            send_challenge(tcb)
            return Outcome(verdict.reason)
    if tcb.state is State.SYN_RECEIVED:
        _acknowledged_syn(tcb, arrival)
    elif tcb.snd.una == tcb.snd.end and tcb.state is not State.ESTABLISHED:
        ended = _acknowledged_fin(tcb, arrival)
        if ended is not None:
            return ended
    if tcb.state in _CLOSING and arrival.seq >= tcb.rcv.nxt:
        reason: DropReason | None = None
    elif _is_for_nobody(tcb, arrival):
        _reset(tcb)
        return Outcome(DropReason.TCP_ABORT_ON_DATA, reset=True)
    else:
        reason = queue(tcb, arrival)
    if tcb.state is not State.CLOSED and tcb.remainder is None:
        after_input(tcb)
    return Outcome(reason)


def _acknowledged_syn(tcb: Tcb, arrival: Arrival) -> None:
    """Our SYN-ACK is acknowledged: the connection stands."""
    snd = tcb.snd
    if tcb.stamps.on:
        tcb.rcv.window.advertised_mss -= TIMESTAMPS_LENGTH
    tcb.loss.first_retransmit_at = None
    begin_transfer(tcb)
    tcb.move(Cause.ACK_OF_SYN)
    tcb.stirred = True
    snd.una = arrival.ack
    snd.wnd = arrival.window << snd.scale
    snd.wl1 = arrival.seq
    snd.last_sent = tcb.now
    tcb.acks.guess_peer_mss(tcb.rcv.window.advertised_mss, snd.mss, tcb.rcv.window.size)
    if tcb.write_shut:
        tcb.move(Cause.CLOSE)
        send_fin(tcb)


def _acknowledged_fin(tcb: Tcb, arrival: Arrival) -> Outcome | None:
    """All we sent, FIN included, is acknowledged; return what that ends, None to go on."""
    if tcb.state is State.FIN_WAIT_1:
        tcb.move(Cause.ACK_OF_FIN)
        tcb.write_shut = True
        if not tcb.orphan:
            tcb.stirred = True
            return None
        if _is_for_nobody(tcb, arrival):
            finish(tcb, Cause.ABORT)
            return Outcome(DropReason.TCP_ABORT_ON_DATA, reset=True)
        return _wait_as_orphan(tcb, arrival)
    if tcb.state is State.CLOSING:
        tcb.move(Cause.ACK_OF_FIN)
        begin_time_wait(tcb)
        return _TAKEN
    if tcb.state is State.LAST_ACK:
        finish(tcb, Cause.ACK_OF_FIN)
        return _TAKEN
    return None


def _wait_as_orphan(tcb: Tcb, arrival: Arrival) -> Outcome | None:
    """Wait for the peer's FIN in FIN-WAIT-2, with nobody to read what comes before it."""
    excess = tcb.config.fin_timeout - TIME_WAIT_LENGTH
    if excess > 0:
        tcb.timers.keepalive_at = expiry(tcb.now, excess)
    elif arrival.flags & FIN:
        tcb.timers.keepalive_at = expiry(tcb.now, tcb.config.fin_timeout)
    else:
        tcb.remainder = TimeWait(tcb, tcb.state, tcb.config.fin_timeout)
        tcb.timers.stop_all()
        return _TAKEN
    return None


def _is_for_nobody(tcb: Tcb, arrival: Arrival) -> bool:
    """Return whether the segment has new data, but our side will read no more (RFC 1122 §4.2.2.13)."""
    if not tcb.read_shut or arrival.seq == arrival.end:
        return False
    return arrival.end - bool(arrival.flags & FIN) > tcb.rcv.nxt
