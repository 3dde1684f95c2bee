# SPDX-License-Identifier: GPL-2.0-only
"""Asks many questions on several processors, where the system can copy a process (fork).

Each copy has the whole cluster, as it is at that moment, and gives only answers
back; as every question is asked from the same state, it does not matter who asks.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Final, TypeVar

from emu.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Q = TypeVar("Q")
A = TypeVar("A")

_AT_LEAST: Final = 200
"""Questions for which it is worth to begin another process."""

_PIECE: Final = 50
_shared: list[tuple[Callable[[object], object], Sequence[object]]] = []  # what copies find when they begin


def processors() -> int:
    """Return how many processes can work at once here."""
    if "fork" not in multiprocessing.get_all_start_methods():
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def answers(ask: Callable[[Q], A], questions: Sequence[Q], jobs: int) -> Iterator[A]:
    """Yield the answers in the order of the questions.

    Args:
        ask: answers one.
        questions: all of them.
        jobs: how many processes may work.

    Raises:
        JobError: one of the processes was ended.
    """
    jobs = min(jobs, len(questions) // _AT_LEAST, processors())
    gc.freeze()  # the cluster is no garbage: nobody need look through it, nor copy it for having looked
    try:
        yield from _answers(ask, questions, jobs)
    finally:
        gc.unfreeze()


def _answers(ask: Callable[[Q], A], questions: Sequence[Q], jobs: int) -> Iterator[A]:
    if jobs < 2:
        yield from map(ask, questions)
        return
    _shared.append((ask, questions))  # type: ignore[arg-type]  # the copies ask what is given here
    try:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
            pieces = [(start, start + _PIECE) for start in range(0, len(questions), _PIECE)]
            for piece in pool.map(_ask_piece, pieces):
                yield from piece  # type: ignore[misc]  # answers of type A
    except BrokenProcessPool:
        raise JobError("a process that asked was ended from outside: is there too little memory?") from None
    finally:
        _shared.pop()


def _ask_piece(piece: tuple[int, int]) -> list[object]:
    ask, questions = _shared[-1]
    return [ask(each) for each in questions[slice(*piece)]]
