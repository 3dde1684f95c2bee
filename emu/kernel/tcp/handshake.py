# SPDX-License-Identifier: GPL-2.0-only
"""A connection that a listener was asked for: from the SYN to the ACK of our SYN-ACK.

Linux keeps a small request socket for it; the connection is made when the
handshake is done. ECN is agreed to, as Linux does by default when it is asked, but
the connection then goes on without.

Source: RFC 9293 §3.10.7.2, net/ipv4/tcp_minisocks.c `tcp_check_req`,
net/ipv4/inet_connection_sock.c `reqsk_timer_handler`.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from emu.kernel.tcp.acknowledgement import sync_mss
from emu.kernel.tcp.config import DEFAULT_MSS, HEADERS, INITIAL_RTO, TIMESTAMPS_LENGTH
from emu.kernel.tcp.opening import negotiate
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.sequence import unwrap, wire
from emu.kernel.tcp.states import TRANSITIONS, Cause, State
from emu.kernel.tcp.tcb import Tcb
from emu.kernel.tcp.timers import expiry
from emu.kernel.tcp.window import LARGEST_FIELD, ReceiveWindow
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, CWR, ECE, FIN, RST, SYN, TcpOptions

if TYPE_CHECKING:
    from emu.kernel.tcp.config import TcpConfig
    from emu.sim.time import Instant

_ECN: Final = ECE | CWR
_LARGEST_MSS: Final = 65535 - HEADERS
_LEAST_ADVERTISED: Final = 256  # net.ipv4.route.min_adv_mss


def advertised_mss(mtu: int) -> int:
    """Return the MSS that we tell a peer behind a path of `mtu`. Source: `ipv4_default_advmss`."""
    return min(max(mtu - HEADERS, _LEAST_ADVERTISED), _LARGEST_MSS)


class Step(enum.Enum):
    """What a segment means to a handshake."""

    WAIT = "nothing more to do"
    DONE = "it is complete"
    STRANGE = "not of this handshake: as if there were none"
    RESET = "it is over, and the peer is told by RST"
    OVER = "it is over"


class Handshake:
    """A connection in the making, in state SYN-RECEIVED.

    It begins with `syn`, whose packet may carry ECN marks (`ect`).

    Attributes:
        irs: the peer's initial sequence number.
        iss: ours.
        timeouts: how often the SYN-ACK was repeated because time was up.
        retransmitted: how often it was repeated.
        is_acknowledged: its ACK has come, but there was no room for the connection.
        deadline: when the SYN-ACK is repeated next.
        outbox: segments to send.
    """

    def __init__(
        self,
        config: TcpConfig,
        syn: Segment,
        *,
        iss: int,
        mtu: int,
        now: Instant,
        stamp_offset: int = 0,
        ect: bool = False,
    ) -> None:
        options = syn.options
        self.state = TRANSITIONS[State.LISTEN, Cause.SYN]
        self.irs = syn.seq
        self.iss = iss
        self.timeouts = 0
        self.retransmitted = 0
        self.is_acknowledged = False
        self.outbox: list[Segment] = []
        self._config = config
        self._mtu = mtu
        self._mss = options.mss or DEFAULT_MSS
        self._scale = options.window_scale if config.window_scaling else None
        self._sack_ok = config.sack and options.sack_permitted
        self._stamps = options.timestamps if config.timestamps else None
        self._stamp_offset = stamp_offset
        self._window = self._fresh_window()
        self._ecn = config.ecn and not ect and syn.flags & _ECN == _ECN
        self._sent_at = now
        self._answered_at: Instant | None = None
        self._send(now)
        self.deadline = expiry(now, INITIAL_RTO)

    def _fresh_window(self) -> ReceiveWindow:
        mss = advertised_mss(self._mtu) - TIMESTAMPS_LENGTH * (self._stamps is not None)
        return ReceiveWindow(self._config, mss, scaling=self._scale is not None)

    def _clock(self, now: Instant) -> int:
        return wire(now // MILLISECOND + self._stamp_offset)

    def _send(self, now: Instant) -> None:
        """Send the SYN-ACK. Source: `tcp_make_synack`."""
        options = TcpOptions(
            mss=advertised_mss(self._mtu),
            window_scale=self._window.scale if self._scale is not None else None,
            sack_permitted=self._sack_ok,
            timestamps=(self._clock(now), self._stamps[0]) if self._stamps else None,
        )
        window = min(self._window.size, LARGEST_FIELD)
        flags = SYN | ACK | (ECE if self._ecn else 0)
        self.outbox.append(Segment(flags, self.iss, wire(self.irs + 1), window, options))

    def _send_ack(self, now: Instant) -> None:
        """Acknowledge again what the peer has sent. Source: `tcp_v4_reqsk_send_ack`."""
        stamps = (self._clock(now), self._stamps[0]) if self._stamps else None
        window = min(self._window.size, LARGEST_FIELD) >> self._window.scale
        self.outbox.append(
            Segment(ACK, wire(self.iss + 1), wire(self.irs + 1), window, TcpOptions(timestamps=stamps))
        )

    def receive(self, segment: Segment, now: Instant) -> Step:
        """Take a segment of the peer."""
        flags = segment.flags & (RST | SYN | ACK)
        seq = unwrap(segment.seq, self.irs)
        stamps = segment.options.timestamps if self._stamps else None
        old = stamps is not None and not flags & RST and self._is_old(stamps[0])
        if seq == self.irs and flags == SYN and not old:
            self._repeat(now)
            return Step.WAIT
        if flags & ACK and segment.ack != wire(self.iss + 1):
            return Step.STRANGE
        if old or not self._fits(seq, seq + segment.length):
            if not flags & RST and not self._is_limited(segment, now):
                self._send_ack(now)
            return Step.WAIT
        if seq == self.irs:
            flags &= ~SYN
        if flags & RST and seq != self.irs + 1:
            if not self._is_limited(segment, now):
                self._send_ack(now)
            return Step.WAIT
        if flags & RST:
            return Step.OVER
        if flags & SYN:
            return Step.RESET
        return Step.DONE if flags & ACK else Step.WAIT

    def _is_old(self, value: int) -> bool:
        assert self._stamps is not None, "timestamps are in use"
        return 0 < wire(self._stamps[0] - value) < 1 << 31

    def _fits(self, seq: int, end: int) -> bool:
        left, right = self.irs + 1, self.irs + 1 + self._window.size
        if seq == left or (end > left and seq < right):
            return True
        return seq == right == end

    def _is_limited(self, segment: Segment | None, now: Instant) -> bool:
        """Return whether no answer is due so soon after the last. Source: `tcp_oow_rate_limited`."""
        if segment is not None and segment.length and not segment.flags & SYN:
            return False
        last = self._answered_at
        if last is not None and now - last < self._config.invalid_ratelimit:
            return True
        self._answered_at = now
        return False

    def _repeat(self, now: Instant) -> None:
        """Answer a repeated SYN."""
        if self._is_limited(None, now):
            return
        self._send(now)
        self.retransmitted += 1
        self.deadline = expiry(now, self._pause)

    @property
    def _pause(self) -> int:
        return min(INITIAL_RTO << self.timeouts, self._config.rto_max)

    def timeout(self, now: Instant) -> bool:
        """Repeat the SYN-ACK; return False if it was tried often enough."""
        if self.timeouts >= self._config.synack_retries:
            return False
        self._send(now)
        self.retransmitted += 1
        self.timeouts += 1
        self.deadline = expiry(now, self._pause)
        return True

    def connection(self, segment: Segment, now: Instant) -> Tcb:
        """Return the connection that `segment` completes, which it has still to be given.

        Source: `tcp_create_openreq_child`.
        """
        tcb = Tcb(
            self._config,
            now=now,
            iss=self.iss + 1,
            mtu=self._mtu,
            window=self._fresh_window(),
            stamp_offset=self._stamp_offset,
            state=self.state,
        )
        tcb.sack_ok = self._sack_ok
        negotiate(tcb, self._mss, self._scale, self._stamps)
        tcb.rcv.window.advertised_mss = advertised_mss(self._mtu)
        tcb.rcv.begin(self.irs)
        snd, loss = tcb.snd, tcb.loss
        snd.iss = self.iss
        snd.wl1 = self.irs
        snd.wnd = snd.max_wnd = segment.window << snd.scale
        sync_mss(tcb, self._mtu)
        tcb.acks.guess_peer_mss(tcb.rcv.window.advertised_mss, snd.mss, tcb.rcv.window.size)
        tcb.acks.last_received = now
        tcb.acks.first_segment(len(segment.payload))
        loss.total_retransmitted = self.retransmitted
        if self.timeouts:
            loss.undo_mark = self.iss
            loss.first_retransmit_at = self._sent_at
        if not self.retransmitted:
            taken = now - self._sent_at
            tcb.rtt.sample(taken, taken, snd.una, snd.nxt)
        return tcb


def is_request(segment: Segment) -> bool:
    """Return whether a listener takes `segment` for the begin of a connection."""
    return segment.flags & (SYN | ACK | RST | FIN) == SYN
