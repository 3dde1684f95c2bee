# SPDX-License-Identifier: GPL-2.0-only
"""`-j MARK`: changes the firewall mark of the packet. Source: net/netfilter/xt_mark.c `mark_tg`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.verdict import Verdict


@attrs.frozen
class SetMark:
    """Clear the bits of `mask`, then flip those of `value` (`--set-xmark`): all other forms are this."""

    value: int
    mask: int = 0xFFFFFFFF

    def apply(self, packet: Packet) -> Verdict | None:
        """Change the mark, and go on."""
        packet.skb.mark = (packet.skb.mark & ~self.mask) ^ self.value
        return None
