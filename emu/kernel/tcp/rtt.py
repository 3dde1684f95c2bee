# SPDX-License-Identifier: GPL-2.0-only
"""Round-trip time and the retransmission timeout that follows from it (RFC 6298)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel.tcp.config import FALLBACK_RTO, INITIAL_RTO
from emu.kernel.tcp.timers import round_up
from emu.sim.time import MICROSECOND

if TYPE_CHECKING:
    from emu.kernel.tcp.config import TcpConfig
    from emu.sim.time import Duration


class RoundTrip:
    """Estimator of the round-trip time, in whole microseconds as Linux keeps it.

    Attributes:
        srtt: eight times the smoothed round-trip time; 0: nothing measured yet.
        least: the least round-trip time seen.
        rto: the retransmission timeout, doubled by `back_off`.
        backoff: how often it was doubled.

    Source: net/ipv4/tcp_input.c `tcp_rtt_estimator`.
    """

    __slots__ = (
        "_deviation",
        "_mark",
        "_max_deviation",
        "_max_rto",
        "_min_rto",
        "_variation",
        "backoff",
        "least",
        "rto",
        "srtt",
    )

    def __init__(self, config: TcpConfig) -> None:
        self.srtt = 0
        self.least: int | None = None
        self.rto: Duration = INITIAL_RTO
        self.backoff = 0
        self._min_rto = config.rto_min // MICROSECOND
        self._max_rto = config.rto_max
        self._deviation = 0  # four times the mean deviation
        self._max_deviation = 0
        self._variation = 0
        self._mark = 0  # sequence number behind which a new round trip begins

    @property
    def smoothed(self) -> Duration:
        """The smoothed round-trip time."""
        return (self.srtt >> 3) * MICROSECOND

    def sample(self, measured: Duration, newest: Duration, una: int, nxt: int) -> None:
        """Take a measurement and compute `rto` from it, no longer doubled.

        Args:
            measured: from sending to acknowledgement, of a segment sent once.
            newest: the same of the last segment that this ACK acknowledges.
            una: SND.UNA before the acknowledgement.
            nxt: SND.NXT.
        """
        micros = measured // MICROSECOND
        least = newest // MICROSECOND
        self.least = least if self.least is None else min(self.least, least)
        if self.srtt == 0:
            self.srtt = max(1, micros << 3)
            self._deviation = micros << 1
            self._variation = self._max_deviation = max(self._deviation, self._min_rto)
            self._mark = nxt
        else:
            self._smooth(micros, una, nxt)
        self.set_rto()

    def _smooth(self, micros: int, una: int, nxt: int) -> None:
        error = micros - (self.srtt >> 3)
        self.srtt = max(1, self.srtt + error)
        change = abs(error) - (self._deviation >> 2)
        if error < 0 < change:
            change >>= 3  # a falling round-trip time hardly widens the deviation
        self._deviation += change
        if self._deviation > self._max_deviation:
            self._max_deviation = self._deviation
            self._variation = max(self._variation, self._max_deviation)
        if una > self._mark:
            if self._max_deviation < self._variation:
                self._variation -= (self._variation - self._max_deviation) >> 2
            self._mark = nxt
            self._max_deviation = self._min_rto

    def set_rto(self) -> None:
        """Compute `rto` from what was measured, not doubled."""
        if self.srtt:
            rto = round_up(((self.srtt >> 3) + self._variation) * MICROSECOND)
            self.rto = min(rto, self._max_rto)
        self.backoff = 0

    def handshake_gave_nothing(self) -> None:
        """Fall back to three seconds: SYN or SYN-ACK was retransmitted (RFC 6298 §5.7)."""
        self._variation = self._deviation = self._max_deviation = FALLBACK_RTO // MICROSECOND
        self.rto = FALLBACK_RTO

    def back_off(self) -> None:
        """Double `rto`, up to its maximum."""
        self.backoff += 1
        self.rto = min(self.rto * 2, self._max_rto)

    def undo_back_off(self) -> None:
        """Take back one doubling (RFC 6069)."""
        if self.backoff:
            self.backoff -= 1
            backoff = self.backoff
            if self.srtt:
                self.set_rto()
            else:
                self.rto = INITIAL_RTO
            self.backoff = backoff
            self.rto = min(self.rto << backoff, self._max_rto)
