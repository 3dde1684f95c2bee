# SPDX-License-Identifier: GPL-2.0-only
"""The receive window: how much the peer may send, from the room in the receive buffer.

The buffer counts memory as the kernel does: a segment occupies its octets, the
unused rest of the block they were allocated in, and bookkeeping. `ratio` is the
share of buffer space that becomes window, adapted to the segments that come.

Source: net/ipv4/tcp_output.c `__tcp_select_window`, net/ipv4/tcp_input.c
`tcp_grow_window`, `tcp_rcv_space_adjust`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from emu.kernel.tcp.acks import AckPolicy
    from emu.kernel.tcp.config import TcpConfig
    from emu.sim.time import Duration, Instant

LARGEST_FIELD: Final = 0xFFFF
MAX_SCALE: Final = 14
_RATIO_ONE: Final = 256
_RATIO_DEFAULT: Final = 128
_SKB: Final = 256  # struct sk_buff
_SHARED_INFO: Final = 320  # struct skb_shared_info
_HEADROOM: Final = 64 + 14 + 60 + 60  # link layer and largest headers
_LEAST_BLOCK: Final = 512
_RMEM_MAX: Final = 4 << 20  # net.core.rmem_max


def truesize(size: int) -> int:
    """Return the memory that a received segment of `size` octets occupies."""
    block = size + _HEADROOM + _SHARED_INFO
    return _SKB + max(_LEAST_BLOCK, 1 << (block - 1).bit_length())


class ReceiveWindow:
    """Room for what the peer sends.

    Attributes:
        size: the window as offered last (RCV.WND), octets.
        scale: shift count of our window field; 0 without window scaling.
        clamp: the largest window to offer.
        used: memory that queued segments occupy.
        advertised_mss: the MSS that we told the peer, less options of every segment.
        is_exhausted: something had to be dropped for want of memory; the next ACK says so.
        round_trip: estimate of the round-trip time by the flow of data, 0 before there is one.
    """

    __slots__ = (
        "_adjusted_at",
        "_buffer",
        "_copied",
        "_limit",
        "_moderate",
        "_ratio",
        "_rtt_mark",
        "_rtt_start",
        "_space",
        "_ssthresh",
        "advertised_mss",
        "clamp",
        "is_exhausted",
        "round_trip",
        "scale",
        "size",
        "used",
    )

    def __init__(self, config: TcpConfig, advertised_mss: int, *, scaling: bool) -> None:
        self.advertised_mss = advertised_mss
        self.used = 0
        self._buffer = config.rmem[1]
        self._limit = config.rmem[2]
        self._moderate = config.moderate_rcvbuf
        self._ratio = _RATIO_DEFAULT
        room = self.full
        if room > advertised_mss:
            room -= room % advertised_mss
        self.size = min(room, LARGEST_FIELD)
        largest = max(room, self._limit, _RMEM_MAX)
        self.scale = min(max(largest.bit_length() - 16, 0), MAX_SCALE) if scaling else 0
        self.clamp = LARGEST_FIELD << self.scale
        self._ssthresh = self.size
        self._space = self.size
        self._copied = 0
        self._adjusted_at: Instant | None = None
        self.round_trip: Duration = 0
        self.is_exhausted = False
        self._rtt_mark = 0
        self._rtt_start: Instant | None = None

    def established(self, nxt: int, now: Instant, *, app_window: int) -> None:
        """Settle the limits once the handshake is done. Source: `tcp_init_buffer_space`."""
        full, mss = self.full, self.advertised_mss
        self._space = min(self.size, 10 * mss)
        self._copied = nxt
        self._adjusted_at = now
        if self.clamp >= full:
            self.clamp = max(full - (full >> app_window), 4 * mss) if app_window and full > 4 * mss else full
        if app_window and self.clamp > 2 * mss and self.clamp + mss > full:
            self.clamp = max(2 * mss, full - mss)
        self._ssthresh = min(self._ssthresh, self.clamp)

    def without_scaling(self) -> None:
        """Give up window scaling: the peer does not know it."""
        self.scale = 0
        self.clamp = min(self.clamp, LARGEST_FIELD)

    # --- room ---

    def _window_of(self, space: int) -> int:
        return space * self._ratio // _RATIO_ONE

    @property
    def full(self) -> int:
        """The window that the empty buffer has room for."""
        return self._window_of(self._buffer)

    @property
    def free(self) -> int:
        """The window that the buffer has room for now."""
        return self._window_of(max(self._buffer - self.used, 0))

    @property
    def has_room(self) -> bool:
        """Whether a further segment may be queued."""
        return self.used <= self._buffer

    def make_room(self, acks: AckPolicy) -> bool:
        """Enlarge the buffer to what is queued, if it may be; return whether there is room now.

        Source: net/ipv4/tcp_input.c `tcp_clamp_window`.
        """
        acks.quick = 0
        if self._buffer < self._limit:
            self._buffer = min(self.used, self._limit)
        if self.used > self._buffer:
            self._ssthresh = min(self.clamp, 2 * self.advertised_mss)
        return self.has_room

    def left(self, wup: int, nxt: int) -> int:
        """Return what is left of the window offered at RCV.NXT `wup`."""
        return max(wup + self.size - nxt, 0)

    def best(self, acks: AckPolicy) -> int:
        """Return the window to offer, silly windows avoided. Source: `__tcp_select_window`."""
        mss, free, allowed = acks.peer_mss, self.free, self.full
        full = min(self.clamp, allowed)
        if mss > full:
            mss = full
            if mss <= 0:
                return 0
        unit = 1 << self.scale
        if free < full >> 1:
            acks.quick = 0
            free -= free % unit
            if free < allowed >> 4 or free < mss:
                return 0
        free = min(free, self._ssthresh)
        if self.scale:
            return -(-free // unit) * unit
        if self.size <= free - mss or self.size > free:
            return free - free % mss
        if mss == full and free > self.size + (full >> 1):
            return free
        return self.size

    def offer(self, wup: int, nxt: int, acks: AckPolicy) -> int:
        """Choose the window to send with an ACK of `nxt` and return the header's field.

        The right edge never moves back. Source: `tcp_select_window`.
        """
        if self.is_exhausted:
            self.is_exhausted = False
            self.size = 0
            return 0
        current = self.left(wup, nxt)
        window = self.best(acks)
        if window < current:
            unit = 1 << self.scale
            window = -(-current // unit) * unit
        self.size = window
        return min(window, LARGEST_FIELD << self.scale) >> self.scale

    # --- growth ---

    def peer_mss_grew(self, size: int) -> None:
        """Adapt the ratio to segments of `size` octets. Source: `tcp_measure_rcv_mss`."""
        ratio = max(size * _RATIO_ONE // truesize(size), 1)
        if ratio != self._ratio:
            self._ratio = ratio
            self.clamp = self.full
            self._space = min(self._space, self.clamp)

    def grow(self, size: int, acks: AckPolicy) -> None:
        """Open the window further: a segment of `size` octets came. Source: `tcp_grow_window`."""
        room = min(self.clamp, self.free) - self._ssthresh
        if room <= 0:
            return
        if self._window_of(truesize(size)) <= size:
            increase = 2 * self.advertised_mss
        else:
            increase = self._cautious_increase(size, acks.peer_mss)
        if increase:
            self._ssthresh += min(room, max(increase, 2 * size))
            acks.quick |= 1

    def _cautious_increase(self, size: int, peer_mss: int) -> int:
        """Return how much a small segment opens the window. Source: `__tcp_grow_window`."""
        memory, window = self._window_of(truesize(size)) >> 1, self._window_of(self._limit) >> 1
        while self._ssthresh <= window:
            if memory <= size:
                return 2 * peer_mss
            memory >>= 1
            window >>= 1
        return 0

    def measure_rtt(self, nxt: int, now: Instant) -> None:
        """Estimate the round-trip time as the time in which a window is filled."""
        if self._rtt_start is not None:
            if nxt < self._rtt_mark:
                return
            sample = max(now - self._rtt_start, 1)
            self.round_trip = min(self.round_trip or sample, sample)
        self._rtt_mark = nxt + self.size
        self._rtt_start = now

    def echoed_rtt(self, sample: Duration) -> None:
        """Take a round-trip time that a timestamp gave."""
        sample = max(sample, 1)
        before = self.round_trip
        self.round_trip = before + (sample - before) // 8 if before else sample

    def read(self, copied: int, now: Instant) -> None:
        """Enlarge the buffer if the program reads more in a round trip than before.

        Args:
            copied: number behind the last octet the program has read.
            now: the time.

        Source: `tcp_rcv_space_adjust` (dynamic right-sizing).
        """
        if self._adjusted_at is None or not self.round_trip or now - self._adjusted_at < self.round_trip:
            return
        amount = copied - self._copied
        if amount > self._space:
            if self._moderate:
                self._enlarge(amount)
            self._space = amount
        self._copied = copied
        self._adjusted_at = now

    def _enlarge(self, amount: int) -> None:
        window = 2 * amount + 16 * self.advertised_mss
        window += 2 * (window * (amount - self._space) // self._space)
        buffer = min(window * _RATIO_ONE // self._ratio, self._limit)
        if buffer > self._buffer:
            self._buffer = buffer
            self.clamp = self._window_of(buffer)
