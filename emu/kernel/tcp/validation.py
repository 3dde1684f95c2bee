# SPDX-License-Identifier: GPL-2.0-only
"""Whether a segment is acceptable: timestamps, numbers, RST, SYN, in this order.

Source: RFC 9293 §3.10.7.4 (first to fourth step), RFC 5961 (blind attacks), RFC 7323 §5
(PAWS), net/ipv4/tcp_input.c `tcp_validate_incoming`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.drops import DropReason
from emu.kernel.tcp.acknowledgement import is_old_timestamp, is_rate_limited, send_challenge
from emu.kernel.tcp.closing import peer_reset
from emu.kernel.tcp.emission import send_ack
from emu.kernel.tcp.segment import TAKEN, Outcome
from emu.kernel.tcp.sequence import wire
from emu.kernel.tcp.states import State
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, FIN, RST, SYN

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Arrival
    from emu.kernel.tcp.tcb import Tcb

_PAWS_SLACK: Final = 1
_FIN_CAME: Final = (State.CLOSE_WAIT, State.CLOSING, State.LAST_ACK)


def check(tcb: Tcb, arrival: Arrival) -> Outcome | None:
    """Return what became of a segment that goes no further, None if it is to be taken.

    What is not acceptable is answered where that is due. A RST that ends the
    connection is no drop.
    """
    flags = arrival.flags
    if _is_outdated(tcb, arrival) and not flags & RST:
        if flags & SYN:
            send_challenge(tcb)
            return Outcome(DropReason.TCP_INVALID_SYN)
        _answer_unfit(tcb, arrival)
        return Outcome(DropReason.TCP_RFC7323_PAWS)
    unfit = _check_sequence(tcb, arrival)
    if unfit is not None:
        if flags & RST:
            if _follows_fin(tcb, arrival):
                peer_reset(tcb)
                return TAKEN
        elif flags & SYN:
            send_challenge(tcb)
            return Outcome(DropReason.TCP_INVALID_SYN)
        else:
            _answer_unfit(tcb, arrival)
        return Outcome(unfit)
    if flags & RST:
        if _resets(tcb, arrival):
            peer_reset(tcb)
            return TAKEN
        send_challenge(tcb)
        return Outcome(DropReason.TCP_RESET)
    if flags & SYN and not _is_crossed_syn(tcb, arrival):
        send_challenge(tcb)
        return Outcome(DropReason.TCP_INVALID_SYN)
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
    return arrival.seq == tcb.rcv.nxt - 1 and tcb.state in _FIN_CAME


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
