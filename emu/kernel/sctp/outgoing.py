# SPDX-License-Identifier: GPL-2.0-only
"""The data that goes out: cut to size, numbered, sent again until it is acknowledged.

Everything goes out on stream 0, in order. The window is what it is at the
begin: it neither grows nor shrinks, and only T3-rtx, no count of missing
reports, has something sent again.

Source: RFC 9260 §6.1, §6.3, §6.9.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import attrs

from emu.kernel.sctp.config import HEADERS, SMALLEST_MTU, initial_window
from emu.kernel.sctp.rto import Rto
from emu.kernel.tcp.sequence import unwrap, wire
from emu.sim.time import Instant, later
from emu.wire.sctp import BEGIN, DATA_HEADER, END, Chunk, Data, Sack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@attrs.define(eq=False)
class Sent:
    """DATA under way.

    Attributes:
        data: it.
        at: when it was sent last.
        again: it has to be sent again.
        resent: it was sent more than once, so it tells no round trip.
        is_reported: a gap block says that it has arrived.
    """

    data: Data
    at: Instant
    again: bool = False
    resent: bool = False
    is_reported: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is supposed to be on its way still."""
        return not self.again and not self.is_reported


@attrs.define(eq=False)
class Outgoing:
    """The sending half of an association.

    Attributes:
        mtu: of the path.
        next_tsn: of the next DATA (not cut to 32 bits).
        peer_window: octets that the peer has room for.
        rto: the timeout.
        expires_at: when T3-rtx expires, None if it does not run.
        errors: how often it expired since something was acknowledged.
    """

    mtu: int
    next_tsn: int
    peer_window: int = 0
    rto: Rto = attrs.field(factory=Rto)
    expires_at: Instant | None = None
    errors: int = 0
    _sequence: int = 0
    _waiting: deque[Data] = attrs.field(factory=deque)  # with TSN 0: it has none yet
    _sent: dict[int, Sent] = attrs.field(factory=dict)  # by TSN, in order

    @property
    def queued(self) -> int:
        """Octets that are not acknowledged, or not even sent."""
        waiting = sum(len(data.payload) for data in self._waiting)
        return waiting + sum(len(sent.data.payload) for sent in self._sent.values())

    @property
    def is_idle(self) -> bool:
        """Whether everything is acknowledged."""
        return not self._waiting and not self._sent

    @property
    def window(self) -> int:
        """Octets that may be under way."""
        return initial_window(self.mtu)

    @property
    def _in_flight(self) -> int:
        return sum(len(sent.data.payload) for sent in self._sent.values() if sent.counts)

    @property
    def room(self) -> int:
        """Octets of chunks that a packet holds."""
        return (max(self.mtu, SMALLEST_MTU) - HEADERS) & ~3

    def write(self, message: bytes) -> None:
        """Queue a message, in fragments that fit into packets."""
        size = self.room - DATA_HEADER
        pieces = [message[at : at + size] for at in range(0, len(message), size)]
        for place, piece in enumerate(pieces):
            flags = (BEGIN if not place else 0) | (END if place == len(pieces) - 1 else 0)
            self._waiting.append(Data(0, 0, self._sequence, 0, piece, flags))
        self._sequence = (self._sequence + 1) & 0xFFFF

    def purge(self) -> None:
        """Forget all that is not acknowledged."""
        self._waiting.clear()
        self._sent.clear()
        self.expires_at = None

    # --- acknowledgements ---

    def acknowledge(self, sack: Sack, now: Instant) -> None:
        """Take a SACK; an old one says nothing. Source: RFC 9260 §6.2.1."""
        oldest = next(iter(self._sent), self.next_tsn)
        cumulative = unwrap(sack.cumulative, oldest)
        if not oldest - 1 <= cumulative < self.next_tsn:
            return
        done = self._reach(cumulative, now)
        for tsn, sent in self._sent.items():
            is_there = any(start <= tsn - cumulative <= end for start, end in sack.gaps)
            done |= is_there and not sent.is_reported
            sent.is_reported = is_there
            sent.again = sent.again and not sent.is_reported
        self.peer_window = max(sack.window - self._in_flight, 0)
        if done or not sack.window:  # a full peer is no lost one, RFC 9260 §6.1 (A)
            self.errors = 0

    def reach(self, cumulative: int, now: Instant) -> None:
        """Take the cumulative TSN of a SHUTDOWN."""
        oldest = next(iter(self._sent), self.next_tsn)
        tsn = unwrap(cumulative, oldest)
        if oldest <= tsn < self.next_tsn and self._reach(tsn, now):
            self.errors = 0

    def _reach(self, cumulative: int, now: Instant) -> bool:
        """Take everything until `cumulative` for acknowledged; return whether anything was."""
        done = [tsn for tsn in self._sent if tsn <= cumulative]
        for tsn in done:
            sent = self._sent.pop(tsn)
            if not sent.resent and tsn == done[-1]:
                self.rto.measured(now - sent.at)
        if done:
            self.expires_at = later(now, self.rto.value) if self._sent else None
        return bool(done)

    # --- sending ---

    def packets(self, now: Instant, *, small: bool = False) -> Iterator[list[Chunk]]:
        """Yield the DATA of each packet that may be sent now.

        Args:
            now: virtual time.
            small: send what fills no packet, too, though something is under way:
                Nagle's algorithm is off.
        """
        yield from self._again(now, most=len(self._sent))
        while self._waiting:
            in_flight = self._in_flight
            waiting = sum(len(data.payload) + DATA_HEADER for data in self._waiting)
            if in_flight and not small and waiting < self.room:
                return
            chunks = list(self._fill(in_flight, now))
            if not chunks:
                return
            yield chunks

    def _fill(self, in_flight: int, now: Instant) -> Iterator[Chunk]:
        """Yield new DATA for one packet, as the windows allow. Source: RFC 9260 §6.1 (A), (B).

        What was cut for a wider path goes in a packet of its own, too large as it is.
        """
        room = whole = self.room
        while self._waiting:
            data = self._waiting[0]._replace(tsn=wire(self.next_tsn))
            size = len(data.payload)
            if (size + DATA_HEADER > room and room < whole) or in_flight >= self.window:
                return
            if size > self.peer_window and in_flight:
                return
            self._waiting.popleft()
            self._sent[self.next_tsn] = Sent(data, now)
            self.next_tsn += 1
            self.peer_window = max(self.peer_window - size, 0)
            in_flight += size
            room -= size + -size % 4 + DATA_HEADER
            self._start_timer(now)
            yield data.chunk()

    def _again(self, now: Instant, *, most: int) -> Iterator[list[Chunk]]:
        """Yield what has to be sent again, in `most` packets at most."""
        for _ in range(most):
            chunks: list[Chunk] = []
            room = self.room
            for sent in self._sent.values():
                size = len(sent.data.payload) + -len(sent.data.payload) % 4 + DATA_HEADER
                if not sent.again:
                    continue
                if chunks and size > room:
                    break
                sent.again, sent.resent, sent.at = False, True, now
                room -= size
                chunks.append(sent.data.chunk())
            if not chunks:
                return
            self._start_timer(now)
            yield chunks

    def _start_timer(self, now: Instant) -> None:
        if self.expires_at is None:
            self.expires_at = later(now, self.rto.value)

    def timeout(self, now: Instant) -> Iterable[list[Chunk]]:
        """Return the packet to be sent if T3-rtx expires now. Source: RFC 9260 §6.3.3."""
        if self.expires_at is None or self.expires_at > now:
            return ()
        self.expires_at = None
        self.errors += 1
        self.rto.back_off()
        for sent in self._sent.values():
            sent.again = not sent.is_reported
        packets = tuple(self._again(now, most=1))
        if self._sent:
            self._start_timer(now)
        return packets
