# SPDX-License-Identifier: GPL-2.0-only
"""`-j TOS` and `-j DSCP`: the octet of DSCP and ECN. Source: net/netfilter/xt_DSCP.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet
    from emu.kernel.netfilter.verdict import Verdict


@attrs.frozen
class SetTos:
    """`-j TOS`: clear the bits of `mask`, then flip those of `value`."""

    value: int
    mask: int = 0xFF

    def apply(self, packet: Packet) -> Verdict | None:
        """Change the octet, and go on."""
        _change(packet, packet.skb.header.tos & ~self.mask & 0xFF ^ self.value)
        return None


@attrs.frozen
class SetDscp:
    """`-j DSCP`: `value` becomes the upper six bits."""

    value: int

    def apply(self, packet: Packet) -> Verdict | None:
        """Change the octet, and go on."""
        _change(packet, packet.skb.header.tos & 3 | self.value << 2)
        return None


def _change(packet: Packet, tos: int) -> None:
    skb = packet.skb
    old = skb.header.tos
    if tos == old:
        return
    skb.rewrite_network(0, bytes((skb.header.version_ihl, tos)))
    if packet.net.recorder is not None:
        packet.net.note(skb, "tos", f"TOS 0x{old:02x} becomes 0x{tos:02x}")
