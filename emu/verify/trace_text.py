# SPDX-License-Identifier: GPL-2.0-only
"""A verdict for people: the answer in the first line, then what happened, a row for each stage."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.observe.lines import LinePrinter
from emu.observe.record import CapturedFrame
from emu.observe.recording import Kind
from emu.sim.time import to_seconds
from emu.verify import fivetuple
from emu.verify.story import Way
from emu.verify.verdict import Result
from emu.wire.addresses import MacAddress
from emu.wire.arp import REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from emu.verify.causes.cause import Cause
    from emu.verify.story import Hop, Packet, Story
    from emu.verify.verdict import Outcome, Verdict

WIDTH: Final = 100
_COPIES_SHOWN: Final = 4
_HEADINGS: Final = ("#", "time", "WHERE", "WHAT", "SRC > DST")


class Row(NamedTuple):
    """A line of a story, `addresses` empty where they are as before; a heading has no `time`."""

    time: str
    where: str
    what: str
    addresses: str


# --- the answer ---


def first_line(verdict: Verdict) -> str:
    """Return the answer: the verdict, and the reason if there is one."""
    delivered = verdict.delivered
    word = verdict.word.value
    if delivered is not None and 0 < delivered < 1:
        word += f" {delivered}"
    line = f"{word}  {verdict.source.text} -> {verdict.target}  "
    failed = verdict.failure
    if verdict.unknown:
        return f"{line}{'; '.join(verdict.unknown)}"
    if failed is None or failed.cause is None:
        return f"{line}{Result.DELIVERED.value}"
    return f"{line}{'else ' if delivered else ''}{failed.result.value} {_because(failed.cause)}"


def _because(cause: Cause) -> str:
    half = "reply " if cause.way is Way.REPLY else ""
    return f"{half}at {cause.place}: {cause.code}, {cause.words}"


def branch_lines(number: int, outcome: Outcome) -> list[str]:
    """Return what chance decided on a branch, and what came of it."""
    cause = outcome.cause
    why = "" if cause is None else f" {_because(cause)}"
    lines = [f"branch {number}  {outcome.probability}  {outcome.result.value}{why}"]
    return [*lines, *(f"    {choice}" for choice in outcome.choices)]


# --- the story ---


def rows(story: Story) -> Iterator[Row]:
    """Yield the rows of a story: both halves, each with a heading."""
    hops = story.hops()
    packets: dict[int, list[Hop]] = {}
    for hop in hops:
        packets.setdefault(hop.told.step.packet_id, []).append(hop)
    asked: set[tuple[str, bytes, bytes]] = set()
    repeated: set[int] = set()
    half: Way | None = None
    shown = ""
    for hop in hops:
        step = hop.told.step
        if hop.way is not half:
            half, shown = hop.way, ""
            yield Row("", half.value, _summary(story, half), "")
        if step.packet_id in repeated:
            continue
        packet = packets[step.packet_id]
        what, addresses = _what(hop), ""
        if hop.aside:
            what = _copy(hop, packet)
        elif hop is packet[0] and (question := _question(hop)) is not None:
            if question in asked:
                repeated.add(step.packet_id)
                what += ", once more"
            asked.add(question)
        elif hop.after is not None and str(hop.after) != shown:
            shown = addresses = str(hop.after)
        if what:
            yield Row(f"{to_seconds(step.time - story.start):.6f}", _where(hop), what, addresses)


def _summary(story: Story, half: Way) -> str:
    """Return the packet that the half of a story is about, as tcpdump would print it."""
    packet = story.request if half is Way.REQUEST else story.answer
    seen = None if packet is None else _first_frame(packet)
    if seen is None:
        return ""
    _, _, line = LinePrinter().line(CapturedFrame(0, 0, seen)).partition(" ")
    return line


def _first_frame(packet: Packet) -> bytes | None:
    return next((one.step.octets for one in packet.told if one.step.kind in {Kind.IN, Kind.OUT}), None)


def _question(hop: Hop) -> tuple[str, bytes, bytes] | None:
    """Return what is the same in every repetition of an ARP request, None for anything else."""
    arp = fivetuple.arp_of(hop.told.step)
    if arp is None or arp.operation != REQUEST:
        return None
    return hop.told.step.net, arp.sender_ip, arp.target_ip


def _where(hop: Hop) -> str:
    step = hop.told.step
    if step.kind is Kind.NOTE:
        return f"{step.net} {step.stage}"
    if step.kind is Kind.DROP:
        return f"{step.net} {hop.device}".rstrip()
    return f"{step.net} {step.device} {step.kind.value}"


def _what(hop: Hop) -> str:
    step = hop.told.step
    if step.kind is Kind.NOTE:
        return step.detail
    if step.kind is Kind.DROP:
        reason = "" if step.reason is None else step.reason.name
        return f"DROP {reason}{': ' if step.detail else ''}{step.detail}"
    arp = fivetuple.arp_of(step)
    if arp is not None and arp.operation == REQUEST:
        return f"ARP who-has {arp.target_ip} tell {arp.sender_ip}"
    if arp is not None:
        return f"ARP {arp.sender_ip} is-at {arp.sender_mac}"
    octets = step.octets
    return f"{MacAddress(octets[6:12])} > {MacAddress(octets[:6])}, {len(octets)} octets"


def _copy(hop: Hop, packet: Sequence[Hop]) -> str:
    """Return how a copy that does not matter ended, at its last step, and nothing at those before."""
    by_number = {other.told.step.number: other for other in packet}
    parents = {other.told.step.parent for other in packet}
    ends = [other for other in packet if other.aside and other.told.step.number not in parents]
    if hop not in ends[: _COPIES_SHOWN + 1]:
        return ""
    if len(ends) > _COPIES_SHOWN + 1 and hop is ends[_COPIES_SHOWN]:
        return f"({len(ends) - _COPIES_SHOWN} more copies end like these)"
    decision = hop  # the first one behind the last tap
    while decision.told.step.kind is Kind.NOTE:
        before = by_number.get(decision.told.step.parent)
        if before is None or before.told.step.kind is not Kind.NOTE:
            break
        decision = before
    return f"(a copy) {_what(decision)}"


# --- text and Markdown ---


def text(verdict: Verdict, shown: Sequence[tuple[int, Outcome]], told: Iterable[int]) -> str:
    """Return a verdict as plain text.

    Args:
        verdict: the answer.
        shown: numbered branches to list.
        told: the numbers of those whose story is told.
    """
    lines = _wrapped(first_line(verdict))
    stories = set(told)
    many = len(verdict.outcomes) > 1
    if many:
        for number, outcome in shown:
            lines += [part for line in branch_lines(number, outcome) for part in _wrapped(line)]
    for number, outcome in shown:
        if number not in stories:
            continue
        lines += ["", f"branch {number}"] if many else [""]
        lines += _table(list(rows(outcome.story)))
        lines += [part for line in _remarks(outcome) for part in _wrapped(line)]
    lines += [f"assumed  {assumption}" for assumption in verdict.assumptions]
    return "\n".join(lines)


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, WIDTH, subsequent_indent="       ", break_on_hyphens=False)


def _remarks(outcome: Outcome) -> Iterator[str]:
    if outcome.story.resent:
        times = "once" if outcome.story.resent == 1 else f"{outcome.story.resent} times"
        yield f"sent again {times}"
    cause = outcome.cause
    if cause is not None:
        if cause.fix:
            yield f"fix    {cause.fix}"
        yield f"about  emu explain {cause.code}"


def _table(table: Sequence[Row]) -> list[str]:
    if not table:
        return ["no packet was sent"]
    where = max((len(row.where) for row in table if row.time), default=0)
    time = max((len(row.time) for row in table), default=0)
    time, where = max(time, len(_HEADINGS[1])), max(where, len(_HEADINGS[2]))
    indent = 3 + 2 + time + 2 + where + 2
    column = max(WIDTH - max((len(row.addresses) for row in table), default=0), indent + 20)
    number, clock, place, event, addresses = _HEADINGS
    heading = f"{number:>3}  {clock:<{time}}  {place:<{where}}  {event}"
    lines = [f"{heading:<{column}}{addresses}"]
    count = 0
    for row in table:
        if not row.time:
            lines += _wrapped(f"{row.where}  {row.what}".rstrip())
            continue
        count += 1
        start = f"{count:>3}  {row.time:>{time}}  {row.where:<{where}}  "
        parts = textwrap.wrap(row.what, max(WIDTH - indent, 30), break_on_hyphens=False) or [""]
        if row.addresses and len(parts[-1]) + indent + 2 > column:
            parts.append("")
        written = [start + parts[0], *(" " * indent + part for part in parts[1:])]
        if row.addresses:
            written[-1] = f"{written[-1]:<{column}}{row.addresses}"
        lines += [line.rstrip() for line in written]
    return lines


def markdown(verdict: Verdict, shown: Sequence[tuple[int, Outcome]], told: Iterable[int]) -> str:
    """Return the same as `text`, as Markdown."""
    lines = [f"**{first_line(verdict)}**"]
    stories = set(told)
    if len(verdict.outcomes) > 1:
        lines.append("")
        lines += [f"- {'<br>'.join(branch_lines(number, outcome))}" for number, outcome in shown]
    for number, outcome in shown:
        if number not in stories:
            continue
        lines += ["", f"Branch {number}:"] if len(verdict.outcomes) > 1 else []
        lines += ["", f"| {' | '.join(_HEADINGS)} |", "| --: | --: | --- | --- | --- |"]
        count = 0
        for row in rows(outcome.story):
            count += bool(row.time)
            cells = (str(count), row.time, row.where, row.what, row.addresses)
            if not row.time:
                cells = ("", "", f"**{row.where}**", row.what, "")
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines += [line for remark in _remarks(outcome) for line in ("", remark)]
    lines += [line for assumption in verdict.assumptions for line in ("", f"Assumed: {assumption}.")]
    return "\n".join(lines)
