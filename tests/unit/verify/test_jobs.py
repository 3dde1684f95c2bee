# SPDX-License-Identifier: GPL-2.0-only
"""Many questions on several processors."""

from __future__ import annotations

import os
import signal

import pytest

from emu.errors import JobError
from emu.verify.jobs import answers, processors

MANY = 1000
several = pytest.mark.skipif(processors() < 2, reason="one processor, or no fork: nobody is copied here")


def test_answers_come_in_order() -> None:
    """Whoever gave them."""
    assert list(answers(lambda number: number * 2, range(MANY), 2)) == [number * 2 for number in range(MANY)]


def test_few_questions_are_asked_here() -> None:
    """They are not worth a process of their own."""
    assert set(answers(lambda _: os.getpid(), range(10), 8)) == {os.getpid()}


@several
def test_many_are_asked_elsewhere() -> None:
    """In processes that are not this one."""
    assert os.getpid() not in set(answers(lambda _: os.getpid(), range(MANY), 2))


@several
def test_a_process_that_is_killed_is_told() -> None:
    """Nobody waits for answers that will not come."""

    def ask(number: int) -> int:
        if number == MANY // 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(JobError, match="too little memory"):
        list(answers(ask, range(MANY), 2))
