# SPDX-License-Identifier: GPL-2.0-only
"""Whether an exchange succeeds: on every branch of chance, each with its exact probability."""

from __future__ import annotations

import enum
from fractions import Fraction
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from emu.sim.choice import Taken
    from emu.verify.causes.cause import Cause
    from emu.verify.endpoint import Source, Target
    from emu.verify.story import Story
    from emu.wire.addresses import IpAddress


class Result(enum.Enum):
    """What the client sees of a complete exchange."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # RST or ICMP unreachable came back
    DROPPED = "dropped"  # silence


class Word(enum.Enum):
    """The answer in one word."""

    ALWAYS = "ALWAYS"
    SOMETIMES = "SOMETIMES"
    NEVER = "NEVER"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def of(cls, delivered: Fraction | None) -> Word:
        """Return the word for a probability of delivery, None if that is not known."""
        if delivered is None:
            return cls.UNKNOWN
        if delivered == 1:
            return cls.ALWAYS
        return cls.SOMETIMES if delivered else cls.NEVER


@attrs.frozen
class Arrival:
    """Where the request arrived, and from whom, as the host there saw it; ports are None for ICMP.

    `pod` (as `NS/NAME`) and `node` are None where there is none such.
    """

    net: str
    address: IpAddress
    port: int | None
    source: IpAddress
    source_port: int | None
    pod: str | None = None
    node: str | None = None


@attrs.frozen
class Outcome:
    """What happens on one branch.

    Attributes:
        probability: of the branch.
        result: what the client sees.
        cause: why it was not delivered, None if it was.
        arrival: where the request got to, None if it got nowhere.
        dnat: the request's destination was rewritten on the way.
        masquerade: its source was.
        choices: what chance decided.
        story: the packets.
        unknown: what ended packets here and is not modelled; nothing if it was delivered all the same.
        is_timed: which packet came first was part of what was decided, so nobody knows the probability.
    """

    probability: Fraction
    result: Result
    cause: Cause | None
    arrival: Arrival | None
    dnat: bool
    masquerade: bool
    choices: tuple[Taken, ...]
    story: Story
    unknown: tuple[str, ...] = ()
    is_timed: bool = False


def delivered_share(outcomes: Iterable[Outcome]) -> Fraction:
    """Return the probability of those branches on which it is delivered."""
    return sum((one.probability for one in outcomes if one.result is Result.DELIVERED), Fraction(0))


def likeliest_failure(outcomes: Iterable[Outcome]) -> Outcome | None:
    """Return the most probable outcome that is not delivered, the first of equals; None if there is none."""
    failed = (one for one in outcomes if one.result is not Result.DELIVERED)
    return max(failed, key=lambda one: one.probability, default=None)


@attrs.frozen
class Verdict:
    """The answer to a question.

    Attributes:
        source: who asked.
        target: whom.
        outcomes: one for each branch.
        unknown: what kept it from an answer; empty if nothing did.
        assumptions: what was taken for granted.
    """

    source: Source
    target: Target
    outcomes: tuple[Outcome, ...]
    unknown: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    @property
    def delivered(self) -> Fraction | None:
        """The probability that it is delivered; None if that is not known, or a matter of timing."""
        return None if self.is_timed else self._share

    @property
    def _share(self) -> Fraction | None:
        return None if self.unknown else delivered_share(self.outcomes)

    @property
    def word(self) -> Word:
        """The answer in one word."""
        return Word.of(self._share)

    @property
    def is_timed(self) -> bool:
        """Whether it is a matter of timing what becomes of it: SOMETIMES then has no odds."""
        return self.word is Word.SOMETIMES and any(one.is_timed for one in self.outcomes)

    @property
    def words(self) -> str:
        """The answer with its odds, where there are any."""
        share = f" {self.delivered}" if self.word is Word.SOMETIMES and self.delivered is not None else ""
        return f"{self.word.value}{share}"

    @property
    def failure(self) -> Outcome | None:
        """The most probable outcome that is not delivered, the first of equals; None if there is none."""
        return likeliest_failure(self.outcomes)
