# SPDX-License-Identifier: GPL-2.0-only
"""Which endpoints a node may use, and for what. Source: pkg/proxy/topology.go."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emu.kube.proxy.config import Place
    from emu.kube.proxy.endpoints import Backend, Backends
    from emu.kube.proxy.services import ProxiedPort


class Usable(NamedTuple):
    """The endpoints of a service port that one node may use.

    Attributes:
        cluster: for traffic that may go to any node; None if there is no such traffic.
        local: for traffic that stays on the node; None if there is no such traffic.
        anywhere: some node has one that could be used.
    """

    cluster: tuple[Backend, ...] | None
    local: tuple[Backend, ...] | None
    anywhere: bool

    @property
    def reachable(self) -> tuple[Backend, ...]:
        """All of them, each once."""
        cluster = self.cluster or ()
        if not self.local:
            return cluster
        known = {each.text for each in cluster}
        return cluster + tuple([each for each in self.local if each.text not in known])

    def internal(self, port: ProxiedPort) -> tuple[Backend, ...]:
        """Return those for traffic to the ClusterIP."""
        return (self.local if port.internal_local else self.cluster) or ()

    def external(self, port: ProxiedPort) -> tuple[Backend, ...]:
        """Return those for traffic to other addresses; pods and the node itself may use more."""
        return (self.local if port.external_local else self.cluster) or ()


def choose(port: ProxiedPort, backends: Backends, place: Place) -> Usable:
    """Return the endpoints of `port` that may be used at `place`."""
    seen = backends.seen_from(place.node)
    ready = [each for each in seen if each.ready]
    going = [each for each in seen if each.serving and each.terminating]
    cluster = local = None
    if port.uses_cluster:
        cluster = tuple(_near(ready, place) or going)
    if port.uses_local:
        own = [each for each in ready if each.node == place.node]
        local = tuple(own or [each for each in going if each.node == place.node])
    return Usable(cluster, local, bool(cluster) or (local is not None and bool(ready or going)))


def _near(ready: Sequence[Backend], place: Place) -> Sequence[Backend]:
    """Return those of the ready endpoints that hints want for this node; all if some have no hint."""
    if ready and all(each.nodes for each in ready):
        here = [each for each in ready if place.node in each.nodes]
        if here:
            return here
    if ready and place.zone and all(each.zones for each in ready):
        here = [each for each in ready if place.zone in each.zones]
        if here:
            return here
    return ready
