# SPDX-License-Identifier: GPL-2.0-only
"""The outer packet of a tunnel, on its way out.

Source: net/ipv4/ip_tunnel_core.c `iptunnel_xmit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel import ipv4, routing
from emu.kernel.drops import DropReason
from emu.kernel.skb import Skb, mark_of
from emu.wire import ipv4 as wire_ipv4

if TYPE_CHECKING:
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import RouteDecision
    from emu.wire.frame import Frame


def output(
    net: Namespace,
    *,
    src: bytes,
    dst: bytes,
    device: str,
    payload: bytes,
    protocol: int,
    ttl: int,
    tos: int,
    df: bool,
    inner: Frame,
) -> None:
    """Send the outer packet; it keeps the id, trail and mark of the frame inside.

    Args:
        net: the namespace.
        src: outer source address.
        dst: outer destination address.
        device: name of the underlying device, empty for any.
        payload: the outer transport header and what follows.
        protocol: number of what `payload` is.
        ttl: 0 for `net.ipv4.ip_default_ttl`.
        tos: of the outer header.
        df: set DF.
        inner: the frame that is carried.
    """
    try:
        decision = routing.route_output(net, dst, src=src, oif=device, mark=mark_of(inner))
    except OSError as error:
        net.drop(inner, DropReason.IP_OUTNOROUTES, f"outer destination: {error.strerror}", device)
        return
    send(
        net,
        decision,
        src=src,
        dst=dst,
        payload=payload,
        protocol=protocol,
        ttl=ttl,
        tos=tos,
        df=df,
        inner=inner,
    )


def send(
    net: Namespace,
    decision: RouteDecision,
    *,
    src: bytes,
    dst: bytes,
    payload: bytes,
    protocol: int,
    ttl: int,
    tos: int,
    df: bool,
    inner: Frame,
) -> None:
    """Send the outer packet by a route that is known; see `output`."""
    packet = wire_ipv4.build(
        protocol,
        src,
        dst,
        payload,
        ttl=ttl or net.sysctl.number("net.ipv4.ip_default_ttl"),
        tos=tos,
        identification=net.next_identification(),
        fragment=wire_ipv4.DF if df else 0,
    )
    skb = Skb(packet, inner.packet_id, inner.trail)
    skb.route = decision
    skb.ignore_df = not df
    skb.mark = mark_of(inner)
    ipv4.walk(net, skb, ipv4.local_out)
