# SPDX-License-Identifier: GPL-2.0-only
"""What the parts of a connection are called.

Source: libnetfilter_conntrack 1.0.9, src/conntrack/proto.c, snprintf_default.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.conntrack.sctp import SctpState
from emu.kernel.netfilter.conntrack.tcp_window import TcpState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from emu.kernel.netfilter.conntrack.entry import Connection
    from emu.kernel.netfilter.conntrack.tuples import Tuple

UNKNOWN: Final = "unknown"
PROTOCOLS: Final[Mapping[int, str]] = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    47: "gre",
    58: "icmpv6",
    132: "sctp",
    136: "udplite",
}
ICMP: Final = 1
GRE: Final = 47
WITH_PORTS: Final = frozenset((6, 17, 33, 132, 136))
UNREPLIED: Final = "UNREPLIED"
ASSURED: Final = "ASSURED"


def protocol(number: int) -> str:
    """Return the name of an IP protocol, `unknown` for most."""
    return PROTOCOLS.get(number, UNKNOWN)


def state(connection: Connection) -> str:
    """Return the state of a protocol that has states, else nothing."""
    tracked = connection.tracker
    return tracked.name if isinstance(tracked, TcpState | SctpState) else ""


def flags(connection: Connection) -> list[str]:
    """Return what is printed in brackets."""
    found = [] if connection.status & Status.SEEN_REPLY else [UNREPLIED]
    return [*found, ASSURED] if connection.status & Status.ASSURED else found


def identification(tuple_: Tuple) -> Iterator[tuple[str, int]]:
    """Yield what tells a tuple from others of the same addresses and protocol, by name."""
    if tuple_.protocol in WITH_PORTS:
        yield "sport", tuple_.sport
        yield "dport", tuple_.dport
    elif tuple_.protocol == ICMP:
        yield "type", tuple_.type
        yield "code", tuple_.code
        yield "id", tuple_.sport
    elif tuple_.protocol == GRE:
        yield "srckey", tuple_.sport
        yield "dstkey", tuple_.dport
