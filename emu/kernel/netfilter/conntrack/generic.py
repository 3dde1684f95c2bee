# SPDX-License-Identifier: GPL-2.0-only
"""The tracker of protocols that have none of their own, and of GRE, which merely has timeouts of its own.

A GRE tunnel keeps the timeouts that were set when it began.

Source: net/netfilter/nf_conntrack_proto_generic.c, nf_conntrack_proto_gre.c, Linux 6.18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.kernel.netfilter.conntrack.entry import Status
from emu.kernel.netfilter.conntrack.protocol import Tracked
from emu.kernel.netfilter.conntrack.timeouts import refresh, timeout

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.netfilter.conntrack.entry import Connection, CtInfo
    from emu.kernel.skb import Skb
    from emu.sim.time import Duration

GRE: Final = 47
_CLASHED: Final = Status.UNTRACKED  # see `udp`


class GreState:
    """What is known of a tunnel: its timeouts before and after an answer."""

    __slots__ = ("answered", "unanswered")

    def __init__(self, unanswered: Duration, answered: Duration) -> None:
        self.unanswered = unanswered
        self.answered = answered


def packet(
    net: Namespace,
    skb: Skb,  # noqa: ARG001 - any tracker's signature
    connection: Connection,
    info: CtInfo,  # noqa: ARG001 - the same
    *,
    verify_checksum: bool = False,  # noqa: ARG001 - the same
) -> Tracked:
    """Give `connection` a new lease of life; the arguments are those of `tcp.packet`."""
    if connection.protocol != GRE:
        refresh(net, connection, timeout(net, "net.netfilter.nf_conntrack_generic_timeout"))
        return Tracked.ACCEPT
    state = connection.tracker
    if not isinstance(state, GreState):
        state = connection.tracker = GreState(
            timeout(net, "net.netfilter.nf_conntrack_gre_timeout"),
            timeout(net, "net.netfilter.nf_conntrack_gre_timeout_stream"),
        )
    is_answered = bool(connection.status & Status.SEEN_REPLY)
    refresh(net, connection, state.answered if is_answered else state.unanswered)
    if is_answered and not connection.status & _CLASHED:
        connection.status |= Status.ASSURED
    return Tracked.ACCEPT
