# SPDX-License-Identifier: GPL-2.0-only
"""Endpoints per service port, out of all EndpointSlices.

They are ordered as text, which is the order of the rules: 10.0.0.10:80 comes
before 10.0.0.9:80. All nodes share them; which of them are *local* is a question
of the one who looks. Source: pkg/proxy/endpointslicecache.go, endpoint.go.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import attrs

from emu.kube.proxy.addresses import address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from emu.kube.api.objects.service import Endpoint, EndpointSlice

_FAMILIES = {4: "IPv4", 6: "IPv6"}


class Backend(NamedTuple):
    """An endpoint of one service port.

    Attributes:
        text: `IP:PORT`, `[IP]:PORT` for IPv6.
        ip: its address.
        node: where it runs, empty if nobody says.
        ready: it takes connections.
        serving: it does, or would if it were not going.
        terminating: it is going.
        zones: the zones whose clients should take it.
        nodes: the nodes whose clients should take it.
    """

    text: str
    ip: str
    node: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


class BackendKey(NamedTuple):
    """The name and protocol of a port, as slices and Services both have it."""

    port: str
    protocol: str


@attrs.frozen
class Backends:
    """The endpoints of one service port.

    Attributes:
        listed: sorted as text; one that stands in several slices comes several times.
    """

    listed: tuple[Backend, ...] = ()

    @cached_property
    def has_duplicates(self) -> bool:
        """Whether one stands there twice."""
        return len({each.text for each in self.listed}) < len(self.listed)

    @cached_property
    def nodes(self) -> frozenset[str]:
        """Where they run."""
        return frozenset(each.node for each in self.listed if each.node)

    @cached_property
    def hinted_nodes(self) -> frozenset[str]:
        """The nodes for which some are meant."""
        return frozenset(node for each in self.listed for node in each.nodes)

    @cached_property
    def has_zones(self) -> bool:
        """Whether some are meant for zones."""
        return any(each.zones for each in self.listed)

    def seen_from(self, node: str) -> tuple[Backend, ...]:
        """Return each once; of equal ones the last that is local, or else the first."""
        if not self.has_duplicates:
            return self.listed
        found: dict[str, Backend] = {}
        for each in self.listed:
            if each.text not in found or each.node == node:
                found[each.text] = each
        return tuple(found.values())


NO_BACKENDS = Backends()


def merge(slices: Iterable[EndpointSlice], family: int = 4) -> Mapping[BackendKey, Backends]:
    """Return the endpoints of one Service by port, out of its slices."""
    found: dict[BackendKey, list[Backend]] = {}
    for piece in sorted(slices, key=lambda each: each.metadata.name):
        if piece.address_type != _FAMILIES[family]:
            continue
        for port in piece.ports:
            if port.name is None or not port.port:
                continue
            listed = found.setdefault(BackendKey(port.name, port.protocol), [])
            listed += [
                each for one in piece.endpoints if (each := _backend(one, port.port, family)) is not None
            ]
    return {
        key: Backends(tuple(sorted(listed, key=lambda each: each.text)))
        for key, listed in found.items()
        if listed
    }


def _backend(endpoint: Endpoint, port: int, family: int) -> Backend | None:
    ip = address(endpoint.addresses[0], family) if endpoint.addresses else ""
    if not ip:
        return None
    is_, hints = endpoint.conditions, endpoint.hints
    return Backend(
        f"{ip}:{port}" if family == 4 else f"[{ip}]:{port}",
        ip,
        endpoint.node_name or "",
        is_.ready is not False,
        is_.serving is not False,
        is_.terminating is True,
        tuple([each.name for each in hints.for_zones]) if hints else (),
        tuple([each.name for each in hints.for_nodes]) if hints else (),
    )


def local_ready(backends: Iterable[Backends], node: str) -> int:
    """Return how many addresses on `node` are ready, of all ports of one Service."""
    return len(
        {
            each.ip
            for port in backends
            if node in port.nodes
            for each in port.listed
            if each.node == node and each.ready
        }
    )
