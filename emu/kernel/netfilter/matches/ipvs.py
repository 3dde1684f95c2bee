# SPDX-License-Identifier: GPL-2.0-only
"""`-m ipvs`: packets that IPVS has sent on or translated back. Source: net/netfilter/xt_ipvs.c."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kernel.netfilter.conntrack.entry import Direction
from emu.kernel.netfilter.ipvs.hooks import ends_of

if TYPE_CHECKING:
    from emu.kernel.netfilter.ipvs.connection import Connection
    from emu.kernel.netfilter.packet import Packet


class VirtualAddress(NamedTuple):
    """An address and the bits of it that count."""

    address: bytes
    mask: bytes

    def holds(self, address: bytes) -> bool:
        """Return whether `address` has those bits."""
        mask = int.from_bytes(self.mask, "big")
        return not (int.from_bytes(self.address, "big") ^ int.from_bytes(address, "big")) & mask


@attrs.frozen
class Balanced:
    """A packet towards the destination of a connection, as it looks behind IPVS; None is any.

    Attributes:
        is_balanced: nothing else is asked but whether IPVS has had it.
        protocol: IP protocol number.
        address: of the virtual service.
        port: of the virtual service.
        direction: whether it goes the way of its connection's first packet (`Direction`).
        method: `MASQ`; others are never used here.
        control_port: the port of the service that the client's stay is for.
        inverted: which of these must not be so, by name.
    """

    is_balanced: bool = False
    protocol: int | None = None
    address: VirtualAddress | None = None
    port: int | None = None
    direction: int | None = None
    method: str | None = None
    control_port: int | None = None
    inverted: frozenset[str] = frozenset()

    def holds(self, packet: Packet) -> bool:
        """Return whether all that is asked is so."""
        if self.is_balanced:
            return packet.skb.is_balanced is not ("ipvs" in self.inverted)
        if not packet.skb.is_balanced:
            return False
        if self.protocol is not None and not self._is(packet.skb.header.protocol == self.protocol, "vproto"):
            return False
        ends = ends_of(packet)
        ipvs = packet.net.netfilter.ipvs
        connection = ipvs.connections.find_answer(ends.reverse()) if ends is not None else None
        return connection is not None and self._fits(packet, connection)

    def _fits(self, packet: Packet, connection: Connection) -> bool:
        ends, template = connection.ends, connection.template
        control_port = template.ends.dport if template is not None else None
        return all(
            (
                self.port is None or self._is(ends.dport == self.port, "vport"),
                self.control_port is None or self._is(control_port == self.control_port, "vportctl"),
                self.direction is None or self._goes(packet),
                self.method is None or self._is(self.method == "MASQ", "vmethod"),
                self.address is None or self._is(self.address.holds(ends.dst), "vaddr"),
            )
        )

    def _goes(self, packet: Packet) -> bool:
        skb = packet.skb
        return skb.connection is not None and skb.ctinfo.direction is Direction(self.direction or 0)

    def _is(self, truth: bool, name: str) -> bool:  # noqa: FBT001 - what it is about stands beside it
        return truth is not (name in self.inverted)
