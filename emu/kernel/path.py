# SPDX-License-Identifier: GPL-2.0-only
"""What is known about the way to a destination beyond its route: MTUs and better gateways.

Source: RFC 1191, RFC 1122 §3.2.2.2, net/ipv4/route.c (next hop exceptions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.kernel import arp, routing
from emu.kernel.fib import RouteType
from emu.sim.time import SECOND, START, Instant, later
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.kernel.fib import Fib
    from emu.kernel.link.device import Device
    from emu.kernel.namespace import Namespace
    from emu.kernel.route import Nexthop
    from emu.kernel.routing import RouteDecision

_MAX_MTU: Final = 65535
_REDIRECT_LIFETIME: Final = 300 * SECOND


@attrs.define
class Learned:
    """What ICMP told about the path to one destination (`struct fib_nh_exception`)."""

    mtu: int = 0
    locked: bool = False
    gateway: IpAddress | None = None
    expires: Instant = START


@attrs.define
class PathExceptions:
    """Path MTUs and redirects, by destination and nexthop; each forgotten after its time.

    A route that leads elsewhere knows nothing of them, one by the same nexthop
    does. With the last route by a nexthop all about it is forgotten.

    Attributes:
        fib: where the routes are.
    """

    fib: Fib
    _learned: dict[tuple[bytes, Nexthop | None], Learned] = attrs.field(factory=dict, init=False)
    _generation: int = attrs.field(default=0, init=False)

    def __bool__(self) -> bool:
        return bool(self._learned)

    def get(self, dst: bytes, hop: Nexthop | None, now: Instant) -> Learned | None:
        """Return what is known about the path to `dst` by `hop` and still valid."""
        if not self._learned:
            return None
        if self._generation != self.fib.generation:
            self._follow_routes()
        found = self._learned.get((dst, hop))
        if found is not None and found.expires <= now:
            del self._learned[dst, hop]
            return None
        return found

    def _follow_routes(self) -> None:
        """Forget what was learned about nexthops that no route has any more."""
        hops = {hop for route in self.fib.routes() for hop in route.nexthops}
        self._learned = {key: found for key, found in self._learned.items() if key[1] in hops}
        self._generation = self.fib.generation

    def destinations(self, now: Instant) -> list[IpAddress]:
        """Return the destinations about whose path something is known, first learned first."""
        valid = [dst for dst, hop in tuple(self._learned) if self.get(dst, hop, now) is not None]
        return [IpAddress(dst) for dst in dict.fromkeys(valid)]

    def set_mtu(self, dst: bytes, hop: Nexthop | None, mtu: int, expires: Instant, *, locked: bool) -> None:
        """Remember that the path to `dst` by `hop` takes packets of `mtu` octets."""
        entry = self._learned.setdefault((dst, hop), Learned())
        entry.mtu, entry.locked, entry.expires = mtu, locked, expires

    def set_gateway(self, dst: bytes, hop: Nexthop | None, gateway: IpAddress, expires: Instant) -> None:
        """Remember that `gateway` is better than `hop` for packets to `dst`."""
        entry = self._learned.setdefault((dst, hop), Learned())
        entry.gateway, entry.expires = gateway, max(entry.expires, expires)

    def device_mtu_changed(self, device: str, old: int, new: int) -> None:
        """Follow a device whose MTU changed from `old` to `new`. Source: `fib_nhc_update_mtu`."""
        for (_, hop), entry in self._learned.items():
            if hop is None or hop.device != device or not entry.mtu:
                continue
            if entry.locked:
                if new <= entry.mtu:
                    entry.mtu, entry.locked = new, False
            elif new < entry.mtu or old == entry.mtu:
                entry.mtu = new

    def clear(self) -> None:
        """Forget everything, as `ip route flush cache` does."""
        self._learned.clear()


def path_mtu(net: Namespace, decision: RouteDecision, dst: bytes) -> int:
    """Return the largest packet for the way to `dst` that our own packets may be, octets.

    Source: net/ipv4/route.c `ipv4_mtu`.
    """
    found = net.exceptions.get(dst, decision.hop, net.now)
    if found is not None and found.mtu:
        return found.mtu
    return min(decision.mtu or decision.device.mtu, _MAX_MTU)


def is_mtu_locked(net: Namespace, decision: RouteDecision, dst: bytes) -> bool:
    """Return whether a path is so narrow that DF is no longer set (`ip_rt_min_pmtu`)."""
    found = net.exceptions.get(dst, decision.hop, net.now)
    return found is not None and found.locked


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
        decision = routing.route_output(net, dst)
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
    net.exceptions.set_mtu(dst, decision.hop, mtu, later(net.now, lifetime), locked=locked)


def learn_gateway(net: Namespace, dst: bytes, gateway: IpAddress, teller: bytes, device: Device) -> None:
    """Follow an ICMP redirect of `teller`: reach `dst` by `gateway`, if all of it is plausible.

    Source: RFC 1122 §3.2.2.2, net/ipv4/route.c `__ip_do_redirect`.
    """
    forwarding = bool(device.conf["forwarding"])
    accept = net.sysctl.conf_and if forwarding else net.sysctl.conf_or
    if not accept(device.name, "accept_redirects") or gateway.is_multicast or gateway.is_unspecified:
        return
    try:
        decision = routing.route_output(net, dst)
    except OSError:
        return
    if decision.gateway != teller or gateway == teller or decision.device is not device:
        return
    if not device.conf["shared_media"] and not any(gateway in own.prefix for own in device.addresses):
        return
    if net.fib.address_type(gateway) is RouteType.LOCAL:
        return
    if net.neighbours.is_valid(device.name, gateway):
        net.exceptions.set_gateway(dst, decision.hop, gateway, later(net.now, _REDIRECT_LIFETIME))
    else:
        arp.probe(net, device, gateway)
