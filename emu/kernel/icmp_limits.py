# SPDX-License-Identifier: GPL-2.0-only
"""How much ICMP a host may send: token buckets, for all peers together and for each.

Source: net/ipv4/icmp.c `icmp_global_allow`, `icmpv4_xrlim_allow`,
net/ipv4/inetpeer.c `inet_peer_xrlim_allow`, net/ipv4/route.c `ip_error` and
`ip_rt_send_redirect`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.sim.time import MILLISECOND, SECOND, Duration, Instant

if TYPE_CHECKING:
    import random

_BURST: Final = 6  # XRLIM_BURST_FACTOR: unused tokens that a peer may save up
_LONG_AGO: Final = Instant(-(1 << 62))
_ROUTE_ERROR_COST: Final = 1 * SECOND  # net.ipv4.route.error_cost
_ROUTE_ERROR_BURST: Final = 5 * SECOND  # net.ipv4.route.error_burst
_REDIRECT_NUMBER: Final = 9  # net.ipv4.route.redirect_number
_REDIRECT_LOAD: Final = 20 * MILLISECOND  # net.ipv4.route.redirect_load
_REDIRECT_SILENCE: Final = _REDIRECT_LOAD << (_REDIRECT_NUMBER + 1)


@attrs.define
class _Peer:
    """What the kernel remembers of an address (`struct inet_peer`): one bucket for all uses."""

    tokens: Duration = 0
    last: Instant = _LONG_AGO
    redirects: int = 0

    def refill(self, now: Instant, most: Duration) -> None:
        self.tokens = min(self.tokens + now - self.last, most)
        self.last = now

    def take(self, cost: Duration) -> bool:
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True


@attrs.define
class IcmpLimits:
    """The buckets of one namespace. An error about a missing route takes from its peer's twice."""

    _peers: dict[bytes, _Peer] = attrs.field(factory=dict, init=False)
    _credit: int = attrs.field(default=0, init=False)
    _stamp: Instant = attrs.field(default=_LONG_AGO, init=False)

    def _peer(self, address: bytes) -> _Peer:
        return self._peers.setdefault(address, _Peer())

    def are_rested(self, now: Instant) -> bool:
        """Return whether nothing that was sent before can have a message refused now."""
        rested = all(now - peer.last > _REDIRECT_SILENCE for peer in self._peers.values())
        return rested and now - self._stamp > SECOND

    def allow_message(self, now: Instant, *, per_second: int, burst: int) -> bool:
        """Return whether the bucket of all peers has a token (`consume` takes it)."""
        if self._credit > 0:
            return True
        passed = min(now - self._stamp, SECOND)
        refill = per_second * passed // SECOND
        if passed < SECOND // 50 or not refill:
            return False
        self._credit = min(self._credit + refill, burst)
        self._stamp = now
        return True

    def consume(self, random: random.Random) -> None:
        """Take none, one or two tokens from the bucket of all peers: nobody shall count our messages."""
        self._credit -= random.randrange(3)

    def allow_peer(self, address: bytes, now: Instant, interval: Duration) -> bool:
        """Take a token from the bucket of `address`: one each `interval`, six at once after a rest."""
        peer = self._peer(address)
        peer.refill(now, _BURST * interval)
        return peer.take(interval)

    def allow_route_error(self, address: bytes, now: Instant) -> bool:
        """Take a token for an error about a packet of `address` that has no route."""
        peer = self._peer(address)
        peer.refill(now, _ROUTE_ERROR_BURST)
        return peer.take(_ROUTE_ERROR_COST)

    def allow_redirect(self, address: bytes, now: Instant) -> bool:
        """Return whether `address` may be told a better gateway: ever rarer, nine times at most."""
        peer = self._peer(address)
        if now > peer.last + _REDIRECT_SILENCE:
            peer.tokens = 0
            peer.redirects = 0
        if peer.redirects >= _REDIRECT_NUMBER:
            peer.last = now
            return False
        if peer.redirects and now <= peer.last + (_REDIRECT_LOAD << peer.redirects):
            return False
        peer.last = now
        peer.redirects += 1
        return True
