# SPDX-License-Identifier: GPL-2.0-only
"""When to acknowledge: at once, with the next data, or 40 ms later.

Three moods decide. A connection begins in *quick ACK mode*: a number of ACKs,
up to 16, goes out at once, so that the sender's slow start is not held up. It
becomes *interactive* (pingpong) when the program answers soon after data came:
then ACKs wait, to travel with the answer. Otherwise every second full segment
is acknowledged, and a lone one after the delayed-ACK timeout, ATO.

Source: RFC 1122 §4.2.3.2, RFC 5681 §4.2, net/ipv4/tcp_input.c
`tcp_event_data_recv`, `__tcp_ack_snd_check`, net/ipv4/tcp_output.c `tcp_send_delayed_ack`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.tcp.config import DEFAULT_MSS, MIN_MSS
from emu.kernel.tcp.timers import JIFFY, round_up
from emu.sim.time import MILLISECOND
from emu.wire.tcp import FIN, MIN_HEADER, PSH, SYN, URG

if TYPE_CHECKING:
    from emu.kernel.tcp.config import TcpConfig
    from emu.sim.time import Duration, Instant

MAX_QUICK_ACKS: Final = 16
ATO_MIN: Final = 40 * MILLISECOND
_DELAY_MAX: Final = 200 * MILLISECOND
_HALF_SECOND: Final = 500 * MILLISECOND
_SHORT: Final = FIN | URG | SYN | PSH  # flags of segments that may be shorter than the MSS


class AckPolicy:
    """The state of delayed acknowledgements.

    Attributes:
        scheduled: there is something to acknowledge.
        pushed: of that, a segment shorter than a full one; 2 if several.
        at_once: the protocol wants this one ACK without delay.
        quick: ACKs that still go at once.
        ato: the delayed-ACK timeout; 0 until data has come.
        peer_mss: our guess at the peer's segment size.
        last_received: when data came last.
    """

    __slots__ = (
        "_last_size",
        "_max_delay",
        "_pingpong",
        "_thresh",
        "at_once",
        "ato",
        "last_received",
        "peer_mss",
        "pushed",
        "quick",
        "scheduled",
    )

    def __init__(self, config: TcpConfig) -> None:
        self.scheduled = False
        self.pushed = 0
        self.at_once = False
        self.quick = 0
        self.ato: Duration = 0
        self.peer_mss = DEFAULT_MSS
        self.last_received = 0
        self._last_size = 0
        self._pingpong = 0
        self._thresh = config.pingpong_thresh
        self._max_delay = min(_DELAY_MAX, max(round_up(config.rto_min), 2 * JIFFY) - JIFFY)

    # --- moods ---

    @property
    def is_interactive(self) -> bool:
        """Whether ACKs wait for the program's answer."""
        return self._pingpong >= self._thresh

    @property
    def is_quick(self) -> bool:
        """Whether ACKs go at once."""
        return self.quick > 0 and not self.is_interactive

    def enter_interactive(self) -> None:
        """Let ACKs wait for data of ours."""
        self._pingpong = self._thresh

    def leave_interactive(self) -> None:
        """Wait for data of ours no longer."""
        self._pingpong = 0

    def more_quick(self, window: int, most: int = MAX_QUICK_ACKS) -> None:
        """Let ACKs for half of the receive `window` go at once, `most` at most."""
        count = min(window // (2 * self.peer_mss) or 2, most)
        self.quick = max(self.quick, count)

    def enter_quick(self, window: int, most: int = MAX_QUICK_ACKS) -> None:
        """Enter quick ACK mode: the peer seems to miss our ACKs."""
        self.more_quick(window, most)
        self.leave_interactive()
        self.ato = ATO_MIN

    # --- what happens ---

    def guess_peer_mss(self, advertised: int, mss: int, window: int) -> None:
        """Begin with a low guess at the peer's segment size. Source: `tcp_initialize_rcv_mss`."""
        self.peer_mss = max(min(advertised, mss, window // 2, DEFAULT_MSS), MIN_MSS)

    def first_segment(self, size: int) -> None:
        """Note that the ACK of the handshake carried `size` octets."""
        if size >= DEFAULT_MSS:
            self._last_size = size

    def measure(self, size: int, header: int, flags: int, advertised: int, own_header: int) -> bool:
        """Learn the peer's segment size from one of `size` octets; return whether it grew.

        Args:
            size: octets of payload.
            header: octets of its TCP header.
            flags: of the segment.
            advertised: the MSS that we told the peer.
            own_header: the connection's usual header length.

        Source: `tcp_measure_rcv_mss`.
        """
        last, self._last_size = self._last_size, 0
        if size >= self.peer_mss:
            grew = size != self.peer_mss
            self.peer_mss = min(size, advertised)
            if flags & PSH:
                self.pushed = max(self.pushed, 1)
            return grew
        total = size + header
        if total >= DEFAULT_MSS + MIN_HEADER or (total >= MIN_MSS + MIN_HEADER and not flags & _SHORT):
            self._last_size = total - own_header
            if self._last_size == last:
                self.peer_mss = self._last_size
                return False
        self.pushed = min(self.pushed + 1, 2)
        return False

    def data_came(self, now: Instant, rto: Duration, window: int) -> None:
        """Adapt the ATO to the rhythm of what comes in. Source: `tcp_event_data_recv`."""
        pause = now - self.last_received
        if not self.ato:
            self.more_quick(window)
            self.ato = ATO_MIN
        elif pause <= ATO_MIN // 2:
            self.ato = (self.ato >> 1) + ATO_MIN // 2
        elif pause < self.ato:
            self.ato = min((self.ato >> 1) + pause, rto)
        elif pause > rto:
            self.more_quick(window)
        self.last_received = now

    def data_sent(self, now: Instant) -> None:
        """Note that data goes out; soon after data came, it counts as an answer."""
        if now - self.last_received < self.ato:
            self._pingpong = min(self._pingpong + 1, 255)

    def ack_sent(self) -> None:
        """Note that a segment with ACK goes out. Source: `tcp_event_ack_sent`."""
        if self.quick and self.scheduled:
            self.quick -= 1
            if not self.quick:
                self.ato = ATO_MIN
        self.scheduled = False
        self.pushed = 0
        self.at_once = False

    def delay_missed(self, rto: Duration) -> None:
        """Note that a delayed ACK goes because its time is up. Source: `tcp_delack_timer_handler`."""
        if self.is_interactive:
            self.leave_interactive()
            self.ato = ATO_MIN
        else:
            self.ato = min(self.ato << 1, rto)

    def delay(self, smoothed: Duration | None) -> Duration:
        """Return for how long an ACK is delayed now.

        Args:
            smoothed: the smoothed round-trip time, None if unknown.
        """
        ato = self.ato
        if ato > ATO_MIN:
            most = _DELAY_MAX if self.is_interactive or self.pushed else _HALF_SECOND
            if smoothed is not None:
                most = min(most, max(round_up(smoothed), ATO_MIN))
            ato = min(ato, most)
        return min(ato, self._max_delay)
