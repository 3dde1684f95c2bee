# SPDX-License-Identifier: GPL-2.0-only
"""What one cluster answers to a question, as far as another's answer is compared with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from emu.verify.verdict import Word

if TYPE_CHECKING:
    from fractions import Fraction

    from emu.verify.causes.cause import Cause
    from emu.verify.difference.seen import Owners
    from emu.verify.verdict import Result, Verdict

Fate: TypeAlias = "tuple[Word | None, Fraction | None, Result | None]"
"""Verdict, probability of delivery, and what the client sees where it fails."""


@attrs.frozen
class Answer:
    """What becomes of a question.

    Attributes:
        word: the verdict; None where there is nobody to ask, or to be asked.
        delivered: the probability; None where it is not known.
        result: what the client sees of the most probable failure, None without one.
        cause: of that failure.
        unknown: what kept it from an answer.
        seen_as: by which kinds of addresses servers see the client, in words.
        codes: why it fails, on any branch of chance, sorted.
    """

    word: Word | None = None
    delivered: Fraction | None = None
    result: Result | None = None
    cause: Cause | None = None
    unknown: tuple[str, ...] = ()
    seen_as: tuple[str, ...] = ()
    codes: tuple[str, ...] = attrs.field()

    @codes.default
    def _code_of_cause(self) -> tuple[str, ...]:
        return () if self.cause is None else (self.cause.code,)

    @property
    def fate(self) -> Fate:
        """What users notice of it."""
        return self.word, self.delivered, self.result

    @property
    def key(self) -> tuple[Fate, tuple[str, ...], str, str]:
        """What makes answers of alike pods one: their fate, and who is to blame."""
        if self.cause is None:
            return self.fate, self.codes, "", ""
        return self.fate, self.codes, self.cause.code, self.cause.object

    def of_nobody(self) -> Answer:
        """Return it without whose doing a failure is: for flows to several that fail alike."""
        if self.cause is None:
            return self
        return attrs.evolve(self, cause=attrs.evolve(self.cause, words="", object="", field="", rule=""))

    def __str__(self) -> str:
        if self.word is None:
            return "-"
        return f"{self.word.value} {self.delivered}" if self.word is Word.SOMETIMES else self.word.value


ABSENT: Final = Answer()
"""There is no such flow."""


def answer_of(verdict: Verdict, owners: Owners) -> Answer:
    """Return what is compared of a verdict."""
    failure = verdict.failure
    codes = {one.cause.code for one in verdict.outcomes if one.cause is not None}
    return Answer(
        verdict.word,
        verdict.delivered,
        None if failure is None else failure.result,
        None if failure is None else failure.cause,
        verdict.unknown,
        owners.kinds(verdict),
        tuple(sorted(codes)),
    )
