# SPDX-License-Identifier: GPL-2.0-only
"""`-m statistic`: by chance, or each N-th packet. Source: net/netfilter/xt_statistic.c."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

CERTAIN: Final = 1 << 31
"""The kernel's number for a probability of 1."""


@lru_cache(maxsize=4096)
def simplest_fraction(number: int) -> Fraction:
    """Return the fraction with the least denominator that is less than 2**-31 from `number` / 2**31.

    What a rule means by the decimals of `--probability`: 1/3 for 715827883. 0
    and 1 stand for themselves alone, so that nothing possible becomes
    impossible, and nothing uncertain certain.
    """
    return _simplest_between(Fraction(number - 1, CERTAIN), Fraction(number + 1, CERTAIN))


def _simplest_between(low: Fraction, high: Fraction) -> Fraction:
    """Return the fraction with the least denominator above `low` and below `high`.

    Both are cut at the same integer, and the rest is turned over, until an
    integer lies between: the Stern-Brocot tree, walked by continued fractions.
    """
    whole = low.numerator // low.denominator
    if whole + 1 < high:
        return Fraction(whole + 1)
    top = 1 / (low - whole) if low != whole else None
    bottom = 1 / (high - whole)
    if top is None:  # any number above `bottom` will do
        return whole + 1 / Fraction(bottom.numerator // bottom.denominator + 1)
    return whole + 1 / _simplest_between(bottom, top)


@lru_cache(maxsize=4096)
def _odds(number: int, inverted: bool) -> tuple[Fraction, Fraction]:  # noqa: FBT001 - beside its number
    """Return the probabilities that a match holds, and that it does not."""
    probability = simplest_fraction(number)
    return (1 - probability, probability) if inverted else (probability, 1 - probability)


@attrs.frozen
class Random:
    """`--mode random`: with a probability.

    Attributes:
        number: the probability in units of 2**-31, as the kernel has it.
        inverted: with the opposite probability.
    """

    number: int
    inverted: bool = False

    @property
    def probability(self) -> Fraction:
        """The probability that it holds, `inverted` left out."""
        return simplest_fraction(self.number)

    def holds(self, packet: Packet) -> bool:
        """Return what chance says."""
        odds = _odds(self.number, self.inverted)
        return packet.net.choice.pick(packet.chain or "statistic", odds, packet.ways) == 0


@attrs.frozen
class Nth:
    """`--mode nth`: one packet of each `every`; the first such one has `packet` others before it."""

    every: int
    packet: int = 0
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Count, and return whether it is this packet's turn, or is not."""
        last = self.every - 1
        count = packet.memory.get(self, last - self.packet)
        count = 0 if count == last else count + 1
        packet.memory[self] = count
        return (count == 0) is not self.inverted
