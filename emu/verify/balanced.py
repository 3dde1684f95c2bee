# SPDX-License-Identifier: GPL-2.0-only
"""Load balancers as those see them who ask: which address is meant, and what a client of a proxy does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from emu.apps.relay import CONNECT_TIMEOUT
from emu.sim.time import SECOND
from emu.verify.endpoint import Protocol
from emu.wire.addresses import IpAddress

if TYPE_CHECKING:
    from emu.cluster.cluster import Cluster
    from emu.kube.api.objects import Service
    from emu.verify.endpoint import Source, Target

_OUTSIDE: Final = "ext/"
_STAYS: Final = CONNECT_TIMEOUT + SECOND
_SAYS: Final = b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"


def address_outside(service: Service, source: Source) -> IpAddress | None:
    """Return the address by which somebody outside asks for a Service: that of its load balancer.

    None for askers of the cluster, and where no balancer has given it one.
    """
    if not source.namespace.startswith(_OUTSIDE):
        return None
    given = (each.ip for each in service.status.load_balancer.ingress if each.ip)
    return next((IpAddress.parse(each) for each in given), None)


def as_clients_ask(cluster: Cluster, target: Target) -> Target:
    """Return `target` with what a client does of a connection that a proxy may take.

    It stays until the proxy can have found out that nobody is behind it. Where
    the proxy adds a header that servers wait for, it has to be answered.
    """
    if target.protocol is not Protocol.TCP:
        return target
    spec = cluster.control_plane.balancers.proxy_of(target.address, target.port)
    if spec is None:
        return target
    says = _SAYS % str(target.address).encode() if spec.proxy_protocol else b""
    return attrs.evolve(target, stays=_STAYS, says=says)
