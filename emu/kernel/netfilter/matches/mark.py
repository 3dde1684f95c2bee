# SPDX-License-Identifier: GPL-2.0-only
"""`-m mark`: the firewall mark of the packet. Source: net/netfilter/xt_mark.c `mark_mt`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Mark:
    """The mark under `mask` is `value`, or inverted that not. A `value` outside its mask is never met."""

    value: int
    mask: int = 0xFFFFFFFF
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether the packet's mark is meant."""
        return (packet.skb.mark & self.mask == self.value) is not self.inverted
