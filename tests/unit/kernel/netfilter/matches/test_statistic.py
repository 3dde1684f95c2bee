# SPDX-License-Identifier: GPL-2.0-only
"""Chance and turns."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emu.kernel.netfilter.matches.statistic import CERTAIN, Nth, Random, simplest_fraction
from emu.sim.choice import ScriptedChoice
from tests.unit.kernel.netfilter.packets import at, datagram, node


@given(number=st.integers(0, CERTAIN))
def test_a_probability_stands_for_the_simplest_fraction_near_it(number: int) -> None:
    """It is less than 2**-31 away, and no fraction with a smaller denominator is."""
    unit = Fraction(1, CERTAIN)
    found = simplest_fraction(number)
    assert abs(found - number * unit) < unit
    simpler = range(max(1, found.denominator - 50), found.denominator)
    for denominator in (*range(1, min(50, found.denominator)), *simpler):
        nearest = Fraction(round(number * unit * denominator), denominator)
        assert abs(nearest - number * unit) >= unit


@given(divisor=st.integers(1, 20_000))
def test_one_nth_is_found_again(divisor: int) -> None:
    """The kernel's number for 1/n, which is what rules of kube-proxy ask for, stands for 1/n."""
    assert simplest_fraction(round(CERTAIN / divisor)) == Fraction(1, divisor)


def test_only_0_and_1_are_certain() -> None:
    """What can happen, however rarely, stays possible."""
    assert [simplest_fraction(number) for number in (0, CERTAIN)] == [0, 1]
    assert 0 < simplest_fraction(1) < simplest_fraction(CERTAIN - 1) < 1


def test_a_third_is_asked_for_exactly() -> None:
    """Both branches are there, with their exact probabilities, and inversion swaps them."""
    for inverted, odds in ((False, Fraction(1, 3)), (True, Fraction(2, 3))):
        net = node()
        choice = ScriptedChoice((0,))
        net.choice = choice
        assert Random(715827883, inverted).holds(at(datagram(), net=net))
        assert [step.probability for step in choice.taken] == [odds]


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (Nth(3), "x..x..x"),
        (Nth(3, 1), ".x..x.."),
        (Nth(3, 2), "..x..x."),
        (Nth(1), "xxxxxxx"),
        (Nth(3, 0, inverted=True), ".xx.xx."),
    ],
)
def test_every_nth_packet_is_taken_in_turn(match: Nth, expected: str) -> None:
    """Beginning with the one that has `packet` others before it."""
    packet = at(datagram())
    assert "".join(".x"[match.holds(packet)] for _ in expected) == expected
