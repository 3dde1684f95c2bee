# SPDX-License-Identifier: GPL-2.0-only
"""The parts of an answer, in the order in which people read them, in no form yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import attrs

from emu.verify.causes.codes import NETPOL_NOT_ENFORCED
from emu.verify.story import Way
from emu.verify.telling.answer import first_line
from emu.verify.telling.client import lost_address
from emu.verify.telling.dns import queries
from emu.verify.telling.fates import Fate, decided, fates, merged
from emu.verify.telling.layout import LABEL, WIDTH
from emu.verify.telling.packets import summary
from emu.verify.telling.places import Places
from emu.verify.telling.stages import Row, rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.verify.causes.cause import Cause
    from emu.verify.story import Story
    from emu.verify.verdict import Outcome, Verdict

_FATES_SHOWN: Final = 12


class Remedy(Protocol):
    """What makes a flow healthy."""

    def lines(self, width: int) -> Sequence[str]:
        """Return it as lines: in words, then what is to be copied, a command or a change of a manifest."""


@attrs.frozen
class Half:
    """One half of a way: which packet, and what was decided about it.

    `label` is `request`, `reply`, or `later` for a packet of a connection that stands.
    """

    label: str
    packet: str
    rows: tuple[Row, ...]


@attrs.frozen
class Telling:
    """An answer, to be told.

    Attributes:
        verdict: the answer.
        shown: the numbered branches that are listed.
        told: the numbers of those whose way is told.
        is_verbose: every step is told, not only what decided.
        fixes: what is known to help.
        places: of the network that was asked.
        denied: why policies would end what is delivered, if somebody enforced them; None if they would not.
        page: the first line where more than packets was asked for; empty for the packets' own.
        frames: by the numbers of steps, which frame of a capture each is.
    """

    verdict: Verdict
    shown: tuple[tuple[int, Outcome], ...]
    told: tuple[int, ...]
    is_verbose: bool = False
    fixes: tuple[Remedy, ...] = ()
    places: Places = attrs.field(factory=Places)
    denied: Cause | None = None
    page: str = ""
    frames: Mapping[int, int] = attrs.field(factory=dict)

    @property
    def answer(self) -> str:
        """The first line."""
        return self.page or first_line(self.verdict, self.places, self.denied)

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield what there is to know about the answer: a label, and words."""
        flow = f"{self.verdict.source.text} -> {self.verdict.target}"
        if flow not in self.answer:
            yield "flow", flow
        if asked := queries(self.verdict.source, self.verdict.target):
            yield "lookup", asked
        if lost := lost_address(self.verdict, self.places):
            yield "source", lost
        yield from (("unknown", words) for words in self.verdict.unknown)
        if self.denied is not None:
            yield "why", f"nobody enforces NetworkPolicies here; if somebody did: {self.denied.words}"
            yield "object", f"{self.denied.object} {self.denied.field}".rstrip()
        failed = self.verdict.failure
        if failed is None or failed.cause is None:
            return
        cause = failed.cause
        half = "on the way back" if cause.way is Way.REPLY else "on the way there"
        yield "where", f"{cause.place}, {half}; {failed.result.value}"
        if cause.words not in self.verdict.unknown:
            yield "why", cause.words
        if cause.object:
            yield "object", f"{cause.object} {cause.field}".rstrip()

    def fates(self) -> list[Fate]:
        """Return what can become of it, in as many rows as fit on a page."""
        every = fates(self.verdict, self.shown, self.places)
        return every if len(every) <= _FATES_SHOWN else merged(every)

    @property
    def has_fates(self) -> bool:
        """Whether it depends on chance what becomes of it."""
        return len(fates(self.verdict, enumerate(self.verdict.outcomes, 1), self.places)) > 1

    def branches(self) -> Iterator[tuple[int, Outcome]]:
        """Yield the branches whose way is told."""
        yield from ((number, outcome) for number, outcome in self.shown if number in self.told)

    def title(self, outcome: Outcome) -> str:
        """Return what came of a branch, and what chance decided on it."""
        picked = self.places.endpoint(outcome) or decided(outcome)
        return f"{outcome.result.value}, {picked}" if picked else outcome.result.value

    def halves(self, outcome: Outcome) -> list[Half]:
        """Return both halves of the way of a branch, and what was lost behind them."""
        story = outcome.story
        lost = [leg.lost[0] for leg in story.legs if leg.lost is not None]
        return [
            Half(
                "later" if packet in lost else way.value,
                summary(packet),
                tuple(rows(outcome, packet, way, self.places)),
            )
            for packet, way in story.packets()
        ]

    def remarks(self) -> Iterator[tuple[str, str]]:
        """Yield what stands below: a label, and words."""
        yield from (("assumed", words) for words in self.verdict.assumptions)
        failed = self.verdict.failure
        if failed is not None and failed.cause is not None:
            yield "about", f"emu explain {failed.cause.code}"
        elif self.denied is not None:
            yield "about", f"emu explain {NETPOL_NOT_ENFORCED}"

    def remedies(self) -> list[list[str]]:
        """Return what would help, each as lines; what nobody has tried is a sentence."""
        if self.fixes:
            return [list(fix.lines(WIDTH - LABEL)) for fix in self.fixes]
        failed = self.verdict.failure
        return [] if failed is None or failed.cause is None or not failed.cause.fix else [[failed.cause.fix]]


def sent_again(story: Story) -> str:
    """Return how often the question had to be sent again, nothing if it had not."""
    if not story.resent:
        return ""
    return f"sent again {'once' if story.resent == 1 else f'{story.resent} times'}"
