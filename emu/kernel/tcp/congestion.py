# SPDX-License-Identifier: GPL-2.0-only
"""The congestion window: slow start, Reno (RFC 5681) and CUBIC (RFC 9438).

Loss recovery (`emu.kernel.tcp.recovery`) decides when to reduce it. HyStart,
CUBIC's early way out of slow start, is left out: it measures what queues do to
delay, and the emulator's cables have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from emu.kernel.tcp.config import INITIAL_CWND
from emu.sim.time import MILLISECOND

if TYPE_CHECKING:
    from emu.sim.time import Duration, Instant

INFINITE: Final = 0x7FFFFFFF


class Window:
    """The congestion window of a connection, in segments.

    Attributes:
        cwnd: how many segments may be in flight.
        ssthresh: where slow start ends.
        prior_cwnd: `cwnd` before the last reduction.
        is_limited: the sender was held back by `cwnd` in this flight.
        most_out: segments in flight at most in this flight, where it was not.
    """

    __slots__ = (
        "_credit",
        "_flight_mark",
        "_stamp",
        "_used",
        "cwnd",
        "is_limited",
        "most_out",
        "prior_cwnd",
        "ssthresh",
    )

    def __init__(self) -> None:
        self.cwnd = INITIAL_CWND
        self.ssthresh = INFINITE
        self.prior_cwnd = 0
        self.is_limited = False
        self.most_out = 0
        self._credit = 0
        self._flight_mark = 0
        self._stamp = 0
        self._used = 0

    @property
    def in_slow_start(self) -> bool:
        """Whether the window grows by what is acknowledged."""
        return self.cwnd < self.ssthresh

    @property
    def may_grow(self) -> bool:
        """Whether the sender uses the window, so that more of it may be tried.

        Source: include/net/tcp.h `tcp_is_cwnd_limited`.
        """
        if self.is_limited:
            return True
        return self.in_slow_start and self.cwnd < 2 * self.most_out

    def slow_start(self, acked: int) -> int:
        """Grow by `acked` segments up to `ssthresh` and return what is left of them."""
        cwnd = min(self.cwnd + acked, self.ssthresh)
        left = acked - (cwnd - self.cwnd)
        self.cwnd = cwnd
        return left

    def additive(self, per: int, acked: int) -> None:
        """Grow by one segment for each `per` that are acknowledged."""
        if self._credit >= per:
            self._credit = 0
            self.cwnd += 1
        self._credit += acked
        if self._credit >= per:
            self.cwnd += self._credit // per
            self._credit %= per

    def set(self, cwnd: int, now: Instant) -> None:
        """Make the window `cwnd` segments, at least one."""
        self.cwnd = max(cwnd, 1)
        self._stamp = now

    def forget_credit(self) -> None:
        """Begin to count acknowledged segments anew."""
        self._credit = 0

    def validate(self, *, limited: bool, una: int, nxt: int, out: int, now: Instant, rto: Duration) -> None:
        """Note how far the window is used, after sending; decay it if it has not been for an RTO.

        Source: RFC 2861, net/ipv4/tcp_output.c `tcp_cwnd_validate`.
        """
        if una >= self._flight_mark or limited or (not self.is_limited and out > self.most_out):
            self.is_limited = limited
            self.most_out = out
            self._flight_mark = nxt
        if self.may_grow:
            self._used = 0
            self._stamp = now
            return
        self._used = max(self._used, out)
        if now - self._stamp >= rto:
            used = max(self._used, INITIAL_CWND)
            if used < self.cwnd:
                self.ssthresh = max(self.ssthresh, (self.cwnd >> 1) + (self.cwnd >> 2))
                self.cwnd = (self.cwnd + used) >> 1
            self._used = 0
            self._stamp = now

    def restart_after_idle(self, idle: Duration, rto: Duration, now: Instant) -> None:
        """Halve the window for each RTO of silence, down to the initial one (RFC 2861)."""
        if idle <= rto:
            return
        self.ssthresh = max(self.ssthresh, (self.cwnd >> 1) + (self.cwnd >> 2))
        floor = min(INITIAL_CWND, self.cwnd)
        left = idle - rto
        while left > 0 and self.cwnd > floor:
            self.cwnd >>= 1
            left -= rto
        self.cwnd = max(self.cwnd, floor)
        self._stamp = now
        self._used = 0


class Algorithm(Protocol):
    """How the window grows without losses, and how far it shrinks at one."""

    def acked(self, window: Window, segments: int, now: Instant, rtt: Duration) -> None:
        """Grow `window`: `segments` were acknowledged and it `may_grow`."""

    def ssthresh(self, window: Window) -> int:
        """Return where to go on after a loss."""

    def lost(self) -> None:
        """Begin anew after a timeout."""


class Reno:
    """RFC 5681."""

    def acked(self, window: Window, segments: int, now: Instant, rtt: Duration) -> None:  # noqa: ARG002
        """Grow by one segment a round trip."""
        if window.in_slow_start:
            segments = window.slow_start(segments)
            if not segments:
                return
        window.additive(window.cwnd, segments)

    def ssthresh(self, window: Window) -> int:
        """Return half the window."""
        return max(window.cwnd >> 1, 2)

    def lost(self) -> None:
        """Have nothing to forget."""


_BETA: Final = 717  # of 1024
_C: Final = 410  # of 1024: 0.4 segments per cubic second
_FRIENDLY: Final = 8 * (1024 + _BETA) // 3 // (1024 - _BETA)


class Cubic:
    """RFC 9438, in the integers of Linux (net/ipv4/tcp_cubic.c); time in milliseconds."""

    __slots__ = (
        "_count",
        "_epoch",
        "_friendly",
        "_friendly_credit",
        "_k",
        "_last_max",
        "_origin",
        "_updated",
    )

    def __init__(self) -> None:
        self._last_max = 0
        self.lost()

    def lost(self) -> None:
        """Forget the curve; the window of the last loss is kept."""
        self._epoch: Instant | None = None
        self._k = 0
        self._origin = 0
        self._count = 0
        self._friendly = 0
        self._friendly_credit = 0
        self._updated: tuple[int, Instant] | None = None

    def ssthresh(self, window: Window) -> int:
        """Return 0.7 of the window, and remember it as the one at which there was a loss."""
        self._epoch = None
        if window.cwnd < self._last_max:  # fast convergence: leave room to others
            self._last_max = window.cwnd * (1024 + _BETA) // 2048
        else:
            self._last_max = window.cwnd
        return max(window.cwnd * _BETA // 1024, 2)

    def acked(self, window: Window, segments: int, now: Instant, rtt: Duration) -> None:
        """Grow along the cubic curve."""
        if window.in_slow_start:
            segments = window.slow_start(segments)
            if not segments:
                return
        self._update(window.cwnd, segments, now, rtt)
        window.additive(self._count, segments)

    def _update(self, cwnd: int, acked: int, now: Instant, rtt: Duration) -> None:
        self._friendly_credit += acked
        if self._updated is not None:
            last_cwnd, last_time = self._updated
            if last_cwnd == cwnd and now - last_time <= 31 * MILLISECOND:
                return
        self._updated = (cwnd, now)
        if self._epoch is None:
            self._begin(cwnd, acked, now)
        assert self._epoch is not None
        elapsed = (now + rtt - self._epoch) // MILLISECOND
        offset = abs(elapsed - self._k)
        delta = _C * offset**3 // (1024 * 1000**3)
        target = self._origin - delta if elapsed < self._k else self._origin + delta
        self._count = cwnd // (target - cwnd) if target > cwnd else 100 * cwnd
        if self._last_max == 0:
            self._count = min(self._count, 20)
        self._befriend(cwnd)
        self._count = max(self._count, 2)

    def _begin(self, cwnd: int, acked: int, now: Instant) -> None:
        self._epoch = now
        self._friendly_credit = acked
        self._friendly = cwnd
        if self._last_max <= cwnd:
            self._k = 0
            self._origin = cwnd
        else:
            self._k = _cube_root((self._last_max - cwnd) * 1024 * 1000**3 // _C)
            self._origin = self._last_max

    def _befriend(self, cwnd: int) -> None:
        """Be no slower than Reno would be."""
        per = max(cwnd * _FRIENDLY >> 3, 1)
        while self._friendly_credit > per:
            self._friendly_credit -= per
            self._friendly += 1
        if self._friendly > cwnd:
            self._count = min(self._count, cwnd // (self._friendly - cwnd))


def _cube_root(value: int) -> int:
    """Return the integer part of the cube root."""
    low, high = 0, 1 << (value.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**3 <= value:
            low = middle
        else:
            high = middle - 1
    return low


def algorithm(name: str) -> Algorithm:
    """Return a fresh congestion control; any name but `reno` is CUBIC."""
    return Reno() if name == "reno" else Cubic()
