# SPDX-License-Identifier: GPL-2.0-only
"""The begin of a connection: SYN-SENT, and SYN-RECEIVED until our SYN is acknowledged.

Source: RFC 9293 §3.5, §3.10.7.3, net/ipv4/tcp_input.c `tcp_rcv_synsent_state_process`, `tcp_init_transfer`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.drops import DropReason
from emu.kernel.tcp.acknowledgement import acknowledge, sync_mss
from emu.kernel.tcp.closing import peer_reset
from emu.kernel.tcp.config import DEFAULT_MSS, INITIAL_CWND, TIMESTAMPS_LENGTH
from emu.kernel.tcp.emission import clock, send_ack, transmit
from emu.kernel.tcp.output import expand_buffer, push, send_fin
from emu.kernel.tcp.segment import TAKEN, Outcome
from emu.kernel.tcp.sequence import wire
from emu.kernel.tcp.states import Cause
from emu.kernel.tcp.timers import JIFFY, Purpose, expiry
from emu.kernel.tcp.window import MAX_SCALE
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, RST, SYN

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Arrival
    from emu.kernel.tcp.tcb import Tcb


def receive(tcb: Tcb, arrival: Arrival) -> Outcome:
    """Take a segment in SYN-SENT."""
    flags, snd = arrival.flags, tcb.snd
    if flags & ACK:
        if not snd.una < arrival.ack <= snd.nxt:
            if not tcb.loss.timeouts:
                tcb.timers.set_send(Purpose.RETRANSMIT, tcb.now, 2 * JIFFY)
            return Outcome(DropReason.TCP_INVALID_ACK_SEQUENCE, reset=True)
        if _echoes_nonsense(tcb, arrival):
            return Outcome(DropReason.TCP_RFC7323_PAWS, reset=True)
        if flags & RST:
            peer_reset(tcb)
            return TAKEN
        if not flags & SYN:
            return Outcome(DropReason.TCP_FLAGS)
        _connect(tcb, arrival)
        return TAKEN
    if flags & RST:
        return Outcome(DropReason.TCP_RESET)
    if flags & SYN:
        _cross(tcb, arrival)
        return TAKEN
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
    negotiate(tcb, options.mss, options.window_scale, options.timestamps)
    snd.wl1 = arrival.seq
    tcb.rcv.begin(arrival.seq)
    _keep_window_if_spurious(tcb, arrival)
    acknowledge(tcb, arrival, challenge=True)
    snd.wnd = arrival.window
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
    """Set the windows for the transfer to begin."""
    loss, window = tcb.loss, tcb.cwnd
    if not tcb.rtt.srtt:
        tcb.rtt.handshake_gave_nothing()
    window.set(1 if loss.total_retransmitted > 1 and loss.undo_mark is not None else INITIAL_CWND, tcb.now)
    tcb.rcv.window.established(tcb.rcv.nxt, tcb.now, app_window=tcb.config.app_window)
    expand_buffer(tcb)
    tcb.snd.last_sent = tcb.now
    if tcb.keepalive:
        tcb.timers.keepalive_at = expiry(tcb.now, tcb.config.keepalive_time)


def _keep_window_if_spurious(tcb: Tcb, arrival: Arrival) -> None:
    """Begin with a full window though SYN was repeated, if it was the first one that came through.

    The timestamp that is echoed tells. Source: `tcp_try_undo_spurious_syn`.
    """
    began, stamps = tcb.loss.first_retransmit_at, arrival.options.timestamps
    if began is None or stamps is None or not tcb.stamps.on:
        return
    if stamps[1] == wire(began // MILLISECOND + tcb.stamps.offset):
        tcb.loss.undo_mark = None


def complete(tcb: Tcb, arrival: Arrival) -> None:
    """Our SYN-ACK is acknowledged: the connection stands."""
    snd = tcb.snd
    if tcb.stamps.on:
        tcb.rcv.window.advertised_mss -= TIMESTAMPS_LENGTH
    _keep_window_if_spurious(tcb, arrival)
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
