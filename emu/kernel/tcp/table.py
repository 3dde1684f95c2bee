# SPDX-License-Identifier: GPL-2.0-only
"""The TCP sockets of a namespace: by 4-tuple, by what they listen on, by when they are due."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import attrs

from emu.kernel.connections import AcceptQueue, Connections, Key
from emu.kernel.tcp.config import TcpConfig
from emu.kernel.tcp.states import TRANSITIONS, Cause, State
from emu.sim.numbers import Numbers

if TYPE_CHECKING:
    from emu.kernel.sockets import Socket
    from emu.kernel.sysctl import Sysctl
    from emu.kernel.tcp.connection import Connection
    from emu.kernel.tcp.handshake import Handshake
    from emu.sim.time import Instant


@attrs.define(eq=False)
class Entry:
    """A connection, or one in the making, with the socket whose options its packets get.

    Attributes:
        key: where it is found.
        sock: the socket; of a handshake, the listening one.
        connection: the connection, None during the handshake with a listener.
        handshake: that handshake.
        identification: of the next packet.
        una: what was acknowledged when it last sent; None before.
        armed: the deadline that it is in the heap for.
    """

    key: Key
    sock: Socket
    connection: Connection | None = None
    handshake: Handshake | None = None
    identification: int = 0
    una: int | None = None
    armed: Instant | None = None

    @property
    def deadline(self) -> Instant | None:
        """When it is due."""
        if self.connection is not None:
            return self.connection.next_deadline
        return self.handshake.deadline if self.handshake is not None else None


@attrs.define(eq=False)
class Listener(AcceptQueue):
    """A listening socket's queues.

    Attributes:
        handshakes: connections in the making.
        state: LISTEN, until it is closed.
    """

    handshakes: dict[Key, Entry] = attrs.field(factory=dict)
    state: State = TRANSITIONS[State.CLOSED, Cause.PASSIVE_OPEN]

    def close(self) -> None:
        """Listen no more."""
        self.state = TRANSITIONS[self.state, Cause.CLOSE]


@attrs.define(eq=False)
class TcpTable(Connections[Entry]):
    """All TCP sockets of a namespace."""

    _heap: list[tuple[Instant, int, Entry]] = attrs.field(factory=list, init=False)
    _numbers: Numbers = attrs.field(factory=Numbers, init=False)
    _config: TcpConfig = attrs.field(factory=TcpConfig, init=False)
    _generation: int = attrs.field(default=-1, init=False)

    def config(self, sysctl: Sysctl) -> TcpConfig:
        """Return the parameters for connections made now."""
        if self._generation != sysctl.generation:
            self._config = TcpConfig.from_sysctl(sysctl.get)
            self._generation = sysctl.generation
        return self._config

    def is_taken(self, local: bytes, local_port: int, remote: bytes, remote_port: int) -> bool:
        """Return whether there is a connection with this 4-tuple, be it in TIME_WAIT."""
        return Key(local, local_port, remote, remote_port) in self._entries

    def remove(self, entry: Entry) -> None:
        """Forget a connection or handshake."""
        super().remove(entry)
        entry.armed = None

    # --- time ---

    def arm(self, entry: Entry) -> Instant | None:
        """Remember when `entry` is due; return that if it has changed."""
        deadline = entry.deadline
        if deadline == entry.armed:
            return None
        entry.armed = deadline
        if deadline is not None:
            heapq.heappush(self._heap, (deadline, next(self._numbers), entry))
        return deadline

    @property
    def next_deadline(self) -> Instant | None:
        """When the next one is due, None if none will be."""
        heap = self._heap
        while heap and heap[0][2].armed != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def take_due(self, now: Instant) -> Entry | None:
        """Return one that is due by `now`, no longer armed; None if none is."""
        deadline = self.next_deadline
        if deadline is None or deadline > now:
            return None
        entry = heapq.heappop(self._heap)[2]
        entry.armed = None
        return entry
