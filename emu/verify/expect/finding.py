# SPDX-License-Identifier: GPL-2.0-only
"""What was found out about an expectation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import attrs

if TYPE_CHECKING:
    from emu.cluster.expectation import Expectation
    from emu.cluster.step_output import OutputExpectation
    from emu.cluster.timeline.expectation import TrafficExpectation

VACUOUS: Final = "VACUOUS"
"""What came of a line that nothing could have failed."""


class Pair(NamedTuple):
    """Who asks whom, as end points; `absent` says why one of them cannot, and is empty if both can."""

    source: str
    target: str
    absent: str = ""

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}"


@attrs.frozen
class Finding:
    """Whether a line is met.

    Attributes:
        expectation: the line.
        is_met: whether it is.
        got: what came of it, where it is not met of the pair that failed.
        reason: the code of what failed, empty if nothing did or nobody knows.
        place: where that was.
        words: what happened, in words; empty if nothing is to be said.
        pair: the first one that failed, None if none did.
        asked: how many pairs were asked.
        proof: why a denial counts, in words; empty where nothing had to be proved.
    """

    expectation: Expectation | TrafficExpectation | OutputExpectation
    is_met: bool
    got: str
    reason: str = ""
    place: str = ""
    words: str = ""
    pair: Pair | None = None
    asked: int = 0
    proof: str = ""

    @property
    def line(self) -> str:
        """One line: whether it is met, and of one that is not what was expected, what came, and why."""
        expected = self.expectation
        if self.is_met:
            return f"PASS  {expected.text}" + (f"   ({self.proof})" if self.proof else "")
        parts = [f"FAIL  {expected.parties} expected {expected.verdict} got {self.got}"]
        if self.reason:
            parts.append(f"{self.reason} at {self.place}" if self.place else self.reason)
        return "   ".join((*parts, expected.place)).rstrip()

    @property
    def details(self) -> list[str]:
        """What else is to be said of one that is not met."""
        found = (
            [f"first of them: {self.pair}"]
            if self.pair and str(self.pair) != self.expectation.parties
            else []
        )
        return [*found, *([self.words] if self.words else [])]

    def explain(self) -> str:
        """Return the line and the details."""
        return "\n      ".join((self.line, *self.details))

    def __bool__(self) -> bool:
        return self.is_met

    def __repr__(self) -> str:
        return f"<{self.line}>"
