# SPDX-License-Identifier: GPL-2.0-only
"""`-m ttl`: the time to live. Source: net/netfilter/xt_hl.c `ttl_mt`."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet


class Comparison(enum.Enum):
    """How it is compared; the values are those of `IPT_TTL_EQ` and so on."""

    EQUAL = 0
    NOT_EQUAL = 1
    LESS = 2
    GREATER = 3


@attrs.frozen
class Ttl:
    """The TTL compared with `value`."""

    comparison: Comparison
    value: int

    def holds(self, packet: Packet) -> bool:
        """Return whether the comparison is true."""
        ttl = packet.skb.header.ttl
        if self.comparison is Comparison.LESS:
            return ttl < self.value
        if self.comparison is Comparison.GREATER:
            return ttl > self.value
        return (ttl == self.value) is (self.comparison is Comparison.EQUAL)
