# SPDX-License-Identifier: GPL-2.0-only
"""Where a packet goes: the routing decision, for packets that came in and for our own.

The tables are in `emu.kernel.fib`; here is what Linux asks around them: which
addresses may not be on a wire at all, whether the source is believable (reverse
path filter), which source address our own packets get, how large a packet the
path takes.

Source: net/ipv4/route.c `ip_route_input_slow`, `ip_route_output_key_hash_rcu`,
net/ipv4/fib_frontend.c `fib_validate_source`; RFC 1812 §5.3.7 (martians).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from emu.kernel import inetdev
from emu.kernel.drops import DropReason
from emu.kernel.fib import Flow, RouteType, Scope
from emu.wire.addresses import ANY_IP4, LIMITED_BROADCAST, IpAddress

if TYPE_CHECKING:
    from emu.kernel.fib import Lookup
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.route import Nexthop, Route
    from emu.kernel.skb import Skb

_ALL_HOSTS: Final = b"\xe0\x00\x00\x01"  # 224.0.0.1, the one group that every host is in
_CACHE_SIZE: Final = 4096
_ERRNO: Final = {
    RouteType.BLACKHOLE: errno.EINVAL,
    RouteType.UNREACHABLE: errno.EHOSTUNREACH,
    RouteType.PROHIBIT: errno.EACCES,
}


class RouteDecision(NamedTuple):
    """Where a packet goes.

    Attributes:
        kind: `UNICAST` (on to `next_hop`), `LOCAL`, `BROADCAST` or `MULTICAST`.
        device: it leaves by this device; for `LOCAL` the loopback.
        next_hop: whose MAC address it gets: the gateway, or the destination.
        gateway: the gateway, None where the destination is on the link.
        src: the source address our own packets get.
        mtu: of the route if it has one, else 0.
        redirect: the sender could have sent it to `next_hop` itself.
        route: what was found in the tables, None where they were not asked.
        hop: the nexthop of the route that was taken, before ICMP told of a better gateway.
    """

    kind: RouteType
    device: Device
    next_hop: IpAddress
    gateway: IpAddress | None = None
    src: IpAddress = ANY_IP4
    mtu: int = 0
    redirect: bool = False
    route: Route | None = None
    hop: Nexthop | None = None


class Refusal(NamedTuple):
    """A packet that came in is not routed.

    `error` is the errno that Linux would turn into an ICMP error to the sender
    when it forwards; 0 for packets that are dropped in silence.
    """

    reason: DropReason
    detail: str
    error: int = 0

    @property
    def is_error_route(self) -> bool:
        """Whether Linux counts it as routed, to `ip_error`: then its IP options are read all the same."""
        return self.reason in (DropReason.IP_INNOROUTES, DropReason.IP_INADDRERRORS)


def _is_multicast(address: bytes) -> bool:
    return address[0] >> 4 == 14


def lookup(net: Namespace, flow: Flow) -> Lookup | None:
    """Return what the tables say about `flow`; None where they say nothing."""
    return net.fib.lookup(flow, net.choice)


# --- packets that came in ---


def route_input(net: Namespace, skb: Skb, device: Device) -> RouteDecision | Refusal:
    """Return where `skb`, which came in on `device`, goes."""
    if net.exceptions:  # what ICMP taught ends by itself, without a new generation
        return _route_input(net, skb, device)
    header = skb.header
    cache = net.route_cache
    generation = net.fib.generation + net.sysctl.generation  # neither ever falls
    if cache.generation != generation or len(cache.decisions) > _CACHE_SIZE:
        cache.decisions.clear()
        cache.generation = generation
    key = (device.name, header.src, header.dst, header.tos, skb.mark)
    decision = cache.decisions.get(key)
    if decision is None:
        decision = cache.decisions[key] = _route_input(net, skb, device)
    return decision


def _route_input(net: Namespace, skb: Skb, device: Device) -> RouteDecision | Refusal:
    src, dst = skb.header.src, skb.header.dst
    if _is_multicast(dst):
        return _multicast_input(net, device, skb)
    flow = Flow(dst=dst, src=src, iif=device.name, mark=skb.mark, tos=skb.header.tos)
    if device.is_loopback:
        found = lookup(net, flow)
        if found is None:
            return _no_route(device, errno.ENETUNREACH)
        return _here(net, found.type, dst, found.route)
    martian = _martian(net, device, src, dst)
    if martian is not None:
        return martian
    if dst == LIMITED_BROADCAST or src == dst == ANY_IP4:
        return _broadcast_input(net, device, skb)
    found = lookup(net, flow)
    if found is None:
        return _no_route(device, errno.ENETUNREACH)
    if found.type is RouteType.BROADCAST and not net.sysctl.conf_and(device.name, "bc_forwarding"):
        return _broadcast_input(net, device, skb)
    if found.type is RouteType.LOCAL:
        refused = validate_source(net, device, skb, out=net.loopback)
        return refused if isinstance(refused, Refusal) else _here(net, RouteType.LOCAL, dst, found.route)
    if not device.conf["forwarding"]:
        return _no_route(device, errno.EHOSTUNREACH)
    if found.type in _ERRNO:
        return _no_route(device, _ERRNO[found.type])
    return _forward(net, found, skb, device)


def _here(net: Namespace, kind: RouteType, dst: bytes, route: Route | None = None) -> RouteDecision:
    return RouteDecision(kind, net.loopback, IpAddress(dst), route=route)


def _multicast_input(net: Namespace, device: Device, skb: Skb) -> RouteDecision | Refusal:
    """Take what is for all hosts; no other group is ever joined. Source: `ip_route_input_mc`."""
    src, dst = skb.header.src, skb.header.dst
    if dst != _ALL_HOSTS:
        return Refusal(DropReason.NOT_SPECIFIED, f"nobody here is in the group {IpAddress(dst)}")
    if _is_multicast(src) or src == LIMITED_BROADCAST:
        return Refusal(DropReason.IP_INVALID_SOURCE, "the source is a group or broadcast address")
    if src[0] == 127 and not net.sysctl.conf_or(device.name, "route_localnet"):
        return Refusal(DropReason.IP_LOCALNET, "127.0.0.0/8 came in from outside")
    refused = False if src == ANY_IP4 else validate_source(net, device, skb, out=None)
    return refused if isinstance(refused, Refusal) else _here(net, RouteType.MULTICAST, dst)


def _martian(net: Namespace, device: Device, src: bytes, dst: bytes) -> Refusal | None:
    """Return why addresses like these must not be on a wire, None where they may."""
    if _is_multicast(src) or src == LIMITED_BROADCAST:
        return Refusal(DropReason.IP_INVALID_SOURCE, "the source is a group or broadcast address")
    if dst == LIMITED_BROADCAST or src == dst == ANY_IP4:
        return None
    if src == ANY_IP4:
        return Refusal(DropReason.IP_INVALID_SOURCE, "the source is 0.0.0.0")
    if dst == ANY_IP4:
        return Refusal(DropReason.IP_INVALID_DEST, "the destination is 0.0.0.0")
    if 127 in (src[0], dst[0]) and not net.sysctl.conf_or(device.name, "route_localnet"):
        return Refusal(DropReason.IP_LOCALNET, "127.0.0.0/8 came in from outside")
    return None


def _no_route(device: Device, error: int) -> Refusal:
    """Return the refusal for a look-up that ended with `error`. Source: `ip_error`."""
    if not device.conf["forwarding"]:  # whatever the tables say
        return Refusal(DropReason.IP_INADDRERRORS, "the destination is not ours; ip_forward is 0")
    if error == errno.ENETUNREACH:
        return Refusal(DropReason.IP_INNOROUTES, "no route", error)
    names = {errno.EINVAL: "blackhole", errno.EHOSTUNREACH: "unreachable", errno.EACCES: "prohibit"}
    # The error's own number goes to the sender, except for a blackhole, which tells nobody.
    return Refusal(DropReason.IP_INNOROUTES, f"{names[error]} route", 0 if error == errno.EINVAL else error)


def _broadcast_input(net: Namespace, device: Device, skb: Skb) -> RouteDecision | Refusal:
    if skb.header.src != ANY_IP4:
        refused = validate_source(net, device, skb, out=None)
        if isinstance(refused, Refusal):
            return refused
    return _here(net, RouteType.BROADCAST, skb.header.dst)


def _forward(net: Namespace, found: Lookup, skb: Skb, device: Device) -> RouteDecision | Refusal:
    out = net.devices[found.device]
    on_link = validate_source(net, device, skb, out=out)
    if isinstance(on_link, Refusal):
        return on_link
    gateway = found.gateway
    learned = net.exceptions.get(skb.header.dst, found.nexthop, net.now)
    if learned is not None and learned.gateway is not None:
        gateway = learned.gateway
    redirect = (
        out is device
        and on_link
        and (bool(device.conf["shared_media"]) or _is_on_link(device, skb.header.src, gateway))
    )
    next_hop = gateway or IpAddress(skb.header.dst)
    return RouteDecision(
        found.type,
        out,
        next_hop,
        gateway,
        mtu=found.mtu,
        redirect=redirect,
        route=found.route,
        hop=found.nexthop,
    )


def _is_on_link(device: Device, src: bytes, gateway: IpAddress | None) -> bool:
    """Return whether one subnet of `device` holds the sender and the gateway."""
    return any(
        IpAddress(src) in own.prefix and (gateway is None or gateway in own.prefix)
        for own in device.addresses
    )


def validate_source(net: Namespace, device: Device, skb: Skb, *, out: Device | None) -> bool | Refusal:
    """Return whether the sender is on the link of `device`, or why its address is not believed.

    Args:
        net: the namespace.
        device: where the packet came in.
        skb: the packet.
        out: where it is to go; None for a broadcast.
    """
    header = skb.header
    mode = net.sysctl.conf_max(device.name, "rp_filter")
    accept_local = net.sysctl.conf_or(device.name, "accept_local")
    if mode == 0 and (out is not device or not net.sysctl.conf_or(device.name, "send_redirects")):
        is_custom = net.fib.has_custom_local_routes
        if not accept_local and not is_custom and net.route_cache.is_own(net, header.src):
            return Refusal(DropReason.IP_LOCAL_SOURCE, "the source is an address of this host")
        if accept_local or not is_custom:
            return False
    back = Flow(
        dst=header.src,
        src=header.dst,
        iif=out.name if out is not None else "lo",
        mark=skb.mark if net.sysctl.conf_or(device.name, "src_valid_mark") else 0,
        tos=header.tos,
    )
    return _check_reverse_path(net, device, back, mode, accept_local=accept_local)


def _check_reverse_path(
    net: Namespace, device: Device, flow: Flow, mode: int, *, accept_local: bool
) -> bool | Refusal:
    """Look up the way `flow` back to the source. Source: `__fib_validate_source`."""
    mistrust = Refusal(DropReason.IP_RPFILTER, f"rp_filter {mode}: the way back is not by {device.name}")
    found = lookup(net, flow)
    if found is None or found.type in _ERRNO:
        return mistrust if mode else False
    if found.type is not RouteType.UNICAST and not (found.type is RouteType.LOCAL and accept_local):
        if found.type is RouteType.LOCAL:
            return Refusal(DropReason.IP_LOCAL_SOURCE, "the source is an address of this host")
        return Refusal(DropReason.IP_INVALID_SOURCE, "the source is no unicast address")
    if any(hop.device == device.name for hop in found.route.nexthops):
        return found.gateway is None
    if not device.addresses:
        return mistrust if mode else False
    if mode == 1:
        return mistrust
    back = lookup(net, flow._replace(oif=device.name))
    return back is not None and back.type is RouteType.UNICAST and back.gateway is None


# --- packets of our own ---


def route_output(
    net: Namespace,
    dst: bytes,
    *,
    src: bytes = ANY_IP4,
    any_source: bool = False,
    oif: str = "",
    mark: int = 0,
    tos: int = 0,
) -> RouteDecision:
    """Return where a packet of this host goes, and the source address it gets.

    Args:
        net: the namespace.
        dst: destination address.
        src: the source the program bound to; `ANY_IP4` to have it chosen.
        any_source: `src` need not be an address of this host (`FLOWI_FLAG_ANYSRC`).
        oif: the device the program bound to, empty for any.
        mark: the firewall mark.
        tos: the octet of DSCP and ECN.

    Raises:
        OSError: ENETUNREACH without a route, or for a source that is not ours;
            EINVAL for a source that is a group, or a blackhole; EHOSTUNREACH, EACCES for routes of that type;
            ENODEV for a device that is not there.
    """
    if _is_multicast(src) or src == LIMITED_BROADCAST:
        raise _error(errno.EINVAL)
    if src != ANY_IP4 and not any_source and not _is_local(net, src):
        raise _error(errno.ENETUNREACH)
    if dst == ANY_IP4:
        dst = src if src != ANY_IP4 else IpAddress(b"\x7f\0\0\1")
        return RouteDecision(RouteType.LOCAL, net.loopback, IpAddress(dst), src=IpAddress(dst))
    bound = _bound_device(net, dst, src, oif)
    if bound is not None and (_is_multicast(dst) or dst == LIMITED_BROADCAST):
        chosen = IpAddress(src) if src != ANY_IP4 else _source(net, bound, None, Scope.LINK)
        kind = RouteType.MULTICAST if _is_multicast(dst) else RouteType.BROADCAST
        return RouteDecision(kind, bound, IpAddress(dst), src=chosen)
    found = lookup(net, Flow(dst=dst, src=src, iif="lo", oif=oif, mark=mark, tos=tos))
    if found is None:
        if bound is None:
            raise _error(errno.ENETUNREACH)
        chosen = IpAddress(src) if src != ANY_IP4 else _source(net, bound, None, Scope.LINK)
        return RouteDecision(RouteType.UNICAST, bound, IpAddress(dst), src=chosen)
    if found.type in _ERRNO:
        raise _error(_ERRNO[found.type])
    return _own(net, found, dst, src)


def _own(net: Namespace, found: Lookup, dst: bytes, src: bytes) -> RouteDecision:
    """Return the decision for a packet of this host. Source: `__mkroute_output`."""
    if found.type is RouteType.LOCAL:
        chosen = IpAddress(src) if src != ANY_IP4 else found.prefsrc or IpAddress(dst)
        return RouteDecision(RouteType.LOCAL, net.loopback, IpAddress(dst), src=chosen, route=found.route)
    device = net.devices[found.device]
    if src != ANY_IP4:
        chosen = IpAddress(src)
    elif found.prefsrc is not None:
        chosen = found.prefsrc
    else:
        chosen = _source(net, device, found.gateway, found.route.scope)
    if chosen[0] == 127 and not device.is_loopback and not net.sysctl.conf_or(device.name, "route_localnet"):
        raise _error(errno.EINVAL)
    if dst == LIMITED_BROADCAST:
        return RouteDecision(RouteType.BROADCAST, device, IpAddress(dst), src=chosen, route=found.route)
    if _is_multicast(dst) and found.route.dst.length < 4:  # a default route tells the device, not the gateway
        return RouteDecision(RouteType.MULTICAST, device, IpAddress(dst), src=chosen, route=found.route)
    gateway = found.gateway
    learned = net.exceptions.get(dst, found.nexthop, net.now)
    if learned is not None and learned.gateway is not None:
        gateway = learned.gateway
    kind = RouteType.MULTICAST if _is_multicast(dst) else found.type
    next_hop = gateway or IpAddress(dst)
    return RouteDecision(
        kind, device, next_hop, gateway, chosen, found.mtu, route=found.route, hop=found.nexthop
    )


def _source(net: Namespace, device: Device, gateway: IpAddress | None, scope: Scope) -> IpAddress:
    chosen = inetdev.select_source(net.devices.values(), device, gateway, scope)
    return chosen if chosen is not None else ANY_IP4


def _bound_device(net: Namespace, dst: bytes, src: bytes, oif: str) -> Device | None:
    if oif:
        device = net.devices.get(oif)
        if device is None:
            raise _error(errno.ENODEV)
        if not device.up:
            raise _error(errno.ENETUNREACH)
        return device
    if src != ANY_IP4 and (_is_multicast(dst) or dst == LIMITED_BROADCAST):
        for device in net.devices.values():
            if any(own.address == src for own in device.addresses):
                return device
    return None


def _is_local(net: Namespace, address: bytes) -> bool:
    return net.fib.address_type(address) is RouteType.LOCAL


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
