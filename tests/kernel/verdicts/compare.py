# SPDX-License-Identifier: GPL-2.0-only
"""Playing a case to both, and finding the least case in which they still differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from tests.kernel.verdicts.on_emu import EmuRouter
from tests.kernel.verdicts.outcome import differences, told, told_packet
from tests.kernel.verdicts.script import Answer, Complaint, Local, Send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.verdicts.case import Case
    from tests.kernel.verdicts.on_linux import LinuxRouters
    from tests.kernel.verdicts.outcome import Outcome
    from tests.kernel.verdicts.script import Step


class Compared(NamedTuple):
    """Both outcomes of a case, and in what they differ."""

    case: Case
    linux: Outcome
    emu: Outcome
    stories: list[list[str]]
    differences: list[str]


def compare(linux: LinuxRouters, case: Case) -> Compared:
    """Play `case` to both; what differs counts if it does again.

    An identification that the kernel draws may happen to be one of the case's.
    """
    compared = _compare(linux, case)
    return _compare(linux, case) if compared.differences else compared


def _compare(linux: LinuxRouters, case: Case) -> Compared:
    real = linux.play(case)
    router = EmuRouter(case)
    ours = router.play()
    if case.backend == "nft":  # whose policies count nothing
        kept = {place: count for place, count in ours.counts.items() if place[2]}
        ours = attrs.evolve(ours, counts=kept)
    found = differences(real, ours, case.identifications, case.ports)
    return Compared(case, real, ours, router.stories, found)


def shrunk(linux: LinuxRouters, case: Case) -> Case:
    """Return the least case that differs: rules and steps are left out while it still does."""

    def differs(smaller: Case) -> bool:
        try:
            return bool(compare(linux, smaller).differences)
        except AssertionError:
            return False

    while True:
        smaller = next((each for each in _smaller(case) if differs(each)), None)
        if smaller is None:
            return case
        case = smaller


def _smaller(case: Case) -> Iterator[Case]:
    yield from (attrs.evolve(case, steps=steps) for steps in _fewer_steps(case.steps))
    lines = case.rules.splitlines()
    for size in (8, 4, 2, 1):
        rules = [at for at, line in enumerate(lines) if line.startswith("-A")]
        for start in range(0, len(rules), size):
            gone = set(rules[start : start + size])
            kept = [line for at, line in enumerate(lines) if at not in gone]
            yield attrs.evolve(case, rules="\n".join((*kept, "")))
    for name in case.sysctls:
        kept_sysctls = {key: value for key, value in case.sysctls.items() if key != name}
        yield attrs.evolve(case, sysctls=kept_sysctls)


def _fewer_steps(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    for cut in range(1, len(steps)):
        if cut not in _together(steps, cut - 1):
            yield steps[:cut]
    for gone in dict.fromkeys(_together(steps, number) for number in range(len(steps))):
        kept = [number for number in range(len(steps)) if number not in gone]
        places = {number: place for place, number in enumerate(kept)}
        fewer = [steps[number] for number in kept]
        if all(step.to in places for step in fewer if isinstance(step, Answer | Complaint)):
            yield tuple(
                attrs.evolve(step, to=places[step.to]) if isinstance(step, Answer | Complaint) else step
                for step in fewer
            )


def _together(steps: tuple[Step, ...], number: int) -> frozenset[int]:
    """Return the steps that have to go with step `number`: a fragment alone would wait for the others."""
    mine = _fragment_of(steps[number])
    if not mine:
        return frozenset((number,))
    return frozenset(at for at, step in enumerate(steps) if _fragment_of(step) == mine)


def _fragment_of(step: Step) -> bytes:
    """Return the identification of a fragment, nothing for a whole packet."""
    packet = step.octets[14:] if isinstance(step, Send) else step.packet if isinstance(step, Local) else b""
    return packet[4:6] if len(packet) >= 20 and (packet[6] & 0x3F or packet[7]) else b""


def report(compared: Compared, show: Callable[[str], object]) -> None:
    """Show all about a case."""
    case = compared.case
    show(f"=== {case.name} ({'nft' if case.nft else 'iptables-' + case.backend}) {dict(case.sysctls)}")
    if case.ipsets:
        show(case.ipsets)
    show("\n".join(_telling(case.rules)))
    for number, step in enumerate(case.steps):
        show(f"-- step {number}: {_told_step(step)}")
        for who, outcome in (("Linux", compared.linux), ("emu", compared.emu)):
            for seen in outcome.steps[number]:
                show(f"   {who}: {seen.end}: {told(seen.octets)}")
            if outcome.events[number]:
                show(f"   {who}: {', '.join(outcome.events[number])}")
        for line in compared.stories[number]:
            show(f"        {line}")
    for who, outcome in (("Linux", compared.linux), ("emu", compared.emu)):
        for connection in outcome.connections:
            show(f"   {who}: {connection}")
    show("-- differences")
    for line in compared.differences:
        show(line)


def _telling(rules: str) -> Iterator[str]:
    """Yield the lines of rules that say something."""
    for line in rules.splitlines():
        if not (line.startswith(":") and "ACCEPT" in line) and line != "COMMIT":
            yield line


def _told_step(step: Step) -> str:
    match step:
        case Send(end, octets):
            return f"from {end} to {octets[:6].hex(':')}: {told(octets)}"
        case Local(packet):
            return f"of the router: {told_packet(packet)}"
        case _:
            return str(step)
