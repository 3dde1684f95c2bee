# SPDX-License-Identifier: GPL-2.0-only
"""Destinations that go: first they get no new connections, and when they have none left they are deleted.

A destination of UDP is deleted at once. Source: pkg/proxy/ipvs/graceful_termination.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.ipvs.virtual import Destination
from emu.sim.time import SECOND
from emu.wire.ipv4 import UDP

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.ipvs.virtual import DestinationKey, ServiceKey
    from emu.sim.time import Duration, Instant

PERIOD: Final[Duration] = 60 * SECOND
"""How often it is looked whether connections are left."""


class Leaving:
    """The destinations of one node that are going, each with its virtual service."""

    def __init__(self, net: Namespace) -> None:
        self._net = net
        self._list: dict[tuple[ServiceKey, DestinationKey], None] = {}

    def __contains__(self, place: tuple[ServiceKey, DestinationKey]) -> bool:
        return place in self._list

    def send(self, service: ServiceKey, destination: DestinationKey, now: Instant) -> None:
        """Delete a destination if it has no connections; else have it get no new ones."""
        if not self._delete(service, destination, now):
            self._net.netfilter.ipvs.edit_destination(service, Destination(destination, 0))
            self._list[service, destination] = None

    def take_back(self, service: ServiceKey, destination: DestinationKey) -> None:
        """Delete a destination at once that has come again: it is added anew."""
        del self._list[service, destination]
        self._net.netfilter.ipvs.delete_destination(service, destination)

    def look(self, now: Instant) -> None:
        """Delete those that have no connections left."""
        for place in tuple(self._list):
            if self._delete(*place, now):
                del self._list[place]

    def _delete(self, service: ServiceKey, destination: DestinationKey, now: Instant) -> bool:
        """Return whether the destination is gone."""
        ipvs = self._net.netfilter.ipvs
        known = ipvs.services.get(service)
        if known is None or known.find(destination) is None:
            return True
        self._net.now = max(self._net.now, now)
        ipvs.sweep(now)
        load = ipvs.known_load(service, destination)
        if service.protocol != UDP and load is not None and load.active + load.inactive:
            return False
        ipvs.delete_destination(service, destination)
        return True
