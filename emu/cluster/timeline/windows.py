# SPDX-License-Identifier: GPL-2.0-only
"""Black holes: from the first attempt that failed to the first one after it that did not."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.timeline.programs import CLOSED, RESET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from emu.cluster.timeline.traffic import Attempt
    from emu.sim.time import Duration, Instant

CUT: Final = frozenset((RESET, CLOSED))
"""Outcomes of a connection that the other side has ended in the middle."""


@attrs.frozen
class Window:
    """A time in which a client got nothing.

    Attributes:
        begin: when the first attempt began that failed.
        end: when the first one began that did not; of a window that is still open, the end of the story.
        is_open: no later attempt went well.
        lost: attempts that failed in it.
        packets: packets of the client that were dropped in it.
        outcomes: how they failed, and how often.
        drops: where packets were dropped: reason and place, and how often.
    """

    begin: Instant
    end: Instant
    is_open: bool
    lost: int
    packets: int
    outcomes: dict[str, int]
    drops: dict[tuple[str, str], int]

    @property
    def duration(self) -> Duration:
        """How long it lasted."""
        return self.end - self.begin


def windows(attempts: Iterable[Attempt], end: Instant) -> list[Window]:
    """Return the windows of a client's attempts, in order.

    Attempts that succeed out of order (a later one was answered while an
    earlier one still waited) end a window, for then the client got something.
    """
    found: list[Window] = []
    failed: list[Attempt] = []
    for each in attempts:
        if not each.is_ok:
            failed.append(each)
        elif failed:
            found.append(_window(failed, each.sent, is_open=False))
            failed = []
    if failed:
        found.append(_window(failed, end, is_open=True))
    return found


def _window(failed: Sequence[Attempt], end: Instant, *, is_open: bool) -> Window:
    drops: Counter[tuple[str, str]] = Counter()
    for each in failed:
        drops.update(each.drops)
    return Window(
        failed[0].sent,
        max(end, failed[0].sent),
        is_open,
        len(failed),
        drops.total(),
        dict(sorted(Counter(each.outcome for each in failed).items())),
        dict(sorted(drops.items())),
    )


@attrs.frozen
class Summary:
    """What a client saw, in numbers.

    Attributes:
        sent: attempts.
        answered: those that went well.
        outcomes: of all of them.
        resets: connections that were cut in the middle.
        connections: how many the client made.
        servers: by namespace where attempts ended that went well, and how many.
        slowest: the longest time that an attempt took that went well.
        windows: when it got nothing.
        codes: packets from where it runs that ended on the way, by the code of their end.
    """

    sent: int
    answered: int
    outcomes: dict[str, int]
    resets: int
    connections: int
    servers: dict[str, int]
    slowest: Duration
    windows: tuple[Window, ...]
    codes: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def lost(self) -> int:
        """Attempts that failed."""
        return self.sent - self.answered

    @property
    def longest(self) -> Duration:
        """The length of the longest window."""
        return max((each.duration for each in self.windows), default=0)


def summary(
    attempts: Sequence[Attempt], connections: int, end: Instant, codes: Mapping[str, int] | None = None
) -> Summary:
    """Return what a client's attempts come to."""
    well = [each for each in attempts if each.is_ok]
    outcomes = dict(sorted(Counter(each.outcome for each in attempts).items()))
    return Summary(
        len(attempts),
        len(well),
        outcomes,
        sum(outcomes.get(word, 0) for word in CUT),
        connections,
        dict(sorted(Counter(each.server for each in well if each.server).items())),
        max((each.took for each in well), default=0),
        tuple(windows(attempts, end)),
        codes or {},
    )
