# SPDX-License-Identifier: GPL-2.0-only
"""The tracker of ICMP: a question of a type that has an answer begins a connection, known by its identifier.

Source: net/netfilter/nf_conntrack_proto_icmp.c, Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.facts import Invalid
from emu.kernel.netfilter.conntrack.protocol import Tracked
from emu.kernel.netfilter.conntrack.timeouts import refresh, timeout
from emu.wire.checksum import verifies
from emu.wire.icmp import HEADER_LENGTH

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection, CtInfo
    from emu.kernel.skb import Skb

_QUESTIONS: Final = frozenset((8, 13, 15, 17))
"""Echo, timestamp, information and address mask request."""
_HIGHEST_TYPE: Final = 18


def packet(
    net: Namespace,
    skb: Skb,
    connection: Connection,
    info: CtInfo,  # noqa: ARG001 - any tracker's signature
    *,
    verify_checksum: bool = False,  # noqa: ARG001 - `fault` has looked
) -> Tracked:
    """Give `connection` a new lease of life; it is invalid if no question began it.

    The arguments are those of `tcp.packet`; `fault` has found nothing. An answer
    does not end the connection: it may come twice.
    """
    if connection.original.type not in _QUESTIONS:
        net.note(skb, "conntrack", Invalid("it cannot begin a connection"))
        return Tracked.INVALID
    refresh(net, connection, timeout(net, "net.netfilter.nf_conntrack_icmp_timeout"))
    return Tracked.ACCEPT


def fault(net: Namespace, skb: Skb, *, verify_checksum: bool) -> str:  # noqa: ARG001 - as `packet`
    """Return what is wrong with the message in `skb`, empty for nothing.

    Asked before it is known whether the message is an error about a connection.
    Source: `nf_conntrack_icmpv4_error`, RFC 1122 §3.2.2.
    """
    octets = skb.payload
    if len(octets) < HEADER_LENGTH:
        return "short packet"
    if verify_checksum and not verifies(octets):
        return "bad hw icmp checksum"
    if octets[0] > _HIGHEST_TYPE:
        return "invalid icmp type"
    return ""
