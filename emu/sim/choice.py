# SPDX-License-Identifier: GPL-2.0-only
"""Chance that can change a packet's fate, asked for in one place.

Whatever Linux leaves to chance and a verdict depends on (a `statistic` match,
the next hop of a multipath route, whether a lossy cable loses) is a `Choice`.
A run draws it from a seeded stream; an exploration follows every branch, one
run each, with the branch's exact probability. Chance that only changes numbers
(sequence numbers, ports, identifiers) is drawn from `emu.sim.rng` instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, overload

import attrs

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator


class Choice(Protocol):
    """Decides between alternatives."""

    def pick(self, question: str, odds: Sequence[Fraction], names: Sequence[str] = ()) -> int:
        """Return the index of the alternative taken.

        Args:
            question: what is decided, in words for an explanation.
            odds: the probability of each alternative, 1 in total.
            names: what the alternatives are called; none where the index says it.
        """

    def happens(self, question: str, share: Fraction) -> bool:
        """Return whether something happens that is too common to follow both ways.

        What a bad cable does to each of its frames is such a thing. A run draws;
        an exploration takes it that nothing happens, and keeps the question.

        Args:
            question: what may happen, in words.
            share: its probability, neither 0 nor 1.
        """


_BITS: Final = 53  # drawn for a decision
MOST_FOLLOWED: Final = 4096
"""Alternatives of one decision that are followed at the most: more than anybody explores."""


class Uniform(Sequence[Fraction]):
    """The odds of `count` alternatives that are all alike, without a list of them."""

    __slots__ = ("_count", "_share")

    def __init__(self, count: int) -> None:
        self._count = count
        self._share = Fraction(1, count)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Fraction: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Fraction]: ...

    def __getitem__(self, index: int | slice) -> Fraction | Sequence[Fraction]:
        if isinstance(index, slice):
            return [self._share] * len(range(self._count)[index])
        if not -self._count <= index < self._count:
            raise IndexError(index)
        return self._share


class Timing(tuple[Fraction, ...]):
    """Odds that nobody knows, of two alternatives: things at one instant come in the other order, or not.

    A run draws by them, for it has to. An exploration follows both and trusts no odds; on a branch it lets
    things change places once at the most: what takes two such accidents is rarer than what takes one, and
    they would double the branches each.
    """

    __slots__ = ()


@attrs.define
class DrawnChoice:
    """Draws from a random stream."""

    is_still: ClassVar[bool] = True

    stream: random.Random

    def pick(self, question: str, odds: Sequence[Fraction], names: Sequence[str] = ()) -> int:  # noqa: ARG002
        """Return an index drawn with the given odds; certainty draws nothing."""
        if isinstance(odds, Uniform):
            return self.stream.getrandbits(_BITS) * len(odds) >> _BITS
        point: int | None = None
        low, of = 0, 1  # the shares passed by, as numerator and denominator: faster than a Fraction
        for index, share in enumerate(odds):
            numerator, denominator = share.numerator, share.denominator
            if numerator == denominator:
                return index
            if not numerator:
                continue
            if point is None:
                point = self.stream.getrandbits(_BITS)
            low, of = low * denominator + numerator * of, of * denominator
            if point * of < low << _BITS:
                return index
        return len(odds) - 1

    def happens(self, question: str, share: Fraction) -> bool:
        """Draw whether it happens."""
        return self.pick(question, (share, 1 - share)) == 0


@attrs.frozen
class Taken:
    """One decision on a branch: the question, which alternative, its probability, and what it is called.

    Where it `is_timing`, the probability is nobody's knowledge.
    """

    question: str
    index: int
    probability: Fraction
    name: str = ""
    is_timing: bool = False

    def __str__(self) -> str:
        odds = "a matter of timing" if self.is_timing else self.probability
        return f"{self.question} -> {self.name or self.index} ({odds})"


@attrs.define
class ScriptedChoice:
    """Follows a script of indices, then always the first possible alternative.

    What it was asked is kept in `taken` and the alternatives it passed by in
    `untaken`, as scripts for runs that go there: `explore` follows them all.
    What could have happened and is not followed is in `spared`, each question once.
    """

    script: tuple[int, ...] = ()
    taken: list[Taken] = attrs.field(factory=list, init=False)
    untaken: list[tuple[int, ...]] = attrs.field(factory=list, init=False)
    spared: dict[str, Fraction] = attrs.field(factory=dict, init=False)

    def pick(self, question: str, odds: Sequence[Fraction], names: Sequence[str] = ()) -> int:
        """Return the script's next index, or the first with a probability above 0."""
        is_timing = isinstance(odds, Timing)
        if is_timing and any(step.is_timing and not step.index for step in self.taken):
            return 1
        possible = [index for index, share in enumerate(odds[:MOST_FOLLOWED]) if share]
        depth = len(self.taken)
        if depth < len(self.script):
            index = self.script[depth]
        else:
            index, *others = possible
            path = tuple(step.index for step in self.taken)
            self.untaken += [(*path, other) for other in others]
        name = names[index] if names else ""
        self.taken.append(Taken(question, index, odds[index], name, is_timing))
        return index

    def happens(self, question: str, share: Fraction) -> bool:
        """Return that it does not, and keep what was asked."""
        self.spared[question] = share
        return False

    @property
    def probability(self) -> Fraction:
        """The product of the probabilities of what was taken."""
        product = Fraction(1)
        for step in self.taken:
            product *= step.probability
        return product

    @property
    def is_timed(self) -> bool:
        """Whether something was taken whose probability nobody knows."""
        return any(step.is_timing for step in self.taken)


def branches() -> Iterator[ScriptedChoice]:
    """Yield a choice for each branch of an experiment, until all were followed.

    The experiment is run by the caller with each choice yielded, always from
    the same starting state; the branches' probabilities add up to 1.
    """
    scripts: list[tuple[int, ...]] = [()]
    while scripts:
        choice = ScriptedChoice(scripts.pop())
        yield choice
        scripts += sorted(choice.untaken, reverse=True)  # the deepest first: in the order of a tree
