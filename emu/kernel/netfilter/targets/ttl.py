# SPDX-License-Identifier: GPL-2.0-only
"""`-j TTL`: the time to live. Source: net/netfilter/xt_HL.c `ttl_tg`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.verdict import Verdict


class Change(enum.Enum):
    """What is done with it; the values are those of `IPT_TTL_SET` and so on."""

    SET = 0
    INCREASE = 1
    DECREASE = 2


@attrs.frozen
class ChangeTtl:
    """Set the TTL, or change it by `value`, between 0 and 255."""

    change: Change
    value: int

    def apply(self, packet: Packet) -> Verdict | None:
        """Change it, and go on."""
        skb = packet.skb
        old = skb.header.ttl
        new = self.value
        if self.change is Change.INCREASE:
            new = min(255, old + self.value)
        elif self.change is Change.DECREASE:
            new = max(0, old - self.value)
        if new != old:
            skb.rewrite_network(8, bytes((new, skb.header.protocol)))
            if packet.net.recorder is not None:
                packet.net.note(skb, "ttl", f"TTL {old} becomes {new}")
        return None
