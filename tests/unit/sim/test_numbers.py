# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from emu.sim.numbers import Numbers


def test_nobody_gets_a_number_twice() -> None:
    """Whoever draws."""
    numbers = Numbers()
    assert [next(numbers), next(iter(numbers)), next(numbers)] == [1, 2, 3]


def test_what_was_given_aside_is_given_again() -> None:
    """A trial leaves no gap."""
    numbers = Numbers()
    next(numbers)
    with numbers.set_aside():
        assert [next(numbers), next(numbers)] == [2, 3]
    assert next(numbers) == 2
