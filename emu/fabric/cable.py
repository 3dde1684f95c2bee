# SPDX-License-Identifier: GPL-2.0-only
"""A cable between two devices: what happens to a frame between them.

Each direction is a line of its own: frames queue in front of it, are sent one
after the other at the cable's bandwidth, and arrive a latency later, in the
order in which they were sent.

        carry          begins              sent               arrives
          |-- waiting -->|-- length / bandwidth -->|-- latency -->|
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import attrs

from emu.errors import CableError
from emu.kernel.drops import DropReason
from emu.sim.time import SECOND, START, Duration, Instant, later
from emu.wire import ethernet

if TYPE_CHECKING:
    from emu.sim.choice import Choice

DEFAULT_QUEUE: Final = 1000 * 1514
"""Octets: as many full frames as a Linux device queues (`txqueuelen`)."""


class _Line:
    """One direction: until when it is busy, and what waits for it."""

    __slots__ = ("arrived", "free_at", "waiting", "waiting_octets")

    def __init__(self) -> None:
        self.free_at = START
        self.arrived = START  # when the last frame gets, or got, to the other end
        self.waiting: deque[tuple[Instant, int]] = deque()  # (begin of sending, octets)
        self.waiting_octets = 0

    def begin(self, now: Instant) -> None:
        """Take frames whose sending has begun by `now` out of the queue."""
        while self.waiting and self.waiting[0][0] <= now:
            self.waiting_octets -= self.waiting.popleft()[1]


@attrs.define(eq=False)
class Cable:
    """A full-duplex cable. Its settings may change while it is in use.

    Attributes:
        latency: ns from the last bit sent to the frame's arrival.
        bandwidth: bit/s in each direction, of frames without preamble, FCS and
            gap; 0 for no limit, and then nothing ever waits.
        queue: octets that may wait in each direction, besides the frame being
            sent; what finds no room is dropped.
        loss: probability that a frame that was sent does not arrive.
        mtu: octets behind the Ethernet header that get through; a longer frame
            vanishes without a word, as on a misconfigured path. 0 for no limit.
        name: for explanations.

    Raises:
        CableError: a setting is out of range.
    """

    latency: Duration = 0
    bandwidth: int = 0
    queue: int = DEFAULT_QUEUE
    loss: Fraction = Fraction(0)
    mtu: int = 0
    name: str = "the cable"
    _lines: tuple[_Line, _Line] = attrs.field(factory=lambda: (_Line(), _Line()), init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if min(self.latency, self.bandwidth, self.queue, self.mtu) < 0:
            raise CableError("latency, bandwidth, queue and mtu of a cable are not negative")
        if not 0 <= self.loss <= 1:
            raise CableError(f"the loss of a cable is a probability, not {self.loss}")

    def carry(self, length: int, direction: int, now: Instant, choice: Choice) -> Instant | DropReason:
        """Send a frame and return when it arrives, or why it does not.

        Args:
            length: octets of the frame, Ethernet header included and FCS not.
            direction: 0 or 1; the two do not touch each other.
            now: not before the `now` of an earlier call.
            choice: asked whether the frame is lost, unless that is certain.
        """
        if self.mtu and length > self.mtu + ethernet.HEADER_LENGTH:
            return DropReason.CABLE_MTU
        line = self._lines[direction]
        sent = now
        if self.bandwidth:
            line.begin(now)
            begin = max(now, line.free_at)
            if begin > now:
                if line.waiting_octets + length > self.queue:
                    return DropReason.CABLE_QUEUE_FULL
                line.waiting.append((begin, length))
                line.waiting_octets += length
            sent = line.free_at = later(begin, -(-length * 8 * SECOND // self.bandwidth))
        if self._loses(choice):
            return DropReason.CABLE_LOSS
        line.arrived = max(line.arrived, later(sent, self.latency))
        return line.arrived

    def _loses(self, choice: Choice) -> bool:
        if self.loss in {0, 1}:
            return bool(self.loss)
        return choice.pick(f"does {self.name} lose the frame?", (self.loss, 1 - self.loss)) == 0
