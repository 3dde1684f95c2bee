# SPDX-License-Identifier: GPL-2.0-only
"""What is left of a connection that nobody holds: FIN-WAIT-2 of an orphan, and TIME-WAIT.

Linux keeps no full socket for these, only the numbers that are needed to answer.

Source: RFC 9293 §3.6.1, RFC 1122 §4.2.2.13, net/ipv4/tcp_minisocks.c `tcp_timewait_state_process`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.tcp.config import TIME_WAIT_LENGTH
from emu.kernel.tcp.segment import Segment
from emu.kernel.tcp.sequence import unwrap, wire
from emu.kernel.tcp.states import TRANSITIONS, Cause, State
from emu.kernel.tcp.timers import expiry
from emu.sim.time import MILLISECOND
from emu.wire.tcp import ACK, FIN, RST, SYN, TcpOptions

if TYPE_CHECKING:
    from emu.kernel.tcp.tcb import Tcb
    from emu.sim.time import Duration, Instant

_ISN_DISTANCE: Final = 65535 + 2


class Remainder(NamedTuple):
    """What is to be done about a segment.

    Attributes:
        reply: the ACK to send, if any.
        reset: answer with RST.
        reopen: a new connection may begin, with this initial sequence number.
        gone: nothing is left of the old connection.
    """

    reply: Segment | None = None
    reset: bool = False
    reopen: int | None = None
    gone: bool = False


class TimeWait:
    """A connection that only waits.

    Attributes:
        state: FIN_WAIT_2 until the peer's FIN has come, then TIME_WAIT.
        deadline: when it is forgotten.
    """

    __slots__ = (
        "_answered_at",
        "_config",
        "_echo",
        "_nxt",
        "_offset",
        "_scale",
        "_snd_nxt",
        "_stamped",
        "_window",
        "deadline",
        "state",
    )

    def __init__(self, tcb: Tcb, state: State, length: Duration) -> None:
        least = 4 * tcb.rtt.rto - tcb.rtt.rto // 2
        self.state = state
        self._config = tcb.config
        self._nxt = tcb.rcv.nxt
        self._snd_nxt = tcb.snd.nxt
        self._window = tcb.rcv.left
        self._scale = tcb.rcv.window.scale
        self._stamped = tcb.stamps.recent_at is not None
        self._echo = tcb.stamps.recent
        self._offset = tcb.stamps.offset
        self._answered_at: Instant | None = None
        if state is State.TIME_WAIT:
            length = TIME_WAIT_LENGTH
        self.deadline = expiry(tcb.now, max(length, least))

    def end(self) -> None:
        """Forget the connection: time is up, or there was a RST."""
        self.state = TRANSITIONS[self.state, Cause.ABORT]

    def receive(self, segment: Segment, now: Instant) -> Remainder:
        """Return what is to be done about `segment`."""
        seq = unwrap(segment.seq, self._nxt)
        stamps = segment.options.timestamps if self._stamped else None
        old = stamps is not None and self._is_old(stamps[0], rst=bool(segment.flags & RST))
        if self.state is State.FIN_WAIT_2:
            return self._fin_wait(segment, seq, now, old=old)
        return self._time_wait(segment, seq, now, old=old)

    def _fin_wait(self, segment: Segment, seq: int, now: Instant, *, old: bool) -> Remainder:
        flags, end = segment.flags, seq + segment.length
        if old or not self._fits(seq, end):
            return self._answer(segment, now)
        if flags & RST:
            return Remainder(gone=True)
        if flags & SYN and seq >= self._nxt:
            return Remainder(reset=True, gone=True)
        if not flags & ACK or end <= self._nxt or end == seq:
            return Remainder()
        if not flags & FIN or end != self._nxt + 1:
            return Remainder(reset=True, gone=True)  # data for a program that is gone
        self.state = TRANSITIONS[self.state, Cause.FIN]
        self._nxt = end
        self._keep_stamp(segment)
        self.deadline = expiry(now, TIME_WAIT_LENGTH)
        return Remainder(reply=self.acknowledgement(now))

    def _time_wait(self, segment: Segment, seq: int, now: Instant, *, old: bool) -> Remainder:
        flags, length = segment.flags, segment.length
        if not old and seq == self._nxt and (not length or flags & RST):
            if flags & RST:
                if not self._config.rfc1337:
                    return Remainder(gone=True)
            else:
                self.deadline = expiry(now, TIME_WAIT_LENGTH)
            self._keep_stamp(segment)
            return Remainder()
        if (
            flags & SYN
            and not flags & (RST | ACK)
            and not old
            and (seq > self._nxt or self._is_newer(segment))
        ):
            return Remainder(reopen=wire(self._snd_nxt + _ISN_DISTANCE) or 1)
        if flags & RST:
            return Remainder()
        if old or flags & ACK:
            self.deadline = expiry(now, TIME_WAIT_LENGTH)
        return self._answer(segment, now)

    def _fits(self, seq: int, end: int) -> bool:
        """Return whether some of the segment is in the window. Source: `tcp_in_window`."""
        right = self._nxt + self._window
        if seq == self._nxt or (end > self._nxt and seq < right):
            return True
        return seq == right == end

    def _answer(self, segment: Segment, now: Instant) -> Remainder:
        """Acknowledge what does not fit, but not too often. Source: `tcp_oow_rate_limited`."""
        if not (segment.length and not segment.flags & SYN):
            last = self._answered_at
            if last is not None and now - last < self._config.invalid_ratelimit:
                return Remainder()
            self._answered_at = now
        return Remainder(reply=self.acknowledgement(now))

    def acknowledgement(self, now: Instant) -> Segment:
        """Return the ACK of all that was received."""
        stamps = (wire(now // MILLISECOND + self._offset), self._echo) if self._stamped else None
        window = min(self._window >> self._scale, 0xFFFF)
        return Segment(ACK, wire(self._snd_nxt), wire(self._nxt), window, TcpOptions(timestamps=stamps))

    def _is_old(self, value: int, *, rst: bool) -> bool:
        return not rst and bool(self._echo) and 0 < wire(self._echo - value) < 1 << 31

    def _is_newer(self, segment: Segment) -> bool:
        stamps = segment.options.timestamps if self._stamped else None
        return stamps is not None and 0 < wire(stamps[0] - self._echo) < 1 << 31

    def _keep_stamp(self, segment: Segment) -> None:
        if self._stamped and segment.options.timestamps is not None:
            self._echo = segment.options.timestamps[0]
