# SPDX-License-Identifier: GPL-2.0-only
"""`-m mac`: the source address of the frame. Source: net/netfilter/xt_mac.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class SourceMac:
    """The frame came from `address`."""

    address: bytes
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether it did, or did not; a packet that came by no Ethernet device fails both."""
        device, src = packet.skb.device, packet.skb.src_mac
        if device is None or device.is_loopback or not src:
            return False
        return (src == self.address) is not self.inverted
