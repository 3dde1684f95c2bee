# SPDX-License-Identifier: GPL-2.0-only
"""One TCP connection without any I/O: segments and time in, segments and readiness out.

    connection = Connection.open(config, now=now, iss=1000, mtu=1500)
    for segment in connection.take_segments(): ...  # a SYN
    connection.receive(segment, now)                # a SYN-ACK
    connection.write(b"GET", now)

Whoever holds it sends what `take_segments` and `take_replies` give after every
call, and calls `timeout` at `next_deadline`.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Self

from emu.kernel.drops import DropReason
from emu.kernel.tcp import closing, expiry, reset
from emu.kernel.tcp.acknowledgement import sync_mss
from emu.kernel.tcp.emission import transmit
from emu.kernel.tcp.handshake import advertised_mss
from emu.kernel.tcp.input import receive
from emu.kernel.tcp.output import has_room, push, write
from emu.kernel.tcp.reception import has_read, read
from emu.kernel.tcp.segment import Chunk, Outcome
from emu.kernel.tcp.sequence import unwrap
from emu.kernel.tcp.states import Cause, State
from emu.kernel.tcp.tcb import Tcb
from emu.kernel.tcp.timers import Purpose
from emu.kernel.tcp.timers import expiry as fires_at
from emu.kernel.tcp.window import ReceiveWindow
from emu.sim.time import later
from emu.wire.tcp import SYN

if TYPE_CHECKING:
    from emu.kernel.tcp.config import TcpConfig
    from emu.kernel.tcp.handshake import Handshake
    from emu.kernel.tcp.segment import Segment
    from emu.kernel.tcp.timewait import TimeWait
    from emu.sim.time import Duration, Instant

_OPENING = (State.SYN_SENT, State.SYN_RECEIVED)


class Connection:
    """A connection, from its first SYN to the end of TIME-WAIT.

    Attributes:
        tcb: all it knows.
        reopen: a SYN wants a new connection in place of this one, with this
            initial sequence number.
    """

    __slots__ = ("_replies", "reopen", "tcb")

    def __init__(self, tcb: Tcb) -> None:
        self.tcb = tcb
        self.reopen: int | None = None
        self._replies: list[Segment] = []

    @classmethod
    def open(cls, config: TcpConfig, *, now: Instant, iss: int, mtu: int, stamp_offset: int = 0) -> Self:
        """Begin a connection: send a SYN.

        Args:
            config: parameters.
            now: the time.
            iss: our initial sequence number.
            mtu: of the path, octets.
            stamp_offset: what is added to our timestamps.
        """
        mss = advertised_mss(mtu)
        window = ReceiveWindow(config, mss, scaling=config.window_scaling)
        tcb = Tcb(config, now=now, iss=iss, mtu=mtu, window=window, stamp_offset=stamp_offset)
        tcb.move(Cause.ACTIVE_OPEN)
        sync_mss(tcb, mtu)
        tcb.loss.first_retransmit_at = now
        chunk = Chunk(iss, b"", SYN, mss)
        snd = tcb.snd
        snd.inflight.append(chunk)
        snd.nxt = snd.end = snd.pushed = iss + 1
        transmit(tcb, chunk)
        tcb.timers.set_send(Purpose.RETRANSMIT, now, tcb.rtt.rto)
        return cls(tcb)

    @classmethod
    def accepted(cls, handshake: Handshake, segment: Segment, now: Instant) -> Self:
        """Return the connection that `segment` completes, having taken it."""
        connection = cls(handshake.connection(segment, now))
        connection.receive(segment, now)
        return connection

    # --- what is seen of it ---

    @property
    def state(self) -> State:
        """The state, as RFC 9293 and `ss` name it."""
        remainder = self.tcb.remainder
        return self.tcb.state if remainder is None else remainder.state

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is left."""
        return self.state is State.CLOSED

    @property
    def next_deadline(self) -> Instant | None:
        """When `timeout` is to be called, None for never."""
        remainder = self.tcb.remainder
        if remainder is not None:
            return remainder.deadline if remainder.state is not State.CLOSED else None
        return self.tcb.timers.next

    @property
    def is_readable(self) -> bool:
        """Whether `read` has something to return, the end included."""
        return bool(self.tcb.rcv.reading.size) or self.tcb.read_shut

    @property
    def is_writable(self) -> bool:
        """Whether `write` takes something, or fails."""
        tcb = self.tcb
        return tcb.write_shut or (tcb.state in closing.SENDING and has_room(tcb))

    @property
    def is_established(self) -> bool:
        """Whether the handshake is done and the connection not over."""
        return self.tcb.state not in (*_OPENING, State.CLOSED)

    @property
    def unread(self) -> int:
        """Octets that wait to be read."""
        return self.tcb.rcv.reading.size

    @property
    def unacknowledged(self) -> int:
        """Octets (SYN and FIN counted) that the peer has not acknowledged."""
        return self.tcb.snd.end - self.tcb.snd.una

    def take_segments(self) -> list[Segment]:
        """Return, once, the segments to send."""
        segments, self.tcb.outbox = self.tcb.outbox, []
        return segments

    def take_replies(self) -> list[Segment]:
        """Return, once, the segments that answer others: RST, and the ACKs of TIME-WAIT."""
        replies, self._replies = self._replies, []
        return replies

    def take_error(self) -> int:
        """Return, once, the errno of what went wrong, 0 if nothing has."""
        number, self.tcb.error = self.tcb.error, 0
        return number

    def take_stir(self) -> bool:
        """Return, once, whether something happened that a waiting program wants to know."""
        stirred, self.tcb.stirred = self.tcb.stirred, False
        return stirred

    # --- the network's doors ---

    def receive(self, segment: Segment, now: Instant) -> Outcome:
        """Take a segment of the peer and return what became of it."""
        self.tcb.now = now
        if self.tcb.remainder is not None:
            return self._receive_late(self.tcb.remainder, segment, now)
        outcome = receive(self.tcb, segment)
        if outcome.reset:
            self._refuse(segment)
        return outcome

    def _receive_late(self, remainder: TimeWait, segment: Segment, now: Instant) -> Outcome:
        if remainder.state is State.CLOSED:
            return Outcome(DropReason.TCP_CLOSE)
        result = remainder.receive(segment, now)
        if result.reply is not None:
            self._replies.append(result.reply)
        if result.reset:
            self._refuse(segment)
        if result.gone:
            remainder.end()
        self.reopen = result.reopen
        return Outcome(DropReason.TCP_ABORT_ON_DATA if result.reset else None, reset=result.reset)

    def decline_reopening(self, now: Instant) -> None:
        """Answer the SYN that wanted a new connection as any other segment: nobody listens."""
        remainder = self.tcb.remainder
        if remainder is not None:
            self._replies.append(remainder.acknowledgement(now))

    def _refuse(self, segment: Segment) -> None:
        answer = reset.answer(segment)
        if answer is not None:
            self._replies.append(answer)

    def timeout(self, now: Instant) -> None:
        """Do what is due."""
        remainder = self.tcb.remainder
        if remainder is not None:
            if remainder.state is not State.CLOSED and remainder.deadline <= now:
                remainder.end()
            return
        self.tcb.now = now
        expiry.serve(self.tcb)

    def path_is_narrow(self, mtu: int, now: Instant) -> None:
        """Send smaller segments, and what was too large again: the path has `mtu` only (RFC 1191).

        While the program's own call is under way, which is until this instant is
        over, the connection is its own: then it is done afterwards.

        Source: net/ipv4/tcp_ipv4.c `tcp_v4_mtu_reduced`.
        """
        tcb = self.tcb
        if tcb.remainder is not None or tcb.state is State.CLOSED or mtu >= tcb.snd.mtu:
            return
        tcb.now = now
        tcb.soft_error = errno.EMSGSIZE
        tcb.narrow = mtu
        if tcb.called_at == now:
            tcb.timers.narrow_at = later(now, 1)
        else:
            expiry.path_is_narrow(tcb)

    def path_has_changed(self, mtu: int, now: Instant) -> None:
        """Fit segments that are not sent yet to a path of `mtu`."""
        self.tcb.now = now
        sync_mss(self.tcb, mtu)

    def unreachable(self, number: int, seq: int, now: Instant, *, reverts: bool) -> None:
        """Take an ICMP error about the segment with sequence number `seq`.

        It ends a connection that is being made; later it is only remembered
        (RFC 1122 §4.2.3.9).

        Args:
            number: errno that it stands for.
            seq: as in the header of the segment it quotes.
            now: the time.
            reverts: it shows that a retransmission was lost for want of a route (RFC 6069).

        Source: net/ipv4/tcp_ipv4.c `tcp_v4_err`.
        """
        tcb, snd = self.tcb, self.tcb.snd
        if tcb.remainder is not None or not snd.una <= unwrap(seq, snd.una) <= snd.nxt:
            return
        tcb.now = now
        if reverts:
            self._revert_backoff(unwrap(seq, snd.una))
        if tcb.state in _OPENING:
            closing.finish(tcb, Cause.ABORT, number)
        elif tcb.state is not State.CLOSED:
            tcb.soft_error = number

    def _revert_backoff(self, seq: int) -> None:
        """Take one doubling of the timeout back. Source: `tcp_ld_RTO_revert`."""
        tcb = self.tcb
        if seq != tcb.snd.una or not tcb.loss.timeouts or not tcb.rtt.backoff or not tcb.snd.inflight:
            return
        tcb.rtt.undo_back_off()
        left = tcb.snd.inflight[0].sent_at + tcb.rtt.rto - tcb.now
        if left > 0:
            tcb.timers.set_send(Purpose.RETRANSMIT, tcb.now, left)
        else:
            tcb.timers.purpose, tcb.timers.send_at = Purpose.RETRANSMIT, tcb.now
            expiry.serve(tcb)

    # --- the program's doors ---

    def write(self, data: bytes, now: Instant) -> int:
        """Queue `data`, send what may go, and return how many octets had room.

        Raises:
            BlockingIOError: none had, or the handshake is not done.
            OSError: EPIPE, the connection is closed for writing.
        """
        tcb = self.tcb
        tcb.now = now
        if tcb.write_shut or tcb.state not in (*closing.SENDING, *_OPENING):
            raise _error(errno.EPIPE)
        if tcb.state in _OPENING:
            raise _error(errno.EAGAIN)
        tcb.called_at = now
        taken = write(tcb, data)
        if data and not taken:
            raise _error(errno.EAGAIN)
        return taken

    def read(self, size: int, now: Instant) -> bytes:
        """Return up to `size` octets; none if the peer has closed.

        Raises:
            BlockingIOError: nothing is there.
            OSError: ENOTCONN, the connection ended without the peer's FIN and without an error.
        """
        tcb = self.tcb
        tcb.now = now
        data = read(tcb, size)
        if data or not size or tcb.rcv.fin:
            return data
        if tcb.read_shut:
            return b""
        raise _error(errno.EAGAIN)

    def acknowledge_quickly(self, now: Instant, *, on: bool) -> None:
        """Set TCP_QUICKACK; on, an ACK that waits goes at once."""
        tcb = self.tcb
        tcb.now = now
        if not on:
            tcb.acks.enter_interactive()
            return
        tcb.acks.leave_interactive()
        if tcb.state in closing.SENDING and tcb.acks.scheduled:
            tcb.acks.pushed = max(tcb.acks.pushed, 1)
            has_read(tcb, 1)

    def send_small(self, now: Instant, *, on: bool) -> None:
        """Set TCP_NODELAY; on, what Nagle's algorithm held back goes at once."""
        self.tcb.now = now
        self.tcb.nodelay = on
        if on and self.tcb.remainder is None:
            push(self.tcb)

    def keep_alive(self, now: Instant, *, on: bool) -> None:
        """Set SO_KEEPALIVE."""
        tcb = self.tcb
        tcb.now = now
        if on and not tcb.keepalive and tcb.state is not State.CLOSED:
            tcb.timers.keepalive_at = fires_at(now, tcb.config.keepalive_time)
        elif not on:
            tcb.timers.keepalive_at = None
        tcb.keepalive = on

    def shut_reading(self) -> None:
        """Read no more; what comes is still acknowledged."""
        self.tcb.read_shut = True

    def shut_writing(self, now: Instant) -> None:
        """Send FIN behind what is queued."""
        self.tcb.now = now
        closing.shut_writing(self.tcb)

    def close(self, now: Instant, *, linger: Duration | None = None) -> None:
        """Give the connection up: FIN, or RST if data was left unread or `linger` is 0."""
        self.tcb.now = now
        closing.close(self.tcb, linger)

    def abort(self, now: Instant) -> None:
        """End the connection at once, with RST if the peer knows of it."""
        self.tcb.now = now
        if self.tcb.remainder is None and self.tcb.state is not State.CLOSED:
            closing.disconnect(self.tcb)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
