# SPDX-License-Identifier: GPL-2.0-only
"""The SCTP sockets of a namespace: by addresses and ports, by what they listen on, by when they are due."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kernel.sctp.cookie import CookieJar
from emu.wire.addresses import ANY_IP4

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from emu.kernel.sctp.association import Association
    from emu.kernel.sockets import Socket
    from emu.sim.time import Instant


class Key(NamedTuple):
    """Addresses and ports of an association, seen from this side. Addresses are plain octets."""

    local: bytes
    local_port: int
    remote: bytes
    remote_port: int

    @property
    def place(self) -> bytes:
        """All of it as octets."""
        ports = self.local_port.to_bytes(2, "big") + self.remote_port.to_bytes(2, "big")
        return self.local + self.remote + ports


@attrs.define(eq=False)
class Entry:
    """An association, with the socket whose options its packets get.

    Attributes:
        key: where it is found.
        sock: the socket.
        association: the association.
        identification: of its last packet.
    """

    key: Key
    sock: Socket
    association: Association
    identification: int = 0


@attrs.define(eq=False)
class Listener:
    """What a listening socket has.

    Attributes:
        backlog: how many associations may wait to be accepted, less one.
        ready: associations that wait to be accepted, as sockets.
    """

    backlog: int
    ready: deque[Socket] = attrs.field(factory=deque)

    @property
    def is_full(self) -> bool:
        """Whether no further association may wait. Source: `sk_acceptq_is_full`."""
        return len(self.ready) > self.backlog


@attrs.define(eq=False)
class SctpTable:
    """All SCTP sockets of a namespace."""

    _entries: dict[Key, Entry] = attrs.field(factory=dict, init=False)
    _listening: dict[tuple[bytes, int], Socket] = attrs.field(factory=dict, init=False)
    _secret: bytes = attrs.field(default=b"", init=False)

    def jar(self, key: Key, draw: random.Random) -> CookieJar:
        """Return what signs the cookies for the peer of `key`; the secret is drawn once."""
        self._secret = self._secret or draw.randbytes(32)
        return CookieJar(self._secret, key.place)

    # --- finding ---

    def find(self, key: Key) -> Entry | None:
        """Return the association with these addresses and ports."""
        return self._entries.get(key)

    def listening(self, address: bytes, port: int) -> Socket | None:
        """Return who listens there, rather on the address itself than on all."""
        return self._listening.get((address, port)) or self._listening.get((ANY_IP4, port))

    def entries(self) -> Iterator[Entry]:
        """Yield all associations, the oldest first."""
        yield from self._entries.values()

    def listeners(self) -> Iterator[Socket]:
        """Yield the listening sockets, the oldest first."""
        yield from self._listening.values()

    # --- changing ---

    def add(self, entry: Entry) -> None:
        """Enter an association."""
        self._entries[entry.key] = entry

    def remove(self, entry: Entry) -> None:
        """Forget an association."""
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]

    def listen(self, sock: Socket) -> None:
        """Enter a listening socket."""
        self._listening[sock.local, sock.local_port] = sock

    def stop_listening(self, sock: Socket) -> None:
        """Forget a listening socket."""
        if self._listening.get((sock.local, sock.local_port)) is sock:
            del self._listening[sock.local, sock.local_port]

    # --- time ---

    @property
    def next_deadline(self) -> Instant | None:
        """When the next association is due, None if none will be."""
        deadlines = (entry.association.next_deadline for entry in self._entries.values())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def due(self, now: Instant) -> list[Entry]:
        """Return the associations that are due by `now`, the oldest first."""
        found = []
        for entry in self._entries.values():
            deadline = entry.association.next_deadline
            if deadline is not None and deadline <= now:
                found.append(entry)
        return found
