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


_SOURCE: Final = Side.SOURCE  # looked up for every packet
_EITHER: Final = Side.EITHER


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
        side = self.side
        port = ports[0] if side is _SOURCE else ports[1]
        other = ports[0] if side is _EITHER else port
        for first, last in self.ranges:
            if first <= port <= last or first <= other <= last:
                return not self.inverted
        return self.inverted
