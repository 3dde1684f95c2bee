# SPDX-License-Identifier: GPL-2.0-only
"""The outer packet of a tunnel, on its way out.

Source: net/ipv4/ip_tunnel_core.c `iptunnel_xmit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from emu.kernel import ipv4, routing
from emu.kernel.drops import DropReason
from emu.kernel.skb import Skb, mark_of
from emu.wire import ipv4 as wire_ipv4

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import RouteDecision
    from emu.wire.frame import Frame


class Outer(NamedTuple):
    """What the outer packet is to say.

    Attributes:
        src: source address.
        dst: destination address.
        protocol: number of what `payload` is.
        payload: the transport header and what follows.
        ttl: 0 for `net.ipv4.ip_default_ttl`.
        tos: type of service.
        df: set DF.
    """

    src: bytes
    dst: bytes
    protocol: int
    payload: bytes
    ttl: int
    tos: int
    df: bool


def output(net: Namespace, outer: Outer, inner: Frame, *, device: str) -> None:
    """Send the outer packet; it keeps the id, trail and mark of the frame `inner`.

    Args:
        net: the namespace.
        outer: the packet.
        inner: the frame that is carried.
        device: name of the underlying device, empty for any.
    """
    try:
        decision = routing.route_output(net, outer.dst, src=outer.src, oif=device, mark=mark_of(inner))
    except OSError as error:
        net.drop(inner, DropReason.IP_OUTNOROUTES, f"outer destination: {error.strerror}", device)
        return
    send(net, decision, outer, inner)


def send(net: Namespace, decision: RouteDecision, outer: Outer, inner: Frame) -> None:
    """Send the outer packet by a route that is known; see `output`."""
    packet = wire_ipv4.build(
        outer.protocol,
        outer.src,
        outer.dst,
        outer.payload,
        ttl=outer.ttl or net.sysctl.number("net.ipv4.ip_default_ttl"),
        tos=outer.tos,
        identification=net.next_identification(),
        fragment=wire_ipv4.DF if outer.df else 0,
    )
    skb = Skb(packet, inner.packet_id, inner.trail)
    skb.route = decision
    skb.ignore_df = not outer.df
    skb.mark = mark_of(inner)
    ipv4.walk(net, skb, ipv4.local_out)
