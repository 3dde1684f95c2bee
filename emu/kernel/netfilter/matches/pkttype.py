# SPDX-License-Identifier: GPL-2.0-only
"""`-m pkttype`: whom the link layer addressed. Source: net/netfilter/xt_pkttype.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.skb import PacketType


@attrs.frozen
class LinkType:
    """The frame was for `type`; a packet of this host counts as one for this host."""

    type: PacketType
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether it was, or was not."""
        return (packet.skb.packet_type is self.type) is not self.inverted
