# SPDX-License-Identifier: GPL-2.0-only
"""Connections of UDP that still lead to endpoints that are gone. Source: pkg/proxy/conntrack/cleanup.go.

A client that keeps sending keeps its entry alive, and rules are asked for the
first packet alone. So after endpoints have changed, entries of a UDP service
that lead to none of its serving endpoints are deleted; those that were made
before it had any are, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from emu.wire.addresses import IpAddress
from emu.wire.ipv4 import UDP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kernel.netfilter.conntrack.table import ConnectionTable
    from emu.kube.proxy.endpoints import BackendKey, Backends
    from emu.kube.proxy.services import ProxiedPort
    from emu.sim.time import Instant

_UDP: Final = "UDP"


def needs_cleanup(old: Mapping[BackendKey, Backends], new: Mapping[BackendKey, Backends]) -> bool:
    """Return whether a change of one Service's endpoints may leave entries that lead nowhere.

    So it is where a serving endpoint of a UDP port is gone, and where such a
    port has its first one.
    """
    for key in old.keys() | new.keys():
        if key.protocol != _UDP:
            continue
        before, after = _serving(old.get(key)), _serving(new.get(key))
        if before - after or (after and not before):
            return True
    return False


def _serving(backends: Backends | None) -> set[str]:
    return {each.text for each in backends.listed if each.serving} if backends is not None else set()


def clean(
    table: ConnectionTable,
    ports: Iterable[tuple[ProxiedPort, Backends]],
    now: Instant,
    *,
    cleans_empty: bool = False,
) -> int:
    """Delete the entries of `table` that lead to no serving endpoint of their UDP service.

    Args:
        table: the connections of a node.
        ports: the service ports with their endpoints; those of other protocols are passed over.
        now: the present instant.
        cleans_empty: those of a Service without any serving endpoint are deleted, too. kube-proxy did so
            up to 1.31, by events; what compares the whole table passes such Services over from 1.32 to
            1.36, and who sends all the time is sent to a pod that is gone until there is another.

    Returns:
        How many were deleted.
    """
    if not table.count:
        return 0
    by_address: dict[tuple[bytes, int], frozenset[bytes]] = {}
    by_node_port: dict[int, frozenset[bytes]] = {}
    for port, backends in ports:
        if port.key.protocol != _UDP:
            continue
        serving = frozenset(bytes(IpAddress.parse(each.ip)) for each in backends.listed if each.serving)
        if not serving and not cleans_empty:
            continue
        for ip in (port.cluster_ip, *port.external_ips, *port.load_balancer_ips):
            by_address[bytes(IpAddress.parse(ip)), port.port] = serving
        if port.node_port:
            by_node_port[port.node_port] = serving
    deleted = 0
    for connection in table:
        if connection.protocol != UDP:
            continue
        original = connection.original
        kept = by_address.get((bytes(original.dst), original.dport))
        if kept is None:
            kept = by_node_port.get(original.dport)
        if kept is not None and bytes(connection.reply.src) not in kept:
            table.delete(connection, now)
            deleted += 1
    return deleted
