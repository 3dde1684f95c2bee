# SPDX-License-Identifier: GPL-2.0-only
"""Chance that decides about a packet that is sent again as it did the first time.

A SYN that a rule dropped by chance is sent again, up to six times, and the rule
would draw each time: a hundred branches for one question, and odds that speak of
the client's patience more than of the network. So a verdict gives the odds of an
attempt: what was decided about a packet holds for its repetitions.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from emu.verify import fivetuple
from emu.wire.ipv4 import MIN_HEADER, TCP

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from fractions import Fraction

    from emu.observe.recording import Step
    from emu.sim.choice import Choice

ASSUMPTION: Final = "a packet that is sent again meets the chance that it met the first time"
_SEQUENCE_AND_FLAGS: Final = (slice(4, 8), slice(13, 14))  # of a TCP header


class SteadyChoice:
    """A choice that is asked once about each packet; it listens to a recording to know which packet it is.

    Attributes:
        was_steady: a packet was sent again and met what it had met before.
    """

    def __init__(self, choice: Choice) -> None:
        self.was_steady = False
        self._choice = choice
        self._step: Step | None = None
        self._taken: dict[Hashable, int] = {}
        self._asked: Counter[Hashable] = Counter()

    def hear(self, step: Step) -> None:
        """Note which packet is under way, and where."""
        self._step = step

    def pick(self, question: str, odds: Sequence[Fraction], names: Sequence[str] = ()) -> int:
        """Return what was taken for this packet before, else what the choice takes now."""
        if self._step is None:
            return self._choice.pick(question, odds, names)
        packet = self._step.net, _identity(fivetuple.packet_of(self._step))
        question_of = (packet, question, len(odds), odds[0], tuple(names))
        walk = self._step.packet_id, question_of
        self._asked[walk] += 1  # two rules may ask the same: the first, the second time on this walk
        key = question_of, self._asked[walk]
        if key in self._taken:
            self.was_steady = True
        else:
            self._taken[key] = self._choice.pick(question, odds, names)
        return self._taken[key]

    def happens(self, question: str, share: Fraction) -> bool:
        """Return what the choice says."""
        return self._choice.happens(question, share)


def _identity(packet: bytes) -> Hashable:
    """Return what a packet and its repetitions have in common: between whom it goes, which segment it is."""
    there = fivetuple.read(packet)
    if there is None or there.protocol != TCP:
        return there, packet[MIN_HEADER:]
    segment = packet[(packet[0] & 15) * 4 :]
    return there, *(segment[part] for part in _SEQUENCE_AND_FLAGS)
