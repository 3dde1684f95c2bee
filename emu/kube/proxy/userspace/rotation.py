# SPDX-License-Identifier: GPL-2.0-only
"""Whose turn it is: endpoints in a row, and clients that stay with theirs.

Source: pkg/proxy/userspace/roundrobin.go (`LoadBalancerRR`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from emu.sim.choice import DrawnChoice, Uniform
from emu.sim.time import SECOND

if TYPE_CHECKING:
    import random
    from collections.abc import Collection

    from emu.sim.choice import Choice
    from emu.sim.time import Instant
    from emu.wire.addresses import IpAddress


@attrs.define(eq=False)
class Rotation:
    """The endpoints of one service port on one node.

    Attributes:
        name: of the service port, for explanations.
        affinity_seconds: for how long a client stays with its endpoint, 0 for not at all.
        endpoints: `IP:PORT`, in the order in which they have their turn.
        index: whose turn it is.
        clients: the endpoint of each client that stays with one, and since when it was last asked for.
    """

    name: str
    affinity_seconds: int = 0
    endpoints: list[str] = attrs.field(factory=list)
    index: int = 0
    clients: dict[IpAddress, tuple[str, Instant]] = attrs.field(factory=dict)

    def set(self, endpoints: Collection[str], random: random.Random) -> None:
        """Have other endpoints, in an order that is drawn; nothing changes where they are the same."""
        if sorted(endpoints) == sorted(self.endpoints):
            return
        self.clients = {who: (one, when) for who, (one, when) in self.clients.items() if one in endpoints}
        self.endpoints = sorted(endpoints)
        random.shuffle(self.endpoints)
        self.index = 0

    def next(self, client: IpAddress, now: Instant, choice: Choice, *, forgets: bool = False) -> str | None:
        """Return the endpoint for a connection, None if there is none.

        An exploration, which does not know who was there before, takes each of
        them with the same share.

        Args:
            client: who connects.
            now: the present instant.
            choice: what chance has to decide.
            forgets: the endpoint that the client had does not answer.
        """
        if not self.endpoints:
            return None
        if self.affinity_seconds and not forgets:
            known = self.clients.get(client)
            if known is not None and (now - known[1]) // SECOND < self.affinity_seconds:
                self.clients[client] = known[0], now
                return known[0]
        count = len(self.endpoints)
        if isinstance(choice, DrawnChoice) or count == 1:
            found = self.endpoints[self.index]
            self.index = (self.index + 1) % count
        else:
            names = sorted(self.endpoints)
            found = names[choice.pick(f"userspace proxy of {self.name}", Uniform(count), names)]
        if self.affinity_seconds:
            self.clients[client] = found, now
        return found

    def forget_old_clients(self, now: Instant) -> None:
        """Forget clients that have not come for longer than they stay with their endpoint."""
        self.clients = {
            who: (one, when)
            for who, (one, when) in self.clients.items()
            if (now - when) // SECOND < self.affinity_seconds
        }
