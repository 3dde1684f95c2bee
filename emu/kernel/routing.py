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

import attrs

from emu.kernel import inetdev
from emu.kernel.drops import DropReason
from emu.kernel.fib import Flow, RouteType, Scope
from emu.sim.time import SECOND, Instant, later
from emu.wire.addresses import ANY_IP4, LIMITED_BROADCAST, IpAddress

if TYPE_CHECKING:
    from emu.kernel.fib import Lookup
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.skb import Skb

_MAX_MTU: Final = 65535
_REDIRECT_LIFETIME: Final = 300 * SECOND
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
    """

    kind: RouteType
    device: Device
    next_hop: IpAddress
    gateway: IpAddress | None = None
    src: IpAddress = ANY_IP4
    mtu: int = 0
    redirect: bool = False


class Refusal(NamedTuple):
    """A packet that came in is not routed.

    `error` is the errno that Linux would turn into an ICMP error to the sender
    when it forwards; 0 for packets that are dropped in silence.
    """

    reason: DropReason
    detail: str
    error: int = 0


@attrs.define
class _Learned:
    """What ICMP told about the path to one destination (`struct fib_nh_exception`)."""

    mtu: int = 0
    locked: bool = False
    gateway: IpAddress | None = None
    expires: Instant = Instant(0)


@attrs.define
class PathExceptions:
    """Path MTUs and redirects, by destination; each forgotten after its time."""

    _learned: dict[bytes, _Learned] = attrs.field(factory=dict, init=False)

    def get(self, dst: bytes, now: Instant) -> _Learned | None:
        """Return what is known about the path to `dst` and still valid."""
        found = self._learned.get(dst)
        if found is not None and found.expires <= now:
            del self._learned[dst]
            return None
        return found

    def set_mtu(self, dst: bytes, mtu: int, expires: Instant, *, locked: bool) -> None:
        """Remember that the path to `dst` takes packets of `mtu` octets."""
        entry = self._learned.setdefault(dst, _Learned())
        entry.mtu, entry.locked, entry.expires = mtu, locked, expires

    def set_gateway(self, dst: bytes, gateway: IpAddress, expires: Instant) -> None:
        """Remember that `gateway` is the better way to `dst`."""
        entry = self._learned.setdefault(dst, _Learned())
        entry.gateway, entry.expires = gateway, max(entry.expires, expires)

    def clear(self) -> None:
        """Forget everything, as a change of routes does."""
        self._learned.clear()


def _is_zeronet(address: bytes) -> bool:
    return address[0] == 0


def _is_multicast(address: bytes) -> bool:
    return address[0] >> 4 == 14


def lookup(net: Namespace, flow: Flow) -> Lookup | None:
    """Return what the tables say about `flow`; None where they say nothing."""
    return net.fib.lookup(flow, net.choice)


def is_own(net: Namespace, address: bytes) -> bool:
    """Return whether `address` is configured on a device of this namespace."""
    return any(address == own.address for device in net.devices.values() for own in device.addresses)


# --- packets that came in ---


def route_input(net: Namespace, skb: Skb, device: Device) -> RouteDecision | Refusal:
    """Return where `skb`, which came in on `device`, goes."""
    src, dst = skb.header.src, skb.header.dst
    if device.is_loopback:
        return _decide(net, lookup(net, Flow(dst=dst, src=src, iif=device.name, mark=skb.mark)), device, dst)
    martian = _martian(net, device, src, dst)
    if martian is not None:
        return martian
    if dst == LIMITED_BROADCAST or (_is_zeronet(src) and _is_zeronet(dst)):
        return _broadcast_input(net, device, src, dst)
    found = lookup(net, Flow(dst=dst, src=src, iif=device.name, mark=skb.mark, tos=skb.header.tos))
    if found is None:
        return _no_route(device, errno.ENETUNREACH)
    if found.type is RouteType.BROADCAST:
        return _broadcast_input(net, device, src, dst)
    if found.type is RouteType.LOCAL:
        refused = validate_source(net, device, src, dst, out=net.loopback)
        return refused if isinstance(refused, Refusal) else _decide(net, found, device, dst)
    if found.type is RouteType.MULTICAST or _is_multicast(dst):
        return RouteDecision(RouteType.MULTICAST, net.loopback, IpAddress(dst))
    if not device.conf["forwarding"]:
        return _no_route(device, errno.EHOSTUNREACH)
    if found.type in _ERRNO:
        return _no_route(device, _ERRNO[found.type])
    return _forward(net, found, skb, device)


def _martian(net: Namespace, device: Device, src: bytes, dst: bytes) -> Refusal | None:
    """Return why addresses like these must not be on a wire, None where they may."""
    if _is_multicast(src) or src == LIMITED_BROADCAST:
        return Refusal(DropReason.IP_INVALID_SOURCE, "the source is a group or broadcast address")
    if dst == LIMITED_BROADCAST or (_is_zeronet(src) and _is_zeronet(dst)):
        return None
    if _is_zeronet(src):
        return Refusal(DropReason.IP_INVALID_SOURCE, "the source is in 0.0.0.0/8")
    if _is_zeronet(dst):
        return Refusal(DropReason.IP_INVALID_DEST, "the destination is in 0.0.0.0/8")
    if 127 in (src[0], dst[0]) and not net.sysctl.conf_or(device.name, "route_localnet"):
        return Refusal(DropReason.IP_LOCALNET, "127.0.0.0/8 came in from outside")
    return None


def _no_route(device: Device, error: int) -> Refusal:
    """Return the refusal for a look-up that ended with `error`. Source: `ip_error`."""
    if not device.conf["forwarding"]:
        if error == errno.EHOSTUNREACH:
            return Refusal(DropReason.IP_INADDRERRORS, "the destination is not ours; ip_forward is 0")
        return Refusal(DropReason.IP_INNOROUTES, "no route; ip_forward is 0")
    if error == errno.ENETUNREACH:
        return Refusal(DropReason.IP_INNOROUTES, "no route", error)
    names = {errno.EINVAL: "blackhole", errno.EHOSTUNREACH: "unreachable", errno.EACCES: "prohibit"}
    # The error's own number goes to the sender, except for a blackhole, which tells nobody.
    return Refusal(DropReason.IP_INNOROUTES, f"{names[error]} route", 0 if error == errno.EINVAL else error)


def _broadcast_input(net: Namespace, device: Device, src: bytes, dst: bytes) -> RouteDecision | Refusal:
    if not _is_zeronet(src):
        refused = validate_source(net, device, src, dst, out=None)
        if isinstance(refused, Refusal):
            return refused
    return RouteDecision(RouteType.BROADCAST, net.loopback, IpAddress(dst))


def _decide(net: Namespace, found: Lookup | None, device: Device, dst: bytes) -> RouteDecision | Refusal:
    if found is None:
        return _no_route(device, errno.ENETUNREACH)
    return RouteDecision(found.type, net.loopback, IpAddress(dst))


def _forward(net: Namespace, found: Lookup, skb: Skb, device: Device) -> RouteDecision | Refusal:
    out = net.devices[found.device]
    on_link = validate_source(net, device, skb.header.src, skb.header.dst, out=out)
    if isinstance(on_link, Refusal):
        return on_link
    gateway = found.gateway
    learned = net.exceptions.get(skb.header.dst, net.now)
    if learned is not None and learned.gateway is not None:
        gateway = learned.gateway
    redirect = (
        out is device
        and on_link
        and (bool(device.conf["shared_media"]) or _is_on_link(device, skb.header.src, gateway))
    )
    next_hop = gateway or IpAddress(skb.header.dst)
    return RouteDecision(found.type, out, next_hop, gateway, mtu=found.mtu, redirect=redirect)


def _is_on_link(device: Device, src: bytes, gateway: IpAddress | None) -> bool:
    """Return whether one subnet of `device` holds the sender and the gateway."""
    return any(
        IpAddress(src) in own.prefix and (gateway is None or gateway in own.prefix)
        for own in device.addresses
    )


def validate_source(
    net: Namespace, device: Device, src: bytes, dst: bytes, *, out: Device | None
) -> bool | Refusal:
    """Return whether the sender is on the link of `device`, or why its address is not believed.

    Args:
        net: the namespace.
        device: where the packet came in.
        src: its source address.
        dst: its destination address.
        out: where it is to go; None for a broadcast.
    """
    mode = net.sysctl.conf_max(device.name, "rp_filter")
    accept_local = net.sysctl.conf_or(device.name, "accept_local")
    if mode == 0 and (out is not device or not net.sysctl.conf_or(device.name, "send_redirects")):
        if not accept_local and not net.fib.has_custom_local_routes and is_own(net, src):
            return Refusal(DropReason.IP_LOCAL_SOURCE, "the source is an address of this host")
        if accept_local or not net.fib.has_custom_local_routes:
            return False
    back = Flow(dst=src, src=dst, iif=out.name if out is not None else "lo")
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
    net: Namespace, dst: bytes, *, src: bytes = ANY_IP4, oif: str = "", mark: int = 0, tos: int = 0
) -> RouteDecision:
    """Return where a packet of this host goes, and the source address it gets.

    Args:
        net: the namespace.
        dst: destination address.
        src: the source the program bound to; `ANY_IP4` to have it chosen.
        oif: the device the program bound to, empty for any.
        mark: the firewall mark.
        tos: the octet of DSCP and ECN.

    Raises:
        OSError: ENETUNREACH without a route; EINVAL for a source that is not
            ours or a blackhole; EHOSTUNREACH, EACCES for routes of that type;
            ENODEV for a device that is not there.
    """
    if src != ANY_IP4 and (_is_multicast(src) or src == LIMITED_BROADCAST or _is_zeronet(src)):
        raise _error(errno.EINVAL)
    if src != ANY_IP4 and not _is_local(net, src):
        raise _error(errno.EINVAL)
    if dst == ANY_IP4:
        dst = src if src != ANY_IP4 else IpAddress(b"\x7f\0\0\1")
        return RouteDecision(RouteType.LOCAL, net.loopback, IpAddress(dst), src=IpAddress(dst))
    bound = _bound_device(net, dst, src, oif)
    if bound is not None and (_is_multicast(dst) or dst == LIMITED_BROADCAST):
        chosen = IpAddress(src) if src != ANY_IP4 else _source(net, bound, dst, Scope.LINK)
        kind = RouteType.MULTICAST if _is_multicast(dst) else RouteType.BROADCAST
        return RouteDecision(kind, bound, IpAddress(dst), src=chosen)
    found = lookup(net, Flow(dst=dst, src=src, iif="lo", oif=oif, mark=mark, tos=tos))
    if found is None:
        if bound is None:
            raise _error(errno.ENETUNREACH)
        chosen = IpAddress(src) if src != ANY_IP4 else _source(net, bound, dst, Scope.LINK)
        return RouteDecision(RouteType.UNICAST, bound, IpAddress(dst), src=chosen)
    if found.type in _ERRNO:
        raise _error(_ERRNO[found.type])
    return _own(net, found, dst, src)


def _own(net: Namespace, found: Lookup, dst: bytes, src: bytes) -> RouteDecision:
    if found.type is RouteType.LOCAL:
        chosen = IpAddress(src) if src != ANY_IP4 else found.prefsrc or IpAddress(dst)
        return RouteDecision(RouteType.LOCAL, net.loopback, IpAddress(dst), src=chosen)
    device = net.devices[found.device]
    if src != ANY_IP4:
        chosen = IpAddress(src)
    elif found.prefsrc is not None:
        chosen = found.prefsrc
    else:
        chosen = _source(net, device, found.gateway or dst, found.route.scope)
    gateway = found.gateway
    learned = net.exceptions.get(dst, net.now)
    if learned is not None and learned.gateway is not None:
        gateway = learned.gateway
    return RouteDecision(found.type, device, gateway or IpAddress(dst), gateway, chosen, found.mtu)


def _source(net: Namespace, device: Device, dst: bytes, scope: Scope) -> IpAddress:
    chosen = inetdev.select_source(net.devices.values(), device, IpAddress(dst), scope)
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


# --- how large a packet may be ---


def path_mtu(net: Namespace, decision: RouteDecision, dst: bytes) -> int:
    """Return the largest packet for the way to `dst` that our own packets may be, octets.

    Source: net/ipv4/route.c `ipv4_mtu`.
    """
    learned = net.exceptions.get(dst, net.now)
    if learned is not None and learned.mtu:
        return learned.mtu
    return min(decision.mtu or decision.device.mtu, _MAX_MTU)


def is_mtu_locked(net: Namespace, dst: bytes) -> bool:
    """Return whether a path is so narrow that DF is no longer set (`ip_rt_min_pmtu`)."""
    learned = net.exceptions.get(dst, net.now)
    return learned is not None and learned.locked


def forward_mtu(decision: RouteDecision) -> int:
    """Return the largest packet that is forwarded: what ICMP told us does not count.

    Source: include/net/ip.h `ip_dst_mtu_maybe_forward`.
    """
    return min(decision.mtu or decision.device.mtu, _MAX_MTU)


def learn_mtu(net: Namespace, dst: bytes, mtu: int) -> None:
    """Remember the MTU that an ICMP *fragmentation needed* reported for `dst`.

    Source: RFC 1191, net/ipv4/route.c `__ip_rt_update_pmtu`.
    """
    try:
        decision = route_output(net, dst)
    except OSError:
        return
    known = path_mtu(net, decision, dst)
    least = net.sysctl.number("net.ipv4.route.min_pmtu")
    locked = mtu < least
    if locked:
        mtu = min(known, least)
    elif mtu >= known:
        return
    lifetime = net.sysctl.number("net.ipv4.route.mtu_expires") * SECOND
    net.exceptions.set_mtu(dst, mtu, later(net.now, lifetime), locked=locked)


def learn_gateway(net: Namespace, dst: bytes, gateway: IpAddress, teller: bytes, device: Device) -> None:
    """Follow an ICMP redirect of `teller`: reach `dst` by `gateway`, if all of it is plausible.

    Source: RFC 1122 §3.2.2.2, net/ipv4/route.c `__ip_do_redirect`.
    """
    forwarding = bool(device.conf["forwarding"])
    accept = net.sysctl.conf_and if forwarding else net.sysctl.conf_or
    if not accept(device.name, "accept_redirects") or _is_multicast(gateway) or _is_zeronet(gateway):
        return
    try:
        decision = route_output(net, dst)
    except OSError:
        return
    if decision.next_hop != teller or gateway == teller or decision.device is not device:
        return
    if not device.conf["shared_media"] and not _is_on_link(device, gateway, None):
        return
    if _is_local(net, gateway):
        return
    if net.neighbours.is_valid(device.name, gateway):
        net.exceptions.set_gateway(dst, gateway, later(net.now, _REDIRECT_LIFETIME))
    else:
        from emu.kernel import arp  # noqa: PLC0415 - arp needs this module's tables

        arp.probe(net, device, gateway)
