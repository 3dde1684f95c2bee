# SPDX-License-Identifier: GPL-2.0-only
"""Chains made ready to be walked.

A `Program` belongs to a `Chain` and is made when a packet first gets there.
Tables that share chains share their programs: nothing that changes is kept here.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, ClassVar, Final

from emu.kernel.netfilter.index import SHORTEST, runs
from emu.kernel.netfilter.matches.comment import Comment
from emu.kernel.netfilter.matches.conntrack import Conntrack
from emu.kernel.netfilter.ruleset import UnknownMatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emu.kernel.netfilter.index import Run
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.ruleset import Chain, Match, Rule

    Test = Callable[[Packet], bool]


_NO_QUESTION: Final = (UnknownMatch, Comment)


class Program:
    """What is asked of packets in a chain.

    Attributes:
        rules: the rules.
        unknown: the numbers of the rules that ask something not modelled, with its names.
    """

    is_still: ClassVar[bool] = True

    __slots__ = ("_run_at", "_tests", "rules", "unknown")

    def __init__(self, chain: Chain) -> None:
        self.rules: tuple[Rule, ...] = chain.rules
        self.unknown: dict[int, str] = {}
        self._tests: list[tuple[Test, ...]] = [
            self._tests_of(number, rule) for number, rule in enumerate(chain.rules)
        ]
        self._run_at: dict[int, Run] = {}
        if len(chain.rules) >= SHORTEST:
            self._run_at = {number: run for run in runs(chain.rules) for number in range(run.start, run.end)}

    def _tests_of(self, number: int, rule: Rule) -> tuple[Test, ...]:
        """Return what is known of a rule's conditions, and remember what is not."""
        unknown = [match.name for match in rule.matches if isinstance(match, UnknownMatch)]
        if unknown:
            self.unknown[number] = ", ".join(unknown)
        return tuple([_test(match) for match in rule.matches if not isinstance(match, _NO_QUESTION)])

    def find(self, packet: Packet, start: int) -> int:
        """Return the number of the first rule from `start` on that holds; that of none if there is none.

        It stops, with any number, at a rule that sets `packet.hotdrop`.
        """
        end = len(self._tests)
        packet.rules = self.rules
        if not self._run_at:
            return self._first(packet, range(end), start, end)
        while start < end:
            run = self._run_at.get(start)
            if run is None:
                stop = start + 1
                found = self._first(packet, (start,), 0, -1)
            else:
                stop = run.end
                candidates = run.candidates(packet)
                skipped = bisect_left(candidates, start) if start > run.start else 0
                found = self._first(packet, candidates, skipped, -1)
            if found >= 0:
                return found
            start = stop
        return end

    def _first(self, packet: Packet, candidates: Sequence[int], skipped: int, none: int) -> int:
        """Return the first candidate that holds, those skipped left out; `none` if there is none."""
        tests = self._tests
        for at in range(skipped, len(candidates)):
            number = candidates[at]
            packet.rule = number
            for holds in tests[number]:
                if not holds(packet):
                    if packet.hotdrop:
                        return number
                    break
            else:
                return number
        return none


def _test(match: Match) -> Test:
    """Return what asks the condition; the one most often written, `--ctstate` alone, without detours."""
    if isinstance(match, Conntrack) and match.states is not None and match == Conntrack(match.states):
        return match.states.holds
    return match.holds


def program_of(chain: Chain) -> Program:
    """Return the program of `chain`, which is made when it is asked for the first time."""
    program = chain.compiled
    if not isinstance(program, Program):
        program = Program(chain)
        chain.remember(program)
    return program
