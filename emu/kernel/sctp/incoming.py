# SPDX-License-Identifier: GPL-2.0-only
"""The data that comes in: put in order, put together, acknowledged (RFC 9260 §6.2, §6.5, §6.9).

All streams are delivered as if they were one, in the order of the TSNs. Within a
stream that is the order that SCTP promises; between streams it is stricter than need be.

Source of when a SACK is sent: net/sctp/sm_sideeffect.c `sctp_gen_sack`.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.sctp.config import RECEIVE_WINDOW, SACK_DELAY, SACK_FREQUENCY, WINDOW_UPDATE
from emu.kernel.tcp.sequence import unwrap, wire
from emu.sim.time import Instant, later
from emu.wire.sctp import BEGIN, END, Data, Sack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.sim.time import Duration

_FARTHEST: Final = 4096  # TSNs beyond the first that is missing: SCTP_TSN_MAP_SIZE
_MOST_TOLD: Final = 16  # gaps, and duplicates, in a SACK: SCTP_MAX_GABS, SCTP_MAX_DUP_TSNS


@attrs.define(eq=False)
class Incoming:
    """The receiving half of an association.

    Attributes:
        cumulative: all until this TSN was received (not cut to 32 bits).
        messages: those that wait to be read.
        sack_at: when a SACK is due at the latest, None if none is owed.
        wants_sack: a SACK is to be sent now.
    """

    cumulative: int
    messages: deque[bytes] = attrs.field(factory=deque)
    sack_at: Instant | None = None
    wants_sack: bool = False
    _beyond: dict[int, Data] = attrs.field(factory=dict)
    _duplicates: list[int] = attrs.field(factory=list)
    _partial: bytes | None = None
    _held: int = 0  # octets in `messages`, `_beyond`, `_partial`
    _told: int = RECEIVE_WINDOW  # the window in the last SACK
    _soon: bool = True  # the next packet with DATA is acknowledged at once
    _unacknowledged: int = 0  # packets with DATA since the last SACK

    @classmethod
    def begin(cls, tsn: int) -> Incoming:
        """Return it before the first DATA, which is to have number `tsn`."""
        return cls(tsn - 1)

    @property
    def window(self) -> int:
        """Octets that there is room for."""
        return max(RECEIVE_WINDOW - self._held, 0)

    def take(self, data: Data) -> bool:
        """Take one DATA chunk; return whether it is new and there was room for it."""
        tsn = unwrap(data.tsn, self.cumulative)
        if tsn <= self.cumulative or tsn in self._beyond:
            self._duplicates.append(data.tsn)
            self.wants_sack = True
            return False
        if tsn > self.cumulative + _FARTHEST or len(data.payload) > self.window:
            self.wants_sack = True
            return False
        self._held += len(data.payload)
        self._beyond[tsn] = data
        while (following := self._beyond.pop(self.cumulative + 1, None)) is not None:
            self.cumulative += 1
            self._assemble(following)
        return True

    def _assemble(self, data: Data) -> None:
        """Add the next fragment; one that begins anew where another has not ended replaces that."""
        if data.flags & BEGIN:
            self._held -= len(self._partial or b"")
            self._partial = data.payload
        elif self._partial is not None:
            self._partial += data.payload
        else:
            self._held -= len(data.payload)  # the middle of nothing
            return
        if data.flags & END:
            self.messages.append(self._partial)
            self._partial = None

    def keep(self, messages: Iterable[bytes]) -> None:
        """Have messages from before wait to be read."""
        for message in messages:
            self._held += len(message)
            self.messages.append(message)

    def packet_ends(self, now: Instant, delay: Duration = SACK_DELAY) -> None:
        """Decide about the SACK for a packet that had DATA."""
        self._unacknowledged += 1
        if self._beyond or self._soon or self._unacknowledged >= SACK_FREQUENCY:
            self.wants_sack = True
        elif self.sack_at is None:
            self.sack_at = later(now, delay)

    def read(self, size: int) -> bytes:
        """Return the oldest message, `size` octets of it at most; the rest stays."""
        message = self.messages.popleft()
        if len(message) > size:
            self.messages.appendleft(message[size:])
            message = message[:size]
        self._held -= len(message)
        if self.window - self._told >= WINDOW_UPDATE:
            self.wants_sack = True
        return message

    def sack(self) -> Sack:
        """Return the SACK that is owed; then none is."""
        edges = sorted(self._beyond)
        starts = edges[:1] + [after for before, after in pairwise(edges) if after != before + 1]
        ends = [before for before, after in pairwise(edges) if after != before + 1] + edges[-1:]
        gaps = tuple((a - self.cumulative, b - self.cumulative) for a, b in zip(starts, ends, strict=True))
        duplicates, self._duplicates = tuple(self._duplicates[:_MOST_TOLD]), []
        self.sack_at, self.wants_sack, self._soon, self._unacknowledged = None, False, False, 0
        self._told = self.window
        return Sack(wire(self.cumulative), self.window, gaps[:_MOST_TOLD], duplicates)

    def timeout(self, now: Instant) -> None:
        """Have the SACK sent if it is due."""
        if self.sack_at is not None and self.sack_at <= now:
            self.wants_sack = True
