# SPDX-License-Identifier: GPL-2.0-only
"""The traffic of a `Scenario`: who asks whom, how, how often, and how patiently."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import attrs

from emu.sim.time import MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from emu.sim.time import Instant

TrafficKind: TypeAlias = Literal["http", "tcp", "udp", "ping", "dns"]

KINDS: Final[tuple[TrafficKind, ...]] = ("http", "tcp", "udp", "ping", "dns")
NAME: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
EVERY: Final[Duration] = SECOND
TIMEOUT: Final[Duration] = SECOND


@attrs.frozen
class TrafficSpec:
    """One client of a document.

    Attributes:
        name: by which expectations name it.
        source: the end point that it runs in.
        target: the end point that it asks, with port and protocol as they are written.
        kind: what it speaks.
        at: when it begins; as early as the cluster stands, at the earliest.
        until: when it begins nothing more; None for the end of the scenario.
        every: the time from one attempt to the next.
        timeout: how long an attempt may take.
        keeps: one connection serves all attempts, until it breaks.
        connections: how many such connections there are at a time.
        leaves_open: its connections stand at the end, for questions that are asked then.
        source_port: its own port, 0 for the kernel's choice.
        waits: an answer is waited for; without, a datagram counts that has reached a program's host.
        path: what HTTP asks for.
        file: where it stands.
        line: the same.
    """

    name: str
    source: str
    target: str
    kind: TrafficKind = "http"
    at: Duration = 0
    until: Duration | None = None
    every: Duration = EVERY
    timeout: Duration = TIMEOUT
    keeps: bool = False
    source_port: int = 0
    waits: bool = True
    path: str = "/"
    connections: int = 1
    leaves_open: bool = False
    file: str = attrs.field(default="", eq=False, repr=False, kw_only=True)
    line: int = attrs.field(default=0, eq=False, repr=False, kw_only=True)


@attrs.define(eq=False)
class Attempt:
    """One request, datagram or echo of a client.

    Attributes:
        number: counted from 1.
        sent: when it began.
        ended: when its outcome was known; None while it is not.
        outcome: `ok`, `timeout`, `refused`, `reset`, `unreachable`, `unresolved`, `closed` or an HTTP status.
        connection: which connection of the client it used, counted from 1; 0 for none.
        server: where its first packet ended, as a network namespace; empty where nobody knows.
        packets: packets of the client that it took.
        drops: of one that failed, how many of those ended where, by the reason's name and the place.
    """

    number: int
    sent: Instant
    ended: Instant | None = None
    outcome: str = ""
    connection: int = 0
    server: str = ""
    packets: int = 0
    drops: dict[tuple[str, str], int] = attrs.field(factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether the client got what it asked for."""
        return self.outcome == OK

    @property
    def took(self) -> Duration:
        """From its beginning to its outcome."""
        return 0 if self.ended is None else self.ended - self.sent


OK: Final = "ok"
LOST: Final = "lost"
"""The outcome of a datagram that nobody answers, and that has come nowhere."""

LEAST_EVERY: Final[Duration] = MILLISECOND
"""What is asked more often is no traffic that anybody waits for."""
