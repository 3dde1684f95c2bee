# SPDX-License-Identifier: GPL-2.0-only
"""`-m multiport`: one of up to fifteen ports. Source: net/netfilter/xt_multiport.c."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.matches.transport import first_octets

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

MOST_PORTS: Final = 15
"""A range counts for two."""


class Side(enum.Enum):
    """Which port is meant; the values are those of `enum xt_multiport_flags`."""

    SOURCE = 0
    DESTINATION = 1
    EITHER = 2


@attrs.frozen
class Multiport:
    """A port is in one of the ranges.

    Attributes:
        side: which port.
        ranges: first and last port of each.
        inverted: it is in none of them.
    """

    side: Side
    ranges: tuple[tuple[int, int], ...]
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the port is among them, or is not; later fragments have none at all."""
        ports = packet.ports
        if ports is None:
            start = first_octets(packet, 4)
            if start is None:
                return False
            ports = int.from_bytes(start[:2], "big"), int.from_bytes(start[2:], "big")
        asked = ports if self.side is Side.EITHER else (ports[self.side.value],)
        found = any(first <= port <= last for first, last in self.ranges for port in asked)
        return found is not self.inverted
