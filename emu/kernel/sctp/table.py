# SPDX-License-Identifier: GPL-2.0-only
"""The SCTP sockets of a namespace: by addresses and ports, by what they listen on, by when they are due."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.kernel.connections import Connections, Key
from emu.kernel.sctp.cookie import CookieJar

if TYPE_CHECKING:
    import random

    from emu.kernel.sctp.association import Association
    from emu.kernel.sockets import Socket
    from emu.sim.time import Instant


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
class SctpTable(Connections[Entry]):
    """All SCTP sockets of a namespace."""

    _secret: bytes = attrs.field(default=b"", init=False)

    def jar(self, key: Key, draw: random.Random) -> CookieJar:
        """Return what signs the cookies for the peer of `key`; the secret is drawn once."""
        self._secret = self._secret or draw.randbytes(32)
        return CookieJar(self._secret, key.place)

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
