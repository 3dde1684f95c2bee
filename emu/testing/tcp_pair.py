# SPDX-License-Identifier: GPL-2.0-only
"""Two TCP connections joined by a channel whose every segment a test decides on.

    pair = TcpPair(fate=lose(("client", 4)))
    pair.connect()
    pair.write("client", b"hello")
    pair.run(SECOND)
    assert pair.sent("client") == ["S 0", "A 1 ack 1", "PA 1:6 ack 1", "PA 1:6 ack 1"]

No namespace, no packets: only the connections, a clock, and what travels between
them. Numbers in texts count from each side's initial sequence number.
"""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, TypeVar

from emu.kernel.tcp import reset
from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.connection import Connection
from emu.kernel.tcp.handshake import Handshake, Step
from emu.kernel.tcp.sequence import wire
from emu.sim.time import MICROSECOND, SECOND, START, Duration, Instant, later
from emu.wire.tcp import ACK, FIN, PSH, RST, SYN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from emu.kernel.drops import DropReason
    from emu.kernel.tcp.segment import Segment

T = TypeVar("T")

Side: TypeAlias = Literal["client", "server"]

SIDES: Final[tuple[Side, Side]] = ("client", "server")
LATENCY: Final = 100 * MICROSECOND
FOR_EVER: Final = Instant(1 << 62)
_ISS: Final[dict[Side, int]] = {"client": 0xFFFFFF00, "server": 0x7FFFFF00}  # both wrap soon
_LETTERS: Final = ((SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, "A"))


class Sent(NamedTuple):
    """A segment on its way: the how manieth of its side (from 1), when, whose, and what."""

    number: int
    instant: Instant
    side: Side
    segment: Segment


Fate: TypeAlias = "Callable[[Sent], Sequence[Duration]]"
"""Returns how long each copy of a segment is under way; none: it is lost."""


def arrive(sent: Sent) -> Sequence[Duration]:  # noqa: ARG001 - a fate like any other
    """Let a segment through."""
    return (LATENCY,)


def lose(*which: tuple[Side, int]) -> Fate:
    """Return the fate that loses these segments, by side and number, and no other."""
    lost = frozenset(which)
    return lambda sent: () if (sent.side, sent.number) in lost else (LATENCY,)


def other(side: Side) -> Side:
    """Return the side opposite to `side`."""
    return "server" if side == "client" else "client"


class TcpPair:
    """A client, a server that answers its SYN, and what lies between.

    Attributes:
        now: virtual time.
        trace: all that was sent, lost or not.
        drops: why segments were refused, in order.
        received: what `readers` have read.
        readers: sides that read at once whatever comes.
    """

    def __init__(
        self,
        config: TcpConfig | None = None,
        *,
        fate: Fate = arrive,
        mtu: int = 1500,
        server_config: TcpConfig | None = None,
    ) -> None:
        self.now: Instant = START
        self.trace: list[Sent] = []
        self.drops: list[DropReason] = []
        self.received: dict[Side, bytearray] = {"client": bytearray(), "server": bytearray()}
        self.readers: set[Side] = set()
        chosen = config or TcpConfig(timestamps=False)
        self._configs: dict[Side, TcpConfig] = {"client": chosen, "server": server_config or chosen}
        self._fate = fate
        self._mtu = mtu
        self._ends: dict[Side, Connection] = {}
        self._handshake: Handshake | None = None
        self._events: list[tuple[Instant, int, Side, Segment | None]] = []
        self._order = itertools.count()
        self._armed: dict[Side, Instant] = {}

    # --- ends ---

    @property
    def client(self) -> Connection:
        """The side that connects."""
        return self._ends["client"]

    @property
    def server(self) -> Connection:
        """The side that answers, once the handshake is done."""
        return self._ends["server"]

    def end(self, side: Side) -> Connection:
        """Return the connection of `side`."""
        return self._ends[side]

    def has(self, side: Side) -> bool:
        """Return whether `side` has a connection."""
        return side in self._ends

    # --- what programs do ---

    def open(self, side: Side) -> Connection:
        """Have `side` send a SYN; by both sides it is a simultaneous open."""
        connection = Connection.open(
            self._configs[side], now=self.now, iss=_ISS[side], mtu=self._mtu, stamp_offset=7
        )
        self._ends[side] = connection
        self._flush(side)
        return connection

    def connect(self, *, within: Duration = SECOND) -> None:
        """Connect the client to the server, in `within` of virtual time."""
        self.open("client")
        self.run(within, until=lambda: self.has("server") and self.client.is_established)

    def write(self, side: Side, data: bytes) -> int:
        """Have `side` write `data`; return how much had room."""
        return self._call(side, lambda end: end.write(data, self.now))

    def read(self, side: Side, size: int = 65536) -> bytes:
        """Have `side` read."""
        return self._call(side, lambda end: end.read(size, self.now))

    def close(self, side: Side, *, linger: Duration | None = None) -> None:
        """Have the program of `side` close."""
        self._call(side, lambda end: end.close(self.now, linger=linger))

    def shut(self, side: Side) -> None:
        """Have the program of `side` shut its writing."""
        self._call(side, lambda end: end.shut_writing(self.now))

    def abort(self, side: Side) -> None:
        """Reset the connection of `side`."""
        self._call(side, lambda end: end.abort(self.now))

    def nodelay(self, side: Side) -> None:
        """Switch Nagle's algorithm off at `side`."""
        self._call(side, lambda end: end.send_small(self.now, on=True))

    def _call(self, side: Side, function: Callable[[Connection], T]) -> T:
        try:
            return function(self._ends[side])
        finally:
            self._flush(side)

    def inject(self, side: Side, segment: Segment) -> None:
        """Have `segment` arrive, now, as if `side` had sent it; its numbers count from the initial ones."""
        seq = wire(segment.seq + _ISS[side])
        ack = wire(segment.ack + _ISS[other(side)]) if segment.flags & ACK else 0
        self._arrive(other(side), segment._replace(seq=seq, ack=ack))

    # --- time ---

    def run(self, duration: Duration, *, until: Callable[[], bool] = lambda: False) -> None:
        """Let `duration` pass, or less if `until` becomes true."""
        end = later(self.now, duration)
        while self._events and self._events[0][0] <= end and not until():
            self.now, _, side, segment = heapq.heappop(self._events)
            if segment is not None:
                self._arrive(side, segment)
            else:
                self._serve(side)
        if not until():
            self.now = end

    def _serve(self, side: Side) -> None:
        self._armed.pop(side, None)
        if side in self._ends:
            deadline = self._ends[side].next_deadline
            if deadline is not None and deadline <= self.now:
                self._ends[side].timeout(self.now)
        elif self._handshake is not None and self._handshake.deadline <= self.now:
            self._handshake = self._handshake if self._handshake.timeout(self.now) else None
        self._flush(side)

    # --- the channel ---

    def _arrive(self, side: Side, segment: Segment) -> None:
        end = self._ends.get(side)
        if end is None:
            self._shake_hands(segment)
        elif end.is_gone:
            self._refuse(side, segment)
        else:
            outcome = end.receive(segment, self.now)
            if outcome.reason is not None:
                self.drops.append(outcome.reason)
        self._flush(side)

    def _shake_hands(self, segment: Segment) -> None:
        if self._handshake is None:
            if segment.flags & (SYN | ACK | RST) == SYN:
                self._handshake = Handshake(
                    self._configs["server"],
                    segment,
                    iss=_ISS["server"],
                    mtu=self._mtu,
                    now=self.now,
                    stamp_offset=9,
                )
            else:
                self._refuse("server", segment)
            return
        step = self._handshake.receive(segment, self.now)
        if step is Step.DONE:
            self._ends["server"] = Connection.accepted(self._handshake, segment, self.now)
        elif step in (Step.STRANGE, Step.RESET):
            self._refuse("server", segment)
        if step in (Step.RESET, Step.OVER):
            self._handshake = None

    def _refuse(self, side: Side, segment: Segment) -> None:
        answer = reset.answer(segment)
        if answer is not None:
            self._send(side, answer)

    def _flush(self, side: Side) -> None:
        end = self._ends.get(side)
        if end is None:
            if self._handshake is None:
                return
            for segment in self._handshake.outbox:
                self._send(side, segment)
            self._handshake.outbox.clear()
            self._wake(side, self._handshake.deadline)
            return
        if side in self.readers:
            self._read_all(side, end)
        for segment in (*end.take_segments(), *end.take_replies()):
            self._send(side, segment)
        if end.next_deadline is not None:
            self._wake(side, end.next_deadline)

    def _read_all(self, side: Side, end: Connection) -> None:
        while end.unread:
            self.received[side] += end.read(65536, self.now)

    def _wake(self, side: Side, deadline: Instant) -> None:
        if self._armed.get(side, FOR_EVER) > deadline:
            self._armed[side] = deadline
            heapq.heappush(self._events, (deadline, next(self._order), side, None))

    def _send(self, side: Side, segment: Segment) -> None:
        number = sum(earlier.side == side for earlier in self.trace) + 1
        sent = Sent(number, self.now, side, segment)
        self.trace.append(sent)
        for delay in self._fate(sent):
            event = (later(self.now, delay), next(self._order), other(side), segment)
            heapq.heappush(self._events, event)

    # --- to compare ---

    def sent(self, side: Side) -> list[str]:
        """Return what `side` sent, in words."""
        return [describe(sent) for sent in self.trace if sent.side == side]

    def instants(self, side: Side) -> list[float]:
        """Return when `side` sent its segments, in seconds."""
        return [sent.instant / SECOND for sent in self.trace if sent.side == side]

    def clear(self) -> None:
        """Forget the trace; numbers count from 1 again."""
        self.trace.clear()


def describe(sent: Sent) -> str:
    """Return a segment in words, like `PA 1:6 ack 1 sack 10-20`."""
    segment, side = sent.segment, sent.side
    seq = _relative(segment.seq, side)
    words = ["".join(letter for flag, letter in _LETTERS if segment.flags & flag)]
    words.append(f"{seq}:{seq + len(segment.payload)}" if segment.payload else f"{seq}")
    if segment.flags & ACK:
        words.append(f"ack {_relative(segment.ack, other(side))}")
    words += _sacks(segment.options.sack, other(side))
    return " ".join(words)


def _sacks(blocks: Iterable[tuple[int, int]], side: Side) -> list[str]:
    return [f"sack {_relative(left, side)}-{_relative(right, side)}" for left, right in blocks]


def _relative(field: int, side: Side) -> int:
    """Return a number as it counts from the side's initial one; RST without ACK has a plain 0."""
    relative = wire(field - _ISS[side])
    return relative - (1 << 32) if relative >= 1 << 31 else relative
