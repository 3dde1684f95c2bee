# SPDX-License-Identifier: GPL-2.0-only
"""A segment arrives: the steps of RFC 9293 §3.10.7, as Linux takes them.

Source: RFC 9293 §3.10.7, net/ipv4/tcp_input.c `tcp_rcv_established`, `tcp_rcv_state_process`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.drops import DropReason
from emu.kernel.tcp import opening
from emu.kernel.tcp.acknowledgement import Verdict, acknowledge, send_challenge
from emu.kernel.tcp.closing import finish, leave_to_remainder, peer_reset, wait_as_orphan
from emu.kernel.tcp.emission import clock
from emu.kernel.tcp.output import expand_buffer, has_room, push
from emu.kernel.tcp.reception import check_ack, queue
from emu.kernel.tcp.segment import TAKEN, Arrival, Outcome
from emu.kernel.tcp.sequence import unwrap, wire
from emu.kernel.tcp.states import Cause, State
from emu.kernel.tcp.validation import check
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Segment
    from emu.kernel.tcp.tcb import Tcb

_FIN_CAME: Final = (State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK)


def receive(tcb: Tcb, segment: Segment) -> Outcome:
    """Take `segment` in any state from SYN-SENT on."""
    if tcb.state is State.CLOSED:
        return Outcome(DropReason.TCP_CLOSE)
    arrival = _place(tcb, segment)
    if tcb.state is State.SYN_SENT:
        return opening.receive(tcb, arrival)
    if not arrival.flags & (ACK | RST | SYN):
        return Outcome(DropReason.TCP_FLAGS)
    ended = check(tcb, arrival)
    if ended is not None:
        return ended
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
    )


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
        opening.complete(tcb, arrival)
    elif tcb.snd.una == tcb.snd.end and tcb.state is not State.ESTABLISHED:
        ended = _acknowledged_fin(tcb, arrival)
        if ended is not None:
            return ended
    if tcb.state in _FIN_CAME and arrival.seq >= tcb.rcv.nxt:
        reason: DropReason | None = None
    elif _is_for_nobody(tcb, arrival):
        peer_reset(tcb)
        return Outcome(DropReason.TCP_ABORT_ON_DATA, reset=True)
    else:
        reason = queue(tcb, arrival)
    if tcb.state is not State.CLOSED and tcb.remainder is None:
        after_input(tcb)
    return Outcome(reason)


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
        wait_as_orphan(tcb, fin_is_here=bool(arrival.flags & FIN))
        return None if tcb.remainder is None else TAKEN
    if tcb.state is State.CLOSING:
        tcb.move(Cause.ACK_OF_FIN)
        leave_to_remainder(tcb, tcb.config.fin_timeout)
        return TAKEN
    if tcb.state is State.LAST_ACK:
        finish(tcb, Cause.ACK_OF_FIN)
        return TAKEN
    return None


def _is_for_nobody(tcb: Tcb, arrival: Arrival) -> bool:
    """Return whether the segment has new data, but our side will read no more (RFC 1122 §4.2.2.13)."""
    if not tcb.read_shut or arrival.seq == arrival.end:
        return False
    return arrival.end - bool(arrival.flags & FIN) > tcb.rcv.nxt
