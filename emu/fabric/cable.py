# SPDX-License-Identifier: GPL-2.0-only
"""A cable between two devices: what happens to a frame between them.

Each direction is a line of its own: frames queue in front of it, are sent one
after the other at the cable's bandwidth, and arrive a latency later, in the
order in which they were sent, unless the cable is a bad one (`faults`).

        carry          begins              sent               arrives
          |-- waiting -->|-- length / bandwidth -->|-- latency -->|
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

from emu.errors import CableError
from emu.fabric.faults import NO_FAULTS, Faults, flip, happens
from emu.kernel.drops import DropReason
from emu.sim.time import SECOND, START, Duration, Instant, later
from emu.wire import ethernet

if TYPE_CHECKING:
    import random

    from emu.sim.choice import Choice
    from emu.sim.rng import Streams

DEFAULT_QUEUE: Final = 1000 * 1514
"""Octets: as many full frames as a Linux device queues (`txqueuelen`)."""


class _Line:
    """One direction: until when it is busy, what waits for it, and how many frames it was given."""

    __slots__ = ("arrived", "count", "free_at", "waiting", "waiting_octets")

    def __init__(self) -> None:
        self.count = 0
        self.free_at = START
        self.arrived = START  # when the last frame gets, or got, to the other end
        self.waiting: deque[tuple[Instant, int]] = deque()  # (begin of sending, octets)
        self.waiting_octets = 0

    def begin(self, now: Instant) -> None:
        """Take frames whose sending has begun by `now` out of the queue."""
        while self.waiting and self.waiting[0][0] <= now:
            self.waiting_octets -= self.waiting.popleft()[1]


class Arrival(NamedTuple):
    """A frame that gets to the other end.

    Attributes:
        due: when.
        octets: as they arrive.
        remark: what the cable did to it, in words; empty for nothing.
    """

    due: Instant
    octets: bytes
    remark: str = ""


class Loss(NamedTuple):
    """A frame that gets nowhere: why, and the rest in words."""

    reason: DropReason
    detail: str = ""


@attrs.define(eq=False)
class Cable:
    """A full-duplex cable. Its settings may change while it is in use.

    Attributes:
        latency: ns from the last bit sent to the frame's arrival.
        jitter: ns that the latency is longer or shorter by, drawn for each
            frame; none overtakes another by it.
        bandwidth: bit/s in each direction, of frames without preamble, FCS and
            gap; 0 for no limit, and then nothing ever waits.
        queue: octets that may wait in each direction, besides the frame being
            sent; what finds no room is dropped.
        mtu: octets behind the Ethernet header that get through; a longer frame
            vanishes without a word, as on a misconfigured path. 0 for no limit.
        faults: what else happens to frames.
        is_down: it is unplugged: nothing gets through. The carrier of the
            devices at its ends is the fabric's business (`Fabric.follow`).
        is_dead: the machine at one of its ends is cut off, or without power:
            nothing gets through either.
        name: for explanations.

    Raises:
        CableError: a setting is out of range.
    """

    latency: Duration = 0
    bandwidth: int = 0
    queue: int = DEFAULT_QUEUE
    mtu: int = 0
    name: str = "the cable"
    jitter: Duration = 0
    faults: Faults = NO_FAULTS
    is_down: bool = False
    is_dead: bool = False
    _random: random.Random | None = attrs.field(default=None, init=False, repr=False)
    _lines: tuple[_Line, _Line] = attrs.field(factory=lambda: (_Line(), _Line()), init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.check()

    @property
    def is_dark(self) -> bool:
        """Whether it carries nothing, for whatever reason."""
        return self.is_down or self.is_dead

    def check(self) -> None:
        """Return if all settings are within their ranges.

        Raises:
            CableError: one is not.
        """
        if min(self.latency, self.bandwidth, self.queue, self.mtu, self.jitter) < 0:
            raise CableError("latency, jitter, bandwidth, queue and mtu of a cable are not negative")
        if self.jitter > self.latency:
            raise CableError("the jitter of a cable is no longer than its latency")

    def set_faults(self, faults: Faults) -> None:
        """Have other faults from now on; frames are counted from 1 again."""
        self.faults = faults
        for line in self._lines:
            line.count = 0

    def carry(
        self, octets: bytes, direction: int, now: Instant, choice: Choice, streams: Streams
    ) -> Loss | tuple[Arrival, ...]:
        """Send a frame and return how it arrives, once or twice, or why it does not.

        Args:
            octets: the frame, Ethernet header included and FCS not.
            direction: 0 or 1; the two do not touch each other.
            now: not before the `now` of an earlier call.
            choice: asked what happens to the frame, unless that is certain.
            streams: where jitter and broken bits are drawn from, as a stream of the cable's own.
        """
        line = self._lines[direction]
        line.count += 1
        if self.is_dark:
            return Loss(DropReason.CABLE_UNPLUGGED, f"{self.name} is down")
        if self.mtu and len(octets) > self.mtu + ethernet.HEADER_LENGTH:
            long = len(octets) - ethernet.HEADER_LENGTH
            return Loss(DropReason.CABLE_MTU, f"{long} octets, MTU {self.mtu}")
        faults = self.faults
        if faults is NO_FAULTS and not self.jitter:  # what nearly all cables are
            due = self._queued(len(octets), line, now)
            return (Arrival(self._arrival(line, due, self.latency), octets),) if due is not None else _FULL
        return self._carry_badly(octets, line, now, choice, streams)

    def _carry_badly(
        self, octets: bytes, line: _Line, now: Instant, choice: Choice, streams: Streams
    ) -> Loss | tuple[Arrival, ...]:
        faults = self.faults
        sent = self._queued(len(octets), line, now)
        if sent is None:
            return _FULL
        if faults.drops(line.count):
            return Loss(DropReason.CABLE_LOSS, f"frame {line.count} of {self.name}")
        if happens(choice, self.name, "lose", faults.loss):
            return Loss(DropReason.CABLE_LOSS)
        instants, remark = [sent], ""
        if happens(choice, self.name, "double", faults.duplicate):
            again = self._queued(len(octets), line, now)
            instants += [again] if again is not None else []
        if happens(choice, self.name, "corrupt", faults.corrupt):
            octets, remark = flip(octets, self._numbers(streams))
        latency = self.latency
        if self.jitter:
            latency += self._numbers(streams).randint(-self.jitter, self.jitter)
        if latency and happens(choice, self.name, "hurry", faults.reorder):
            return tuple(Arrival(instant, octets, remark) for instant in instants)
        return tuple(Arrival(self._arrival(line, instant, latency), octets, remark) for instant in instants)

    def _queued(self, length: int, line: _Line, now: Instant) -> Instant | None:
        """Let a frame wait for the line and be sent; return when its last bit is, None if it has no room."""
        if not self.bandwidth:
            return now
        line.begin(now)
        begin = max(now, line.free_at)
        if begin > now:
            if line.waiting_octets + length > self.queue:
                return None
            line.waiting.append((begin, length))
            line.waiting_octets += length
        line.free_at = later(begin, -(-length * 8 * SECOND // self.bandwidth))
        return line.free_at

    def _numbers(self, streams: Streams) -> random.Random:
        if self._random is None:
            self._random = streams.stream(f"cable {self.name}")
        return self._random

    @staticmethod
    def _arrival(line: _Line, sent: Instant, latency: Duration) -> Instant:
        line.arrived = max(line.arrived, later(sent, latency))
        return line.arrived


_FULL: Final = Loss(DropReason.CABLE_QUEUE_FULL)
