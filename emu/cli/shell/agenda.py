# SPDX-License-Identifier: GPL-2.0-only
"""What is to be done later: `at 30s fail node-2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.cli.shell.words import Statement
    from emu.sim.time import Instant


@attrs.define
class Agenda:
    """Statements, each with the instant from which on it is due."""

    _plans: list[tuple[Instant, Statement]] = attrs.field(factory=list)

    def add(self, instant: Instant, statement: Statement) -> None:
        """Plan a statement; of two for one instant the first comes first."""
        self._plans.append((instant, statement))
        self._plans.sort(key=lambda plan: plan[0])

    def next_instant(self, end: Instant) -> Instant | None:
        """Return when the next one is due, None if none is by `end`."""
        return self._plans[0][0] if self._plans and self._plans[0][0] <= end else None

    def take(self) -> Statement:
        """Return the next one, and have it no more."""
        return self._plans.pop(0)[1]
