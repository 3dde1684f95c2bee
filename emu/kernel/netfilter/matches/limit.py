# SPDX-License-Identifier: GPL-2.0-only
"""`-m limit`: so many packets in a time.

iptables-nft, which is modelled, hands this to nftables' own limiter, which
counts nanoseconds; iptables-legacy would count in ticks of 4 ms and refuses
rates below some per day. Source: iptables/nft.c `add_nft_limit`, net/netfilter/nft_limit.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.sim.time import SECOND

if TYPE_CHECKING:
    from emu.kernel.netfilter.packet import Packet

SCALE: Final = 10_000
"""Units of `period` in a second: also the highest rate a second."""

UNITS: Final = (86_400, 3_600, 60, 1)
"""Seconds of a day, an hour, a minute, a second."""


def rate_of(period: int, scale: int = SCALE) -> tuple[int, int]:
    """Return the rate that a period is printed as: how many, and in how many seconds.

    The largest unit is taken that leaves no remainder to speak of.
    Source: extensions/libxt_limit.c `print_rate`.
    """
    unit = UNITS[0]
    for smaller in UNITS[1:]:
        whole = scale * smaller
        if period > whole or whole // period < whole % period:
            break
        unit = smaller
    return scale * unit // period, unit


@attrs.frozen
class Limit:
    """A bucket of tokens, full at first.

    Attributes:
        period: the time from one token to the next, in units of 1/10000 s.
        burst: how many tokens the bucket holds.
    """

    period: int
    burst: int = 5

    def holds(self, packet: Packet) -> bool:
        """Take a token, and return whether there was one."""
        rate, unit = rate_of(self.period)
        cost = unit * SECOND // rate
        full = cost * self.burst
        now = packet.net.now
        tokens, last = packet.memory.get(self, (full, now))
        tokens = min(tokens + now - last, full)
        enough: bool = tokens >= cost
        packet.memory[self] = (tokens - cost if enough else tokens, now)
        return enough
