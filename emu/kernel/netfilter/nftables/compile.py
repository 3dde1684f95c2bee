# SPDX-License-Identifier: GPL-2.0-only
"""Rules turned into functions, once for all namespaces that have the same rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from emu.kernel.netfilter.nftables.actions import compile_statement
from emu.kernel.netfilter.nftables.evaluation import NotModelledError
from emu.kernel.netfilter.nftables.joining import joined
from emu.kernel.netfilter.verdict import Verdict

if TYPE_CHECKING:
    from emu.kernel.netfilter.nftables.evaluation import Evaluation, Outcome, Step
    from emu.kernel.netfilter.nftables.ruleset import Rule


class Program:
    """What a rule does.

    Attributes:
        rule: the rule.
        steps: its statements, those behind something unknown left out.
        unmodelled: what is unknown in it, empty for nothing.
    """

    __slots__ = ("__weakref__", "rule", "steps", "unmodelled")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.unmodelled = ""
        self.steps = self._compile()

    def _compile(self) -> tuple[Step, ...]:
        steps: list[Step] = []
        statements, at = self.rule.statements, 0
        while at < len(statements):
            several = joined(statements, at)
            statement, count = several or (statements[at], 1)
            try:
                steps.append(compile_statement(statement, at))
            except NotModelledError as error:
                self.unmodelled = str(error)
                steps.append(_unknown(str(error)))
                break
            at += count
        return tuple(steps)


def _unknown(name: str) -> Step:
    def step(evaluation: Evaluation) -> Outcome:
        evaluation.packet.because = f"nft: {name} is not modelled"
        return Verdict.UNKNOWN

    return step


_PROGRAMS: Final[WeakValueDictionary[Rule, Program]] = WeakValueDictionary()


def program_of(rule: Rule) -> Program:
    """Return the program of `rule`: the same object for equal rules."""
    found = _PROGRAMS.get(rule)
    if found is None:
        found = _PROGRAMS[rule] = Program(rule)
    return found
