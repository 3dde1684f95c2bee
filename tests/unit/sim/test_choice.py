# SPDX-License-Identifier: GPL-2.0-only
"""Chance that can change a packet's fate: drawn, or followed in every branch."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from emu.sim.choice import DrawnChoice, ScriptedChoice, Taken, Timing, branches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.sim.choice import Choice

HALF = Fraction(1, 2)


def odds() -> st.SearchStrategy[list[Fraction]]:
    """Return probabilities that add up to 1, some of them perhaps 0."""
    weights = st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any)
    return weights.map(lambda numbers: [Fraction(number, sum(numbers)) for number in numbers])


class NoDraw(random.Random):
    """A stream that must not be asked."""

    def getrandbits(self, _: int) -> int:
        """Fail."""
        raise AssertionError("something was drawn")


class TestDrawnChoice:
    """`DrawnChoice`."""

    @given(seed=st.integers(), shares=odds())
    def test_what_cannot_be_is_never_drawn(self, seed: int, shares: list[Fraction]) -> None:
        """An alternative of probability 0 is not taken."""
        assert shares[DrawnChoice(random.Random(seed)).pick("which?", shares)] > 0

    def test_certainty_draws_nothing(self) -> None:
        """One alternative of probability 1, in any place, costs no random number."""
        choice = DrawnChoice(NoDraw())
        assert choice.pick("which?", [Fraction(1)]) == 0
        assert choice.pick("which?", [Fraction(1), Fraction(0)]) == 0
        assert choice.pick("which?", [Fraction(0), Fraction(0), Fraction(1)]) == 2

    def test_alternatives_are_taken_as_often_as_the_odds_say(self) -> None:
        """Of 12000 draws at 1/2, 1/3, 1/6 about that share falls to each."""
        choice = DrawnChoice(random.Random(3))
        shares = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
        counts = Counter(choice.pick("which?", shares) for _ in range(12000))
        assert all(abs(counts[index] - 12000 * share) < 300 for index, share in enumerate(shares))

    @given(seed=st.integers())
    def test_the_same_seed_draws_the_same(self, seed: int) -> None:
        """A run can be repeated."""
        one, two = DrawnChoice(random.Random(seed)), DrawnChoice(random.Random(seed))
        assert [one.pick("?", [HALF, HALF]) for _ in range(20)] == [
            two.pick("?", [HALF, HALF]) for _ in range(20)
        ]


class TestScriptedChoice:
    """`ScriptedChoice`, one branch."""

    def test_the_script_decides_then_the_first_that_can_be(self) -> None:
        """Behind the end of the script the first alternative above 0 is taken."""
        choice = ScriptedChoice((1,))
        assert choice.pick("first", [HALF, HALF]) == 1
        assert choice.pick("second", [Fraction(0), Fraction(1, 3), Fraction(2, 3)]) == 1
        assert choice.taken == [Taken("first", 1, HALF), Taken("second", 1, Fraction(1, 3))]
        assert choice.probability == Fraction(1, 6)

    def test_what_was_passed_by_is_noted_as_scripts(self) -> None:
        """Only for choices beyond the script: the others were noted by the branch before."""
        choice = ScriptedChoice((1,))
        choice.pick("first", [HALF, HALF])
        choice.pick("second", [Fraction(1, 3)] * 3)
        assert choice.untaken == [(1, 1), (1, 2)]

    def test_a_branch_without_choice_is_certain(self) -> None:
        """The empty product."""
        assert ScriptedChoice().probability == 1


def walk(choice: Choice, tree: Sequence[list[Fraction]], depth: int) -> tuple[int, ...]:
    """Ask `depth` questions, the odds of each chosen by the answers before."""
    path: tuple[int, ...] = ()
    for _ in range(depth):
        path = (*path, choice.pick(f"after {path}", tree[sum(path) % len(tree)]))
    return path


class TestBranches:
    """`branches`, all of them."""

    @given(tree=st.lists(odds(), min_size=1, max_size=3), depth=st.integers(0, 3))
    def test_every_branch_is_followed_once_with_its_probability(
        self, tree: list[list[Fraction]], depth: int
    ) -> None:
        """The paths are all those that can be, each once; their probabilities add up to exactly 1."""
        followed: dict[tuple[int, ...], Fraction] = {}
        for choice in branches():
            path = walk(choice, tree, depth)
            assert path not in followed
            followed[path] = choice.probability
        assert sum(followed.values()) == 1
        assert followed == possible(tree, depth)

    def test_branches_come_in_the_order_of_their_alternatives(self) -> None:
        """The first alternatives first, as a reader expects."""
        paths = [walk(choice, [[HALF, HALF]], 2) for choice in branches()]
        assert paths == [(0, 0), (0, 1), (1, 0), (1, 1)]

    def test_kube_proxys_cascade_gives_equal_shares(self) -> None:
        """Rules at 1/3, 1/2 and 1 reach three endpoints with exactly a third each."""
        shares: dict[int, Fraction] = {}
        for choice in branches():
            endpoint = 0
            for left in (3, 2, 1):
                if choice.pick("this one?", [Fraction(1, left), 1 - Fraction(1, left)]) == 0:
                    break
                endpoint += 1
            shares[endpoint] = choice.probability
        assert shares == dict.fromkeys(range(3), Fraction(1, 3))


def possible(tree: Sequence[list[Fraction]], depth: int) -> dict[tuple[int, ...], Fraction]:
    """Return every path with a probability above 0, by multiplying it out."""
    paths: dict[tuple[int, ...], Fraction] = {(): Fraction(1)}
    for _ in range(depth):
        paths = {
            (*path, index): chance * share
            for path, chance in paths.items()
            for index, share in enumerate(tree[sum(path) % len(tree)])
            if share
        }
    return paths


def test_on_a_branch_things_change_places_once_at_the_most() -> None:
    """Three packets in a row: each order with one of them overtaken, and that with none, and no odds."""
    even = Timing((HALF, HALF))
    found = []
    for choice in branches():
        found.append(
            "".join("xo"[choice.pick(f"{number}?", even, ("late", "in line"))] for number in range(3))
        )
        assert choice.is_timed
        assert "(a matter of timing)" in str(choice.taken[0])
    assert sorted(found) == ["ooo", "oox", "oxo", "xoo"]
