# SPDX-License-Identifier: GPL-2.0-only
"""All that happened, a row for each step: every rule that held, every copy, and the module that decided."""

from __future__ import annotations

import textwrap
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.observe.recording import Kind
from emu.sim.time import to_seconds
from emu.verify import fivetuple
from emu.verify.story import Way
from emu.verify.telling.layout import WIDTH, paragraph
from emu.verify.telling.packets import summary
from emu.wire.addresses import MacAddress
from emu.wire.arp import REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from emu.verify.story import Hop, Story
    from emu.verify.telling.places import Places

_COPIES_SHOWN: Final = 4
_WIDEST_PLACE: Final = 26
_HEADINGS: Final = ("#", "time", "WHERE", "WHAT")
_NO_FRAMES: Final[Mapping[int, int]] = MappingProxyType({})


class StepRow(NamedTuple):
    """A step; `net` is empty in the heading of a half, whose packet `what` is.

    Attributes:
        time: seconds since the question.
        where: namespace, and device or stage.
        what: the decision.
        addresses: between whom the packet travels from here on, empty where that is as before.
        object: whose doing it was.
        module: what decided.
        number: of the step, by which captures know it; 0 in a heading.
    """

    time: str
    where: str
    what: str
    addresses: str = ""
    object: str = ""
    module: str = ""
    number: int = 0


def step_rows(story: Story, places: Places, frames: Mapping[int, int] = _NO_FRAMES) -> Iterator[StepRow]:
    """Yield the rows of a story: both halves, each with a heading.

    Args:
        story: what happened.
        places: whose doing it was.
        frames: by the numbers of steps, which frame of a capture each is.
    """
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
            packet_told = story.request if half is Way.REQUEST else story.answer
            yield StepRow("", half.value, "" if packet_told is None else summary(packet_told))
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
        if not what:
            continue
        origin = None if hop.aside else places.origin(step)
        named = "" if origin is None else f"{origin.object} {origin.field}".rstrip()
        time = f"{to_seconds(step.time - story.start):.6f}"
        if step.number in frames:
            what += f", frame {frames[step.number]}"
        module = hop.told.module.removeprefix("emu.")
        yield StepRow(time, _where(hop), what, addresses, named, module, step.number)


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
    if not step.framed:
        return f"{len(octets)} octets, no link header"
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


def step_lines(story: Story, places: Places, frames: Mapping[int, int] = _NO_FRAMES) -> Iterator[str]:
    """Yield the rows of a story as lines in eighty columns."""
    table = list(step_rows(story, places, frames))
    if not table:
        yield "no packet was sent"
        return
    where = min(max((len(row.where) for row in table if row.time), default=0), _WIDEST_PLACE)
    time = max((len(row.time) for row in table), default=0)
    time, where = max(time, len(_HEADINGS[1])), max(where, len(_HEADINGS[2]))
    indent = 3 + 2 + time + 2 + where + 2
    number, clock, place, event = _HEADINGS
    yield f"{number:>3}  {clock:<{time}}  {place:<{where}}  {event}"
    count = 0
    for row in table:
        if not row.time:
            yield from paragraph(row.where, row.what)
            continue
        count += 1
        start = f"{count:>3}  {row.time:>{time}}  "
        parts = textwrap.wrap(row.what, WIDTH - indent, break_on_hyphens=False) or [""]
        if row.addresses:
            parts += textwrap.wrap(row.addresses, WIDTH - indent)
        source = f"{row.object} [{row.module}]".lstrip()
        if not row.object and len(parts[-1]) + 2 + len(source) <= WIDTH - indent:
            parts[-1] += f"  {source}"
        else:
            parts += textwrap.wrap(source, WIDTH - indent, break_on_hyphens=False)
        if len(row.where) > where:
            yield from textwrap.wrap(
                row.where, WIDTH, initial_indent=start, subsequent_indent=" " * len(start)
            )
            start += " " * (where + 2)
            yield from (f"{'':<{indent}}{part}" for part in parts)
            continue
        yield f"{start}{row.where:<{where}}  {parts[0]}".rstrip()
        yield from (f"{'':<{indent}}{part}" for part in parts[1:])
