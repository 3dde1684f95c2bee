# SPDX-License-Identifier: GPL-2.0-only
"""One thing after the other: whatever happens next, or what happens next to one packet."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
import click

from emu.cli.capture import print_lines
from emu.cli.shell.session import WRONG
from emu.cli.shell.watching import Steps
from emu.errors import CommandError
from emu.observe.recording import Kind
from emu.sim.time import SECOND, later

if TYPE_CHECKING:
    from collections.abc import Callable

    from emu.cli.shell.session import Session
    from emu.cluster.emulation import Emulation
    from emu.cluster.recorded import Recorded
    from emu.sim.time import Duration

_PATIENCE: Final = 5 * SECOND
"""How long a packet is waited for: longer than for a MAC address that nobody has."""

_TAKEN: Final = frozenset(("socket", "echo", "icmp"))
"""Stages at which a packet is at its end."""


@attrs.define
class Happened:
    """What has happened, and how many events that were."""

    recorded: Recorded
    steps: Steps
    events: int = 0

    def of(self, packet: int) -> None:
        """Forget what happened to others than `packet`."""
        frames = self.recorded.capture.frames
        frames[:] = [each for each in frames if each.packet_id == packet]
        self.steps.heard[:] = [each for each in self.steps.heard if each.packet_id == packet]

    @property
    def is_end(self) -> bool:
        """Whether a packet, of which alone this is, has come to its end: no copy of it went on."""
        ended = any(each.kind is Kind.DROP or each.stage in _TAKEN for each in self.steps.heard)
        return ended and not any(each.kind is Kind.OUT for each in self.steps.heard)

    def tell(self) -> None:
        """Print frames and decisions."""
        print_lines(self.recorded)
        for line in self.steps.decisions():
            click.echo(line)


def next_of_all(session: Session) -> Happened | None:
    """Let things happen until a packet is touched, and return what that was; None if nothing is under way."""
    found = _listen(session, lambda happened: bool(happened.steps.heard), patience=None)
    return found if found.steps.heard else None


def next_of(session: Session, packet: int) -> Happened | None:
    """Let things happen until `packet` is touched; None if it is not for a few seconds."""
    found = _listen(session, lambda happened: any(each.packet_id == packet for each in happened.steps.heard))
    found.of(packet)
    return found if found.steps.heard else None


def first_that(session: Session, condition: str) -> tuple[int, Happened] | None:
    """Let things happen until a packet that meets a pcap filter passes a device; None if none does.

    Raises:
        FilterError: the condition is wrong.
    """
    with session.emulation.capture("any", condition=condition) as wanted:
        found = _listen(session, lambda _happened: bool(wanted.capture.frames))
    if not wanted.capture.frames:
        return None
    packet = wanted.capture.frames[0].packet_id
    if packet is None:
        raise CommandError("what passes here has no numbers", WRONG)
    found.of(packet)
    return packet, found


def _listen(
    session: Session, is_enough: Callable[[Happened], bool], patience: Duration | None = _PATIENCE
) -> Happened:
    """Let one event after the other happen until that is enough, or `patience` is over."""
    emulation = session.emulation
    loop = emulation.fabric.loop
    loop.replenish()
    limit = () if patience is None else (later(loop.now, patience),)
    with session.passing(), emulation.capture("any") as recorded:
        found = Happened(recorded, Steps())
        with emulation.listening(found.steps):
            while not is_enough(found) and loop.step(*limit):
                found.events += 1
    emulation.remember(partial(_repeat, count=found.events))
    return found


def _repeat(emulation: Emulation, *, count: int) -> None:
    """Let so many things happen, as part of doing everything again."""
    emulation.fabric.loop.replenish()
    for _ in range(count):
        emulation.fabric.loop.step()
