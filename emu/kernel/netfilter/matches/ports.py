# SPDX-License-Identifier: GPL-2.0-only
"""A range of ports, as several matches ask for it. Source: net/netfilter/xt_tcpudp.c `port_match`."""

from __future__ import annotations

import attrs


@attrs.frozen
class PortRange:
    """Ports from `low` to `high`, both included; with `inverted` all others."""

    low: int
    high: int
    inverted: bool = False

    def has(self, port: int) -> bool:
        """Return whether `port` is meant."""
        return (self.low <= port <= self.high) is not self.inverted
