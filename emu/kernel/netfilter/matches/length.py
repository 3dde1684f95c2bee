# SPDX-License-Identifier: GPL-2.0-only
"""`-m length`: the length of the IP packet. Source: net/netfilter/xt_length.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Length:
    """The packet has `least` to `most` octets, its header among them."""

    least: int
    most: int
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether it has, or has not, by the length in its header."""
        return (self.least <= packet.skb.header.total_length <= self.most) is not self.inverted
