# SPDX-License-Identifier: GPL-2.0-only
"""A story as text and as Markdown: when what happened, and what each client saw."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from emu.cluster.timeline.traffic import OK
from emu.sim.time import SECOND

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    from emu.cluster.timeline.story import ClientStory, Story
    from emu.cluster.timeline.watch import Entry
    from emu.cluster.timeline.windows import Outage
    from emu.sim.time import Duration, Instant

_MS: Final = 1_000_000
_MOST_OUTAGES: Final = 12
"""Outages of a client that are listed; further ones are counted."""

_UNITS: Final = {
    "http": "request",
    "tcp": "connection",
    "udp": "datagram",
    "ping": "echo request",
    "dns": "question",
}


def text(story: Story) -> str:
    """Return a story as a table of what happened, and a paragraph for each client."""
    lines = []
    rows = list(_rows(story))
    if rows:
        width = max(len(row.about) for row in rows)
        lines.append("timeline (s, and s since the step before)")
        lines += [
            f"  {row.time:>9} {row.since:>9}  {row.about:<{width}}  {row.words}".rstrip() for row in rows
        ]
    for each in story.clients:
        lines += ["", _heading(each), *(f"  {line}" for line in _lines(story, each))]
    return "\n".join(lines).strip("\n")


def markdown(story: Story) -> str:
    """Return the same as Markdown: a table, and a section for each client."""
    lines = []
    rows = list(_rows(story))
    if rows:
        lines += ["## Timeline", "", "| s | since the step | who | what |", "| ---: | ---: | --- | --- |"]
        lines += [f"| {row.time} | {row.since} | {_cell(row.about)} | {_cell(row.words)} |" for row in rows]
    for each in story.clients:
        lines += [
            "",
            f"## {_cell(_heading(each))}",
            "",
            *(f"* {_cell(line)}" for line in _lines(story, each)),
        ]
    return "\n".join(lines).strip("\n")


class _Row:
    __slots__ = ("about", "since", "time", "words")

    def __init__(self, story: Story, time: Instant, about: str, words: str) -> None:
        cause = story.cause_of(time)
        self.time = _seconds(time)
        self.since = "" if cause is None else f"+{_seconds(time - cause.time)}"
        self.about, self.words = about, words


def _rows(story: Story) -> Iterator[_Row]:
    """Yield steps and entries by their times; equal ones of several objects at an instant are one."""
    entries = list(story.entries)
    at = 0
    for step in story.steps:
        while at < len(entries) and entries[at].time < step.time:
            at = yield from _merged(story, entries, at)
        yield _Row(story, step.time, "$", step.words)
    while at < len(entries):
        at = yield from _merged(story, entries, at)


def _merged(story: Story, entries: Sequence[Entry], at: int) -> Generator[_Row, None, int]:
    """Yield the row that begins with an entry, and return where the next one does."""
    first = entries[at]
    end = at + 1
    names = [first.object]
    while end < len(entries) and (entries[end].time, entries[end].text, entries[end].kind) == (
        first.time,
        first.text,
        first.kind,
    ):
        names.append(entries[end].object)
        end += 1
    words = f"{first.reason}: {first.text}" if first.reason else first.text
    yield _Row(story, first.time, ", ".join(names), words)
    return end


def _heading(client: ClientStory) -> str:
    spec = client.spec
    kept = "one connection" if spec.connections == 1 else f"{spec.connections} connections"
    how = f"{spec.kind}, {kept}" if spec.keeps else spec.kind
    return f"traffic/{spec.name}: {spec.source} -> {spec.target} ({how}, every {_milliseconds(spec.every)})"


def client_lines(story: Story, client: ClientStory) -> list[str]:
    """Return what one client saw, a line each."""
    return list(_lines(story, client))


def _lines(story: Story, client: ClientStory) -> Iterator[str]:
    found = client.summary
    unit = "message" if client.spec.keeps and client.spec.kind == "tcp" else _UNITS[client.spec.kind]
    if client.failure:
        yield client.failure
    failed = {word: count for word, count in found.outcomes.items() if word != OK}
    words = f" ({_counts(failed)})" if failed else ""
    yield f"{_number(found.sent, unit)}, {found.answered} answered, {found.lost} lost{words}"
    if client.spec.kind in {"http", "tcp"}:
        yield f"{_number(found.connections, 'connection')}, {found.resets} cut"
    if found.slowest:
        yield f"slowest answer after {_milliseconds(found.slowest)}"
    if found.servers:
        yield f"ended at {_counts(found.servers)}"
    if found.sent and not found.outages:
        yield "no outage"
    for outage in found.outages[:_MOST_OUTAGES]:
        yield _outage(story, outage, unit)
    if len(found.outages) > _MOST_OUTAGES:
        rest = found.outages[_MOST_OUTAGES:]
        longest = _span(max(each.duration for each in rest))
        lost = sum(each.window.lost for each in rest)
        yield f"and {_number(len(rest), 'more outage')}, the longest of {longest}: {_number(lost, unit)} lost"


def _outage(story: Story, outage: Outage, unit: str) -> str:
    window = outage.window
    cause = story.cause_of(window.begin)
    since = "" if cause is None else f", +{_seconds(window.begin - cause.time)} s after {cause.words!r}"
    until = "to the end" if window.is_open else f"to {_seconds(window.end)} s"
    ends: Counter[str] = Counter()
    for (reason, where), count in window.drops.items():
        ends[f"{reason or 'under way'} at {where}"] += count
    packets = f"; {_number(window.packets, 'packet')}: {_counts(ends)}" if ends else ""
    what, of, holes = "black hole", "", ""
    if not outage.is_blackhole:
        longest = max(each.duration for each in outage.blackholes)
        what, of, holes = "outage", f"{window.lost} of ", f", black holes of {_span(longest)} at the most"
    return (
        f"{what} of {_span(window.duration)} from {_seconds(window.begin)} s {until}{since}: "
        f"{of}{_number(outage.sent, unit)} lost ({_counts(window.outcomes)}){holes}{packets}"
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _number(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _seconds(time: Duration) -> str:
    return f"{time / SECOND:.3f}"


def _milliseconds(time: Duration) -> str:
    return f"{time / _MS:g} ms"


def _span(time: Duration) -> str:
    return f"{time / SECOND:g} s" if time >= SECOND else _milliseconds(time)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
