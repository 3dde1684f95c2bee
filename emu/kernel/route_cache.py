# SPDX-License-Identifier: GPL-2.0-only
"""What is asked of a namespace's tables again and again, as long as nothing changes that it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import Refusal, RouteDecision
    from emu.wire.addresses import IpAddress


class RouteCache:
    """Decisions about packets that came in, and the namespace's own addresses.

    Attributes:
        decisions: by device, source, destination, TOS and mark.
        generation: of tables and settings, for which `decisions` hold.
    """

    __slots__ = ("_own", "_own_at", "decisions", "generation")

    def __init__(self) -> None:
        self.generation = -1
        self.decisions: dict[tuple[str, bytes, bytes, int, int], RouteDecision | Refusal] = {}
        self._own: frozenset[IpAddress] = frozenset()
        self._own_at = -1, 0  # generation of the tables, and number of addresses

    def is_own(self, net: Namespace, address: bytes) -> bool:
        """Return whether `address` is configured on a device of `net`. Source: `inet_lookup_ifaddr_rcu`."""
        devices = net.devices.values()
        state = net.fib.generation, sum([len(device.addresses) for device in devices])
        if self._own_at != state:
            self._own = frozenset([own.address for device in devices for own in device.addresses])
            self._own_at = state
        return address in self._own
