# SPDX-License-Identifier: GPL-2.0-only
"""The connections that were sent somewhere, and the clients that stay with a destination.

Entries are forgotten lazily: `due` gives those whose time is over, in its order,
to whoever looks next. Source: net/netfilter/ipvs/ip_vs_conn.c.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.ipvs.states import FIRST, State
from emu.sim.time import SECOND, START, Instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from emu.kernel.netfilter.ipvs.virtual import DestinationKey, ServiceKey
    from emu.sim.time import Duration

FIRST_TIMEOUT: Final[Duration] = 3 * SECOND
LATER: Final[Duration] = 60 * SECOND
"""How long a client is remembered at least while connections of it are."""


class Ends(NamedTuple):
    """Between whom a packet goes. Addresses are plain octets."""

    protocol: int
    src: bytes
    sport: int
    dst: bytes
    dport: int

    def reverse(self) -> Ends:
        """Return the ends of an answer."""
        return Ends(self.protocol, self.dst, self.dport, self.src, self.sport)


class Connection:
    """A connection, or a client that stays with a destination: a *template*.

    Attributes:
        number: in the order in which they began.
        ends: from the client to the virtual service, as the client's packets come; of a template
            the client's network, port 0, and the port of the service, if it has one.
        service: the virtual service.
        destination: where it was sent.
        port: the destination's port that packets get.
        state: see `State`.
        is_template: it is no connection but a client.
        is_inactive: it counts as inactive.
        uses_conntrack: connection tracking follows it (`IP_VS_CONN_F_NFCT`).
        template: the client it belongs to, None if its clients do not stay.
        controls: how many connections belong to it.
        timeout: what `expires` was last counted from.
        expires: the instant at which it is forgotten.
        looked_at: the instant at which it is looked whether it is to be forgotten.
    """

    __slots__ = (
        "controls",
        "destination",
        "ends",
        "expires",
        "is_inactive",
        "is_template",
        "looked_at",
        "number",
        "port",
        "service",
        "state",
        "template",
        "timeout",
        "uses_conntrack",
    )

    def __init__(
        self,
        number: int,
        ends: Ends,
        service: ServiceKey,
        destination: DestinationKey,
        port: int,
        *,
        is_template: bool = False,
        uses_conntrack: bool = False,
    ) -> None:
        self.number = number
        self.ends = ends
        self.service = service
        self.destination = destination
        self.port = port
        self.is_template = is_template
        self.uses_conntrack = uses_conntrack
        self.state = State.NONE if is_template else FIRST[ends.protocol]
        self.is_inactive = True
        self.template: Connection | None = None
        self.controls = 0
        self.timeout = FIRST_TIMEOUT
        self.expires = self.looked_at = START

    @property
    def answers(self) -> Ends:
        """Between whom the destination's packets go, as they come."""
        ends = self.ends
        return Ends(ends.protocol, bytes(self.destination.address), self.port, ends.src, ends.sport)


class ConnectionTable:
    """The connections and templates of a namespace."""

    def __init__(self) -> None:
        self._last_number = 0
        self._entries: dict[int, Connection] = {}
        self._by_ends: dict[Ends, Connection] = {}
        self._by_answers: dict[Ends, tuple[Connection, ...]] = {}
        self._templates: dict[Ends, Connection] = {}
        self._deadlines: list[tuple[Instant, int]] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Connection]:
        """Yield connections and templates, the newest first."""
        return reversed(tuple(self._entries.values()))

    # --- looking ---

    def find(self, ends: Ends) -> Connection | None:
        """Return the connection whose client sends such a packet. Source: `ip_vs_conn_in_get`."""
        return self._by_ends.get(ends)

    def find_answer(self, ends: Ends) -> Connection | None:
        """Return the newest connection whose destination sends this. Source: `ip_vs_conn_out_get`."""
        found = self._by_answers.get(ends)
        return found[0] if found else None

    def find_template(self, ends: Ends) -> Connection | None:
        """Return the template of a client. Source: `ip_vs_ct_in_get`."""
        return self._templates.get(ends)

    # --- changing ---

    def next_number(self) -> int:
        """Return the number of an entry that begins."""
        self._last_number += 1
        return self._last_number

    def add(self, entry: Connection, now: Instant) -> None:
        """Enter a connection or a template."""
        self._entries[entry.number] = entry
        if entry.is_template:
            self._templates[entry.ends] = entry
        else:
            self._by_ends[entry.ends] = entry
            self._by_answers[entry.answers] = (entry, *self._by_answers.get(entry.answers, ()))
        self.restart(entry, now)

    def remove(self, entry: Connection) -> None:
        """Take an entry out."""
        if self._entries.pop(entry.number, None) is None:
            return
        if entry.is_template:
            self.invalidate(entry)
            return
        if self._by_ends.get(entry.ends) is entry:
            del self._by_ends[entry.ends]
        others = tuple([each for each in self._by_answers.get(entry.answers, ()) if each is not entry])
        if others:
            self._by_answers[entry.answers] = others
        else:
            self._by_answers.pop(entry.answers, None)

    def invalidate(self, template: Connection) -> None:
        """Have no client find `template` any more; it goes when its time is over."""
        if self._templates.get(template.ends) is template:
            del self._templates[template.ends]

    def restart(self, entry: Connection, now: Instant) -> None:
        """Have `entry` forgotten its time-out from `now`."""
        entry.expires = Instant(now + entry.timeout)
        if not now < entry.looked_at <= entry.expires:
            entry.looked_at = entry.expires
            heapq.heappush(self._deadlines, (entry.expires, entry.number))

    def due(self, now: Instant) -> Connection | None:
        """Return the entry whose time was over first; None if no time is over by now."""
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= now:
            instant, number = heapq.heappop(deadlines)
            entry = self._entries.get(number)
            if entry is None or entry.looked_at != instant:
                continue
            if entry.expires <= instant:
                return entry
            entry.looked_at = entry.expires
            heapq.heappush(deadlines, (entry.expires, number))
        return None
