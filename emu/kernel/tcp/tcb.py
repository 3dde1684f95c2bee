# SPDX-License-Identifier: GPL-2.0-only
"""The transmission control block: all that a connection knows (RFC 9293 §3.3.1).

It is data with a few sums over it. What happens to it is written in the modules
that take it as their first argument: `output` sends, `retransmission` sends
again, `acknowledgement` reads what the peer says of our data, `recovery` and
`rack` look for losses, `input` takes segments, `expiry` serves the timers.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.tcp.acks import AckPolicy
from emu.kernel.tcp.config import DEFAULT_MSS
from emu.kernel.tcp.congestion import Window, algorithm
from emu.kernel.tcp.reassembly import OutOfOrderQueue, ReadQueue, SackBlocks
from emu.kernel.tcp.rtt import RoundTrip
from emu.kernel.tcp.states import TRANSITIONS, State
from emu.kernel.tcp.timers import Timers
from emu.sim.time import START
from emu.wire.tcp import MIN_HEADER

if TYPE_CHECKING:
    from emu.kernel.tcp.config import TcpConfig
    from emu.kernel.tcp.segment import Chunk, Segment
    from emu.kernel.tcp.states import Cause
    from emu.kernel.tcp.timewait import TimeWait
    from emu.kernel.tcp.window import ReceiveWindow
    from emu.sim.time import Instant

_CHUNK_COST: Final = 1280  # memory of a chunk in the send buffer beyond its octets


class Flight(NamedTuple):
    """Segments between SND.UNA and SND.NXT: all, those SACKed, lost, sent again."""

    out: int
    sacked: int
    lost: int
    retransmitted: int

    @property
    def size(self) -> int:
        """How many are thought to be under way. Source: RFC 6675 §4 `pipe`."""
        return self.out - self.sacked - self.lost + self.retransmitted


class SendSpace:
    """What we send.

    Attributes:
        iss: our initial sequence number.
        una: oldest number that is not acknowledged (SND.UNA).
        nxt: next number to send (SND.NXT).
        end: number behind what the program has written.
        wnd: the peer's window (SND.WND), octets.
        wl1: number of the segment that told the window last (SND.WL1).
        max_wnd: the largest window the peer has told.
        scale: shift count of the peer's window field.
        mss: octets of payload in a full segment without SACK.
        mss_clamp: what the peer takes.
        mtu: of the path.
        pushed: number behind the last octet that was marked PSH.
        small: number behind the last segment that was not full (Minshall's Nagle).
        acked_octets: how much the peer has acknowledged, ever.
        last_sent: when data was sent last.
        transmissions: how many chunks were sent, ever.
        unsent: written, never sent.
        inflight: sent, not acknowledged.
        presumed: duplicate ACKs, which stand for SACKed segments without SACK.
        buffer: how much memory `unsent` and `inflight` may occupy.
        starved: the program has found no room and waits for some.
    """

    __slots__ = (
        "acked_octets",
        "buffer",
        "end",
        "inflight",
        "iss",
        "last_sent",
        "max_wnd",
        "mss",
        "mss_clamp",
        "mtu",
        "nxt",
        "presumed",
        "pushed",
        "scale",
        "small",
        "starved",
        "transmissions",
        "una",
        "unsent",
        "wl1",
        "wnd",
    )

    def __init__(self, iss: int, mtu: int, buffer: int) -> None:
        self.iss = self.una = self.nxt = self.end = self.pushed = self.small = iss
        self.wnd = 0
        self.wl1 = 0
        self.max_wnd = 0
        self.scale = 0
        self.mss = self.mss_clamp = DEFAULT_MSS
        self.mtu = mtu
        self.acked_octets = 0
        self.last_sent = START
        self.unsent: deque[Chunk] = deque()
        self.inflight: list[Chunk] = []
        self.presumed = 0
        self.transmissions = 0
        self.buffer = buffer
        self.starved = False

    @property
    def window_end(self) -> int:
        """The first number that the peer has no room for."""
        return self.una + self.wnd

    def flight(self) -> Flight:
        """Return the sums over `inflight`."""
        out = sacked = lost = retransmitted = 0
        for chunk in self.inflight:
            segments = chunk.segments
            out += segments
            if chunk.sacked:
                sacked += segments
            if chunk.lost:
                lost += segments
            if chunk.retransmitted:
                retransmitted += segments
        return Flight(out, sacked + self.presumed, lost, retransmitted)

    @property
    def memory(self) -> int:
        """How much of `buffer` is used."""
        chunks = len(self.unsent) + len(self.inflight)
        octets = sum(len(c.payload) for c in self.unsent) + sum(len(c.payload) for c in self.inflight)
        return octets + chunks * _CHUNK_COST

    @property
    def highest_sacked(self) -> int:
        """The number at which the highest SACKed chunk begins; SND.UNA if none is."""
        for chunk in reversed(self.inflight):
            if chunk.sacked:
                return chunk.seq
        return self.una


class ReceiveSpace:
    """What the peer sends.

    Attributes:
        irs: its initial sequence number.
        nxt: the next number we expect (RCV.NXT).
        wup: RCV.NXT of our last ACK.
        window: the window that we offer.
        reading: octets for the program.
        beyond: pieces beyond a gap.
        sacks: what our ACKs say of those.
        fin: the peer has closed.
    """

    __slots__ = ("beyond", "fin", "irs", "nxt", "reading", "sacks", "window", "wup")

    def __init__(self, window: ReceiveWindow) -> None:
        self.irs = self.nxt = self.wup = 0
        self.window = window
        self.reading = ReadQueue(window)
        self.beyond = OutOfOrderQueue(window)
        self.sacks = SackBlocks()
        self.fin = False

    def begin(self, irs: int) -> None:
        """Take the peer's initial sequence number."""
        self.irs = irs
        self.nxt = self.wup = irs + 1

    @property
    def copied(self) -> int:
        """The number behind the last octet that the program has read."""
        return self.nxt - self.fin - self.reading.size

    @property
    def left(self) -> int:
        """How much of the offered window is left, octets."""
        return self.window.left(self.wup, self.nxt)


class Timestamps:
    """State of the timestamps option (RFC 7323); milliseconds, modulo 2**32.

    Attributes:
        on: both sides use it.
        recent: the peer's value to echo (TS.Recent).
        recent_at: when that came, None before one has.
        offset: added to our clock.
        echoed: the value that the segment under way echoes, None if it has none.
    """

    __slots__ = ("echoed", "offset", "on", "recent", "recent_at")

    def __init__(self, offset: int) -> None:
        self.on = False
        self.recent = 0
        self.recent_at: Instant | None = None
        self.offset = offset
        self.echoed: int | None = None


class Phase(enum.IntEnum):
    """State of loss recovery, in rising order of alarm (`icsk_ca_state`)."""

    OPEN = 0
    DISORDER = 1
    CWR = 2
    RECOVERY = 3
    LOSS = 4


class LossState:
    """What loss recovery knows. Source: include/linux/tcp.h `struct tcp_sock`.

    Attributes:
        phase: of recovery.
        high: SND.NXT when the phase began; beyond it the phase ends.
        undo_mark: SND.UNA when the window was reduced, None if that cannot be undone.
        undo_left: retransmissions since that were not reported as needless; None before the first.
        prior_ssthresh: `ssthresh` to go back to.
        prr_delivered: segments delivered in this recovery (RFC 6937).
        prr_out: segments sent in this recovery.
        probing_timeout: RFC 5682: whether a timeout was spurious is being found out.
        probe_end: SND.NXT of the loss probe under way, None without one.
        probe_retransmitted: that probe was no new data.
        reordering: duplicate ACKs that mean a loss.
        reordering_seen: how often the path was found to reorder.
        timeouts: retransmissions by timeout since something was acknowledged.
        total_timeouts: the same, ever.
        total_retransmitted: segments sent again, ever.
        first_retransmit_at: when what is sent again was sent for the first time, None while nothing is.
        delivered: segments known to have arrived, ever.
        marked_lost: segments taken for lost, ever.
        duplicates_told: segments that the peer reported as needless.
        probes: window or keepalive probes since the peer was heard last.
        heard_at: when an ACK came last.
    """

    def __init__(self, reordering: int) -> None:
        self.phase = Phase.OPEN
        self.high = 0
        self.undo_mark: int | None = None
        self.undo_left: int | None = None
        self.prior_ssthresh = 0
        self.prr_delivered = 0
        self.prr_out = 0
        self.probing_timeout = False
        self.probe_end: int | None = None
        self.probe_retransmitted = False
        self.reordering = reordering
        self.reordering_seen = 0
        self.timeouts = 0
        self.total_timeouts = 0
        self.total_retransmitted = 0
        self.first_retransmit_at: Instant | None = None
        self.delivered = 0
        self.marked_lost = 0
        self.duplicates_told = 0
        self.probes = 0
        self.heard_at: Instant = START


class Rack:
    """State of RACK (RFC 8985): the newest transmission that is known to have arrived.

    Attributes:
        newest: its `Chunk.order`.
        rtt: how long it took, nanoseconds.
        advanced: it is newer than at the last search for losses.
    """

    __slots__ = ("advanced", "newest", "rtt")

    def __init__(self) -> None:
        self.newest = (0, 0)
        self.rtt = 0
        self.advanced = False


class Tcb:
    """A connection.

    Attributes:
        config: its parameters.
        now: the instant of the call under way.
        state: as in RFC 9293.
        snd: what we send.
        rcv: what the peer sends.
        acks: when we acknowledge.
        timers: its deadlines.
        rtt: round-trip time and retransmission timeout.
        cwnd: the congestion window.
        congestion: how that grows.
        loss: state of loss recovery.
        rack: state of RACK.
        stamps: the timestamps option.
        sack_ok: both sides use SACK.
        nodelay: TCP_NODELAY: small segments need not wait (Nagle's algorithm off).
        keepalive: SO_KEEPALIVE.
        orphan: no program holds it any longer.
        read_shut: nobody will read any more.
        write_shut: nobody will write any more.
        error: errno for the program, 0 for none.
        soft_error: errno to report should the connection time out, 0 for none.
        compressed_acks: ACKs with SACK that were held back.
        duplicate_acks: those that were not, since `compression_mark`.
        compression_mark: RCV.NXT when that count began.
        called_at: when the program wrote last; until that instant is over it holds the connection.
        narrow: path MTU that was reported meanwhile, 0 for none.
        remainder: what the connection is left to, once it only waits.
        invalid_ack_at: when a segment that does not fit was answered last, None: never.
        outbox: segments to send, in order.
        stirred: something changed that a waiting program would want to know.
    """

    def __init__(
        self,
        config: TcpConfig,
        *,
        now: Instant,
        iss: int,
        mtu: int,
        window: ReceiveWindow,
        stamp_offset: int,
        state: State = State.CLOSED,
    ) -> None:
        self.config = config
        self.now = now
        self.state = state
        self.snd = SendSpace(iss, mtu, config.wmem[1])
        self.rcv = ReceiveSpace(window)
        self.acks = AckPolicy(config)
        self.timers = Timers()
        self.rtt = RoundTrip(config)
        self.cwnd = Window()
        self.congestion = algorithm(config.congestion_control)
        self.loss = LossState(config.reordering)
        self.rack = Rack()
        self.stamps = Timestamps(stamp_offset)
        self.sack_ok = False
        self.nodelay = False
        self.keepalive = False
        self.orphan = False
        self.read_shut = False
        self.write_shut = False
        self.error = 0
        self.soft_error = 0
        self.compressed_acks = 0
        self.duplicate_acks = 0
        self.compression_mark = 0
        self.called_at: Instant | None = None
        self.narrow = 0
        self.remainder: TimeWait | None = None
        self.invalid_ack_at: Instant | None = None
        self.outbox: list[Segment] = []
        self.stirred = False

    def move(self, cause: Cause) -> None:
        """Change the state as the table of transitions has it for `cause`."""
        self.state = TRANSITIONS[self.state, cause]

    @property
    def header_length(self) -> int:
        """Octets of the header of an ordinary segment."""
        return MIN_HEADER + 12 * self.stamps.on
