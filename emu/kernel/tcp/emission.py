# SPDX-License-Identifier: GPL-2.0-only
"""Making segments: flags, numbers, window, options, and what follows from having sent one.

Source: net/ipv4/tcp_output.c `__tcp_transmit_skb`, `tcp_established_options`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.tcp.config import TIMESTAMPS_LENGTH
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.sequence import wire
from emu.kernel.tcp.window import LARGEST_FIELD
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, FIN, PSH, RST, SYN, TcpOptions

if TYPE_CHECKING:
    from emu.kernel.tcp.segment import Chunk
    from emu.kernel.tcp.tcb import Tcb

_OPTIONS_ROOM: Final = 40
_LAST_ONLY: Final = FIN | PSH


def clock(tcb: Tcb) -> int:
    """Return the value of our timestamps now."""
    return wire(tcb.now // MILLISECOND + tcb.stamps.offset)


def _sack_room(tcb: Tcb) -> int:
    return _OPTIONS_ROOM - TIMESTAMPS_LENGTH * tcb.stamps.on


def segment_size(tcb: Tcb) -> int:
    """Return how much payload a segment holds now, SACK blocks taken off. Source: `tcp_current_mss`."""
    if not tcb.sack_ok:
        return tcb.snd.mss
    sacks = tcb.rcv.sacks
    count = len(sacks.blocks) + (sacks.duplicate is not None)
    if not count:
        return tcb.snd.mss
    return tcb.snd.mss - 4 - 8 * min(count, (_sack_room(tcb) - 4) // 8)


def _options(tcb: Tcb) -> TcpOptions:
    stamps = (clock(tcb), tcb.stamps.recent) if tcb.stamps.on else None
    sack = tcb.rcv.sacks.option(_sack_room(tcb)) if tcb.sack_ok else ()
    return TcpOptions(timestamps=stamps, sack=sack)


def _syn_options(tcb: Tcb) -> TcpOptions:
    """Return what a SYN offers, the SYN-ACK of a simultaneous open too. Source: `tcp_syn_options`."""
    config, window = tcb.config, tcb.rcv.window
    return TcpOptions(
        mss=window.advertised_mss,
        window_scale=window.scale if config.window_scaling else None,
        sack_permitted=config.sack,
        timestamps=(clock(tcb), tcb.stamps.recent) if config.timestamps else None,
    )


def transmit(tcb: Tcb, chunk: Chunk) -> None:
    """Send `chunk`, as one segment or as several, and note what that changes."""
    rcv, acks = tcb.rcv, tcb.acks
    flags = chunk.flags
    if chunk.segments > 1:
        flags |= PSH  # so that the receiver does not wait for more to merge with a burst
    tcb.snd.transmissions += 1
    chunk.transmission = tcb.snd.transmissions
    chunk.sent_at = tcb.now
    if flags & SYN:
        options = _syn_options(tcb)
        window = min(rcv.window.size, LARGEST_FIELD)
    else:
        options = _options(tcb)
        window = rcv.window.offer(rcv.wup, rcv.nxt, acks)
        rcv.wup = rcv.nxt
    if flags & ACK:
        acks.ack_sent()
        tcb.compressed_acks = 0
        tcb.timers.stop_acks()
    ack = wire(rcv.nxt) if flags & ACK else 0
    size, payload = chunk.mss, bytes(chunk.payload)
    if payload:
        tcb.snd.last_sent = tcb.now
        acks.data_sent(tcb.now)
    last = max(chunk.segments - 1, 0) * size
    for at in range(0, last, size):
        part = payload[at : at + size]
        tcb.outbox.append(Segment(flags & ~_LAST_ONLY, wire(chunk.seq + at), ack, window, options, part))
    tcb.outbox.append(Segment(flags, wire(chunk.seq + last), ack, window, options, payload[last:]))


def _bare(tcb: Tcb, flags: int, seq: int) -> None:
    rcv, acks = tcb.rcv, tcb.acks
    options = _options(tcb)
    window = rcv.window.offer(rcv.wup, rcv.nxt, acks)
    rcv.wup = rcv.nxt
    acks.ack_sent()
    tcb.compressed_acks = 0
    tcb.timers.stop_acks()
    tcb.outbox.append(Segment(flags | ACK, wire(seq), wire(rcv.nxt), window, options))


def acceptable_number(tcb: Tcb) -> int:
    """Return the sequence number for a segment without data: one that the peer takes.

    It is SND.NXT, unless the peer has drawn its window back behind that. Source: `tcp_acceptable_seq`.
    """
    snd = tcb.snd
    beyond = snd.nxt - snd.window_end
    if beyond <= 0 or (tcb.rcv.window.scale and beyond < 1 << tcb.rcv.window.scale):
        return snd.nxt
    return snd.window_end


def send_ack(tcb: Tcb) -> None:
    """Send an ACK without data."""
    _bare(tcb, 0, acceptable_number(tcb))


def send_reset(tcb: Tcb) -> None:
    """Send RST of our own accord. Source: `tcp_send_active_reset`."""
    _bare(tcb, RST, acceptable_number(tcb))


def send_probe(tcb: Tcb) -> None:
    """Send an ACK with an old number, which the peer has to answer. Source: `tcp_xmit_probe_skb`."""
    _bare(tcb, 0, tcb.snd.una - 1)
