# SPDX-License-Identifier: GPL-2.0-only
"""Branches that end alike, as one fate: its probability, and what chance has to pick for it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import attrs

from emu.verify.verdict import Result

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from emu.verify.telling.places import Places
    from emu.verify.verdict import Outcome, Verdict

_NAMED: Final = 3  # end points that a list has room for


@attrs.frozen
class Fate:
    """Branches that end alike.

    Attributes:
        numbers: of the branches, from 1.
        outcome: that of the first one.
        probability: of all of them together.
        picked: the end points that chance picks, or its decisions where it picks none.
        picks_endpoint: `picked` are end points.
        vicinity: where the end point is, empty if that is not known or they are several.
    """

    numbers: tuple[int, ...]
    outcome: Outcome
    probability: Fraction
    picked: tuple[str, ...]
    picks_endpoint: bool
    vicinity: str = ""

    @property
    def is_delivered(self) -> bool:
        """Whether it ends well."""
        return self.outcome.result is Result.DELIVERED

    @property
    def code(self) -> str:
        """The reason code, empty if it ends well."""
        return "" if self.outcome.cause is None else self.outcome.cause.code

    @property
    def share(self) -> str:
        """Its probability in a word or two."""
        return "timing" if self.outcome.is_timed else str(self.probability)

    @property
    def names(self) -> str:
        """What is picked, in a few words."""
        return listed(self.picked, "end points" if self.picks_endpoint else "decisions")

    @property
    def numbered(self) -> str:
        """The numbers of the branches, as in `1, 3-5`."""
        runs: list[list[int]] = []
        for number in self.numbers:
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def listed(names: Sequence[str], kind: str) -> str:
    """Return names with `or`, or how many of which `kind` they are."""
    if len(names) > _NAMED:
        return f"{len(names)} {kind}"
    return " or ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def decided(outcome: Outcome) -> str:
    """Return what chance decided on a branch, in words."""
    words = (taken.name or f"{taken.question} -> {taken.index}" for taken in outcome.choices)
    return "; ".join(dict.fromkeys(words))


def fates(verdict: Verdict, shown: Iterable[tuple[int, Outcome]], places: Places) -> list[Fate]:
    """Return the fates of the numbered branches `shown`, one for each end point where there are such."""
    groups: dict[Hashable, list[tuple[int, Outcome]]] = {}
    for number, outcome in shown:
        cause = outcome.cause
        ending = None if cause is None else (cause.code, cause.way, cause.net, cause.words)
        key = (outcome.result, ending, places.endpoint(outcome))
        groups.setdefault(key, []).append((number, outcome))
    return [_fate(verdict, group, places) for group in groups.values()]


def _fate(verdict: Verdict, group: Sequence[tuple[int, Outcome]], places: Places) -> Fate:
    first = group[0][1]
    endpoint = places.endpoint(first)
    decisions = dict.fromkeys(decided(one) for _, one in group)
    return Fate(
        tuple(number for number, _ in group),
        first,
        sum((one.probability for _, one in group), Fraction(0)),
        (endpoint,) if endpoint else tuple(filter(None, decisions)),
        bool(endpoint),
        places.vicinity(verdict, first),
    )


def merged(alike: Sequence[Fate]) -> list[Fate]:
    """Return fates that differ in the end point alone as one."""
    groups: dict[Hashable, list[Fate]] = {}
    for fate in alike:
        cause = fate.outcome.cause
        ending = None if cause is None else (cause.code, cause.way)
        groups.setdefault((fate.outcome.result, ending, fate.picks_endpoint), []).append(fate)
    return [_merge(group) for group in groups.values()]


def _merge(group: Sequence[Fate]) -> Fate:
    if len(group) == 1:
        return group[0]
    vicinities = {fate.vicinity for fate in group}
    return attrs.evolve(
        group[0],
        numbers=tuple(sorted(number for fate in group for number in fate.numbers)),
        probability=sum((fate.probability for fate in group), Fraction(0)),
        picked=tuple(dict.fromkeys(name for fate in group for name in fate.picked)),
        vicinity=vicinities.pop() if len(vicinities) == 1 else "",
    )
