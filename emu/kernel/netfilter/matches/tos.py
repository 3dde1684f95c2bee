# SPDX-License-Identifier: GPL-2.0-only
"""`-m tos` and `-m dscp`: the octet of DSCP and ECN. Source: net/netfilter/xt_dscp.c."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


@attrs.frozen
class Tos:
    """`-m tos`: the bits of `mask` in the octet are `value`."""

    value: int
    mask: int = 0xFF
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether they are, or are not."""
        return (packet.skb.header.tos & self.mask == self.value) is not self.inverted


@attrs.frozen
class Dscp:
    """`-m dscp`: the upper six bits of the octet are `value`."""

    value: int
    inverted: bool = False

    def holds(self, packet: Packet) -> bool:
        """Return whether they are, or are not."""
        return (packet.skb.header.tos >> 2 == self.value) is not self.inverted
