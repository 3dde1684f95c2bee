# SPDX-License-Identifier: GPL-2.0-only
"""Connections played to the real kernel and to ours: after each packet, both have to say the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from emu.kernel.netfilter.conntrack.entry import Status
from emu.sim.time import SECOND, Instant
from emu.wire import ipv4
from emu.wire.ipv4 import Ipv4
from tests.kernel.middle import Entry
from tests.unit.kernel.netfilter.conntrack.middle import Middle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.kernel.middle import LinuxMiddle

FIRST_PORT: Final = 20000
_TOLERANCE: Final = 2  # s


class Sent(NamedTuple):
    """A packet of a connection: from which side, its octets, and what to call it."""

    way: str
    octets: bytes
    text: str


class Script(Protocol):
    """Makes up the packets of one connection, whose client has a port of its own, `FIRST_PORT` or above."""

    port: int

    def next(self) -> Sent:
        """Return the next packet."""


def compare(
    linux: LinuxMiddle, scripts: Sequence[Script], steps: int, sysctls: Mapping[str, int]
) -> list[str]:
    """Play so many packets of each script to both; return where they differ, each with its whole story."""
    middles = [Middle(dict(sysctls)) for _ in scripts]
    stories: list[list[str]] = [[] for _ in scripts]
    differences: dict[int, str] = {}
    began = time.monotonic()
    for _ in range(steps):
        sent = [script.next() for script in scripts]
        verdicts = linux.see(
            [(one.way, _identified(one.octets, number + 1)) for number, one in enumerate(sent)]
        )
        entries = linux.entries()
        now = Instant(round((time.monotonic() - began) * SECOND))
        for number, (one, theirs) in enumerate(zip(sent, verdicts, strict=True)):
            if number in differences:
                continue
            middle = middles[number]
            middle.now = now
            ours, mine, real = middle.see(one.octets), _entry(middle), entries.get(scripts[number].port)
            stories[number].append(f"{one.text}\n    {ours} {mine} Linux: {theirs} {real}")
            if ours != theirs or not _agree(mine, real):
                differences[number] = "\n".join((f"connection {number}", *stories[number]))
    return list(differences.values())


def _identified(octets: bytes, number: int) -> bytes:
    header = Ipv4.parse(octets)
    return ipv4.build(header.protocol, header.src, header.dst, octets[20:], identification=number)


def _entry(middle: Middle) -> Entry | None:
    connection = middle.connection
    if connection is None or connection.expires <= middle.now:
        return None
    status = connection.status
    flags = {"UNREPLIED"} if not status & Status.SEEN_REPLY else set()
    flags |= {"ASSURED"} if status & Status.ASSURED else set()
    src = ".".join(map(str, connection.original.src))
    return Entry(middle.state, src, frozenset(flags), tuple(connection.packets), round(middle.timeout))


def _agree(ours: Entry | None, theirs: Entry | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return ours[:4] == theirs[:4] and abs(ours.left - theirs.left) <= _TOLERANCE
