# SPDX-License-Identifier: GPL-2.0-only
"""The answer to a probe, as machines get it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import attrs

from emu.sim.time import START
from emu.verify.report import outcome_report
from emu.verify.story import Story
from emu.verify.verdict import Result, Word, delivered_share, likeliest_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.verify.firstpacket import Judgement
    from emu.verify.verdict import Outcome, Verdict


@attrs.frozen
class Answer:
    """What came of a probe.

    Attributes:
        id: of the probe.
        outcomes: one for each branch; of several pods the branches of all.
        unknown: what kept it from an answer.
        first_packet: of a probe that judged one node alone.
    """

    id: str
    outcomes: tuple[Outcome, ...] = ()
    unknown: tuple[str, ...] = ()
    first_packet: Judgement | None = None

    @property
    def delivered(self) -> Fraction | None:
        """The probability that it is delivered; None if that is not known."""
        if self.unknown or not self.outcomes:
            return None
        return delivered_share(self.outcomes)

    @property
    def word(self) -> Word:
        """The answer in one word."""
        return Word.of(self.delivered)

    @property
    def failure(self) -> Outcome | None:
        """The most probable outcome that is not delivered, the first of equals; None if there is none."""
        return likeliest_failure(self.outcomes)

    def as_json(self) -> dict[str, object]:
        """Return the object that `emu probe -o json` prints."""
        if self.first_packet is not None:
            return {"id": self.id, **self.first_packet.as_json()}
        failure = self.failure
        reason = None if failure is None or failure.cause is None else failure.cause.code
        return {
            "id": self.id,
            "verdict": self.word.value,
            "delivered": None if self.delivered is None else str(self.delivered),
            "result": (Result.DELIVERED if failure is None else failure.result).value,
            "reason": reason,
            "unknown": list(self.unknown),
            "outcomes": [outcome_report(each) for each in self.outcomes],
        }


_UNTOLD: Final = Story(START, (), None, (), 0)


def answer_of(verdict: Verdict) -> Answer:
    """Return the answer where one asks one, without its packets: of ten thousand nobody keeps them."""
    outcomes = tuple([attrs.evolve(each, story=_UNTOLD) for each in verdict.outcomes])
    return Answer("", outcomes, verdict.unknown)


def pooled(name: str, answers: Sequence[Answer]) -> Answer:
    """Return the answer where several ask or are asked: each pair counts alike."""
    share = Fraction(1, len(answers))
    outcomes = tuple(
        attrs.evolve(each, probability=each.probability * share)
        for answer in answers
        for each in answer.outcomes
    )
    unknown = dict.fromkeys(words for answer in answers for words in answer.unknown)
    return Answer(name, outcomes, tuple(unknown))
