# SPDX-License-Identifier: GPL-2.0-only
"""`-m connbytes`: how much a connection has carried. Source: net/netfilter/xt_connbytes.c."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


class Measure(enum.Enum):
    """What is counted."""

    PACKETS = "packets"
    OCTETS = "bytes"
    AVERAGE = "avgpkt"


class Way(enum.Enum):
    """In which direction; the value are the places in `Connection.packets`."""

    ORIGINAL = (0,)
    REPLY = (1,)
    BOTH = (0, 1)


@attrs.frozen
class ConnBytes:
    """What the connection carried so far, this packet counted in, is from `first` to `last`."""

    measure: Measure
    way: Way
    first: int
    last: int = (1 << 64) - 1
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether it is, or is not; without a connection neither holds."""
        connection = packet.connection
        if connection is None:
            return False
        packets = sum(connection.packets[place] for place in self.way.value)
        octets = sum(connection.octets[place] for place in self.way.value)
        if self.measure is Measure.AVERAGE:
            carried = octets // packets if packets else 0
        else:
            carried = packets if self.measure is Measure.PACKETS else octets
        return (self.first <= carried <= self.last) is not self.inverted
