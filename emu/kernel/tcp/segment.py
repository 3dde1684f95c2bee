# SPDX-License-Identifier: GPL-2.0-only
"""A segment as a value, and the parts of a byte stream that become segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from emu.sim.time import START, Instant
from emu.wire.tcp import FIN, MIN_HEADER, PSH, SYN, TcpOptions

if TYPE_CHECKING:
    from emu.kernel.drops import DropReason

NO_OPTIONS: Final = TcpOptions()


class Segment(NamedTuple):
    """A segment without its ports: what a connection takes and gives.

    `seq`, `ack` and `window` stand as in the header (32 and 16 bits).
    """

    flags: int
    seq: int
    ack: int
    window: int
    options: TcpOptions = NO_OPTIONS
    payload: bytes = b""

    @property
    def length(self) -> int:
        """How much sequence space it takes: its payload, and one each for SYN and FIN."""
        return len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)


class Arrival(NamedTuple):
    """A segment that came in, its numbers placed in those of the connection.

    `end` is the number behind its last octet (SYN and FIN counted), `ack` is 0
    and means nothing where the flag ACK is not set.
    """

    flags: int
    seq: int
    end: int
    ack: int
    window: int
    options: TcpOptions
    payload: bytes

    @property
    def header_length(self) -> int:
        """Octets of its header."""
        return MIN_HEADER + len(self.options.build())


class Outcome(NamedTuple):
    """What became of a segment: why it was dropped (None: it was not), and whether to answer with RST."""

    reason: DropReason | None = None
    reset: bool = False


TAKEN: Final = Outcome()


class Chunk:
    """A piece of the stream that is handled as one, as the kernel handles one skb.

    It is sent as one burst of segments of `mss` octets, whose last one alone
    carries PSH and FIN. What has happened to it is marked on the whole chunk;
    it is split where that holds for a part only.

    Attributes:
        seq: number of its first octet, or of its SYN or FIN.
        payload: the octets.
        flags: SYN, FIN, PSH and ACK, for its segments.
        mss: octets in a segment when it was sent last.
        sent_at: when it was sent last.
        transmission: number of that sending, to order those of one instant.
        sacked: the peer has it, by SACK.
        lost: taken for lost.
        retransmitted: a retransmission is under way (after `lost`).
        ever_retransmitted: was retransmitted at some time.
    """

    __slots__ = (
        "ever_retransmitted",
        "flags",
        "lost",
        "mss",
        "payload",
        "retransmitted",
        "sacked",
        "sent_at",
        "seq",
        "transmission",
    )

    def __init__(self, seq: int, payload: bytes | bytearray, flags: int, mss: int) -> None:
        self.seq = seq
        self.payload = bytearray(payload)
        self.flags = flags
        self.mss = mss
        self.sent_at: Instant = START
        self.transmission = 0
        self.sacked = False
        self.lost = False
        self.retransmitted = False
        self.ever_retransmitted = False

    @property
    def order(self) -> tuple[int, int]:
        """What sorts chunks by when they were sent last; parts of one burst by their place in it."""
        return self.transmission, self.end

    @property
    def end(self) -> int:
        """The number behind its last octet, SYN and FIN counted."""
        return self.seq + len(self.payload) + bool(self.flags & SYN) + bool(self.flags & FIN)

    @property
    def segments(self) -> int:
        """How many segments it is sent as."""
        return max(1, -(-len(self.payload) // self.mss))

    @property
    def segment_length(self) -> int:
        """Octets of its largest segment."""
        return min(len(self.payload), self.mss)

    def split(self, size: int) -> Chunk:
        """Keep the first `size` octets and return the rest, with FIN and PSH.

        Source: net/ipv4/tcp_output.c `tcp_fragment`.
        """
        rest = Chunk(self.seq + size, self.payload[size:], self.flags, self.mss)
        rest.sent_at = self.sent_at
        rest.transmission = self.transmission
        rest.sacked = self.sacked
        rest.lost = self.lost
        rest.retransmitted = self.retransmitted
        rest.ever_retransmitted = self.ever_retransmitted
        del self.payload[size:]
        self.flags &= ~(FIN | PSH)
        return rest

    def trim(self, size: int) -> None:
        """Forget the first `size` octets: they are acknowledged."""
        del self.payload[:size]
        self.seq += size

    def join(self, other: Chunk) -> None:
        """Take the octets and flags of `other`, the next chunk, to this one's end."""
        self.payload += other.payload
        self.flags |= other.flags
        self.ever_retransmitted |= other.ever_retransmitted
