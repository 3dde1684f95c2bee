# SPDX-License-Identifier: GPL-2.0-only
"""The connection table of a namespace.

Every connection stands in it twice, once for each tuple, so whatever packet of
it comes is found by one look-up. Entries are forgotten lazily, as in Linux:
whoever meets one whose time is over deletes it.

Known difference: Linux looks for a victim of a full table among the few entries
of some hash buckets, here it is the oldest one that is not ASSURED. What is over
goes before it, but in a flood that a large table meets it may stay up to a second.

Source: net/netfilter/nf_conntrack_core.c.
"""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.conntrack.entry import Connection, Direction, Status
from emu.sim.time import SECOND, START, Instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.conntrack.tuples import Tuple

_ORIGINAL, _REPLY = Direction
_EVENTS_KEPT: Final = 10_000
_KEPT: Final = Status.ASSURED | Status.FIXED_TIMEOUT
"""Nobody with one of these bits is forgotten before his time."""

_SWEEP: Final = 1024
"""The table is swept when it holds so many entries, and twice as many as after the last time."""

_SWEPT_FOR_ONE: Final = 256
"""So many entries may be looked through for each packet that finds a full table."""


class EventKind(enum.Enum):
    """What happened to a connection."""

    NEW = "NEW"
    UPDATE = "UPDATE"
    DESTROY = "DESTROY"


class Event(NamedTuple):
    """One line of `conntrack -E`: the connection as it was then."""

    time: Instant
    kind: EventKind
    connection: Connection


class Found(NamedTuple):
    """A connection, and the direction whose tuple was looked up."""

    connection: Connection
    direction: Direction


class ConnectionTable:
    """Who talks to whom.

    Attributes:
        stats: what happened, by the kernel's names (`conntrack -S`).
        events: the last events, oldest first, if `listening`.
        listening: events are kept.
    """

    def __init__(self) -> None:
        self.stats: Counter[str] = Counter()
        self.events: deque[Event] = deque(maxlen=_EVENTS_KEPT)
        self.listening = False
        self._found: dict[tuple[int, Tuple], Found] = {}
        self._connections: dict[int, Connection] = {}
        # In order of age; those who are kept by now are found out when room is made: nobody loses such a bit.
        self._droppable: OrderedDict[int, Connection] = OrderedDict()
        self._by_source: dict[tuple[int, int, bytes, int], dict[int, Connection]] = {}
        self._last_number = 0
        self._swept_at = _SWEEP
        self._last_sweep = Instant(START - SECOND)
        self._unswept = 0

    # --- looking ---

    def find(self, tuple_: Tuple, now: Instant, zone: int = 0) -> Found | None:
        """Return the connection that has `tuple_` in one of its directions."""
        found = self._found.get((zone, tuple_))
        if found is not None and found.connection.expires <= now:
            self.delete(found.connection, now)
            return None
        return found

    def is_taken(self, tuple_: Tuple, now: Instant, zone: int = 0, *, but: Connection | None = None) -> bool:
        """Return whether a connection other than `but` has `tuple_`.

        One that began with the same tuple as `but` is no other: two of its
        packets were under way at once, and the second will join it when it is
        confirmed. Source: `nf_conntrack_tuple_taken`.
        """
        found = self.find(tuple_, now, zone)
        if found is None or found.connection is but:
            return False
        other = found.connection
        return but is None or (other.original, other.zone) != (but.original, but.zone)

    def of_source(self, tuple_: Tuple, zone: int) -> list[Connection]:
        """Return the connections whose first packet came from the source of `tuple_`, newest first."""
        found = self._by_source.get((zone, tuple_.protocol, tuple_.src, tuple_.sport), {})
        return list(found.values())[::-1]

    def entries(self, now: Instant) -> list[Connection]:
        """Return the connections whose time is not over, in the order in which they were confirmed."""
        return [each for each in self._connections.values() if each.expires > now and self._is_listed(each)]

    def _is_listed(self, connection: Connection) -> bool:
        """Return whether it stands for both directions; see `confirm_answers`."""
        found = self._found.get((connection.zone, connection.original))
        return found is not None and found.connection is connection

    @property
    def count(self) -> int:
        """How many entries there are, those counted whose time is over and nobody has met."""
        return len(self._connections)

    # --- changing ---

    def begin(self, original: Tuple, reply: Tuple, *, zones: tuple[int, int] = (0, 0)) -> Connection:
        """Return a new connection, which is not in the table yet."""
        self._last_number += 1
        return Connection(self._last_number, original, reply, zones=zones)

    def confirm(self, connection: Connection, now: Instant) -> Found | None:
        """Enter `connection`, its time counted from now; return the one that clashes with it instead.

        Source: `__nf_conntrack_confirm`.
        """
        zones = connection.zones
        keys = [(zones[way], tuple_) for way, tuple_ in zip(Direction, connection.tuples, strict=True)]
        for zone, tuple_ in keys:
            clash = self.find(tuple_, now, zone)
            if clash is not None:
                return clash
        connection.status |= Status.CONFIRMED
        connection.refresh(now, connection.timeout)
        for way, key in zip(Direction, keys, strict=True):
            self._found[key] = Found(connection, way)
        self._connections[connection.number] = connection
        self._droppable[connection.number] = connection
        self._enter_source(connection)
        self.tell(EventKind.NEW, connection, now)
        if len(self._connections) >= self._swept_at:
            self.sweep(now)
        return None

    def confirm_answers(self, connection: Connection, now: Instant) -> None:
        """Enter `connection` for its answers alone, for a second: another has its original tuple.

        Nobody lists it. Source: `nf_ct_resolve_clash_harder`.
        """
        connection.status |= Status.CONFIRMED | Status.FIXED_TIMEOUT | Status.UNTRACKED  # `IPS_NAT_CLASH`
        connection.refresh(now, SECOND)
        self._found[connection.zones[_REPLY], connection.reply] = Found(connection, _REPLY)
        self._connections[connection.number] = connection
        self._enter_source(connection)

    def delete(self, connection: Connection, now: Instant) -> None:
        """Forget `connection`."""
        if self._connections.pop(connection.number, None) is None:
            return
        self._droppable.pop(connection.number, None)
        connection.status |= Status.DYING
        for zone, tuple_ in zip(connection.zones, connection.tuples, strict=True):
            found = self._found.get((zone, tuple_))
            if found is not None and found.connection is connection:
                del self._found[zone, tuple_]
        self._leave_source(connection)
        self.tell(EventKind.DESTROY, connection, now)

    def flush(self, now: Instant) -> None:
        """Forget all connections."""
        for connection in list(self._connections.values()):
            self.delete(connection, now)

    def forget_masqueraded(self, device: str, now: Instant, address: bytes | None = None) -> None:
        """Forget what was masqueraded with an address of `device`, or with `address` of it.

        Source: net/netfilter/nf_nat_masquerade.c `masq_device_event`, `masq_inet_event`.
        """
        for connection in list(self._connections.values()):
            if connection.masquerade == device and address in (None, connection.reply.dst):
                self.delete(connection, now)

    def sweep(self, now: Instant) -> None:
        """Forget what nobody has met since its time was over. Source: `gc_worker`."""
        for connection in [each for each in self._connections.values() if each.expires <= now]:
            self.delete(connection, now)
        self._swept_at = max(_SWEEP, 2 * len(self._connections))
        self._last_sweep, self._unswept = now, 0

    def make_room(self, now: Instant) -> bool:
        """Forget what may be forgotten early; return whether there was any. Source: `early_drop`."""
        before = len(self._connections)
        if self._is_sweep_due(now):
            self.sweep(now)
        if len(self._connections) < before:
            return True
        while self._droppable:
            _, victim = self._droppable.popitem(last=False)
            if not victim.status & _KEPT:
                self.delete(victim, now)
                self.stats["early_drop"] += 1
                return True
        return False

    def _is_sweep_due(self, now: Instant) -> bool:
        """Return whether to look for what is over: not twice at an instant, nor always in a large table."""
        self._unswept += 1
        since = now - self._last_sweep
        return since >= SECOND or (since > 0 and self._unswept * _SWEPT_FOR_ONE >= len(self._connections))

    # --- sources, for NAT ---

    def _enter_source(self, connection: Connection) -> None:
        if connection.status & Status.SRC_NAT_DONE:
            self._by_source.setdefault(_source(connection), {})[connection.number] = connection

    def _leave_source(self, connection: Connection) -> None:
        key = _source(connection)
        known = self._by_source.get(key)
        if known is not None:
            known.pop(connection.number, None)
            if not known:
                del self._by_source[key]

    # --- events ---

    def tell(self, kind: EventKind, connection: Connection, now: Instant) -> None:
        """Keep an event, if anybody listens."""
        if self.listening:
            self.events.append(Event(now, kind, connection.copy()))

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._connections.values()))


def _source(connection: Connection) -> tuple[int, int, bytes, int]:
    original = connection.original
    return connection.zones[_ORIGINAL], original.protocol, original.src, original.sport
