# SPDX-License-Identifier: GPL-2.0-only
"""The key `links`: cables between machines, and what is wrong with them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import attrs

from emu.cluster.topology.fabric import quantities
from emu.document import SequenceNode
from emu.document.fields import Fields, boolean, elements, integer, text
from emu.fabric.cable import DEFAULT_QUEUE, Cable
from emu.fabric.faults import NO_FAULTS, Faults

if TYPE_CHECKING:
    from emu.document.fields import Place
    from emu.sim.time import Duration

_ENDS: Final = 2
_MACHINE: Final = re.compile(r"(?:ext/)?[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_MTU: Final = (68, 65535)
_NEVER: Final = Fraction(0)


@attrs.frozen
class EndSpec:
    """An end of a cable: a machine, and its device, empty for the next free one."""

    machine: str
    device: str = ""

    def __str__(self) -> str:
        return f"{self.machine}:{self.device}" if self.device else self.machine


@attrs.frozen
class LinkSpec:
    """A cable.

    Attributes:
        ends: both of them.
        mtu: octets that get through; devices keep theirs, unless it is larger. 0 for what they take.
        latency: ns.
        jitter: ns.
        bandwidth: bit/s, 0 for no limit.
        queue: octets.
        faults: what happens to frames.
        is_down: it carries nothing at first.
        file: where it stands.
        line: the same.
    """

    ends: tuple[EndSpec, EndSpec]
    mtu: int = 0
    latency: Duration = 0
    jitter: Duration = 0
    bandwidth: int = 0
    queue: int = DEFAULT_QUEUE
    faults: Faults = NO_FAULTS
    is_down: bool = False
    file: str = attrs.field(default="", eq=False, repr=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)

    def cable(self) -> Cable | None:
        """Return the cable; None for one that takes no time and loses nothing."""
        made = Cable(
            self.latency,
            self.bandwidth,
            self.queue,
            self.mtu,
            " - ".join(map(str, self.ends)),
            min(self.jitter, self.latency),
            self.faults,
            self.is_down,
        )
        is_plain = (self.latency, self.bandwidth, self.mtu, self.faults, self.is_down) == _PLAIN
        return None if is_plain else made


_PLAIN: Final = (0, 0, 0, NO_FAULTS, False)


def link(place: Place) -> LinkSpec:
    """Read one cable."""
    fields = Fields(place)
    ends = fields.must("endpoints", _ends)
    for key in ("jitter", "reorder"):
        if fields.has(key) and not fields.has("delay"):
            fields.place.at(key).fault("needs a delay: what would be shorter, or not waited for?")
    return attrs.evolve(_settings(fields), ends=ends, file=place.file, line=place.line)


def settings(place: Place) -> LinkSpec:
    """Read what is said of a cable beside its ends."""
    return _settings(Fields(place))


def _settings(fields: Fields) -> LinkSpec:
    latency = fields.get("delay", quantities.duration, 0)
    jitter = fields.get("jitter", quantities.duration, 0)
    if jitter > latency and fields.has("delay"):
        fields.place.at("jitter").fault("is longer than delay: frames would arrive before they are sent")
    return fields.done(
        LinkSpec(
            (EndSpec(""), EndSpec("")),
            fields.get("mtu", integer(*_MTU), 0),
            latency,
            min(jitter, latency) if fields.has("delay") else jitter,
            fields.get("bandwidth", quantities.rate, 0),
            fields.get("queue", integer(0, 1 << 30), DEFAULT_QUEUE),
            _faults(fields),
            fields.get("down", boolean, default=False),
        )
    )


def _faults(fields: Fields) -> Faults:
    shares: dict[str, Any] = {
        name: fields.get(name, quantities.share, _NEVER)
        for name in ("loss", "duplicate", "reorder", "corrupt")
    }
    found = Faults(
        **shares,
        drop_nth=fields.get("dropNth", _numbers, ()),
        drop_every=fields.get("dropEvery", integer(1, 1 << 30), 0),
    )
    return NO_FAULTS if found == NO_FAULTS else found


def _numbers(place: Place) -> tuple[int, ...]:
    read = integer(1, 1 << 30)
    return elements(place, read) if isinstance(place.value, SequenceNode) else (read(place),)


def _ends(place: Place) -> tuple[EndSpec, EndSpec]:
    found = elements(place, end)
    if len(found) != _ENDS:
        place.fault('must be two ends, like ["worker-1:eth0", "tor-1:1"]')
        return EndSpec(""), EndSpec("")
    if found[0].machine == found[1].machine and found[0].machine:
        place.fault(f"both ends are {found[0].machine}")
    return found[0], found[1]


def end(place: Place) -> EndSpec:
    """Read an end: `NAME:PORT`, or the name alone."""
    words = text(place)
    machine, colon, port = words.partition(":")
    if not _MACHINE.fullmatch(machine) or (colon and not quantities.PORT.fullmatch(port)):
        if isinstance(place.value, str):
            place.wrong("NAME:PORT, like worker-1:eth0 (of hosts outside ext/NAME)")
        return EndSpec("")
    return EndSpec(machine, quantities.device_of(port) if colon else "")
