# SPDX-License-Identifier: GPL-2.0-only
"""Where the fields of headers are. Source: nftables, `nft describe`; RFC 791, 792, 768, 9293, 9260."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel.netfilter.nftables import datatypes as of
from emu.kernel.netfilter.nftables.datatypes import integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from emu.kernel.netfilter.nftables.datatypes import DataType


class Base(enum.Enum):
    """The header that an offset is counted from; the value is what `@` calls it."""

    LINK = "ll"
    NETWORK = "nh"
    TRANSPORT = "th"


class Field(NamedTuple):
    """A field: from `offset` on, both counted in bits from the most significant."""

    base: Base
    offset: int
    bits: int
    type: DataType


TRANSPORT: Final[Mapping[str, int]] = {
    "icmp": 1,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "icmpv6": 58,
    "sctp": 132,
    "udplite": 136,
}
"""The protocols above IP that have fields, by their numbers there."""

_LAYOUT: Final[Mapping[str, tuple[tuple[str, int, int, DataType], ...]]] = {
    "ip": (
        ("version", 0, 4, integer(4)),
        ("hdrlength", 4, 4, integer(4)),
        ("dscp", 8, 6, of.DSCP),
        ("ecn", 14, 2, of.ECN),
        ("length", 16, 16, integer(16)),
        ("id", 32, 16, integer(16)),
        ("frag-off", 48, 16, integer(16)),
        ("ttl", 64, 8, integer(8)),
        ("protocol", 72, 8, of.INET_PROTO),
        ("checksum", 80, 16, integer(16)),
        ("saddr", 96, 32, of.IPV4_ADDR),
        ("daddr", 128, 32, of.IPV4_ADDR),
    ),
    "ip6": (
        ("version", 0, 4, integer(4)),
        ("dscp", 4, 6, of.DSCP),
        ("ecn", 10, 2, of.ECN),
        ("flowlabel", 12, 20, integer(20)),
        ("length", 32, 16, integer(16)),
        ("nexthdr", 48, 8, of.INET_PROTO),
        ("hoplimit", 56, 8, integer(8)),
        ("saddr", 64, 128, of.IPV6_ADDR),
        ("daddr", 192, 128, of.IPV6_ADDR),
    ),
    "icmp": (
        ("type", 0, 8, of.ICMP_TYPE),
        ("code", 8, 8, of.ICMP_CODE),
        ("checksum", 16, 16, integer(16)),
        ("id", 32, 16, integer(16)),
        ("sequence", 48, 16, integer(16)),
        ("gateway", 32, 32, integer(32)),
        ("mtu", 48, 16, integer(16)),
    ),
    "icmpv6": (
        ("type", 0, 8, of.ICMPV6_TYPE),
        ("code", 8, 8, of.ICMPV6_CODE),
        ("checksum", 16, 16, integer(16)),
    ),
    "tcp": (
        ("sport", 0, 16, of.INET_SERVICE),
        ("dport", 16, 16, of.INET_SERVICE),
        ("sequence", 32, 32, integer(32)),
        ("ackseq", 64, 32, integer(32)),
        ("doff", 96, 4, integer(4)),
        ("reserved", 100, 4, integer(4)),
        ("flags", 104, 8, of.TCP_FLAG),
        ("window", 112, 16, integer(16)),
        ("checksum", 128, 16, integer(16)),
        ("urgptr", 144, 16, integer(16)),
    ),
    "udp": (
        ("sport", 0, 16, of.INET_SERVICE),
        ("dport", 16, 16, of.INET_SERVICE),
        ("length", 32, 16, integer(16)),
        ("checksum", 48, 16, integer(16)),
    ),
    "udplite": (
        ("sport", 0, 16, of.INET_SERVICE),
        ("dport", 16, 16, of.INET_SERVICE),
        ("checksum", 48, 16, integer(16)),
    ),
    "sctp": (
        ("sport", 0, 16, of.INET_SERVICE),
        ("dport", 16, 16, of.INET_SERVICE),
        ("vtag", 32, 32, integer(32)),
        ("checksum", 64, 32, integer(32)),
    ),
    "dccp": (
        ("sport", 0, 16, of.INET_SERVICE),
        ("dport", 16, 16, of.INET_SERVICE),
    ),
    "th": (
        ("sport", 0, 16, of.INET_SERVICE),
        ("dport", 16, 16, of.INET_SERVICE),
    ),
}
_NETWORK: Final = ("ip", "ip6")

FIELDS: Final[Mapping[str, Mapping[str, Field]]] = {
    protocol: {
        name: Field(Base.NETWORK if protocol in _NETWORK else Base.TRANSPORT, offset, bits, datatype)
        for name, offset, bits, datatype in layout
    }
    for protocol, layout in _LAYOUT.items()
}
"""The fields by protocol and name; `th` is any protocol with ports."""

UNMODELLED_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "ip": frozenset(("option", "options")),
    "icmp": frozenset(("param-problem", "max-delay")),
    "icmpv6": frozenset(("id", "sequence", "mtu", "max-delay", "param-problem")),
    "tcp": frozenset(("options",)),
    "udplite": frozenset(("csumcov",)),
    "sctp": frozenset(("chunk",)),
    "dccp": frozenset(("type",)),
}
"""Fields that Linux knows and emu does not."""
