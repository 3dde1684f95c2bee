# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers as those see them who ask: what a client of a proxy does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.relay import CONNECT_TIMEOUT
from emu.kube.api.objects import Service
from emu.kube.proxy.userspace.programs import DIAL_TIMEOUTS
from emu.sim.time import SECOND
from emu.verify.endpoint import Protocol

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.verify.endpoint import Target

_STAYS: Final = CONNECT_TIMEOUT + SECOND
_SAYS: Final = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"


def as_clients_ask(cluster: Cluster, target: Target) -> Target:
    """Return `target` with what a client does of a connection that a proxy may take.

    It stays until the proxy can have found out that nobody is behind it. Where
    the proxy adds a header that servers wait for, it has to be answered.
    """
    if target.protocol is not Protocol.TCP:
        return target
    if cluster.topology.cluster.proxy.mode == "userspace" and _is_of_service(cluster, target):
        return attrs.evolve(target, stays=sum(DIAL_TIMEOUTS, SECOND))
    spec = cluster.control_plane.balancers.proxy_of(target.address, target.port)
    if spec is None:
        return target
    says = _SAYS % str(target.address).encode() if spec.proxy_protocol else b""
    return attrs.evolve(target, stays=_STAYS, says=says)


def _is_of_service(cluster: Cluster, target: Target) -> bool:
    """Return whether a target is an address of a Service, or a node port."""
    asked = str(target.address)
    for service in cluster.store.each(Service):
        spec = service.spec
        given = (each.ip for each in service.status.load_balancer.ingress)
        if asked in {spec.cluster_ip, *spec.cluster_ips, *spec.external_ips, *given}:
            return True
        if any(each.node_port == target.port for each in spec.ports if target.port):
            return True
    return False
