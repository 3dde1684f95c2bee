# SPDX-License-Identifier: GPL-2.0-only
"""When a client lost what it sent: nothing got through in a black hole, and not all of it in an outage.

An outage is over when nothing has been lost for 30 s, and in 10 attempts.

    attempts, each 3 s   . . x x x . x . . x . . . . . . . . . . . x . .
    black holes              |-----| |-|   |-|                     |-|
    outages                  |---------------|                     |-|

Both begin with an attempt that failed, and end when one begins that does not,
behind their last failure. So each black hole lies in one outage, and is the
whole of it where nothing got through meanwhile.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Final

import attrs

from emu.cluster.timeline.programs import CLOSED, RESET
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emu.cluster.timeline.traffic import Attempt
    from emu.sim.time import Duration, Instant

CUT: Final = frozenset((RESET, CLOSED))
"""Outcomes of a connection that the other side has ended in the middle."""

CALM: Final[Duration] = 30 * SECOND
CALM_ATTEMPTS: Final = 10
"""An outage is over when all has gone well for so long, and so often: those who ask often need the time, and
those who seldom do the number, to know it from a few attempts that were lucky."""


@attrs.frozen
class Window:
    """A time in which a client lost what it sent.

    Attributes:
        begin: when the first attempt began that failed.
        end: when one began that did not, behind the last that failed; of a window that is still open, the
            end of the story.
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


@attrs.frozen
class Outage:
    """A time in which a client lost something again and again.

    Attributes:
        window: from when to when, and what was lost.
        sent: attempts from the first that failed to the last, those between that went well among them.
        blackholes: the times in it in which nothing got through.
    """

    window: Window
    sent: int
    blackholes: tuple[Window, ...]

    @property
    def is_blackhole(self) -> bool:
        """Whether nothing got through in all of it."""
        return self.window.lost == self.sent

    @property
    def duration(self) -> Duration:
        """How long it lasted."""
        return self.window.duration


def windows(attempts: Sequence[Attempt], end: Instant) -> list[Window]:
    """Return the black holes of a client's attempts, in order.

    Attempts that succeed out of order (a later one was answered while an
    earlier one still waited) end a window, for then the client got something.
    """
    return [_blackhole(attempts, run, end) for run in _runs(attempts)]


def outages(attempts: Sequence[Attempt], end: Instant) -> list[Outage]:
    """Return the outages of a client's attempts, in order."""
    found: list[list[range]] = []
    for run in _runs(attempts):
        if found and not _is_calm(attempts, found[-1][-1], run):
            found[-1].append(run)
        else:
            found.append([run])
    return [_outage(attempts, runs, end) for runs in found]


def _runs(attempts: Sequence[Attempt]) -> list[range]:
    """Return which attempts failed one after the other, by their places."""
    found = []
    begin = 0
    for is_ok, group in groupby(each.is_ok for each in attempts):
        stop = begin + sum(1 for _ in group)
        if not is_ok:
            found.append(range(begin, stop))
        begin = stop
    return found


def _is_calm(attempts: Sequence[Attempt], before: range, after: range) -> bool:
    """Return whether the attempts between two runs that failed end an outage."""
    since = _recovery(attempts, before[-1])
    is_long = since is not None and attempts[after.start].sent - since >= CALM
    return is_long and after.start - before.stop >= CALM_ATTEMPTS


def _recovery(attempts: Sequence[Attempt], last: int) -> Instant | None:
    """Return when an attempt began that went well, later than the one at place `last`; None for never.

    Connections of one client ask at the same instant: what one of them gets does not end what another loses.
    """
    behind = map(attempts.__getitem__, range(last + 1, len(attempts)))
    return next((each.sent for each in behind if each.is_ok and each.sent > attempts[last].sent), None)


def _blackhole(attempts: Sequence[Attempt], run: range, end: Instant) -> Window:
    over = attempts[run.stop].sent if run.stop < len(attempts) else None
    return _window([attempts[number] for number in run], over, end)


def _outage(attempts: Sequence[Attempt], runs: Sequence[range], end: Instant) -> Outage:
    failed = [attempts[number] for run in runs for number in run]
    last = runs[-1][-1]
    blackholes = tuple(_blackhole(attempts, run, end) for run in runs)
    return Outage(_window(failed, _recovery(attempts, last), end), last + 1 - runs[0].start, blackholes)


def _window(failed: Sequence[Attempt], over: Instant | None, end: Instant) -> Window:
    drops: Counter[tuple[str, str]] = Counter()
    for each in failed:
        drops.update(each.drops)
    return Window(
        failed[0].sent,
        max(end, failed[0].sent) if over is None else over,
        over is None,
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
        outages: when something was lost.
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
    outages: tuple[Outage, ...]
    codes: Mapping[str, int] = attrs.field(factory=dict)

    @property
    def lost(self) -> int:
        """Attempts that failed."""
        return self.sent - self.answered

    @property
    def longest(self) -> Duration:
        """The length of the longest black hole."""
        return max((each.duration for each in self.windows), default=0)

    @property
    def longest_outage(self) -> Duration:
        """The length of the longest outage."""
        return max((each.duration for each in self.outages), default=0)


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
        tuple(outages(attempts, end)),
        codes or {},
    )
