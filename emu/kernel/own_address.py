# SPDX-License-Identifier: GPL-2.0-only
"""Which of this host's addresses stands for it, as seen by the sender or receiver of a packet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emu.kernel import inetdev, routing
from emu.kernel.fib import Flow, RouteType, Scope
from emu.wire.addresses import ANY_IP4, IpAddress

if TYPE_CHECKING:
    from emu.kernel.fib import Lookup
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.routing import RouteDecision
    from emu.kernel.skb import Skb


def specific_destination(net: Namespace, skb: Skb) -> IpAddress:
    """Return the address under which the sender of `skb` knows this host.

    It is the one that was addressed, if it is ours alone; else the one that a
    packet to the sender would have as its source.

    Source: RFC 1122 §3.2.1.3, net/ipv4/fib_frontend.c `fib_compute_spec_dst`.
    """
    header, decision = skb.header, skb.route
    if decision is not None and decision.kind is RouteType.LOCAL:
        return IpAddress(header.dst)
    device = skb.device or (net.loopback if decision is None else decision.device)
    scope = Scope.LINK
    if header.src != ANY_IP4:
        scope = Scope.GLOBAL
        mark = skb.mark if net.sysctl.conf_or(device.name, "src_valid_mark") else 0
        found = routing.lookup(net, Flow(dst=header.src, mark=mark, tos=header.tos))
        if found is not None and found.nexthop is not None:
            return _preferred(net, found)
    return _select(net, device, IpAddress(header.src), scope)


def outgoing(net: Namespace, skb: Skb, decision: RouteDecision) -> IpAddress:
    """Return the address that a router writes into the options of `skb` as it leaves by `decision`.

    Source: RFC 1812 §5.2.4.1, net/ipv4/route.c `ip_rt_get_source`.
    """
    header, device = skb.header, decision.device
    flow = Flow(header.dst, header.src, iif=skb.iif, oif=device.name, mark=skb.mark, tos=header.tos)
    found = routing.lookup(net, flow)
    if found is not None and found.nexthop is not None:
        return _preferred(net, found)
    return _select(net, device, decision.gateway or IpAddress(header.dst), Scope.GLOBAL)


def _preferred(net: Namespace, found: Lookup) -> IpAddress:
    """Return the source of packets that take a route. Source: `fib_result_prefsrc`."""
    if found.prefsrc is not None:
        return found.prefsrc
    return _select(net, net.devices[found.device], found.gateway, found.route.scope)


def _select(net: Namespace, device: Device, dst: IpAddress | None, scope: Scope) -> IpAddress:
    chosen = inetdev.select_source(net.devices.values(), device, dst, scope)
    return ANY_IP4 if chosen is None else chosen
