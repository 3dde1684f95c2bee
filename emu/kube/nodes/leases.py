# SPDX-License-Identifier: GPL-2.0-only
"""Leases: each kubelet says every ten seconds that it lives.

As long as it does, nothing has to happen on the clock: when a lease was renewed
last follows from when its kubelet began.

Source: pkg/kubelet/kubelet.go (node lease), pkg/kubelet/apis/config/v1beta1/defaults.go.
"""

from __future__ import annotations

from typing import Final

import attrs

from emu.sim.time import SECOND, Duration, Instant, later

DURATION: Final[Duration] = 40 * SECOND
INTERVAL: Final[Duration] = DURATION // 4


@attrs.define
class Lease:
    """The lease of a node.

    Attributes:
        begun: when the kubelet first renewed it.
        ended: when the kubelet stopped; None while it lives.
        posted: the last renewal out of turn, None if there was none.
    """

    begun: Instant
    ended: Instant | None = None
    posted: Instant | None = None

    def renewed(self, now: Instant) -> Instant:
        """Return when the lease was renewed last, as seen at `now`."""
        until = now if self.ended is None else min(now, self.ended)
        regular = later(self.begun, (until - self.begun) // INTERVAL * INTERVAL)
        return regular if self.posted is None else max(regular, min(self.posted, now))


@attrs.define
class Leases:
    """The leases by the names of their nodes."""

    _leases: dict[str, Lease] = attrs.field(factory=dict, init=False)

    def begin(self, node: str, now: Instant) -> None:
        """Have the kubelet of `node` renew its lease from now on."""
        self._leases[node] = Lease(now)

    def end(self, node: str, now: Instant) -> None:
        """Have the kubelet of `node` renew it no more."""
        lease = self._leases.get(node)
        if lease is not None and lease.ended is None:
            lease.ended = now

    def renew(self, node: str, now: Instant) -> None:
        """Renew the lease of `node` once."""
        lease = self._leases.setdefault(node, Lease(now, now))
        lease.posted = now

    def forget(self, node: str) -> None:
        """Drop the lease of a node that is gone."""
        self._leases.pop(node, None)

    def renewed(self, node: str, now: Instant) -> Instant | None:
        """Return when the lease of `node` was renewed last; None if it has none."""
        lease = self._leases.get(node)
        return None if lease is None else lease.renewed(now)

    def is_live(self, node: str) -> bool:
        """Whether its kubelet renews it; who has no lease is not asked."""
        lease = self._leases.get(node)
        return lease is None or lease.ended is None
