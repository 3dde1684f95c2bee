# SPDX-License-Identifier: GPL-2.0-only
"""What a connection is known by: one tuple in each direction.

Source: include/net/netfilter/nf_conntrack_tuple.h.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ICMP: Final = 1

INVERSE_ICMP: Final = {0: 8, 8: 0, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
"""The ICMP types that answer each other: only these make connections (RFC 792)."""


class Tuple(NamedTuple):
    """Source and destination of one direction.

    Addresses are octets. For TCP, UDP, SCTP, DCCP and UDP-Lite the ports are
    ports; for ICMP `sport` is the identifier and `dport` is `type << 8 | code`;
    for other protocols both are 0.
    """

    src: bytes
    dst: bytes
    protocol: int
    sport: int = 0
    dport: int = 0

    @property
    def type(self) -> int:
        """The ICMP type."""
        return self.dport >> 8

    @property
    def code(self) -> int:
        """The ICMP code."""
        return self.dport & 0xFF

    def invert(self) -> Tuple:
        """Return the tuple of an answer; of an ICMP type that has none, the tuple itself turned round."""
        if self.protocol != ICMP:
            return Tuple(self.dst, self.src, self.protocol, self.dport, self.sport)
        kind = INVERSE_ICMP.get(self.dport >> 8, self.dport >> 8)
        return Tuple(self.dst, self.src, ICMP, self.sport, kind << 8 | self.dport & 0xFF)
