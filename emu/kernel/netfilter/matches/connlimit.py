# SPDX-License-Identifier: GPL-2.0-only
"""`-m connlimit`: how many connections a network has.

Source: net/netfilter/xt_connlimit.c, nf_conncount.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.conntrack.tcp_table import State
from emu.kernel.netfilter.conntrack.tcp_window import TcpState

if TYPE_CHECKING:
    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.packet import Packet
    from emu.sim.time import Instant

_CLOSED: Final = frozenset((State.TIME_WAIT, State.CLOSE))


@attrs.frozen
class ConnLimit:
    """More connections than `most` have come from a network, or gone to one.

    Attributes:
        most: how many are not yet too many.
        length: of the network's prefix.
        is_destination: the packets' destination is looked at, instead of the source.
        inverted: there are no more than `most`.
    """

    most: int
    length: int = 32
    is_destination: bool = False
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Count the packet's connection among those this rule has seen, and return whether it is too many.

        Connections of TCP that were closed, and all that were forgotten, no longer count.
        """
        header, connection = packet.skb.header, packet.connection
        address = header.dst if self.is_destination else header.src
        network = int.from_bytes(address, "big") >> (len(address) * 8 - self.length)
        zone = connection.zones[0] if connection is not None else 0
        seen: dict[tuple[int, int], list[Connection]] = packet.memory.setdefault(self, {})
        alive = [
            known
            for known in seen.get((network, zone), ())
            if known is connection or _counts(known, packet.net.now)
        ]
        if connection is not None and connection not in alive:
            alive.append(connection)
        seen[network, zone] = alive
        return (len(alive) + (connection is None) > self.most) is not self.inverted


def _counts(connection: Connection, now: Instant) -> bool:
    if not connection.is_confirmed or connection.status & Status.DYING or connection.expires <= now:
        return False
    tracked = connection.tracker
    return not (isinstance(tracked, TcpState) and tracked.state in _CLOSED)
